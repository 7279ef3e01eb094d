#include "storage/memory/last.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "storage/kv.h"
#include "storage/memory/arena.h"
#include "storage/memory/segments.h"

enum {
    NAME_BYTES = 1 + 8 + 8, /* column, time, value */
    KEY_BYTES = 4,
    VALUE_BYTES_MAX = BATCH_COLUMNS_MAX * NAME_BYTES + 8,
    PUTS_PER_COMMIT = 8192
};
#define NEVER INT64_MIN

/* A sequence lock: odd while the writer is inside. The members are released and acquired one by
 * one, so a reader that met a new member also meets the odd number. */
struct cell {
    atomic_uint sequence;
    _Atomic int64_t time_ns;
    _Atomic uint64_t bits;
};

struct cells {
    unsigned room;
    struct cell at[];
};

struct last_group {
    _Atomic(struct cells *) cells; /* Replaced by a bigger copy when columns come. */
    atomic_bool dirty;             /* Not in the file as it is. */
};

struct last {
    struct segments groups; /* struct last_group */
    struct arena arena;     /* Cells; the putting thread's. */
    atomic_uint group_end;
    bool all_dirty; /* A save failed half way; the saving thread's. */
};

enum err last_create(struct last **out)
{
    struct last *l = calloc(1, sizeof *l);
    if (l == NULL) {
        return E_NO_MEMORY;
    }
    *out = l;
    return OK;
}

void last_destroy(struct last *l)
{
    if (l != NULL) {
        segments_fini(&l->groups);
        arena_fini(&l->arena);
        free(l);
    }
}

static void write_cell(struct cell *c, int64_t time_ns, uint64_t bits)
{
    unsigned sequence = atomic_load_explicit(&c->sequence, memory_order_relaxed);
    atomic_store_explicit(&c->sequence, sequence + 1, memory_order_relaxed);
    atomic_store_explicit(&c->time_ns, time_ns, memory_order_release);
    atomic_store_explicit(&c->bits, bits, memory_order_release);
    atomic_store_explicit(&c->sequence, sequence + 2, memory_order_release);
}

static int64_t read_cell(const struct cell *c, uint64_t *bits)
{
    for (;;) {
        unsigned before = atomic_load_explicit(&c->sequence, memory_order_acquire);
        int64_t time_ns = atomic_load_explicit(&c->time_ns, memory_order_acquire);
        *bits = atomic_load_explicit(&c->bits, memory_order_acquire);
        if (before % 2 == 0 && atomic_load_explicit(&c->sequence, memory_order_relaxed) == before) {
            return time_ns;
        }
    }
}

static void copy_cells(struct cells *to, const struct cells *from)
{
    unsigned old = from == NULL ? 0 : from->room;
    for (unsigned i = 0; i < to->room; i++) {
        uint64_t bits = 0;
        int64_t time_ns = i < old ? read_cell(&from->at[i], &bits) : NEVER;
        atomic_init(&to->at[i].sequence, 0);
        atomic_init(&to->at[i].time_ns, time_ns);
        atomic_init(&to->at[i].bits, bits);
    }
}

/* The cells of a group, with room for `columns`. */
static enum err reserve_cells(struct last *l, struct last_group *g, unsigned columns,
                              struct cells **out)
{
    struct cells *cells = atomic_load_explicit(&g->cells, memory_order_relaxed);
    if (cells == NULL || cells->room < columns) {
        unsigned room = cells == NULL ? 1 : cells->room;
        while (room < columns) {
            room *= 2;
        }
        struct cells *bigger = arena_take(&l->arena, sizeof *bigger + room * sizeof bigger->at[0]);
        if (bigger == NULL) {
            return E_NO_MEMORY;
        }
        bigger->room = room;
        copy_cells(bigger, cells);
        atomic_store_explicit(&g->cells, bigger, memory_order_release);
        cells = bigger;
    }
    *out = cells;
    return OK;
}

enum err last_put_row(struct last *l, const struct batch_entry *row)
{
    const uint32_t group = row->row.group;
    struct cells *cells;
    void *slot;
    TRY(segments_reserve(&l->groups, sizeof(struct last_group), group, &slot));
    struct last_group *g = slot;
    TRY(reserve_cells(l, g, 64 - (unsigned)__builtin_clzll(row->row.columns), &cells));
    const double *value = row->row.values;
    for (uint64_t left = row->row.columns; left != 0; left &= left - 1, value++) {
        struct cell *c = &cells->at[__builtin_ctzll(left)];
        if (row->row.time_ns >= atomic_load_explicit(&c->time_ns, memory_order_relaxed)) {
            uint64_t bits;
            memcpy(&bits, value, sizeof bits);
            write_cell(c, row->row.time_ns, bits);
        }
    }
    atomic_store_explicit(&g->dirty, true, memory_order_release); /* After the cells. */
    if (group >= atomic_load_explicit(&l->group_end, memory_order_relaxed)) {
        atomic_store_explicit(&l->group_end, group + 1, memory_order_release);
    }
    return OK;
}

static const struct cells *find_cells(const struct last *l, uint32_t group)
{
    const struct last_group *g = segments_find(&l->groups, sizeof *g, group);
    return g == NULL ? NULL : atomic_load_explicit(&g->cells, memory_order_acquire);
}

bool last_is_newest(const struct last *l, const struct batch_entry *row)
{
    const struct cells *cells = find_cells(l, row->row.group);
    for (uint64_t left = row->row.columns; cells != NULL && left != 0; left &= left - 1) {
        const unsigned column = (unsigned)__builtin_ctzll(left);
        if (column < cells->room &&
            row->row.time_ns <=
                atomic_load_explicit(&cells->at[column].time_ns, memory_order_relaxed)) {
            return false;
        }
    }
    return true;
}

enum err last_find(const struct last *l, struct series_ref ref, int64_t *time_ns, double *value)
{
    const struct cells *cells = find_cells(l, ref.group);
    uint64_t bits = 0;
    int64_t time = cells == NULL || ref.column >= cells->room
                       ? NEVER
                       : read_cell(&cells->at[ref.column], &bits);
    if (time == NEVER) {
        return E_NOT_FOUND;
    }
    *time_ns = time;
    memcpy(value, &bits, sizeof bits);
    return OK;
}

/* The file. */

static enum err put_cells(const struct cells *cells, int64_t horizon_ns, struct writer *w)
{
    for (unsigned i = 0; i < cells->room; i++) {
        uint64_t bits;
        int64_t time_ns = read_cell(&cells->at[i], &bits);
        if (time_ns == NEVER || time_ns < horizon_ns) {
            continue;
        }
        TRY(writer_put_u8(w, (uint8_t)i));
        TRY(writer_put_le64(w, (uint64_t)time_ns));
        TRY(writer_put_le64(w, bits));
    }
    return OK;
}

static enum err save_group(const struct last *l, uint32_t group, int64_t horizon_ns,
                           struct kv_txn *txn, struct kv_table table)
{
    const struct cells *cells = find_cells(l, group);
    uint8_t key[KEY_BYTES], value[VALUE_BYTES_MAX];
    struct writer k = {key, 0, sizeof key}, v = {value, 0, sizeof value};
    if (cells == NULL) {
        return OK;
    }
    TRY(writer_put_u32(&k, group));
    TRY(put_cells(cells, horizon_ns, &v));
    uint64_t over_key = hash_bytes((struct bytes){key, k.size});
    TRY(writer_put_le64(&v, hash_seeded(over_key, (struct bytes){value, v.size})));
    return kv_put(txn, table, (struct bytes){key, k.size}, (struct bytes){value, v.size},
                  KV_UPSERT);
}

/* Whether to keep this group now. */
static bool take_dirty(struct last *l, uint32_t group)
{
    struct last_group *g = segments_find(&l->groups, sizeof *g, group);
    return g != NULL && (atomic_exchange(&g->dirty, false) || l->all_dirty);
}

/* One transaction, from `*group` on; moves it behind the last one taken. */
static enum err save_run(struct last *l, int64_t horizon_ns, struct kv *kv, struct kv_table table,
                         uint32_t *group)
{
    const uint32_t end = atomic_load_explicit(&l->group_end, memory_order_acquire);
    unsigned puts = 0;
    struct kv_txn *txn;
    enum err e = OK;
    TRY(kv_write_begin(kv, &txn));
    for (; e == OK && *group < end && puts < PUTS_PER_COMMIT; (*group)++) {
        if (take_dirty(l, *group)) {
            e = save_group(l, *group, horizon_ns, txn, table);
            puts++;
        }
    }
    if (e != OK || puts == 0) {
        kv_abort(txn);
        return e;
    }
    return kv_commit(txn);
}

enum err last_save(struct last *l, int64_t horizon_ns, struct kv *kv)
{
    struct kv_table table;
    uint32_t group = 0;
    TRY(kv_table_open(kv, "last", &table));
    while (group < atomic_load_explicit(&l->group_end, memory_order_acquire)) {
        enum err e = save_run(l, horizon_ns, kv, table, &group);
        if (e != OK) {
            l->all_dirty = true;
            return e;
        }
    }
    l->all_dirty = false;
    return OK;
}

/* The names inside a pair, when it is sound. */
static enum err open_pair(struct bytes key, struct bytes value, uint32_t *group,
                          struct bytes *names)
{
    const uint64_t over_key = hash_bytes(key);
    uint64_t checksum;
    TRY(bytes_take_u32(&key, group));
    if (key.size != 0 || value.size < sizeof checksum) {
        return E_CORRUPT;
    }
    TRY(bytes_take(&value, value.size - sizeof checksum, names));
    TRY(bytes_take_le64(&value, &checksum));
    return checksum == hash_seeded(over_key, *names) ? OK : E_CORRUPT;
}

static enum err take_name(struct bytes *names, struct batch_entry *row)
{
    uint8_t column;
    uint64_t time_ns, bits;
    TRY(bytes_take_u8(names, &column));
    TRY(bytes_take_le64(names, &time_ns));
    TRY(bytes_take_le64(names, &bits));
    row->row.time_ns = (int64_t)time_ns;
    row->row.columns = UINT64_C(1) << column % BATCH_COLUMNS_MAX;
    row->row.count = 1;
    memcpy(&row->row.values[0], &bits, sizeof bits);
    return OK;
}

struct loading {
    struct last *last;
    uint32_t group_end; /* Ids the catalogue knows are below this. */
};

static enum err load_group(void *context, struct bytes key, struct bytes value)
{
    const struct loading *loading = context;
    struct last *l = loading->last;
    const uint32_t group_end = loading->group_end;
    struct batch_entry row = {.kind = BATCH_ROW};
    struct bytes names;
    if (open_pair(key, value, &row.row.group, &names) != OK || row.row.group >= group_end) {
        log_line(LOG_ERROR, "storage", "last values of a group are damaged, left out");
        return OK;
    }
    while (take_name(&names, &row) == OK) {
        TRY(last_put_row(l, &row));
    }
    struct last_group *g = segments_find(&l->groups, sizeof *g, row.row.group);
    if (g != NULL) {
        atomic_store(&g->dirty, false);
    }
    return OK;
}

enum err last_load(struct last *l, uint32_t group_end, struct kv *kv)
{
    struct loading loading = {l, group_end};
    return kv_each(kv, "last", load_group, &loading);
}
