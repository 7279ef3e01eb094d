#include "storage/kv.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "storage/kv_guard.h"
#include "storage/kv_key.h"

/* A page allocated and freed by one transaction is never written, so a sound file may end a few
 * pages before the last page it counts. A cut off one misses more. */
enum { MISSING_PAGES_MAX = 64 };

struct kv {
    MDB_env *env;
    bool read_only;
};

struct kv_cursor {
    MDB_cursor *at;
    struct kv_table table;
};

/* Transactions are LMDB's own: handed out under our name, never looked into. */
static MDB_txn *txn_of(struct kv_txn *txn)
{
    return (MDB_txn *)txn;
}

static enum err translate(int code)
{
    switch (code) {
    case MDB_SUCCESS:
        return OK;
    case MDB_NOTFOUND:
    case ENOENT:
        return E_NOT_FOUND;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return E_NO_SPACE;
    case ENOMEM:
        return E_NO_MEMORY;
    case MDB_READERS_FULL:
    case EBUSY:
    case EMFILE:
    case ENFILE:
        return E_BUSY;
    case EACCES:
    case EPERM:
        return E_DENIED;
    case MDB_VERSION_MISMATCH:
        return E_VERSION;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_INCOMPATIBLE:
    case MDB_KEYEXIST: /* An append that does not come last: the file is not what it should be. */
        return E_CORRUPT;
    default:
        return E_IO; /* EIO, MDB_PANIC, MDB_BAD_TXN after one of them, and the unheard of. */
    }
}

/* A transaction that only reads is of no use any more after it has met damage, which LMDB does not
 * always say at once. */
static enum err translate_read(MDB_txn *txn, int code)
{
    unsigned flags = 0;
    const bool is_damaged = code == MDB_BAD_TXN || code == MDB_CURSOR_FULL;
    return is_damaged && mdb_env_get_flags(mdb_txn_env(txn), &flags) == MDB_SUCCESS &&
                   (flags & MDB_RDONLY) != 0
               ? E_CORRUPT
               : translate(code);
}

static MDB_val val_of(struct bytes b)
{
    /* LMDB takes a pointer to non-const and only reads. */
    union {
        const uint8_t *read;
        void *given;
    } at = {.read = b.at};
    return (MDB_val){.mv_size = b.size, .mv_data = at.given};
}

static struct bytes bytes_of_val(MDB_val v)
{
    return (struct bytes){v.mv_data, v.mv_size};
}

/* Reading a page behind the end of a mapped file is a SIGBUS: see that all pages are there. */
static enum err check_size(struct kv *kv)
{
    MDB_envinfo info;
    MDB_stat pages;
    struct stat file;
    int fd;
    TRY(translate(mdb_env_info(kv->env, &info)));
    TRY(translate(mdb_env_stat(kv->env, &pages)));
    TRY(translate(mdb_env_get_fd(kv->env, &fd)));
    if (fstat(fd, &file) != 0) {
        return E_IO;
    }
    size_t need = info.me_last_pgno + 1;
    size_t have = (size_t)file.st_size / pages.ms_psize;
    if (have >= need) {
        return OK;
    }
    if (need - have > MISSING_PAGES_MAX) {
        return E_CORRUPT;
    }
    if (kv->read_only) {
        return OK;
    }
    return ftruncate(fd, (off_t)(need * pages.ms_psize)) == 0 ? OK : translate(errno);
}

/* LMDB found what cannot be; without a guard it ends the process. */
static void on_assert(MDB_env *env, const char *text)
{
    (void)env;
    (void)text;
    kv_guard_fail();
}

static enum err open_env(struct kv *kv, const char *path, const struct kv_options *options,
                         unsigned flags)
{
    const unsigned readers = options->has_few_readers ? KV_READERS_FEW : KV_READERS_MANY;
    flags |= MDB_NOSUBDIR | MDB_NOTLS | MDB_NORDAHEAD;
    if (options->read_only) {
        flags |= MDB_RDONLY | MDB_NOLOCK;
    }
    if ((flags & MDB_NOLOCK) == 0) {
        TRY(kv_guard_lock_file(path, readers));
    }
    TRY(translate(mdb_env_set_mapsize(kv->env, options->map_bytes)));
    TRY(translate(mdb_env_set_maxdbs(kv->env, options->tables)));
    TRY(translate(mdb_env_set_assert(kv->env, on_assert)));
    TRY(translate(mdb_env_set_maxreaders(kv->env, readers)));
    TRY(translate(mdb_env_open(kv->env, path, flags, 0644)));
    return check_size(kv);
}

static enum err open_kv(const char *path, const struct kv_options *options, unsigned flags,
                        struct kv **out)
{
    struct kv *kv = calloc(1, sizeof *kv);
    if (kv == NULL) {
        return E_NO_MEMORY;
    }
    kv->read_only = options->read_only;
    enum err e = translate(mdb_env_create(&kv->env));
    if (e != OK) {
        free(kv);
        return e;
    }
    e = open_env(kv, path, options, flags);
    if (e != OK) {
        kv_close(kv);
        return e == E_NOT_FOUND ? E_IO : e; /* The directory is missing. */
    }
    *out = kv;
    return OK;
}

/* A file with all that is in it from the start, on the disk before it has its name. */
static enum err write_new(const char *path, const struct kv_options *options, kv_fill *fill,
                          void *context)
{
    struct kv *kv;
    if (unlink(path) != 0 && errno != ENOENT) {
        return E_IO;
    }
    TRY(open_kv(path, options, MDB_NOLOCK, &kv));
    enum err e = fill == NULL ? OK : fill(context, kv);
    e = e == OK ? translate(mdb_env_sync(kv->env, 1)) : e;
    kv_close(kv);
    return e;
}

enum err kv_rename(const char *from, const char *to)
{
    if (rename(from, to) != 0) {
        return translate(errno);
    }
    enum err e = kv_sync_name(to);
    if (e != OK) {
        (void)unlink(to); /* Whoever finds it would take its name for certain. */
    }
    return e;
}

static enum err write_and_rename(const char *path, const struct kv_options *options, kv_fill *fill,
                                 void *context)
{
    char *fresh;
    if (asprintf(&fresh, "%s.new", path) < 0) {
        return E_NO_MEMORY;
    }
    enum err e = write_new(fresh, options, fill, context);
    if (e == OK && rename(fresh, path) != 0) {
        e = translate(errno);
    }
    free(fresh);
    return e;
}

/* A power cut leaves no file or one that opens. */
static enum err make_file(const char *path, const struct kv_options *options)
{
    TRY(write_and_rename(path, options, NULL, NULL));
    enum err e = kv_sync_name(path);
    if (e != OK) {
        (void)unlink(path); /* Whoever finds it would take its name for certain. */
    }
    return e;
}

enum err kv_replace(const char *path, const struct kv_options *options, kv_fill *fill,
                    void *context)
{
    TRY(write_and_rename(path, options, fill, context));
    return kv_sync_name(path);
}

enum err kv_open(const char *path, const struct kv_options *options, struct kv **out)
{
    kv_guard_install();
    if (access(path, F_OK) != 0) {
        if (options->read_only) {
            return E_NOT_FOUND;
        }
        TRY(make_file(path, options));
    } else if (!options->read_only) {
        TRY(kv_guard_check(path, options->check_values));
    }
    return open_kv(path, options, 0, out);
}

void kv_close(struct kv *kv)
{
    if (kv != NULL) {
        mdb_env_close(kv->env);
        free(kv);
    }
}

uint64_t kv_file_bytes(const struct kv *kv)
{
    struct stat file;
    int fd;
    if (mdb_env_get_fd(kv->env, &fd) != MDB_SUCCESS || fstat(fd, &file) != 0) {
        return 0;
    }
    return (uint64_t)file.st_blocks * 512;
}

/* The free list is a table without a name: each value begins with how many pages it names. */
static enum err count_free(MDB_txn *txn, uint64_t *pages)
{
    const MDB_dbi free_list = 0;
    MDB_cursor *cursor;
    MDB_val key, value;
    TRY(translate(mdb_cursor_open(txn, free_list, &cursor)));
    enum err e = OK;
    while ((e = translate(mdb_cursor_get(cursor, &key, &value, MDB_NEXT))) == OK) {
        size_t count;
        memcpy(&count, value.mv_data, sizeof count);
        *pages += count;
    }
    mdb_cursor_close(cursor);
    return e == E_NOT_FOUND ? OK : e;
}

enum err kv_used_bytes(struct kv *kv, uint64_t *out)
{
    uint64_t unused = 0;
    MDB_txn *txn;
    MDB_stat pages;
    MDB_envinfo info;
    TRY(translate(mdb_env_stat(kv->env, &pages)));
    TRY(translate(mdb_env_info(kv->env, &info)));
    TRY(translate(mdb_txn_begin(kv->env, NULL, MDB_RDONLY, &txn)));
    enum err e = count_free(txn, &unused);
    mdb_txn_abort(txn);
    TRY(e);
    *out = (info.me_last_pgno + 1 - unused) * pages.ms_psize;
    return OK;
}

enum err kv_copy(struct kv *kv, const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0) {
        return errno == EEXIST ? E_BUSY : translate(errno);
    }
    enum err e = translate(mdb_env_copyfd2(kv->env, fd, MDB_CP_COMPACT));
    e = e == OK && fsync(fd) != 0 ? translate(errno) : e;
    e = close(fd) != 0 && e == OK ? translate(errno) : e;
    if (e != OK) {
        (void)unlink(path);
    }
    return e;
}

/* `*kv` is closed first: who holds an environment holds its file's lock. */
static enum err take_place(struct kv **kv, const char *fresh, const char *path,
                           const struct kv_options *options)
{
    kv_close(*kv);
    *kv = NULL;
    if (rename(fresh, path) != 0) {
        enum err e = translate(errno);
        (void)unlink(fresh);
        return open_kv(path, options, 0, kv) == OK ? e : E_IO;
    }
    TRY(kv_sync_name(path));
    return open_kv(path, options, 0, kv);
}

enum err kv_compact(struct kv **kv, const char *path, const struct kv_options *options)
{
    char *fresh;
    if (asprintf(&fresh, "%s.new", path) < 0) {
        return E_NO_MEMORY;
    }
    enum err e = unlink(fresh) == 0 || errno == ENOENT ? kv_copy(*kv, fresh) : E_IO;
    e = e == OK ? take_place(kv, fresh, path, options) : e;
    free(fresh);
    return e;
}

static enum err find_table(MDB_txn *txn, const char *name, MDB_dbi *dbi)
{
    struct kv_guard guard;
    if (sigsetjmp(guard.back, 0) != 0) {
        return E_CORRUPT;
    }
    kv_guard_set(&guard);
    enum err e = translate(mdb_dbi_open(txn, name, 0, dbi));
    kv_guard_set(NULL);
    return e;
}

/* The handle outlives a transaction only when that commits. */
static enum err open_table(struct kv *kv, const char *name, bool make, struct kv_table *out)
{
    MDB_txn *txn;
    MDB_dbi dbi;
    TRY(translate(mdb_txn_begin(kv->env, NULL, make ? 0 : MDB_RDONLY, &txn)));
    enum err e =
        make ? translate(mdb_dbi_open(txn, name, MDB_CREATE, &dbi)) : find_table(txn, name, &dbi);
    if (e != OK) {
        mdb_txn_abort(txn);
        return e;
    }
    TRY(translate(mdb_txn_commit(txn)));
    *out = (struct kv_table){dbi, NULL};
    return OK;
}

enum err kv_table_open(struct kv *kv, const char *name, struct kv_table *out)
{
    enum err e = open_table(kv, name, false, out);
    return e == E_NOT_FOUND && !kv->read_only ? open_table(kv, name, true, out) : e;
}

enum err kv_table_make(struct kv_txn *txn, const char *name, struct kv_table *out)
{
    *out = (struct kv_table){.shared = NULL};
    return translate(mdb_dbi_open(txn_of(txn), name, MDB_CREATE, &out->id));
}

/* Its own table, if the file has one of that name, else its share of the table without a name. */
static enum err find_share(MDB_txn *txn, const char *name, struct kv_table *out)
{
    MDB_dbi dbi;
    const char *shared = NULL;
    enum err e = find_table(txn, name, &dbi);
    if (e == E_NOT_FOUND) {
        shared = name;
        e = find_table(txn, NULL, &dbi);
    }
    if (e == OK) {
        *out = (struct kv_table){dbi, shared};
    }
    return e;
}

enum err kv_table_share(struct kv *kv, const char *name, struct kv_table *out)
{
    MDB_txn *txn;
    TRY(translate(mdb_txn_begin(kv->env, NULL, MDB_RDONLY, &txn)));
    enum err e = find_share(txn, name, out);
    if (e != OK) {
        mdb_txn_abort(txn);
        return e;
    }
    return translate(mdb_txn_commit(txn)); /* The handle outlives it. */
}

enum err kv_table_share_in(struct kv_txn *txn, const char *name, struct kv_table *out)
{
    return find_share(txn_of(txn), name, out);
}

enum err kv_read_begin(struct kv *kv, struct kv_txn **out)
{
    MDB_txn *txn;
    TRY(translate(mdb_txn_begin(kv->env, NULL, MDB_RDONLY, &txn)));
    *out = (struct kv_txn *)txn;
    return OK;
}

enum err kv_write_begin(struct kv *kv, struct kv_txn **out)
{
    MDB_txn *txn;
    TRY(translate(mdb_txn_begin(kv->env, NULL, 0, &txn)));
    *out = (struct kv_txn *)txn;
    return OK;
}

/* Whether a failed commit has left the environment of no use until it is opened again. */
static bool is_panicked(MDB_env *env)
{
    MDB_txn *probe;
    int code = mdb_txn_begin(env, NULL, MDB_RDONLY, &probe);
    if (code == MDB_SUCCESS) {
        mdb_txn_abort(probe);
    }
    return code == MDB_PANIC;
}

enum err kv_commit(struct kv_txn *txn)
{
    MDB_env *env = mdb_txn_env(txn_of(txn));
    enum err e = translate(mdb_txn_commit(txn_of(txn)));
    /* A disk that is full at the very last page is worse than full: nobody knows what stays. */
    return e == E_NO_SPACE && is_panicked(env) ? E_IO : e;
}

void kv_abort(struct kv_txn *txn)
{
    if (txn != NULL) {
        mdb_txn_abort(txn_of(txn));
    }
}

enum err kv_put(struct kv_txn *txn, struct kv_table table, struct bytes key, struct bytes value,
                enum kv_put_mode mode)
{
    struct kv_key full;
    MDB_val k = val_of(kv_key_of(table, key, &full)), v = val_of(value);
    const bool is_last = mode == KV_APPEND && table.shared == NULL;
    return translate(mdb_put(txn_of(txn), table.id, &k, &v, is_last ? MDB_APPEND : 0));
}

enum err kv_get(struct kv_txn *txn, struct kv_table table, struct bytes key, struct bytes *value)
{
    struct kv_key full;
    MDB_val k = val_of(kv_key_of(table, key, &full)), v;
    struct kv_guard guard;
    if (sigsetjmp(guard.back, 0) != 0) {
        return E_CORRUPT;
    }
    kv_guard_set(&guard);
    enum err e = translate_read(txn_of(txn), mdb_get(txn_of(txn), table.id, &k, &v));
    if (e == OK) {
        kv_guard_touch(bytes_of_val(v));
        *value = bytes_of_val(v);
    }
    kv_guard_set(NULL);
    return e;
}

enum err kv_delete(struct kv_txn *txn, struct kv_table table, struct bytes key)
{
    struct kv_key full;
    MDB_val k = val_of(kv_key_of(table, key, &full));
    return translate(mdb_del(txn_of(txn), table.id, &k, NULL));
}

static enum err open_cursor(struct kv_txn *txn, MDB_dbi dbi, MDB_cursor **out)
{
    struct kv_guard guard;
    if (sigsetjmp(guard.back, 0) != 0) {
        return E_CORRUPT;
    }
    kv_guard_set(&guard);
    enum err e = translate(mdb_cursor_open(txn_of(txn), dbi, out));
    kv_guard_set(NULL);
    return e;
}

enum err kv_cursor_open(struct kv_txn *txn, struct kv_table table, struct kv_cursor **out)
{
    struct kv_cursor *c = malloc(sizeof *c);
    if (c == NULL) {
        return E_NO_MEMORY;
    }
    c->table = table;
    enum err e = open_cursor(txn, table.id, &c->at);
    if (e != OK) {
        free(c);
        return e;
    }
    *out = c;
    return OK;
}

void kv_cursor_close(struct kv_cursor *c)
{
    if (c != NULL) {
        mdb_cursor_close(c->at);
        free(c);
    }
}

static enum err move(struct kv_cursor *c, MDB_val k, MDB_cursor_op op, struct bytes *key,
                     struct bytes *value)
{
    MDB_val v;
    struct kv_guard guard;
    if (sigsetjmp(guard.back, 0) != 0) {
        return E_CORRUPT;
    }
    kv_guard_set(&guard);
    enum err e = translate_read(mdb_cursor_txn(c->at), mdb_cursor_get(c->at, &k, &v, op));
    if (e == OK) {
        kv_guard_touch(bytes_of_val(k));
        e = kv_key_in(c->table, bytes_of_val(k), key);
    }
    if (e == OK) {
        *value = bytes_of_val(v);
    }
    kv_guard_set(NULL);
    return e == E_NOT_FOUND ? E_END : e;
}

enum err kv_cursor_seek(struct kv_cursor *c, struct bytes from, struct bytes *key,
                        struct bytes *value)
{
    struct kv_key full;
    if (from.size == 0 && c->table.shared == NULL) {
        return move(c, val_of(from), MDB_FIRST, key, value);
    }
    return move(c, val_of(kv_key_of(c->table, from, &full)), MDB_SET_RANGE, key, value);
}

enum err kv_cursor_next(struct kv_cursor *c, struct bytes *key, struct bytes *value)
{
    return move(c, (MDB_val){0, NULL}, MDB_NEXT, key, value);
}

enum err kv_cursor_last(struct kv_cursor *c, struct bytes *key, struct bytes *value)
{
    CHECK(c->table.shared == NULL); /* Others may be behind it. */
    return move(c, (MDB_val){0, NULL}, MDB_LAST, key, value);
}

enum err kv_cursor_delete(struct kv_cursor *c)
{
    return translate(mdb_cursor_del(c->at, 0));
}
