#include "storage/catalogue/pack.h"

#include <stdlib.h>

#include "base/hash.h"

enum { WORDS_FIRST = 64 };

enum err pack_reserve(struct writer *w, size_t more)
{
    if (w->limit - w->size >= more) {
        return OK;
    }
    const size_t limit = 2 * w->limit + more;
    uint8_t *at = realloc(w->at, limit);
    if (at == NULL) {
        return E_NO_MEMORY;
    }
    w->at = at;
    w->limit = limit;
    return OK;
}

enum err pack_seal(struct bytes key, struct writer *w)
{
    TRY(pack_reserve(w, PACK_SUM_BYTES));
    return writer_put_le64(w, hash_seeded(hash_bytes(key), (struct bytes){w->at, w->size}));
}

enum err pack_open(struct bytes key, struct bytes value, struct bytes *body)
{
    uint64_t checksum;
    struct bytes covered;
    if (value.size < PACK_SUM_BYTES ||
        bytes_take(&value, value.size - PACK_SUM_BYTES, &covered) != OK ||
        bytes_take_le64(&value, &checksum) != OK ||
        checksum != hash_seeded(hash_bytes(key), covered)) {
        return E_CORRUPT;
    }
    *body = covered;
    return OK;
}

void pack_words_fini(struct pack_words *words)
{
    free(words->at);
    *words = (struct pack_words){NULL, 0, 0};
}

static enum err add_word(struct pack_words *words, struct bytes word)
{
    if (words->count == words->room) {
        const uint32_t room = words->room == 0 ? WORDS_FIRST : 2 * words->room;
        struct bytes *at = realloc(words->at, room * sizeof *at);
        if (at == NULL) {
            return E_NO_MEMORY;
        }
        words->at = at;
        words->room = room;
    }
    words->at[words->count++] = word;
    return OK;
}

/* A pack has a few hundred at most: looking through them costs less than keeping an index. */
static uint32_t find_word(const struct pack_words *words, struct bytes word)
{
    uint32_t i = 0;
    while (i < words->count && !bytes_equal(words->at[i], word)) {
        i++;
    }
    return i;
}

enum err pack_put_word(struct pack_words *words, struct writer *w, struct bytes word)
{
    const uint32_t number = find_word(words, word);
    if (number < words->count) {
        return writer_put_varint(w, number);
    }
    TRY(add_word(words, word));
    TRY(writer_put_varint(w, number));
    TRY(writer_put_varint(w, word.size));
    return writer_put(w, word.at, word.size);
}

enum err pack_take_word(struct pack_words *words, struct bytes *in, struct bytes *word)
{
    uint64_t number, size;
    if (bytes_take_varint(in, &number) != OK || number > words->count) {
        return E_CORRUPT;
    }
    if (number == words->count) {
        struct bytes fresh;
        if (bytes_take_varint(in, &size) != OK || bytes_take(in, size, &fresh) != OK) {
            return E_CORRUPT;
        }
        TRY(add_word(words, fresh));
    }
    *word = words->at[number];
    return OK;
}

enum pack_place pack_place_of(bool has_before, struct series_ref before, struct series_ref ref)
{
    if (!has_before) {
        return PACK_ANY;
    }
    if (ref.group == before.group && ref.column == before.column + 1) {
        return PACK_NEXT_COLUMN;
    }
    return ref.group == before.group + 1 && ref.column == 0 ? PACK_NEXT_GROUP : PACK_ANY;
}

enum err pack_put_step(struct writer *w, struct series_ref before, struct series_ref ref)
{
    TRY(writer_put_varint(w, ref.group - before.group));
    return writer_put_u8(w, ref.column);
}

static enum err take_step(struct bytes *in, bool has_before, struct series_ref *ref)
{
    uint64_t step;
    uint8_t column;
    if (bytes_take_varint(in, &step) != OK || bytes_take_u8(in, &column) != OK ||
        step > UINT32_MAX - ref->group || column >= GROUP_COLUMNS_MAX ||
        (step == 0 && has_before && column <= ref->column)) {
        return E_CORRUPT;
    }
    *ref = (struct series_ref){ref->group + (uint32_t)step, column};
    return OK;
}

enum err pack_take_place(struct bytes *in, unsigned place, bool has_before, struct series_ref *ref)
{
    if (place == PACK_ANY) {
        return take_step(in, has_before, ref);
    }
    if (!has_before) {
        return E_CORRUPT;
    }
    if (place == PACK_NEXT_COLUMN) {
        ref->column++;
        return ref->column < GROUP_COLUMNS_MAX ? OK : E_CORRUPT;
    }
    *ref = (struct series_ref){ref->group + 1, 0};
    return place == PACK_NEXT_GROUP && ref->group != 0 ? OK : E_CORRUPT;
}
