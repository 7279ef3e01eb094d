/* Newest values at rest: table "newest" of catalog.mdb, in packs by group. docs/FORMAT.md,
 * "Catalogue"; the table "last" of version 1 is read, too. */

#include <string.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/timestamp.h"
#include "storage/kv.h"
#include "storage/memory/last_inside.h"

/* A group always fits behind a pack that is not full. */
enum { BUFFER_BYTES = PACK_BYTES_MAX + BATCH_COLUMNS_MAX * LAST_ENTRY_BYTES_MAX };

/* The pack being made. */
struct making {
    struct last *last;
    int64_t horizon_ns;
    struct last_pack_state state;
    struct writer out;
    uint8_t buffer[BUFFER_BYTES];
};

static bool is_dirty(void *context, uint32_t group)
{
    const struct making *m = context;
    atomic_bool *dirty = last_dirty(m->last, group);
    return dirty != NULL &&
           (m->last->all_dirty || atomic_load_explicit(dirty, memory_order_relaxed));
}

static void restart(void *context)
{
    struct making *m = context;
    m->out.size = 0;
    m->state = (struct last_pack_state){.has_entries = false};
}

static enum err add_group(void *context, uint32_t group)
{
    struct making *m = context;
    const struct last_pack_state before = m->state;
    const size_t size = m->out.size;
    atomic_bool *dirty = last_dirty(m->last, group);
    if (dirty != NULL) {
        (void)atomic_exchange(dirty, false); /* Before the cells are read. */
    }
    const struct last_cells *cells = last_cells_find(m->last, group);
    for (unsigned i = 0; cells != NULL && i < cells->room; i++) {
        struct last_entry entry = {.ref = {group, (uint8_t)i}};
        entry.time_ns = last_cell_read(cells, i, &entry.bits);
        entry.bits = last_is_bound(entry.time_ns) ? 0 : entry.bits;
        if (entry.time_ns != LAST_NEVER && last_least(entry.time_ns) >= m->horizon_ns) {
            last_pack_put(&m->state, &m->out, &entry);
        }
    }
    if (size > 0 && m->out.size > PACK_BODY_BYTES_MAX) {
        m->out.size = size;
        m->state = before;
        return E_LIMIT;
    }
    return OK;
}

enum err last_save(struct last *l, int64_t horizon_ns, struct kv *kv)
{
    struct making m = {.last = l, .horizon_ns = horizon_ns};
    m.out = (struct writer){m.buffer, 0, sizeof m.buffer};
    const struct pack_source source = {
        .context = &m,
        .end = atomic_load_explicit(&l->group_end, memory_order_acquire),
        .is_dirty = is_dirty,
        .add = add_group,
        .restart = restart,
        .out = &m.out};
    enum err e = pack_table_save(&l->table, kv, &source);
    l->all_dirty = e != OK;
    return e;
}

void last_forget_file(struct last *l)
{
    pack_table_forget(&l->table);
    l->all_dirty = true;
}

/* Loading. */

struct loading {
    struct last *last;
    const struct catalogue *catalogue;
};

static void note_damage(struct last *l, const char *what)
{
    l->damaged++;
    log_line(LOG_ERROR, "storage", "%s", what);
}

/* E_CORRUPT: of no series that is known, or of no time points have. */
static enum err load_entry(const struct loading *loading, const struct last_entry *entry)
{
    const struct group *g = catalogue_group(loading->catalogue, entry->ref.group);
    const unsigned columns = g == NULL ? 0 : atomic_load(&g->columns);
    const int64_t time_ns = last_least(entry->time_ns);
    if (entry->ref.column >= columns || time_ns < TIMESTAMP_MIN_NS || time_ns >= TIMESTAMP_MAX_NS) {
        return E_CORRUPT;
    }
    return last_restore(loading->last, entry, columns);
}

static enum err load_pack(void *context, struct bytes key, struct bytes value)
{
    const struct loading *loading = context;
    struct last_pack_state state = {.has_entries = false};
    struct last_entry entry;
    struct bytes body;
    bool is_strange = false;
    enum err e = pack_open(key, value, &body);
    while (e == OK && (e = last_pack_take(&state, &body, &entry)) == OK) {
        e = load_entry(loading, &entry);
        is_strange = is_strange || e == E_CORRUPT;
        e = e == E_CORRUPT ? OK : e;
    }
    if (e == E_CORRUPT) {
        note_damage(loading->last, "newest values of some groups are damaged, left out");
    } else if (is_strange) {
        note_damage(loading->last, "newest values of series without a name are left out");
    }
    return e == E_CORRUPT || e == E_END ? OK : e;
}

enum err last_load(struct last *l, const struct catalogue *c, struct kv *kv)
{
    struct loading loading = {l, c};
    return kv_each(kv, l->table.name, load_pack, &loading);
}

/* Version 1: a pair a group, for each column with a value: column, time, value. */

static enum err take_pair(struct bytes key, struct bytes value, uint32_t *group,
                          struct bytes *columns)
{
    TRY(pack_open(key, value, columns));
    TRY(bytes_take_u32(&key, group));
    return key.size == 0 ? OK : E_CORRUPT;
}

static enum err take_column(struct bytes *in, struct last_entry *entry)
{
    uint64_t time_ns;
    TRY(bytes_take_u8(in, &entry->ref.column));
    TRY(bytes_take_le64(in, &time_ns));
    entry->time_ns = (int64_t)time_ns;
    return bytes_take_le64(in, &entry->bits);
}

static enum err load_pair(void *context, struct bytes key, struct bytes value)
{
    const struct loading *loading = context;
    struct last_entry entry = {.ref = {0, 0}};
    struct bytes columns;
    enum err e = take_pair(key, value, &entry.ref.group, &columns);
    while (e == OK && columns.size > 0) {
        e = take_column(&columns, &entry);
        e = e == OK ? load_entry(loading, &entry) : E_CORRUPT;
    }
    if (e == E_CORRUPT) {
        note_damage(loading->last, "last values of a group are damaged, left out");
        return OK;
    }
    return e;
}

enum err last_load_v1(struct last *l, const struct catalogue *c, struct kv *kv)
{
    struct loading loading = {l, c};
    return kv_each(kv, "last", load_pair, &loading);
}
