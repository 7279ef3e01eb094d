#include "storage/part/part_env.h"

#include "base/check.h"

/* Address space for a file that may grow; costs nothing until written. One that does not grow gets
 * its own size, LMDB rounds up. */
#define MAP_BYTES (UINT64_C(64) << 30)

enum { DELETES_MAX = 4096 /* In one transaction. */ };

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

/* Nobody inside, and nobody may come. */
static void close_kv(struct part *p)
{
    kv_close(p->kv);
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

/* What the file says of itself becomes what the part knows. A file without a record is new: it may
 * get one if it has no chunks. */
static enum err load_meta(struct part *p, bool *found)
{
    struct kv_txn *txn;
    struct bytes raw;
    struct part_meta meta;
    TRY(kv_read_begin(p->kv, &txn));
    enum err e = kv_get(txn, p->meta, bytes_of("part"), &raw);
    if (e == OK) {
        e = part_meta_read(raw, &meta);
    }
    kv_abort(txn);
    *found = e == OK;
    if (e != OK) {
        return e == E_NOT_FOUND ? OK : e;
    }
    if (meta.period.start_ns != p->period.start_ns || meta.period.end_ns != p->period.end_ns) {
        return E_CORRUPT;
    }
    atomic_store(&p->applied, meta.applied);
    atomic_store(&p->flushes, meta.flushes);
    return OK;
}

static enum err make_meta(struct part *p)
{
    uint8_t raw[PART_META_BYTES];
    struct kv_txn *txn;
    bool clean;
    TRY(part_env_is_clean(p, &clean));
    if (!clean) {
        return E_CORRUPT;
    }
    part_meta_write(&(struct part_meta){.period = p->period}, raw);
    TRY(kv_write_begin(p->kv, &txn));
    enum err e = kv_put(txn, p->meta, bytes_of("part"), (struct bytes){raw, sizeof raw}, KV_UPSERT);
    if (e != OK) {
        kv_abort(txn);
        return e;
    }
    return kv_commit(txn);
}

static enum err open_tables(struct part *p, bool writable)
{
    bool found;
    TRY(kv_table_open(p->kv, "chunks", &p->chunks));
    TRY(kv_table_open(p->kv, "meta", &p->meta));
    TRY(load_meta(p, &found));
    if (found) {
        return OK;
    }
    return writable ? make_meta(p) : E_NOT_FOUND;
}

static enum err open_kv(struct part *p, enum part_mode mode)
{
    const bool writable = mode == PART_WRITE;
    const struct kv_options options = {
        .map_bytes = writable ? MAP_BYTES : 1, .tables = 2, .read_only = !writable};
    TRY(kv_open(p->path, &options, &p->kv));
    enum err e = open_tables(p, writable);
    if (e != OK) {
        close_kv(p);
        return e;
    }
    p->writable = writable;
    return OK;
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
    struct kv_cursor *cursor;
    struct bytes raw, value;
    struct part_key key;
    TRY(kv_read_begin(p->kv, &txn));
    enum err e = kv_cursor_open(txn, p->chunks, &cursor);
    if (e == OK) {
        e = kv_cursor_last(cursor, &raw, &value);
        *clean = e == E_END;
        if (e == OK) {
            e = part_key_read(raw, &key);
            *clean = e == OK && key.flush <= atomic_load(&p->flushes);
        }
        kv_cursor_close(cursor);
    }
    kv_abort(txn);
    return e == E_END ? OK : e;
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
