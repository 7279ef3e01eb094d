#include "storage/catalogue/name_pack.h"

#include <stdlib.h>

/* The first byte of an entry. */
enum { PLACE_MASK = 3, HAS_NAME = 4, SHARED_SHIFT = 3, SHARED_MORE = 31 };

enum { ENTRY_BYTES_MAX = 16 + 6 * VARINT_BYTES_MAX }; /* Without the texts. */

void name_pack_restart(struct name_pack_writer *p)
{
    p->out.size = 0;
    p->words.count = 0;
    p->count = 0;
    p->before = (struct name_entry){.ref = {0, 0}};
}

void name_pack_fini(struct name_pack_writer *p)
{
    free(p->out.at);
    pack_words_fini(&p->words);
    *p = (struct name_pack_writer){.count = 0};
}

/* A topic up to its last slash, with it. */
static size_t stem_size(struct bytes topic)
{
    size_t size = topic.size;
    while (size > 0 && topic.at[size - 1] != '/') {
        size--;
    }
    return size;
}

/* A group that was lost may be known again under another topic: then it is no next column. */
static enum pack_place place_of(const struct name_pack_writer *p, const struct name_entry *e)
{
    const enum pack_place place = pack_place_of(p->count > 0, p->before.ref, e->ref);
    return place == PACK_NEXT_COLUMN && !bytes_equal(e->topic, p->before.topic) ? PACK_ANY : place;
}

static size_t shared_size(struct bytes a, struct bytes b)
{
    size_t i = 0;
    while (i < a.size && i < b.size && a.at[i] == b.at[i]) {
        i++;
    }
    return i;
}

/* Head and place, then the topic where it is another group's. */
static enum err put_place(struct name_pack_writer *p, const struct name_entry *e,
                          enum pack_place place, size_t shared)
{
    struct writer *w = &p->out;
    const unsigned name = e->name.size > 0 ? HAS_NAME : 0;
    const unsigned more = shared < SHARED_MORE ? (unsigned)shared : SHARED_MORE;
    TRY(writer_put_u8(w, (uint8_t)((unsigned)place | name | more << SHARED_SHIFT)));
    if (place == PACK_ANY) {
        const int64_t step = (int64_t)e->ref.group - (int64_t)p->before.ref.group;
        TRY(writer_put_varint(w, zigzag(step)));
        TRY(writer_put_u8(w, e->ref.column));
    }
    return more == SHARED_MORE ? writer_put_varint(w, shared - SHARED_MORE) : OK;
}

static enum err put_topic(struct name_pack_writer *p, const struct name_entry *e,
                          enum pack_place place)
{
    const struct bytes stem = {e->topic.at, stem_size(e->topic)};
    const struct bytes before = {p->before.topic.at, stem_size(p->before.topic)};
    const size_t shared = place == PACK_NEXT_COLUMN ? 0 : shared_size(stem, before);
    TRY(put_place(p, e, place, shared));
    if (place == PACK_NEXT_COLUMN) {
        return OK;
    }
    TRY(writer_put_varint(&p->out, stem.size - shared));
    TRY(writer_put(&p->out, stem.at + shared, stem.size - shared));
    const struct bytes level = {stem.at + stem.size, e->topic.size - stem.size};
    return pack_put_word(&p->words, &p->out, level);
}

static enum err put_entry(struct name_pack_writer *p, const struct name_entry *e)
{
    TRY(pack_reserve(&p->out, ENTRY_BYTES_MAX + e->topic.size + e->name.size));
    TRY(put_topic(p, e, place_of(p, e)));
    return e->name.size > 0 ? pack_put_word(&p->words, &p->out, e->name) : OK;
}

enum err name_pack_add(struct name_pack_writer *p, const struct name_entry *entry)
{
    const size_t size = p->out.size;
    const uint32_t words = p->words.count;
    enum err e = put_entry(p, entry);
    if (e == OK && p->out.size > PACK_BODY_BYTES_MAX && p->count > 0) {
        e = E_LIMIT;
    }
    if (e != OK) {
        p->out.size = size;
        p->words.count = words;
        return e;
    }
    p->before = *entry;
    p->count++;
    return OK;
}

/* Reading. */

void name_pack_open(struct name_pack_reader *r, struct bytes body)
{
    r->in = body;
    r->words = (struct pack_words){NULL, 0, 0};
    r->before = (struct series_ref){0, 0};
    r->topic_size = 0;
}

void name_pack_close(struct name_pack_reader *r)
{
    pack_words_fini(&r->words);
}

static enum err take_any_place(struct bytes *in, struct series_ref *ref)
{
    uint64_t step;
    uint8_t column;
    if (bytes_take_varint(in, &step) != OK || bytes_take_u8(in, &column) != OK) {
        return E_CORRUPT;
    }
    const uint64_t group = ref->group + (uint64_t)unzigzag(step);
    if (group > UINT32_MAX || column >= GROUP_COLUMNS_MAX) {
        return E_CORRUPT;
    }
    *ref = (struct series_ref){(uint32_t)group, column};
    return OK;
}

/* Names come in order of definition, so groups go up and down. */
static enum err take_place(struct bytes *in, unsigned place, struct series_ref *ref)
{
    return place == PACK_ANY ? take_any_place(in, ref) : pack_take_place(in, place, true, ref);
}

static enum err take_topic(struct name_pack_reader *r, unsigned shared)
{
    const size_t stem = stem_size((struct bytes){r->topic, r->topic_size});
    struct bytes rest, level;
    uint64_t more = 0, size;
    if (shared == SHARED_MORE && bytes_take_varint(&r->in, &more) != OK) {
        return E_CORRUPT;
    }
    if (more > SERIES_PATH_BYTES_MAX || shared + more > stem ||
        bytes_take_varint(&r->in, &size) != OK || bytes_take(&r->in, size, &rest) != OK) {
        return E_CORRUPT;
    }
    TRY(pack_take_word(&r->words, &r->in, &level));
    struct writer topic = {r->topic, shared + more, sizeof r->topic};
    if (writer_put(&topic, rest.at, rest.size) != OK ||
        stem_size((struct bytes){r->topic, topic.size}) != topic.size ||
        writer_put(&topic, level.at, level.size) != OK) {
        return E_CORRUPT;
    }
    r->topic_size = topic.size;
    return OK;
}

enum err name_pack_next(struct name_pack_reader *r, struct name_entry *entry)
{
    uint8_t head;
    if (bytes_take_u8(&r->in, &head) != OK) {
        return E_END;
    }
    const unsigned place = head & PLACE_MASK, shared = head >> SHARED_SHIFT;
    *entry = (struct name_entry){.ref = r->before};
    TRY(take_place(&r->in, place, &entry->ref));
    if (place != PACK_NEXT_COLUMN) {
        TRY(take_topic(r, shared));
    } else if (shared != 0 || r->topic_size == 0) {
        return E_CORRUPT;
    }
    if ((head & HAS_NAME) != 0) {
        TRY(pack_take_word(&r->words, &r->in, &entry->name));
        if (entry->name.size == 0) {
            return E_CORRUPT;
        }
    }
    entry->topic = (struct bytes){r->topic, r->topic_size};
    r->before = entry->ref;
    return OK;
}
