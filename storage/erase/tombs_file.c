#include "storage/erase/tombs_file.h"

#include "base/hash.h"
#include "base/log.h"
#include "storage/kv.h"

enum { KEY_BYTES = 8, CHECKSUM_BYTES = 8, VALUE_BYTES_MAX = 8 + 8 + BATCH_FILTER_BYTES_MAX + 8 };

static void put_key(uint64_t position, uint8_t to[KEY_BYTES])
{
    for (int i = 0; i < KEY_BYTES; i++) {
        to[i] = (uint8_t)(position >> (56 - 8 * i));
    }
}

static enum err put_tomb(struct kv_txn *txn, struct kv_table table, const struct tomb *t)
{
    uint8_t raw[KEY_BYTES], value[VALUE_BYTES_MAX];
    const struct bytes key = {raw, sizeof raw};
    struct writer v = {value, 0, sizeof value};
    put_key(t->position, raw);
    TRY(writer_put_le64(&v, (uint64_t)t->from_ns));
    TRY(writer_put_le64(&v, (uint64_t)t->to_ns));
    TRY(writer_put(&v, t->filter->at, t->filter->size));
    TRY(writer_put_le64(&v, hash_seeded(hash_bytes(key), (struct bytes){value, v.size})));
    return kv_put(txn, table, key, (struct bytes){value, v.size}, KV_UPSERT);
}

static enum err clear(struct kv_txn *txn, struct kv_table table)
{
    struct kv_cursor *cursor;
    struct bytes key, value;
    TRY(kv_cursor_open(txn, table, &cursor));
    enum err e = kv_cursor_seek(cursor, (struct bytes){NULL, 0}, &key, &value);
    while (e == OK) {
        e = kv_cursor_delete(cursor);
        e = e == OK ? kv_cursor_next(cursor, &key, &value) : e;
    }
    kv_cursor_close(cursor);
    return e == E_END ? OK : e;
}

enum err tombs_save(const struct tombs *t, struct kv *kv)
{
    struct kv_table table;
    struct kv_txn *txn;
    TRY(kv_table_share(kv, "deletes", &table));
    TRY(kv_write_begin(kv, &txn));
    enum err e = clear(txn, table);
    for (size_t i = 0; e == OK && i < tombs_count(t); i++) {
        e = put_tomb(txn, table, &t->at[i]);
    }
    if (e != OK) {
        kv_abort(txn);
        return e;
    }
    return kv_commit(txn);
}

enum err tombs_read_pair(struct bytes key, struct bytes value, struct tomb_order *out)
{
    const uint64_t over_key = hash_bytes(key);
    uint64_t from, to, checksum;
    struct bytes in = value;
    *out = (struct tomb_order){0};
    if (key.size != KEY_BYTES || value.size < 16 + 1 + CHECKSUM_BYTES) {
        return E_CORRUPT;
    }
    for (size_t i = 0; i < key.size; i++) {
        out->position = out->position << 8 | key.at[i];
    }
    TRY(bytes_take_le64(&in, &from));
    TRY(bytes_take_le64(&in, &to));
    TRY(bytes_take(&in, in.size - CHECKSUM_BYTES, &out->filter));
    TRY(bytes_take_le64(&in, &checksum));
    out->from_ns = (int64_t)from;
    out->to_ns = (int64_t)to;
    const struct bytes covered = {value.at, value.size - CHECKSUM_BYTES};
    return checksum == hash_seeded(over_key, covered) && out->from_ns < out->to_ns &&
                   out->filter.size <= BATCH_FILTER_BYTES_MAX && topic_is_filter(out->filter)
               ? OK
               : E_CORRUPT;
}

struct loading {
    struct tombs *all;
    uint32_t damaged;
};

static enum err load_pair(void *context, struct bytes key, struct bytes value)
{
    static const struct series_list nothing = {0, NULL};
    const struct tomb_scene scene = {NULL, 0, &nothing};
    struct loading *l = context;
    struct tombs *more;
    struct tomb_order order;
    if (tombs_read_pair(key, value, &order) != OK) {
        log_line(LOG_ERROR, "storage",
                 "a delete is damaged, left out: what it took away may be seen again");
        l->damaged++;
        return OK;
    }
    TRY(tombs_with(l->all, &order, &scene, &more));
    tombs_drop(l->all);
    l->all = more;
    return OK;
}

enum err tombs_load(struct kv *kv, struct tombs **out, uint32_t *damaged)
{
    struct loading l = {NULL, 0};
    enum err e = kv_each(kv, "deletes", load_pair, &l);
    if (e != OK) {
        tombs_drop(l.all);
        return e;
    }
    *out = l.all;
    *damaged = l.damaged;
    return OK;
}
