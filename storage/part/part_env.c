#include "storage/part/part_env.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"

/* Address space for a file that may grow; costs nothing until written. One that does not grow gets
 * its own size, LMDB rounds up. */
#define MAP_BYTES (UINT64_C(64) << 30)

enum { DELETES_MAX = 4096 /* In one transaction. */, TABLES_MAX = 8 };

static struct {
    struct lock lock;
    struct part *newest, *oldest;
    unsigned count;
} pool = {.lock = {PTHREAD_MUTEX_INITIALIZER}};

/* Under the pool's lock. */
static void pool_unlink(struct part *p)
{
    *(p->newer != NULL ? &p->newer->older : &pool.newest) = p->older;
    *(p->older != NULL ? &p->older->newer : &pool.oldest) = p->newer;
    p->newer = p->older = NULL;
    p->pooled = false;
    pool.count--;
}

static void pool_link(struct part *p)
{
    p->older = pool.newest;
    *(pool.newest != NULL ? &pool.newest->newer : &pool.oldest) = p;
    pool.newest = p;
    p->pooled = true;
    pool.count++;
}

void part_env_remove_lock(const struct part *p)
{
    char *path;
    if (asprintf(&path, "%s-lock", p->path) >= 0) {
        (void)unlink(path);
        free(path);
    }
}

/* Nobody inside, and nobody may come. The lock file is of use only while someone writes. */
static void close_kv(struct part *p)
{
    kv_close(p->kv);
    if (p->writable) {
        part_env_remove_lock(p);
    }
    p->kv = NULL;
    p->broken = p->writable = false;
}

/* Close those not used for longest, as far as nobody is inside. Under the pool's lock; the order is
 * always pool, then part. */
static void pool_shrink(void)
{
    for (struct part *p = pool.oldest; p != NULL && pool.count > PART_OPEN_MAX;) {
        struct part *next = p->newer;
        lock_take(&p->lock);
        if (p->users == 0 && !p->switching) {
            close_kv(p);
            pool_unlink(p);
        }
        lock_drop(&p->lock);
        p = next;
    }
}

static void pool_touch(struct part *p)
{
    lock_take(&pool.lock);
    if (pool.newest != p) {
        if (p->pooled) {
            pool_unlink(p);
        }
        pool_link(p);
        pool_shrink();
    }
    lock_drop(&pool.lock);
}

/* What the file says of itself becomes what the part knows. E_NOT_FOUND: it says nothing. */
static enum err load_meta(struct part *p, struct kv_txn *txn)
{
    struct bytes raw;
    struct part_meta meta;
    const struct part_period period = p->name.period;
    TRY(kv_get(txn, p->meta, bytes_of("part"), &raw));
    TRY(part_meta_read(raw, &meta));
    const bool are_bundled =
        meta.version == PART_VERSION_BUNDLES || meta.version == PART_VERSION_SHARED_BUNDLES;
    if (meta.period.start_ns != period.start_ns || meta.period.end_ns != period.end_ns ||
        (are_bundled && !atomic_load(&p->has_bundles))) {
        return E_CORRUPT;
    }
    TRY(part_env_load_sources(p, txn));
    TRY(part_env_load_positions(p, txn));
    atomic_store(&p->applied, meta.applied);
    atomic_store(&p->flushes, meta.flushes);
    return OK;
}

/* Whether the last chunk belongs to a flush that counts. */
static enum err look_at_last(const struct part *p, struct kv_txn *txn, bool *clean)
{
    struct kv_cursor *cursor;
    struct bytes raw, value;
    struct part_key key;
    TRY(kv_cursor_open(txn, p->chunks, &cursor));
    enum err e = kv_cursor_last(cursor, &raw, &value);
    *clean = e == E_END;
    if (e == OK) {
        e = part_key_read(raw, &key);
        *clean = e == OK && key.flush <= atomic_load(&p->flushes);
    }
    kv_cursor_close(cursor);
    return e == E_END ? OK : e;
}

/* A file without a record is new: it gets one, if it has no chunks. */
static enum err make_tables(struct part *p, struct kv_txn *txn)
{
    uint8_t raw[PART_META_BYTES];
    bool clean;
    TRY(kv_table_make(txn, "chunks", &p->chunks));
    TRY(kv_table_share_in(txn, "meta", &p->meta));
    enum err e = load_meta(p, txn);
    if (e != E_NOT_FOUND) {
        return e;
    }
    TRY(look_at_last(p, txn, &clean));
    if (!clean) {
        return E_CORRUPT;
    }
    const uint16_t version = p->meta.shared != NULL ? PART_VERSION_SHARED : PART_VERSION;
    part_meta_write(&(struct part_meta){.period = p->name.period, .version = version}, raw);
    return kv_put(txn, p->meta, bytes_of("part"), (struct bytes){raw, sizeof raw}, KV_UPSERT);
}

static enum err open_for_writing(struct part *p)
{
    struct kv_txn *txn;
    TRY(kv_write_begin(p->kv, &txn));
    enum err e = make_tables(p, txn);
    if (e != OK) {
        kv_abort(txn);
        return e;
    }
    return kv_commit(txn);
}

static enum err find_table(const struct part *p, const char *name, struct kv_table *out,
                           bool *found)
{
    const enum err e = kv_table_find(p->kv, name, out);
    *found = e == OK;
    return e == E_NOT_FOUND ? OK : e;
}

static enum err look_for_chunks(const struct part *p, struct kv_txn *txn, bool *found)
{
    struct kv_cursor *cursor;
    struct bytes key, value;
    TRY(kv_cursor_open(txn, p->chunks, &cursor));
    const enum err e = kv_cursor_last(cursor, &key, &value);
    kv_cursor_close(cursor);
    *found = e == OK;
    return e == E_END ? OK : e;
}

/* `has_more`: there are other tables with something in them. */
static enum err load_for_reading(struct part *p, struct kv_txn *txn, bool has_more)
{
    bool has_chunks = true;
    TRY(load_meta(p, txn));
    if (p->name.kind == PART_SEALED && !has_more) {
        TRY(look_for_chunks(p, txn, &has_chunks));
    }
    atomic_store(&p->is_empty, !has_chunks);
    return OK;
}

static enum err open_for_reading(struct part *p)
{
    struct kv_txn *txn;
    struct kv_table damaged;
    bool has_bundles, has_damaged;
    TRY(kv_table_open(p->kv, "chunks", &p->chunks));
    TRY(kv_table_share(p->kv, "meta", &p->meta));
    TRY(find_table(p, "bundles", &p->bundles, &has_bundles));
    TRY(find_table(p, "damaged", &damaged, &has_damaged));
    atomic_store(&p->has_bundles, has_bundles);
    TRY(part_env_open_rollups(p));
    TRY(kv_read_begin(p->kv, &txn));
    enum err e = load_for_reading(p, txn, has_bundles || has_damaged);
    kv_abort(txn);
    return e;
}

static enum err open_kv(struct part *p, enum part_mode mode)
{
    const bool writable = mode == PART_WRITE;
    const struct kv_options options = {
        .map_bytes = writable ? MAP_BYTES : 1, .tables = TABLES_MAX, .read_only = !writable};
    TRY(kv_open(p->path, &options, &p->kv));
    p->writable = writable;
    enum err e = writable ? open_for_writing(p) : open_for_reading(p);
    if (e != OK) {
        close_kv(p);
    }
    return e;
}

static bool will_do(const struct part *p, enum part_mode mode)
{
    return p->kv != NULL && !p->broken && (p->writable || mode == PART_READ);
}

/* Under the part's lock, given back meanwhile: alone, close what is open and open it as asked. */
static enum err switch_mode(struct part *p, enum part_mode mode)
{
    p->switching = true;
    while (p->users > 0) {
        signal_wait(&p->left, &p->lock);
    }
    lock_drop(&p->lock);
    close_kv(p);
    enum err e = open_kv(p, mode);
    lock_take(&p->lock);
    p->switching = false;
    signal_wake_all(&p->left);
    return e;
}

enum err part_env_enter(struct part *p, enum part_mode mode)
{
    enum err e = OK;
    CHECK(mode == PART_READ || !p->read_only);
    lock_take(&p->lock);
    while (p->switching) {
        signal_wait(&p->left, &p->lock);
    }
    if (!will_do(p, mode)) {
        e = switch_mode(p, mode);
    }
    p->users += e == OK;
    lock_drop(&p->lock);
    if (e == OK) {
        pool_touch(p);
    }
    return e;
}

/* An environment for writing takes locks, descriptors and memory: it goes with the last one out. */
void part_env_leave(struct part *p)
{
    lock_take(&p->lock);
    CHECK(p->users > 0);
    p->users--;
    if (p->users == 0 && p->switching) {
        signal_wake_all(&p->left);
    } else if (p->users == 0 && (p->writable || p->broken)) {
        close_kv(p);
    }
    lock_drop(&p->lock);
}

void part_env_break(struct part *p)
{
    lock_take(&p->lock);
    p->broken = true;
    lock_drop(&p->lock);
}

void part_env_close(struct part *p)
{
    lock_take(&pool.lock);
    if (p->pooled) {
        pool_unlink(p);
    }
    lock_drop(&pool.lock);
    CHECK(p->users == 0);
    close_kv(p);
}

enum err part_env_is_clean(struct part *p, bool *clean)
{
    struct kv_txn *txn;
    TRY(kv_read_begin(p->kv, &txn));
    enum err e = look_at_last(p, txn, clean);
    kv_abort(txn);
    return e;
}

/* Deletes at most DELETES_MAX chunks. */
static enum err clean_some(struct part *p, bool *more)
{
    uint8_t from[PART_KEY_BYTES];
    struct kv_txn *txn;
    struct kv_cursor *cursor;
    struct bytes key, value;
    int deleted = 0;
    part_key_write((struct part_key){atomic_load(&p->flushes) + 1, 0, INT64_MIN}, from);
    TRY(kv_write_begin(p->kv, &txn));
    enum err e = kv_cursor_open(txn, p->chunks, &cursor);
    if (e != OK) {
        kv_abort(txn);
        return e;
    }
    e = kv_cursor_seek(cursor, (struct bytes){from, sizeof from}, &key, &value);
    while (e == OK && deleted < DELETES_MAX) {
        e = kv_cursor_delete(cursor);
        deleted++;
        if (e == OK) {
            e = kv_cursor_next(cursor, &key, &value);
        }
    }
    kv_cursor_close(cursor);
    *more = e == OK;
    if (e != OK && e != E_END) {
        kv_abort(txn);
        return e;
    }
    return kv_commit(txn);
}

enum err part_env_clean(struct part *p)
{
    bool clean, more = true;
    TRY(part_env_is_clean(p, &clean));
    while (!clean && more) {
        TRY(clean_some(p, &more));
    }
    return OK;
}
