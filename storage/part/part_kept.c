/* What a sealed file says beside its chunks: which files it was made from, and chunks that could
 * not be read, kept aside. docs/FORMAT.md, "Partition". */

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

enum err part_flush_sources(struct part_flush *f, struct part *const *parts, size_t count)
{
    const size_t size = count * SOURCE_BYTES;
    uint8_t *raw = malloc(size + CHECKSUM_BYTES);
    if (raw == NULL) {
        return E_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        put_source(raw + i * SOURCE_BYTES, part_name(parts[i]));
    }
    struct writer w = {raw, size, size + CHECKSUM_BYTES};
    enum err e = writer_put_le64(&w, hash_bytes((struct bytes){raw, size}));
    if (e == OK) {
        e = part_flush_say(f, bytes_of("sources"), (struct bytes){raw, w.size});
    }
    free(raw);
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
    enum err e = kv_table_open(from->kv, "damaged", &table);
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
