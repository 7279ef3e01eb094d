#include "storage/memory/last.h"

#include <stdlib.h>
#include <string.h>

#include "storage/memory/last_inside.h"

enum err last_create(struct last **out)
{
    struct last *l = calloc(1, sizeof *l);
    if (l == NULL) {
        return E_NO_MEMORY;
    }
    l->table.name = "newest";
    *out = l;
    return OK;
}

void last_destroy(struct last *l)
{
    if (l != NULL) {
        segments_fini(&l->groups);
        segments_fini(&l->dirty);
        arena_fini(&l->arena);
        pack_table_forget(&l->table);
        free(l);
    }
}

/* The members are released and acquired one by one, so a reader that met a new member also meets
 * the odd number. */
static void write_begin(struct last_cells *cells)
{
    unsigned sequence = atomic_load_explicit(&cells->sequence, memory_order_relaxed);
    atomic_store_explicit(&cells->sequence, sequence + 1, memory_order_relaxed);
}

static void write_end(struct last_cells *cells)
{
    unsigned sequence = atomic_load_explicit(&cells->sequence, memory_order_relaxed);
    atomic_store_explicit(&cells->sequence, sequence + 1, memory_order_release);
}

static void write_cell(struct last_cell *c, int64_t time_ns, uint64_t bits)
{
    atomic_store_explicit(&c->time_ns, time_ns, memory_order_release);
    atomic_store_explicit(&c->bits, bits, memory_order_release);
}

int64_t last_cell_read(const struct last_cells *cells, unsigned column, uint64_t *bits)
{
    const struct last_cell *c = &cells->at[column];
    for (;;) {
        unsigned before = atomic_load_explicit(&cells->sequence, memory_order_acquire);
        int64_t time_ns = atomic_load_explicit(&c->time_ns, memory_order_acquire);
        *bits = atomic_load_explicit(&c->bits, memory_order_acquire);
        if (before % 2 == 0 &&
            atomic_load_explicit(&cells->sequence, memory_order_relaxed) == before) {
            return time_ns;
        }
    }
}

static void copy_cells(struct last_cells *to, const struct last_cells *from)
{
    unsigned old = from == NULL ? 0 : from->room;
    for (unsigned i = 0; i < to->room; i++) {
        uint64_t bits = 0;
        int64_t time_ns = i < old ? last_cell_read(from, i, &bits) : LAST_NEVER;
        atomic_init(&to->at[i].time_ns, time_ns);
        atomic_init(&to->at[i].bits, bits);
    }
}

/* The cells of a group, with room for `columns`. The first time as many as asked for: most groups
 * get no more. */
static enum err reserve_cells(struct last *l, uint32_t group, unsigned columns,
                              struct last_cells **out)
{
    void *found;
    TRY(segments_reserve(&l->groups, sizeof(_Atomic(struct last_cells *)), group, &found));
    _Atomic(struct last_cells *) *slot = found;
    struct last_cells *cells = atomic_load_explicit(slot, memory_order_relaxed);
    if (cells == NULL || cells->room < columns) {
        unsigned room = cells == NULL || 2 * cells->room < columns ? columns : 2 * cells->room;
        room = room > BATCH_COLUMNS_MAX ? BATCH_COLUMNS_MAX : room;
        struct last_cells *bigger =
            arena_take(&l->arena, sizeof *bigger + room * sizeof bigger->at[0]);
        if (bigger == NULL) {
            return E_NO_MEMORY;
        }
        atomic_init(&bigger->sequence, 0);
        bigger->room = room;
        copy_cells(bigger, cells);
        atomic_store_explicit(slot, bigger, memory_order_release);
        cells = bigger;
    }
    *out = cells;
    return OK;
}

static void note_group(struct last *l, uint32_t group)
{
    if (group >= atomic_load_explicit(&l->group_end, memory_order_relaxed)) {
        atomic_store_explicit(&l->group_end, group + 1, memory_order_release);
    }
}

enum err last_put_row(struct last *l, const struct batch_entry *row)
{
    const uint32_t group = row->row.group;
    struct last_cells *cells;
    void *dirty;
    TRY(segments_reserve(&l->dirty, sizeof(atomic_bool), group, &dirty));
    TRY(reserve_cells(l, group, 64 - (unsigned)__builtin_clzll(row->row.columns), &cells));
    const double *value = row->row.values;
    write_begin(cells);
    for (uint64_t left = row->row.columns; left != 0; left &= left - 1, value++) {
        struct last_cell *c = &cells->at[__builtin_ctzll(left)];
        const int64_t kept_ns = atomic_load_explicit(&c->time_ns, memory_order_relaxed);
        if (row->row.time_ns >= last_least(kept_ns)) {
            uint64_t bits;
            memcpy(&bits, value, sizeof bits);
            write_cell(c, row->row.time_ns, bits);
        } else if (last_is_bound(kept_ns)) {
            write_cell(c, kept_ns, ++l->tokens);
        }
    }
    write_end(cells);
    atomic_store_explicit((atomic_bool *)dirty, true, memory_order_release); /* After the cells. */
    note_group(l, group);
    return OK;
}

enum err last_restore(struct last *l, const struct last_entry *entry, unsigned columns)
{
    struct last_cells *cells;
    void *dirty;
    TRY(segments_reserve(&l->dirty, sizeof(atomic_bool), entry->ref.group, &dirty));
    TRY(reserve_cells(l, entry->ref.group, columns, &cells));
    write_cell(&cells->at[entry->ref.column], entry->time_ns,
               last_is_bound(entry->time_ns) ? ++l->tokens : entry->bits);
    note_group(l, entry->ref.group);
    return OK;
}

const struct last_cells *last_cells_find(const struct last *l, uint32_t group)
{
    const _Atomic(struct last_cells *) *slot = segments_find(&l->groups, sizeof *slot, group);
    return slot == NULL ? NULL : atomic_load_explicit(slot, memory_order_acquire);
}

atomic_bool *last_dirty(const struct last *l, uint32_t group)
{
    return segments_find(&l->dirty, sizeof(atomic_bool), group);
}

bool last_is_newest(const struct last *l, const struct batch_entry *row)
{
    const struct last_cells *cells = last_cells_find(l, row->row.group);
    for (uint64_t left = row->row.columns; cells != NULL && left != 0; left &= left - 1) {
        const unsigned column = (unsigned)__builtin_ctzll(left);
        if (column < cells->room &&
            row->row.time_ns <= last_least(atomic_load_explicit(&cells->at[column].time_ns,
                                                                memory_order_relaxed))) {
            return false;
        }
    }
    return true;
}

enum err last_find(const struct last *l, struct series_ref ref, int64_t *time_ns, double *value)
{
    const struct last_cells *cells = last_cells_find(l, ref.group);
    uint64_t bits = 0;
    int64_t time = cells == NULL || ref.column >= cells->room
                       ? LAST_NEVER
                       : last_cell_read(cells, ref.column, &bits);
    if (time < 0) {
        return time == LAST_NEVER ? E_NOT_FOUND : E_MORE;
    }
    *time_ns = time;
    memcpy(value, &bits, sizeof bits);
    return OK;
}

void last_forget(struct last *l, struct series_ref ref, int64_t from_ns, int64_t to_ns)
{
    const _Atomic(struct last_cells *) *slot = segments_find(&l->groups, sizeof *slot, ref.group);
    struct last_cells *cells =
        slot == NULL ? NULL : atomic_load_explicit(slot, memory_order_relaxed);
    if (cells == NULL || ref.column >= cells->room) {
        return;
    }
    struct last_cell *c = &cells->at[ref.column];
    const int64_t kept_ns = atomic_load_explicit(&c->time_ns, memory_order_relaxed);
    /* What is left before a bound is at most one less. */
    const int64_t newest_ns = last_is_bound(kept_ns) ? last_least(kept_ns) - 1 : kept_ns;
    const bool is_gone = from_ns <= newest_ns && newest_ns < to_ns;
    if (kept_ns == LAST_NEVER || (!is_gone && !last_is_bound(kept_ns))) {
        return;
    }
    write_begin(cells);
    write_cell(c, !is_gone ? kept_ns : from_ns > 0 ? -from_ns : LAST_NEVER, ++l->tokens);
    write_end(cells);
    atomic_store_explicit(last_dirty(l, ref.group), true, memory_order_release);
}

enum err last_bound(const struct last *l, struct series_ref ref, int64_t *bound_ns, uint64_t *token)
{
    const struct last_cells *cells = last_cells_find(l, ref.group);
    uint64_t bits = 0;
    const int64_t time_ns = cells == NULL || ref.column >= cells->room
                                ? LAST_NEVER
                                : last_cell_read(cells, ref.column, &bits);
    if (!last_is_bound(time_ns)) {
        return E_NOT_FOUND;
    }
    *bound_ns = -time_ns;
    *token = bits;
    return OK;
}

uint32_t last_damaged(const struct last *l)
{
    return l->damaged;
}
