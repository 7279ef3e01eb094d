/* The catalogue at rest: table "series" of catalog.mdb, one pair a series. docs/FORMAT.md,
 * "Catalogue". */

#include "base/hash.h"
#include "base/log.h"
#include "storage/catalogue/catalogue_inside.h"
#include "storage/kv.h"

enum { KEY_BYTES = 5, VALUE_BYTES_MAX = 2 + 2 + SERIES_PATH_BYTES_MAX + 8, PUTS_PER_COMMIT = 8192 };

static enum err put_series(struct catalogue *c, struct kv_txn *txn, struct kv_table table,
                           struct series_ref ref)
{
    const struct group *g = catalogue_group(c, ref.group);
    const struct series_name *name = group_name(g, ref.column);
    uint8_t key[KEY_BYTES], value[VALUE_BYTES_MAX];
    struct writer k = {key, 0, sizeof key}, v = {value, 0, sizeof value};
    TRY(writer_put_u32(&k, ref.group));
    TRY(writer_put_u8(&k, ref.column));
    TRY(writer_put_le16(&v, (uint16_t)g->topic.size));
    TRY(writer_put_le16(&v, (uint16_t)name->size));
    TRY(writer_put(&v, g->topic.at, g->topic.size));
    TRY(writer_put(&v, name->at, name->size));
    uint64_t over_key = hash_bytes((struct bytes){key, k.size});
    TRY(writer_put_le64(&v, hash_seeded(over_key, (struct bytes){value, v.size})));
    return kv_put(txn, table, (struct bytes){key, k.size}, (struct bytes){value, v.size},
                  KV_UPSERT);
}

static enum err save_run(struct catalogue *c, struct kv *kv, struct kv_table table, uint32_t end)
{
    struct kv_txn *txn;
    TRY(kv_write_begin(kv, &txn));
    for (uint32_t i = c->kept; i < end; i++) {
        enum err e = put_series(c, txn, table, catalogue_series(c, i));
        if (e != OK) {
            kv_abort(txn);
            return e;
        }
    }
    return kv_commit(txn);
}

enum err catalogue_save(struct catalogue *c, struct kv *kv)
{
    struct kv_table table;
    uint32_t count = catalogue_series_count(c);
    TRY(kv_table_open(kv, "series", &table));
    while (c->kept < count) {
        uint32_t end = count - c->kept > PUTS_PER_COMMIT ? c->kept + PUTS_PER_COMMIT : count;
        TRY(save_run(c, kv, table, end));
        c->kept = end;
    }
    return OK;
}

static enum err take_series(struct bytes key, struct bytes value, struct series_ref *ref,
                            struct bytes *topic, struct bytes *name)
{
    struct bytes in = value;
    uint16_t topic_bytes, name_bytes;
    uint64_t checksum;
    TRY(bytes_take_le16(&in, &topic_bytes));
    TRY(bytes_take_le16(&in, &name_bytes));
    TRY(bytes_take(&in, topic_bytes, topic));
    TRY(bytes_take(&in, name_bytes, name));
    TRY(bytes_take_le64(&in, &checksum));
    struct bytes covered = {value.at, value.size - 8};
    if (in.size != 0 || checksum != hash_seeded(hash_bytes(key), covered)) {
        return E_CORRUPT;
    }
    TRY(bytes_take_u32(&key, &ref->group));
    TRY(bytes_take_u8(&key, &ref->column));
    return key.size == 0 ? OK : E_CORRUPT;
}

/* One damaged pair costs one series its name, not the city its store. */
static enum err load_series(void *context, struct bytes key, struct bytes value)
{
    struct catalogue *c = context;
    struct series_ref ref;
    struct bytes topic, name;
    enum err e = take_series(key, value, &ref, &topic, &name);
    e = e == OK ? catalogue_define(c, ref, topic, name) : E_CORRUPT;
    if (e == E_CORRUPT) {
        log_line(LOG_ERROR, "storage", "a series of the catalogue is damaged, left out");
        return OK;
    }
    return e;
}

enum err catalogue_load(struct catalogue *c, struct kv *kv)
{
    enum err e = kv_each(kv, "series", load_series, c);
    c->kept = catalogue_series_count(c);
    return e;
}
