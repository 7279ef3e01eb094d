/* The store's directory: lock, catalog.mdb, parts/, journal.mdb. docs/FORMAT.md, "Store directory".
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "storage/engine_inside.h"
#include "storage/erase/tombs_file.h"

enum { FORMAT_VERSION = 3, FORMAT_OLDEST = 1, META_BYTES = 24, CATALOG_TABLES = 8 };
#define CATALOG_MAP_BYTES (UINT64_C(16) << 30)

static enum err path_of(const struct engine *e, const char *name, char to[ENGINE_PATH_BYTES_MAX])
{
    int length = snprintf(to, ENGINE_PATH_BYTES_MAX, "%s/%s", e->options.directory, name);
    return length > 0 && length < ENGINE_PATH_BYTES_MAX ? OK : E_LIMIT;
}

static enum err make_directory(const char *path)
{
    if (mkdir(path, 0750) == 0 || errno == EEXIST) {
        return OK;
    }
    enum err e = errno == ENOSPC || errno == EDQUOT ? E_NO_SPACE : E_IO;
    log_line(LOG_ERROR, "storage", "cannot make directory path=%s reason=%s", path,
             strerrorname_np(errno));
    return e;
}

/* A directory that may not be read was there before us, and somebody else's. */
static enum err sync_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return errno == EACCES ? OK : E_IO;
    }
    enum err e = fsync(fd) == 0 ? OK : E_IO;
    (void)close(fd);
    if (e != OK) {
        log_line(LOG_ERROR, "storage", "cannot sync directory path=%s", path);
    }
    return e;
}

/* Names of directories and files, ours and those a process before this one did not live to sync. */
static enum err sync_names(const struct engine *e)
{
    char path[ENGINE_PATH_BYTES_MAX];
    TRY(path_of(e, "..", path));
    TRY(sync_directory(path));
    TRY(sync_directory(e->options.directory));
    return sync_directory(e->parts_directory);
}

enum err engine_lock_directory(struct engine *e)
{
    char path[ENGINE_PATH_BYTES_MAX];
    TRY(make_directory(e->options.directory));
    TRY(make_directory(e->parts_directory));
    TRY(sync_names(e));
    TRY(path_of(e, "lock", path));
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0) {
        log_line(LOG_ERROR, "storage", "cannot open path=%s reason=%s", path,
                 strerrorname_np(errno));
        return errno == ENOSPC ? E_NO_SPACE : E_IO;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        log_line(LOG_ERROR, "storage", "another process uses this store directory=%s",
                 e->options.directory);
        (void)close(fd);
        return E_BUSY;
    }
    e->lock_file = fd;
    return OK;
}

void engine_unlock_directory(struct engine *e)
{
    if (e->lock_file >= 0) {
        (void)close(e->lock_file); /* The lock goes with the last descriptor. */
        e->lock_file = -1;
    }
}

static enum err read_meta(struct engine *e, struct bytes raw)
{
    struct bytes in = raw;
    uint32_t version, spare;
    uint64_t partition_s, checksum;
    if (raw.size != META_BYTES || bytes_take_le32(&in, &version) != OK ||
        bytes_take_le32(&in, &spare) != OK || bytes_take_le64(&in, &partition_s) != OK ||
        bytes_take_le64(&in, &checksum) != OK) {
        return E_CORRUPT;
    }
    if (version < FORMAT_OLDEST || version > FORMAT_VERSION) {
        log_line(LOG_ERROR, "storage",
                 "catalog.mdb has format version=%u, this build knows %d to %d", version,
                 FORMAT_OLDEST, FORMAT_VERSION);
        return E_VERSION;
    }
    if (checksum != hash_bytes((struct bytes){raw.at, META_BYTES - 8}) || partition_s == 0 ||
        partition_s > INT32_MAX) {
        return E_CORRUPT;
    }
    e->partition_s = (int64_t)partition_s;
    e->catalog_version = version;
    return OK;
}

static enum err put_meta(const struct engine *e, struct kv_txn *txn, struct kv_table table)
{
    uint8_t raw[META_BYTES];
    struct writer w = {raw, 0, sizeof raw};
    TRY(writer_put_le32(&w, FORMAT_VERSION));
    TRY(writer_put_le32(&w, 0));
    TRY(writer_put_le64(&w, (uint64_t)e->partition_s));
    TRY(writer_put_le64(&w, hash_bytes((struct bytes){raw, w.size})));
    return kv_put(txn, table, bytes_of("store"), (struct bytes){raw, w.size}, KV_UPSERT);
}

static enum err write_meta(const struct engine *e, struct kv *kv)
{
    struct kv_table table;
    struct kv_txn *txn;
    TRY(kv_table_open(kv, "meta", &table));
    TRY(kv_write_begin(kv, &txn));
    enum err result = put_meta(e, txn, table);
    if (result != OK) {
        kv_abort(txn);
        return result;
    }
    return kv_commit(txn);
}

/* The length of a period is fixed when the store is made. */
static enum err open_meta(struct engine *e)
{
    struct kv_table table;
    struct kv_txn *txn;
    struct bytes raw;
    TRY(kv_table_open(e->catalog_file, "meta", &table));
    TRY(kv_read_begin(e->catalog_file, &txn));
    enum err result = kv_get(txn, table, bytes_of("store"), &raw);
    result = result == OK ? read_meta(e, raw) : result;
    kv_abort(txn);
    if (result != E_NOT_FOUND) {
        return result;
    }
    e->partition_s = (int64_t)e->options.partition_s;
    e->catalog_version = FORMAT_VERSION;
    return write_meta(e, e->catalog_file);
}

static const struct kv_options catalog_options = {
    .map_bytes = CATALOG_MAP_BYTES, .tables = CATALOG_TABLES, .has_few_readers = true};

static enum err open_catalog_file(struct engine *e)
{
    char path[ENGINE_PATH_BYTES_MAX];
    TRY(path_of(e, "catalog.mdb", path));
    TRY(kv_open(path, &catalog_options, &e->catalog_file));
    return open_meta(e);
}

enum err engine_open_catalog(struct engine *e)
{
    enum err result = open_catalog_file(e);
    if (result != OK) {
        log_line(LOG_ERROR, "storage", "cannot open path=%s/catalog.mdb error=%s",
                 e->options.directory, err_name(result));
    }
    return result;
}

static enum err confirm_catalog(struct engine *e)
{
    struct kv_table table;
    if (e->catalog_confirmed) {
        return OK;
    }
    TRY(kv_table_open(e->catalog_file, "meta", &table));
    TRY(kv_confirm(e->catalog_file, table, bytes_of("store")));
    e->catalog_confirmed = true;
    return OK;
}

/* Those of the view the checkpoint holds: later ones stay in the journal. */
static enum err save_tombs(struct engine *e, struct kv *kv)
{
    const struct tombs *t = e->checkpoint.view->tombs;
    const uint64_t generation = t == NULL ? 0 : t->generation;
    if (generation != e->saved_tombs) {
        TRY(tombs_save(t, kv));
        e->saved_tombs = generation;
    }
    return OK;
}

static enum err save_into(struct engine *e, struct kv *kv)
{
    TRY(catalogue_save(e->catalogue, kv));
    TRY(texts_save(e->texts, kv));
    TRY(save_tombs(e, kv));
    return last_save(e->last, retention_least(e->retention), kv);
}

static enum err fill_catalog(void *context, struct kv *kv)
{
    struct engine *e = context;
    TRY(write_meta(e, kv));
    return save_into(e, kv);
}

/* What the old file has that this build cannot read, somebody may want to look at. */
static enum err keep_damaged(struct engine *e, const char *path)
{
    char copy[ENGINE_PATH_BYTES_MAX];
    if (catalogue_damaged(e->catalogue) + last_damaged(e->last) == 0) {
        return OK;
    }
    TRY(path_of(e, e->catalog_version == 1 ? "catalog.mdb.v1" : "catalog.mdb.v2", copy));
    return link(path, copy) == 0 || errno == EEXIST ? OK : E_IO;
}

/* A file of the old version is replaced by one of this version, whole. */
static enum err upgrade_catalog(struct engine *e)
{
    char path[ENGINE_PATH_BYTES_MAX];
    TRY(path_of(e, "catalog.mdb", path));
    TRY(keep_damaged(e, path));
    kv_close(e->catalog_file);
    e->catalog_file = NULL;
    catalogue_forget_file(e->catalogue);
    last_forget_file(e->last);
    texts_forget_file(e->texts);
    e->saved_tombs = 0; /* The new file has none. */
    e->catalog_unnamed = true;
    TRY(kv_replace(path, &catalog_options, fill_catalog, e));
    e->catalog_unnamed = false;
    e->catalog_confirmed = true;
    log_line(LOG_INFO, "storage", "catalog.mdb is of format version=%d now, was %u", FORMAT_VERSION,
             e->catalog_version);
    return open_catalog_file(e);
}

/* Each save leaves pages behind that it replaced: when they are as many as the others the file is
 * written anew without them. One that stays as large as it was is no harm. */
static void compact_catalog(struct engine *e)
{
    char path[ENGINE_PATH_BYTES_MAX];
    uint64_t used;
    enum err result = kv_used_bytes(e->catalog_file, &used);
    if (result == OK && kv_file_bytes(e->catalog_file) > used + used / 2) {
        result = path_of(e, "catalog.mdb", path);
        result = result == OK ? kv_compact(&e->catalog_file, path, &catalog_options) : result;
        e->catalog_unnamed = e->catalog_file == NULL;
    }
    if (result != OK) {
        log_line(LOG_WARN, "storage", "catalog.mdb keeps its size error=%s", err_name(result));
    }
}

static enum err save_catalog(struct engine *e)
{
    if (e->catalog_file == NULL) {
        TRY(open_catalog_file(e));
    }
    if (e->catalog_version != FORMAT_VERSION) {
        return upgrade_catalog(e);
    }
    if (e->catalog_unnamed) {
        TRY(sync_directory(e->options.directory));
        e->catalog_unnamed = false;
    }
    TRY(save_into(e, e->catalog_file));
    TRY(confirm_catalog(e));
    compact_catalog(e);
    return OK;
}

/* After a failed commit LMDB refuses all that follow. */
static void close_catalog(struct engine *e)
{
    kv_close(e->catalog_file);
    e->catalog_file = NULL;
    e->catalog_confirmed = false;
}

enum err engine_save_catalog(struct engine *e)
{
    enum err result = save_catalog(e);
    if (result != OK) {
        close_catalog(e);
    }
    return result;
}

/* A second place, should the journal's record be damaged; the next checkpoint saves them in any
 * case. */
void engine_save_tombs(struct engine *e)
{
    const struct tombs *t = e->view->tombs;
    if (e->checkpoint.running || e->snapshot.running || e->catalog_file == NULL ||
        e->catalog_version != FORMAT_VERSION || t == NULL) {
        return;
    }
    if (tombs_save(t, e->catalog_file) == OK) {
        e->saved_tombs = t->generation;
    } else {
        log_line(LOG_WARN, "storage", "a delete is in the journal only, until the next checkpoint");
        close_catalog(e);
    }
}

enum err engine_copy_catalog(struct engine *e, const char *path)
{
    if (e->catalog_file == NULL) {
        TRY(open_catalog_file(e));
    }
    return kv_copy(e->catalog_file, path);
}

static uint64_t file_bytes(const struct engine *e, const char *name)
{
    char path[ENGINE_PATH_BYTES_MAX];
    struct stat file;
    return path_of(e, name, path) == OK && stat(path, &file) == 0 ? (uint64_t)file.st_blocks * 512
                                                                  : 0;
}

uint64_t engine_disk_bytes(struct engine *e)
{
    uint64_t bytes = file_bytes(e, "catalog.mdb") + file_bytes(e, "journal.mdb");
    const struct view *v = view_hold(e);
    for (int i = 0; i < VIEW_LAYERS; i++) {
        for (size_t j = 0; j < v->layer[i].count; j++) {
            bytes += part_file_bytes(v->layer[i].at[j]);
        }
    }
    view_drop(e, v);
    return bytes;
}
