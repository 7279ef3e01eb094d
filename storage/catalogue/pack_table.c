#include "storage/catalogue/pack_table.h"

#include <stdlib.h>

#include "storage/kv.h"

/* LMDB uses pages again that were freed two commits ago. So a table that changes as a whole is
 * written in several commits: what it takes beside its packs is two parts of COMMITS. */
enum {
    KEY_BYTES = 4,
    COMMITS = 8,
    PACKS_PER_COMMIT_MIN = 32,
    SMALL_BYTES = PACK_BYTES_MAX / 2,
    RANGES_FIRST = 16
};

struct pack_range {
    uint32_t first; /* Group. */
    uint32_t bytes;
};

/* One save. */
struct saving {
    const struct pack_table *table;
    const struct pack_source *source;
    struct kv *kv;
    struct kv_table in;
    struct kv_txn *txn;        /* NULL: none needed yet. */
    size_t puts;               /* By `txn`. */
    struct pack_range *ranges; /* As they will be. */
    size_t count, room;
};

void pack_table_forget(struct pack_table *t)
{
    free(t->ranges);
    t->ranges = NULL;
    t->count = 0;
    t->is_read = false;
}

static enum err add_range(struct saving *s, uint32_t first, uint32_t bytes)
{
    if (s->count == s->room) {
        const size_t room = s->room == 0 ? RANGES_FIRST : 2 * s->room;
        struct pack_range *ranges = realloc(s->ranges, room * sizeof *ranges);
        if (ranges == NULL) {
            return E_NO_MEMORY;
        }
        s->ranges = ranges;
        s->room = room;
    }
    s->ranges[s->count++] = (struct pack_range){first, bytes};
    return OK;
}

static enum err read_range(void *context, struct bytes key, struct bytes value)
{
    uint32_t first;
    if (bytes_take_u32(&key, &first) != OK || key.size != 0) {
        return OK; /* None of ours: loading has told of it. */
    }
    return add_range(context, first, (uint32_t)value.size);
}

static enum err read_ranges(struct pack_table *t, struct kv *kv)
{
    struct saving s = {.table = t};
    enum err e = kv_each(kv, t->name, read_range, &s);
    if (e != OK) {
        free(s.ranges);
        return e;
    }
    t->ranges = s.ranges;
    t->count = s.count;
    t->is_read = true;
    return OK;
}

/* The groups of range `i`; an empty table is one range without a pack. */
static uint32_t range_start(const struct saving *s, size_t i)
{
    return i == 0 ? 0 : s->table->ranges[i].first;
}

static uint32_t range_end(const struct saving *s, size_t i)
{
    return i + 1 < s->table->count ? s->table->ranges[i + 1].first : s->source->end;
}

static bool has_dirty(const struct saving *s, size_t i)
{
    const uint32_t end = range_end(s, i);
    for (uint32_t g = range_start(s, i); g < end; g++) {
        if (s->source->is_dirty(s->source->context, g)) {
            return true;
        }
    }
    return false;
}

static enum err begin(struct saving *s)
{
    return s->txn != NULL ? OK : kv_write_begin(s->kv, &s->txn);
}

static enum err commit(struct saving *s)
{
    struct kv_txn *txn = s->txn;
    s->txn = NULL;
    s->puts = 0;
    return txn == NULL ? OK : kv_commit(txn);
}

static struct bytes key_of(uint32_t first, uint8_t raw[KEY_BYTES])
{
    struct writer w = {raw, 0, KEY_BYTES};
    (void)!writer_put_u32(&w, first); /* It fits. */
    return (struct bytes){raw, w.size};
}

static enum err put_pack(struct saving *s, uint32_t first)
{
    struct writer *w = s->source->out;
    uint8_t raw[KEY_BYTES];
    const struct bytes key = key_of(first, raw);
    if (w->size == 0) {
        return OK;
    }
    TRY(pack_seal(key, w));
    TRY(kv_put(s->txn, s->in, key, (struct bytes){w->at, w->size}, KV_UPSERT));
    TRY(add_range(s, first, (uint32_t)w->size));
    s->puts++;
    s->source->restart(s->source->context);
    return OK;
}

static enum err put_groups(struct saving *s, uint32_t from, uint32_t end)
{
    const struct pack_source *source = s->source;
    uint32_t first = from; /* Of the pack being made. */
    source->restart(source->context);
    for (uint32_t g = from; g < end; g++) {
        first = source->out->size == 0 ? g : first;
        enum err e = source->add(source->context, g);
        if (e == E_LIMIT) {
            TRY(put_pack(s, first));
            first = g;
            e = source->add(source->context, g);
        }
        TRY(e);
    }
    return put_pack(s, first);
}

static enum err delete_packs(struct saving *s, size_t from, size_t end)
{
    for (size_t i = from; i < end && i < s->table->count; i++) {
        uint8_t raw[KEY_BYTES];
        TRY(kv_delete(s->txn, s->in, key_of(s->table->ranges[i].first, raw)));
    }
    return OK;
}

static size_t packs_per_commit(const struct saving *s)
{
    const size_t packs = s->table->count / COMMITS;
    return packs < PACKS_PER_COMMIT_MIN ? PACKS_PER_COMMIT_MIN : packs;
}

/* Ranges that are to be written together with range `i`; small ones behind it are taken in. */
static size_t run_end(const struct saving *s, size_t i)
{
    size_t end = i + 1;
    while (end < s->table->count && end - i < packs_per_commit(s) &&
           (s->table->ranges[end].bytes < SMALL_BYTES || has_dirty(s, end))) {
        end++;
    }
    return end;
}

static enum err save_run(struct saving *s, size_t from, size_t end)
{
    TRY(begin(s));
    TRY(delete_packs(s, from, end));
    TRY(put_groups(s, range_start(s, from), range_end(s, end - 1)));
    return s->puts >= packs_per_commit(s) ? commit(s) : OK;
}

static enum err save_ranges(struct saving *s)
{
    const size_t count = s->table->count == 0 ? 1 : s->table->count;
    for (size_t i = 0; i < count;) {
        if (has_dirty(s, i)) {
            const size_t end = run_end(s, i);
            TRY(save_run(s, i, end));
            i = end;
            continue;
        }
        if (i < s->table->count) {
            TRY(add_range(s, s->table->ranges[i].first, s->table->ranges[i].bytes));
        }
        i++;
    }
    return commit(s);
}

enum err pack_table_save(struct pack_table *t, struct kv *kv, const struct pack_source *source)
{
    struct saving s = {.table = t, .source = source, .kv = kv};
    TRY(kv_table_share(kv, t->name, &s.in));
    if (!t->is_read) {
        TRY(read_ranges(t, kv));
    }
    enum err e = save_ranges(&s);
    if (e != OK) {
        kv_abort(s.txn);
        free(s.ranges);
        pack_table_forget(t);
        return e;
    }
    free(t->ranges);
    t->ranges = s.ranges;
    t->count = s.count;
    return OK;
}
