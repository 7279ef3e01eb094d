#include "storage/journal/journal_state.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/log.h"

/* Key: space u8, XXH3 of the key u64 BE, slot u32 BE for keys whose hashes are equal. Value:
 * checksum u64, stamp u64, position u64, key size u16, key, value. An empty value is a grave, and
 * the table "graves" finds it by (position u64 BE, key of "state"). Owned: space u8, the key;
 * checksum u64, the value. */
enum {
    KEY_BYTES = 13,
    PREFIX_BYTES = 9,
    CHECKSUM_BYTES = 8,
    HEAD_BYTES = 26,
    GRAVE_BYTES = 8 + KEY_BYTES
};

enum err journal_state_open(struct journal_state *s, struct kv *kv)
{
    TRY(kv_table_share(kv, "state", &s->state));
    return kv_table_share(kv, "graves", &s->graves);
}

void journal_state_fini(struct journal_state *s)
{
    free(s->buffer);
    *s = (struct journal_state){.buffer = NULL};
}

static void put_be(uint8_t *to, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        to[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
    }
}

static uint64_t get_be(const uint8_t *from, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++) {
        value = value << 8 | from[i];
    }
    return value;
}

static uint64_t checksum_of(struct bytes key, struct bytes rest)
{
    return hash_seeded(hash_bytes(key), rest);
}

static enum err read_owned(struct bytes key, struct bytes value, struct journal_state_value *out)
{
    uint64_t checksum;
    if (key.size < 2 || bytes_take_le64(&value, &checksum) != OK ||
        checksum != checksum_of(key, value) || value.size == 0) {
        return E_CORRUPT;
    }
    out->put = (struct batch_state){key.at[0], 0, {key.at + 1, key.size - 1}, value};
    out->position = 0;
    return OK;
}

enum err journal_state_read(struct bytes key, struct bytes value, struct journal_state_value *out)
{
    uint64_t checksum, stamp, position;
    uint16_t size;
    struct bytes text;
    if (key.size > 0 && batch_space_is_owned(key.at[0])) {
        return read_owned(key, value, out);
    }
    if (key.size != KEY_BYTES || bytes_take_le64(&value, &checksum) != OK ||
        checksum != checksum_of(key, value) || bytes_take_le64(&value, &stamp) != OK ||
        bytes_take_le64(&value, &position) != OK || bytes_take_le16(&value, &size) != OK ||
        bytes_take(&value, size, &text) != OK) {
        return E_CORRUPT;
    }
    out->put = (struct batch_state){key.at[0], stamp, text, value};
    out->position = position;
    return OK;
}

/* Where a key is, or would be: `place` is its table key, `found` what lies there. */
static enum err find_place(struct journal_state *s, struct kv_txn *txn,
                           const struct batch_state *put, uint8_t place[KEY_BYTES],
                           struct journal_state_value *found)
{
    struct kv_cursor *cursor;
    struct bytes key, value;
    uint32_t slot = 0;
    place[0] = put->space;
    put_be(place + 1, hash_bytes(put->key), 8);
    put_be(place + PREFIX_BYTES, 0, 4);
    TRY(kv_cursor_open(txn, s->state, &cursor));
    enum err e = kv_cursor_seek(cursor, (struct bytes){place, KEY_BYTES}, &key, &value);
    for (; e == OK; e = kv_cursor_next(cursor, &key, &value)) {
        if (key.size != KEY_BYTES || memcmp(key.at, place, PREFIX_BYTES) != 0) {
            e = E_END;
            break;
        }
        slot = (uint32_t)get_be(key.at + PREFIX_BYTES, 4);
        put_be(place + PREFIX_BYTES, slot, 4);
        if (journal_state_read(key, value, found) == OK && bytes_equal(found->put.key, put->key)) {
            break;
        }
        put_be(place + PREFIX_BYTES, slot + 1, 4);
    }
    kv_cursor_close(cursor);
    return e == E_END ? E_NOT_FOUND : e;
}

/* Room for a value of `size` bytes. */
static enum err reserve(struct journal_state *s, size_t size)
{
    if (size > s->limit) {
        uint8_t *buffer = realloc(s->buffer, size);
        if (buffer == NULL) {
            return E_NO_MEMORY;
        }
        s->buffer = buffer;
        s->limit = size;
    }
    return OK;
}

/* Put the checksum of what is behind it in front. */
static struct bytes seal(const struct writer *w, struct bytes place)
{
    uint64_t checksum =
        checksum_of(place, (struct bytes){w->at + CHECKSUM_BYTES, w->size - CHECKSUM_BYTES});
    memcpy(w->at, &checksum, sizeof checksum);
    return (struct bytes){w->at, w->size};
}

static enum err build_value(struct journal_state *s, uint64_t position,
                            const struct batch_state *put, struct bytes place, struct bytes *out)
{
    TRY(reserve(s, HEAD_BYTES + put->key.size + put->value.size));
    struct writer w = {s->buffer, CHECKSUM_BYTES, s->limit};
    TRY(writer_put_le64(&w, put->stamp));
    TRY(writer_put_le64(&w, position));
    TRY(writer_put_le16(&w, (uint16_t)put->key.size));
    TRY(writer_put(&w, put->key.at, put->key.size));
    TRY(writer_put(&w, put->value.at, put->value.size));
    *out = seal(&w, place);
    return OK;
}

static enum err put_owned(struct journal_state *s, struct kv_txn *txn,
                          const struct batch_state *put)
{
    uint8_t room[1 + BATCH_OWNED_KEY_BYTES_MAX];
    const struct bytes place = {room, 1 + put->key.size};
    CHECK(put->key.size <= BATCH_OWNED_KEY_BYTES_MAX);
    room[0] = put->space;
    memcpy(room + 1, put->key.at, put->key.size);
    if (put->value.size == 0) {
        enum err e = kv_delete(txn, s->state, place);
        return e == E_NOT_FOUND ? OK : e;
    }
    TRY(reserve(s, CHECKSUM_BYTES + put->value.size));
    struct writer w = {s->buffer, CHECKSUM_BYTES, s->limit};
    TRY(writer_put(&w, put->value.at, put->value.size));
    return kv_put(txn, s->state, place, seal(&w, place), KV_UPSERT);
}

static enum err dig_grave(struct journal_state *s, struct kv_txn *txn, uint64_t position,
                          const uint8_t place[KEY_BYTES])
{
    uint8_t grave[GRAVE_BYTES];
    put_be(grave, position, 8);
    memcpy(grave + 8, place, KEY_BYTES);
    return kv_put(txn, s->graves, (struct bytes){grave, sizeof grave}, (struct bytes){NULL, 0},
                  KV_UPSERT);
}

enum err journal_state_put(struct journal_state *s, struct kv_txn *txn, uint64_t position,
                           const struct batch_state *put)
{
    CHECK(put->key.size >= 1 && put->key.size <= UINT16_MAX);
    if (batch_space_is_owned(put->space)) {
        return put_owned(s, txn, put);
    }
    uint8_t place[KEY_BYTES];
    struct journal_state_value found;
    struct bytes value;
    enum err e = find_place(s, txn, put, place, &found);
    if (e == OK && found.put.stamp > put->stamp) {
        return OK;
    }
    if (e != OK && e != E_NOT_FOUND) {
        return e;
    }
    TRY(build_value(s, position, put, (struct bytes){place, KEY_BYTES}, &value));
    TRY(kv_put(txn, s->state, (struct bytes){place, KEY_BYTES}, value, KV_UPSERT));
    return put->value.size > 0 ? OK : dig_grave(s, txn, position, place);
}

enum err journal_state_each(struct journal_state *s, struct kv_txn *txn, uint8_t space,
                            enum err (*visit)(void *context, const struct batch_state *state),
                            void *context)
{
    struct kv_cursor *cursor;
    struct bytes key, value;
    TRY(kv_cursor_open(txn, s->state, &cursor));
    enum err e = kv_cursor_seek(cursor, (struct bytes){&space, 1}, &key, &value);
    while (e == OK && key.at[0] == space) {
        struct journal_state_value found;
        if (journal_state_read(key, value, &found) != OK) {
            log_line(LOG_ERROR, "storage", "a piece of broker state is damaged, left out space=%u",
                     space);
        } else {
            e = visit(context, &found.put);
        }
        e = e != OK ? e : kv_cursor_next(cursor, &key, &value);
    }
    kv_cursor_close(cursor);
    return e == E_END ? OK : e;
}

/* A grave that has been put to again since, or dug again, stays. */
static enum err purge_one(struct journal_state *s, struct kv_txn *txn, struct bytes grave)
{
    uint8_t place[KEY_BYTES];
    struct bytes value;
    struct journal_state_value found;
    uint64_t position = get_be(grave.at, 8);
    memcpy(place, grave.at + 8, KEY_BYTES);
    struct bytes key = {place, KEY_BYTES};
    enum err e = kv_get(txn, s->state, key, &value);
    if (e != OK) {
        return e == E_NOT_FOUND ? OK : e;
    }
    if (journal_state_read(key, value, &found) != OK || found.put.value.size > 0 ||
        found.position != position) {
        return OK;
    }
    return kv_delete(txn, s->state, key);
}

enum err journal_state_purge(struct journal_state *s, struct kv_txn *txn, uint64_t position)
{
    struct kv_cursor *cursor;
    struct bytes key, value;
    TRY(kv_cursor_open(txn, s->graves, &cursor));
    enum err e = kv_cursor_seek(cursor, (struct bytes){NULL, 0}, &key, &value);
    while (e == OK && (key.size != GRAVE_BYTES || get_be(key.at, 8) < position)) {
        e = key.size == GRAVE_BYTES ? purge_one(s, txn, key) : OK;
        e = e != OK ? e : kv_cursor_delete(cursor);
        e = e != OK ? e : kv_cursor_next(cursor, &key, &value);
    }
    kv_cursor_close(cursor);
    return e == E_END ? OK : e;
}
