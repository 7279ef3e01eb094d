#include "storage/verify/verify.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "storage/part/part.h"
#include "storage/verify/kv_check.h"
#include "storage/verify/verify_inside.h"

enum { TABLES_MAX = 8, CHECKSUM_BYTES = 8, META_BYTES = 24, SERIES_MAX = INT32_MAX };

void verify_fault(struct verify *v, const char *what, const char *where, ...)
{
    char text[VERIFY_TEXT_BYTES_MAX];
    va_list arguments;
    va_start(arguments, where);
    (void)vsnprintf(text, sizeof text, where, arguments);
    va_end(arguments);
    v->totals->faults++;
    v->report(v->context, &(struct verify_fault){v->file, text, what});
}

void verify_path(const struct verify *v, char to[VERIFY_PATH_BYTES_MAX])
{
    (void)snprintf(to, VERIFY_PATH_BYTES_MAX, "%s/%s", v->directory, v->file);
}

static void on_page(void *context, uint64_t page, const char *what)
{
    verify_fault(context, what, "page %llu", (unsigned long long)page);
}

enum err verify_file(struct verify *v, const char *name)
{
    char path[VERIFY_PATH_BYTES_MAX];
    struct stat file;
    (void)snprintf(v->file, sizeof v->file, "%s", name);
    verify_path(v, path);
    if (stat(path, &file) != 0) {
        return errno == ENOENT ? E_NOT_FOUND : E_IO;
    }
    v->totals->files++;
    v->totals->bytes += (uint64_t)file.st_size;
    enum err e = kv_check(path, on_page, v);
    return e == E_CORRUPT ? E_END : e;
}

enum err verify_open(struct verify *v, struct kv **out)
{
    /* A file that is only read is mapped as large as it is. */
    const struct kv_options options = {.map_bytes = 1, .tables = TABLES_MAX, .read_only = true};
    char path[VERIFY_PATH_BYTES_MAX];
    verify_path(v, path);
    return kv_open(path, &options, out);
}

static enum err visit_all(struct verify *v, struct kv_cursor *c, verify_visit *visit)
{
    struct bytes key, value;
    enum err e = kv_cursor_seek(c, (struct bytes){NULL, 0}, &key, &value);
    while (e == OK) {
        v->pairs++;
        e = visit(v, key, value);
        e = e == OK ? kv_cursor_next(c, &key, &value) : e;
    }
    return e == E_END ? OK : e;
}

enum err verify_names(struct verify *v, struct kv *kv, const char *const *names)
{
    enum err e = kv_find_stray(kv, names);
    if (e == OK) {
        verify_fault(v, "a table or pair with a strange name", "table without a name");
    }
    return e == E_NOT_FOUND ? OK : e;
}

enum err verify_table(struct verify *v, struct kv *kv, const char *name, verify_visit *visit)
{
    struct kv_table table;
    struct kv_txn *txn;
    struct kv_cursor *cursor;
    v->pairs = 0;
    enum err e = OK;
    TRY(kv_table_share(kv, name, &table));
    TRY(kv_read_begin(kv, &txn));
    e = kv_cursor_open(txn, table, &cursor);
    if (e == OK) {
        e = visit_all(v, cursor, visit);
        kv_cursor_close(cursor);
    }
    kv_abort(txn);
    return e;
}

static bool is_sum(struct bytes value, uint64_t seed, bool seeded)
{
    uint64_t checksum;
    if (value.size < CHECKSUM_BYTES) {
        return false;
    }
    const struct bytes body = {value.at, value.size - CHECKSUM_BYTES};
    memcpy(&checksum, value.at + body.size, sizeof checksum);
    return checksum == (seeded ? hash_seeded(seed, body) : hash_bytes(body));
}

bool verify_is_sealed(struct bytes key, struct bytes value)
{
    return is_sum(value, hash_bytes(key), true);
}

bool verify_has_text(const struct verify *v, double value)
{
    struct bytes text;
    return !text_is_value(value) || texts_get(v->texts, text_id(value), &text);
}

bool verify_is_summed(struct bytes value)
{
    return is_sum(value, 0, false);
}

bool verify_meta(struct verify *v, struct bytes value, struct verify_versions known,
                 uint32_t *version, uint64_t *number)
{
    struct bytes in = value;
    uint32_t spare;
    if (value.size != META_BYTES || !verify_is_summed(value) ||
        bytes_take_le32(&in, version) != OK || bytes_take_le32(&in, &spare) != OK ||
        bytes_take_le64(&in, number) != OK) {
        verify_fault(v, "what the file says of itself fails its checksum", "table meta");
        return false;
    }
    if (*version < known.least || *version > known.most) {
        v->newer = true;
        verify_fault(v, "a version this build does not know", "table meta");
        return false;
    }
    return true;
}

static int by_name(const void *a, const void *b)
{
    const struct dirent *const *x = a, *const *y = b;
    return strcmp((*x)->d_name, (*y)->d_name);
}

static int is_part_name(const struct dirent *entry)
{
    struct part_name name;
    return part_name_read(entry->d_name, &name) == OK;
}

static enum err verify_parts(struct verify *v)
{
    char path[VERIFY_PATH_BYTES_MAX];
    struct dirent **entries;
    enum err e = OK;
    (void)snprintf(path, sizeof path, "%s/parts", v->directory);
    int count = scandir(path, &entries, is_part_name, NULL);
    if (count < 0) {
        return errno == ENOENT ? OK : E_IO;
    }
    if (count > 0) {
        qsort(entries, (size_t)count, sizeof(struct dirent *), by_name);
    }
    for (int i = 0; i < count; i++) {
        e = e == OK ? verify_part(v, entries[i]->d_name) : e;
        free(entries[i]);
    }
    free(entries);
    return e;
}

/* In this order: the catalogue's file, what the journal adds to it, and then who uses it. */
static enum err verify_all(struct verify *v)
{
    static const struct catalogue_limits limits = {SERIES_MAX};
    TRY(catalogue_create(&limits, &v->catalogue));
    enum err e = texts_create(UINT32_MAX, &v->texts);
    e = e == OK ? verify_catalogue(v) : e;
    e = e == OK ? verify_journal(v) : e;
    e = e == OK ? verify_parts(v) : e;
    v->totals->series = catalogue_series_count(v->catalogue);
    v->totals->texts = v->texts != NULL ? texts_end(v->texts) : 0;
    catalogue_destroy(v->catalogue);
    texts_destroy(v->texts);
    return e;
}

/* Whoever writes holds the lock alone. -1: there is no lock file to hold. */
static enum err lock(const char *directory, int *fd)
{
    char path[VERIFY_PATH_BYTES_MAX];
    struct stat file;
    (void)snprintf(path, sizeof path, "%s/catalog.mdb", directory);
    if (stat(path, &file) != 0) {
        return errno == ENOENT || errno == ENOTDIR ? E_NOT_FOUND : E_IO;
    }
    (void)snprintf(path, sizeof path, "%s/lock", directory);
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0) {
        return errno == ENOENT ? OK : E_IO;
    }
    if (flock(*fd, LOCK_SH | LOCK_NB) != 0) {
        (void)close(*fd);
        return E_BUSY;
    }
    return OK;
}

enum err verify_store(const char *directory, verify_report *report, void *context,
                      struct verify_totals *totals)
{
    int lock_file = -1;
    struct verify v = {
        .directory = directory, .report = report, .context = context, .totals = totals};
    *totals = (struct verify_totals){0};
    TRY(lock(directory, &lock_file));
    enum err e = verify_all(&v);
    if (lock_file >= 0) {
        (void)close(lock_file);
    }
    if (e != OK) {
        return e;
    }
    return v.newer ? E_VERSION : totals->faults > 0 ? E_CORRUPT : OK;
}
