/* What a sealed file says beside its chunks: which files it was made from, and chunks that could
 * not be read, kept aside. docs/FORMAT.md, "Partition". */

#include <dirent.h>
#include <stdlib.h>

#include "base/hash.h"
#include "storage/part/part_env.h"

enum { SOURCE_BYTES = 12, CHECKSUM_BYTES = 8, KEPT_KEY_BYTES_MAX = 8 + 4 + PART_KEY_BYTES };

static void put_source(uint8_t *to, struct part_name name)
{
    for (int i = 0; i < 8; i++) {
        to[i] = (uint8_t)((uint64_t)name.period.start_ns >> (8 * i));
    }
    for (int i = 0; i < 4; i++) {
        to[8 + i] = (uint8_t)(name.number >> (8 * i));
    }
}

struct sources {
    uint8_t *raw;
    size_t count, limit; /* Of SOURCE_BYTES; there is room for a checksum behind them. */
};

static enum err reserve(struct sources *s)
{
    if (s->raw == NULL || s->count == s->limit) {
        const size_t limit = s->limit == 0 ? 64 : 2 * s->limit;
        uint8_t *raw = realloc(s->raw, limit * SOURCE_BYTES + CHECKSUM_BYTES);
        if (raw == NULL) {
            return E_NO_MEMORY;
        }
        s->raw = raw;
        s->limit = limit;
    }
    return OK;
}

static enum err add_source(struct sources *s, struct part_name name)
{
    TRY(reserve(s));
    put_source(s->raw + s->count++ * SOURCE_BYTES, name);
    return OK;
}

static enum err add_if_source(struct sources *s, struct part *const *parts, size_t count,
                              const char *file_name)
{
    struct part_name name;
    if (part_name_read(file_name, &name) != OK) {
        return OK;
    }
    for (size_t i = 0; i < count; i++) {
        if (part_is_source(parts[i], name)) {
            return add_source(s, name);
        }
    }
    return OK;
}

/* A file that one of these was made from is there while somebody reads it, a snapshot for long. A
 * crash leaves it, and when the one that named it has gone, nobody else would know what it is. */
static enum err add_older(struct sources *s, struct part *const *parts, size_t count)
{
    const char *slash = strrchr(parts[0]->path, '/');
    char *path =
        slash == NULL ? strdup(".") : strndup(parts[0]->path, (size_t)(slash - parts[0]->path) + 1);
    if (path == NULL) {
        return E_NO_MEMORY;
    }
    DIR *directory = opendir(path);
    enum err e = directory == NULL ? E_IO : OK;
    free(path);
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): each thread its own DIR, as POSIX.1-2024 allows. */
    for (struct dirent *entry; e == OK && (entry = readdir(directory)) != NULL;) {
        e = add_if_source(s, parts, count, entry->d_name);
    }
    if (directory != NULL) {
        (void)closedir(directory);
    }
    return e;
}

static enum err gather_sources(struct sources *s, struct part *const *parts, size_t count)
{
    bool any_older = false;
    TRY(reserve(s)); /* For none, too. */
    for (size_t i = 0; i < count; i++) {
        TRY(add_source(s, part_name(parts[i])));
        any_older |= parts[i]->source_count > 0;
    }
    return any_older ? add_older(s, parts, count) : OK;
}

enum err part_flush_sources(struct part_flush *f, struct part *const *parts, size_t count)
{
    struct sources s = {NULL, 0, 0};
    enum err e = gather_sources(&s, parts, count);
    if (e == OK) {
        const size_t size = s.count * SOURCE_BYTES;
        struct writer w = {s.raw, size, size + CHECKSUM_BYTES};
        e = writer_put_le64(&w, hash_bytes((struct bytes){s.raw, size}));
        e = e == OK ? part_flush_say(f, bytes_of("sources"), (struct bytes){s.raw, w.size}) : e;
    }
    free(s.raw);
    return e;
}

enum err part_env_load_sources(struct part *p, struct kv_txn *txn)
{
    struct bytes raw;
    enum err e = kv_get(txn, p->meta, bytes_of("sources"), &raw);
    if (e != OK || p->sources != NULL) {
        return e == E_NOT_FOUND ? OK : e;
    }
    size_t size = raw.size - CHECKSUM_BYTES;
    if (raw.size < CHECKSUM_BYTES || size % SOURCE_BYTES != 0) {
        return E_CORRUPT;
    }
    struct bytes tail = {raw.at + size, CHECKSUM_BYTES};
    uint64_t checksum;
    TRY(bytes_take_le64(&tail, &checksum));
    if (checksum != hash_bytes((struct bytes){raw.at, size})) {
        return E_CORRUPT;
    }
    p->sources = malloc(size + 1);
    if (p->sources == NULL) {
        return E_NO_MEMORY;
    }
    memcpy(p->sources, raw.at, size);
    p->source_count = size / SOURCE_BYTES;
    return OK;
}

bool part_is_source(const struct part *sealed, struct part_name name)
{
    uint8_t raw[SOURCE_BYTES];
    put_source(raw, name);
    for (size_t i = 0; i < sealed->source_count; i++) {
        if (memcmp(sealed->sources + i * SOURCE_BYTES, raw, sizeof raw) == 0) {
            return true;
        }
    }
    return false;
}

/* Start and number of the file it came from, then the key it had there. */
enum err part_flush_keep(struct part_flush *f, const struct part *from, struct bytes key,
                         struct bytes value)
{
    uint8_t raw[KEPT_KEY_BYTES_MAX];
    if (key.size > PART_KEY_BYTES) {
        return E_CORRUPT;
    }
    put_source(raw, part_name(from));
    memcpy(raw + SOURCE_BYTES, key.at, key.size);
    return part_flush_keep_raw(f, (struct bytes){raw, SOURCE_BYTES + key.size}, value);
}

static enum err keep_all(struct part_flush *f, struct kv_txn *txn, struct kv_table table)
{
    struct kv_cursor *cursor;
    struct bytes key, value;
    TRY(kv_cursor_open(txn, table, &cursor));
    enum err e = kv_cursor_seek(cursor, (struct bytes){NULL, 0}, &key, &value);
    while (e == OK) {
        e = part_flush_keep_raw(f, key, value);
        e = e == OK ? kv_cursor_next(cursor, &key, &value) : e;
    }
    kv_cursor_close(cursor);
    return e == E_END ? OK : e;
}

enum err part_flush_keep_again(struct part_flush *f, struct part *from)
{
    struct kv_table table;
    struct kv_txn *txn;
    if (part_name(from).kind != PART_SEALED) {
        return OK;
    }
    TRY(part_env_enter(from, PART_READ));
    enum err e = kv_table_find(from->kv, "damaged", &table);
    if (e == OK) {
        e = kv_read_begin(from->kv, &txn);
        if (e == OK) {
            e = keep_all(f, txn, table);
            kv_abort(txn);
        }
    }
    part_env_leave(from);
    return e == E_NOT_FOUND ? OK : e;
}
