#include "storage/part/part.h"

#include <stdlib.h>

#include "base/check.h"
#include "storage/part/part_env.h"
#include "storage/part/part_rollup.h"

/* Small enough that its dirty pages stay in the cache, large enough to pay for the sync. */
enum { TXN_BYTES = 1 << 20 };

struct part_flush {
    struct part *part;
    struct kv_txn *txn; /* NULL between transactions. */
    size_t txn_bytes;
    uint32_t number;
    struct kv_table damaged, rollups; /* Made when needed. */
    bool has_damaged, has_bundles, has_rollups;
    struct part_positions *noted; /* To be shown at the end; NULL: nothing. */
};

enum err part_flush_begin(struct part *p, struct part_flush **out)
{
    struct part_flush *f = calloc(1, sizeof *f);
    if (f == NULL) {
        return E_NO_MEMORY;
    }
    enum err e = part_env_enter(p, PART_WRITE);
    if (e != OK) {
        free(f);
        return e;
    }
    *f = (struct part_flush){.part = p, .number = part_flush_count(p) + 1};
    e = part_env_clean(p);
    if (e == OK && f->number == 0) {
        e = E_LIMIT; /* After 2^32 - 1 flushes. */
    }
    if (e != OK) {
        part_flush_abort(f);
        return e;
    }
    *out = f;
    return OK;
}

enum err part_flush_key(struct part_flush *f, uint32_t group, int64_t first_ns, uint8_t key[16])
{
    const struct part_period period = f->part->name.period;
    CHECK(first_ns >= period.start_ns && first_ns < period.end_ns);
    part_key_write((struct part_key){f->number, group, first_ns}, key);
    return OK;
}

static enum err commit(struct part_flush *f)
{
    struct kv_txn *txn = f->txn;
    f->txn = NULL;
    f->txn_bytes = 0;
    enum err e = kv_commit(txn);
    if (e != OK) {
        part_env_break(f->part); /* Whether it is there is unknown: what is read next tells. */
    }
    atomic_store(&f->part->confirmed, e == OK);
    return e;
}

static enum err begin(struct part_flush *f)
{
    return f->txn != NULL ? OK : kv_write_begin(f->part->kv, &f->txn);
}

enum err part_flush_put(struct part_flush *f, struct bytes key, struct bytes chunk)
{
    TRY(begin(f));
    TRY(kv_put(f->txn, f->part->chunks, key, chunk, KV_APPEND));
    f->txn_bytes += key.size + chunk.size;
    return f->txn_bytes >= TXN_BYTES ? commit(f) : OK;
}

enum err part_flush_put_bundle(struct part_flush *f, struct bytes key, struct bytes bundle)
{
    TRY(begin(f));
    if (!f->has_bundles) {
        TRY(kv_table_share_in(f->txn, "bundles", &f->part->bundles));
        f->has_bundles = true;
    }
    TRY(kv_put(f->txn, f->part->bundles, key, bundle, KV_APPEND));
    f->txn_bytes += key.size + bundle.size;
    return f->txn_bytes >= TXN_BYTES ? commit(f) : OK;
}

enum err part_flush_say(struct part_flush *f, struct bytes key, struct bytes value)
{
    TRY(begin(f));
    return kv_put(f->txn, f->part->meta, key, value, KV_UPSERT);
}

enum err part_flush_keep_raw(struct part_flush *f, struct bytes key, struct bytes value)
{
    TRY(begin(f));
    if (!f->has_damaged) {
        TRY(kv_table_share_in(f->txn, "damaged", &f->damaged));
        f->has_damaged = true;
    }
    return kv_put(f->txn, f->damaged, key, value, KV_UPSERT);
}

enum err part_flush_rollup(struct part_flush *f, struct bytes key, struct bytes value, bool append)
{
    TRY(begin(f));
    if (!f->has_rollups) {
        TRY(kv_table_share_in(f->txn, "rollups", &f->rollups));
        f->has_rollups = true;
    }
    TRY(kv_put(f->txn, f->rollups, key, value, append ? KV_APPEND : KV_UPSERT));
    f->txn_bytes += key.size + value.size;
    return f->txn_bytes >= TXN_BYTES ? commit(f) : OK;
}

enum err part_flush_note(struct part_flush *f, uint64_t position)
{
    CHECK(f->noted == NULL);
    return f->number == 1 ? OK
                          : part_positions_note(f, f->part, f->number - 1, position, &f->noted);
}

enum err part_flush_end(struct part_flush *f, uint64_t applied)
{
    struct part *p = f->part;
    uint8_t raw[PART_META_BYTES];
    const bool is_noted = f->noted != NULL || atomic_load(&p->positions) != NULL;
    const bool is_shared = p->meta.shared != NULL;
    const uint16_t version =
        is_shared  ? f->has_bundles ? PART_VERSION_SHARED_BUNDLES : PART_VERSION_SHARED
        : is_noted ? PART_VERSION_POSITIONS
                   : PART_VERSION;
    part_meta_write(&(struct part_meta){p->name.period, f->number, applied, version}, raw);
    TRY(begin(f));
    TRY(kv_put(f->txn, p->meta, bytes_of("part"), (struct bytes){raw, sizeof raw}, KV_UPSERT));
    TRY(commit(f));
    if (f->noted != NULL) {
        part_positions_show(p, f->noted);
        f->noted = NULL;
    }
    atomic_store(&p->applied, applied);
    atomic_store(&p->flushes, f->number);
    part_flush_abort(f); /* Nothing left to undo. */
    return OK;
}

enum err part_confirm(struct part *p)
{
    if (atomic_load(&p->confirmed)) {
        return OK;
    }
    TRY(part_env_enter(p, PART_WRITE));
    enum err e = kv_confirm(p->kv, p->meta, bytes_of("part"));
    if (e != OK) {
        part_env_break(p);
    }
    part_env_leave(p);
    atomic_store(&p->confirmed, e == OK);
    return e;
}

void part_flush_abort(struct part_flush *f)
{
    kv_abort(f->txn);
    part_positions_free(f->noted);
    part_env_leave(f->part);
    free(f);
}
