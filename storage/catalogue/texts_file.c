/* The dictionary at rest: table "texts" of catalog.mdb, TEXTS_PACK of them a pair. docs/FORMAT.md,
 * "Texts". The newest pair is put again when texts have come. */

#include <stdlib.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/log.h"
#include "storage/catalogue/texts_inside.h"
#include "storage/kv.h"

enum {
    KEY_BYTES = 4,
    CHECKSUM_BYTES = 8,
    VALUE_BYTES_MAX = TEXTS_PACK * (TEXT_BYTES_MAX + 2) + CHECKSUM_BYTES,
    PACKS_PER_COMMIT = 256
};

/* A size is told one greater; 0 stands for a text that was lost. */
static enum err put_text(const struct texts *t, uint32_t id, struct writer *w)
{
    struct bytes text;
    if (!texts_get(t, id, &text)) {
        return writer_put_varint(w, 0);
    }
    TRY(writer_put_varint(w, text.size + 1));
    return writer_put(w, text.at, text.size);
}

enum err texts_write_pack(const struct texts *t, uint32_t pack, uint32_t end, struct writer *w)
{
    for (uint32_t i = 0; i < TEXTS_PACK && pack * TEXTS_PACK + i < end; i++) {
        TRY(put_text(t, pack * TEXTS_PACK + i, w));
    }
    return OK;
}

/* The value of the pair `key`: the body and its checksum. */
static enum err make_value(const struct texts *t, uint32_t pack, uint32_t end, struct bytes key,
                           struct writer *w)
{
    w->size = 0;
    TRY(texts_write_pack(t, pack, end, w));
    return writer_put_le64(w, hash_seeded(hash_bytes(key), (struct bytes){w->at, w->size}));
}

/* One transaction: the texts from t->kept on, below `end`. */
static enum err save_run(struct texts *t, struct kv *kv, struct kv_table table, uint32_t end,
                         struct writer *w)
{
    struct kv_txn *txn;
    TRY(kv_write_begin(kv, &txn));
    for (uint32_t pack = t->kept / TEXTS_PACK; pack <= (end - 1) / TEXTS_PACK; pack++) {
        uint8_t raw[KEY_BYTES];
        struct writer k = {raw, 0, sizeof raw};
        CHECK(writer_put_u32(&k, pack) == OK);
        const struct bytes key = {raw, k.size};
        enum err e = make_value(t, pack, end, key, w);
        e = e != OK ? e : kv_put(txn, table, key, (struct bytes){w->at, w->size}, KV_UPSERT);
        if (e != OK) {
            kv_abort(txn);
            return e;
        }
    }
    TRY(kv_commit(txn));
    t->kept = end;
    return OK;
}

enum err texts_save(struct texts *t, struct kv *kv)
{
    const uint32_t end = texts_end(t);
    struct kv_table table;
    enum err e = OK;
    if (t->kept == end) {
        return OK;
    }
    struct writer w = {malloc(VALUE_BYTES_MAX), 0, VALUE_BYTES_MAX};
    if (w.at == NULL) {
        return E_NO_MEMORY;
    }
    e = kv_table_share(kv, "texts", &table);
    while (e == OK && t->kept < end) {
        const uint64_t run = (t->kept / TEXTS_PACK + PACKS_PER_COMMIT) * (uint64_t)TEXTS_PACK;
        e = save_run(t, kv, table, run < end ? (uint32_t)run : end, &w);
    }
    free(w.at);
    return e;
}

void texts_forget_file(struct texts *t)
{
    t->kept = 0;
}

/* Size and bytes; a text that was lost has no bytes to borrow. */
static enum err take_text(struct bytes *in, bool *is_lost, struct bytes *text)
{
    uint64_t size;
    TRY(bytes_take_varint(in, &size));
    *is_lost = size == 0;
    return bytes_take(in, size == 0 ? 0 : size - 1, text);
}

enum err texts_read_pack(struct texts *t, uint32_t pack, struct bytes in)
{
    uint64_t id = (uint64_t)pack * TEXTS_PACK;
    for (unsigned i = 0; i < TEXTS_PACK && in.size > 0; i++, id++) {
        struct bytes text;
        bool is_lost;
        if (id > UINT32_MAX || take_text(&in, &is_lost, &text) != OK) {
            return E_CORRUPT;
        }
        if (is_lost) {
            texts_skip(t, (uint32_t)id);
        } else {
            TRY(texts_define(t, (uint32_t)id, text));
        }
    }
    return in.size == 0 ? OK : E_CORRUPT;
}

static enum err take_pack(struct texts *t, struct bytes key, struct bytes value)
{
    const uint64_t over_key = hash_bytes(key);
    struct bytes in = value, body;
    uint32_t pack;
    uint64_t checksum;
    if (bytes_take_u32(&key, &pack) != OK || key.size != 0 || value.size < CHECKSUM_BYTES) {
        return E_CORRUPT;
    }
    CHECK(bytes_take(&in, value.size - CHECKSUM_BYTES, &body) == OK);
    CHECK(bytes_take_le64(&in, &checksum) == OK);
    enum err e =
        checksum == hash_seeded(over_key, body) ? texts_read_pack(t, pack, body) : E_CORRUPT;
    if (e == E_CORRUPT && pack <= UINT32_MAX / TEXTS_PACK) { /* Its ids are given, all the same. */
        texts_skip(t, pack * TEXTS_PACK + TEXTS_PACK - 1);
    }
    return e;
}

/* One damaged pair costs its texts, not the city its store. */
static enum err load_pack(void *context, struct bytes key, struct bytes value)
{
    enum err e = take_pack(context, key, value);
    if (e == E_CORRUPT) {
        log_line(LOG_ERROR, "storage", "texts of the catalogue are damaged, left out");
        return OK;
    }
    return e;
}

enum err texts_load(struct texts *t, struct kv *kv)
{
    enum err e = kv_each(kv, "texts", load_pack, t);
    t->kept = texts_end(t);
    return e;
}
