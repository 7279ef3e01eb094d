#include "storage/catalogue/tag_pack.h"

#include <stdlib.h>

/* The first number of an entry: place, and above it the set. */
enum { PLACE_MASK = 3, SET_SHIFT = 2, SETS_FIRST = 64 };

enum { ENTRY_BYTES_MAX = 4 * VARINT_BYTES_MAX, TAG_BYTES_MAX = 4 * VARINT_BYTES_MAX };

void tag_pack_restart(struct tag_pack_writer *p)
{
    p->out.size = 0;
    p->words.count = 0;
    p->sets.count = 0;
}

void tag_pack_fini(struct tag_pack_writer *p)
{
    free(p->out.at);
    free((void *)p->sets.at);
    pack_words_fini(&p->words);
    *p = (struct tag_pack_writer){.before = {0, 0}};
}

/* Its number; that of the next one when it is new, and then it is kept. */
static enum err number_set(struct tag_pack_sets *s, const struct tag_set *set, uint32_t *number)
{
    uint32_t i = 0;
    while (i < s->count && s->at[i] != set) { /* Equal sets are one. */
        i++;
    }
    *number = i;
    if (i < s->count) {
        return OK;
    }
    if (s->count == s->room) {
        const uint32_t room = s->room == 0 ? SETS_FIRST : 2 * s->room;
        const struct tag_set **at = realloc((void *)s->at, room * sizeof(struct tag_set *));
        if (at == NULL) {
            return E_NO_MEMORY;
        }
        s->at = at;
        s->room = room;
    }
    s->at[s->count++] = set;
    return OK;
}

static enum err put_set(struct tag_pack_writer *p, const struct catalogue *c,
                        const struct tag_set *set)
{
    const unsigned count = tag_set_count(set);
    TRY(writer_put_varint(&p->out, count));
    for (unsigned i = 0; i < count; i++) {
        const struct tag t = tag_set_at(c, set, i);
        TRY(pack_reserve(&p->out, TAG_BYTES_MAX + t.key.size + t.value.size));
        TRY(pack_put_word(&p->words, &p->out, t.key));
        TRY(pack_put_word(&p->words, &p->out, t.value));
    }
    return OK;
}

enum err tag_pack_put(struct tag_pack_writer *p, const struct catalogue *c, struct series_ref ref,
                      const struct tag_set *set)
{
    const bool has_before = p->out.size > 0;
    const struct series_ref before = has_before ? p->before : (struct series_ref){0, 0};
    const enum pack_place place = pack_place_of(has_before, before, ref);
    const uint32_t sets = p->sets.count;
    uint32_t number;
    TRY(number_set(&p->sets, set, &number));
    TRY(pack_reserve(&p->out, ENTRY_BYTES_MAX));
    TRY(writer_put_varint(&p->out, (uint64_t)number << SET_SHIFT | place));
    if (place == PACK_ANY) {
        TRY(pack_put_step(&p->out, before, ref));
    }
    p->before = ref;
    return number == sets ? put_set(p, c, set) : OK;
}

/* Reading. */

void tag_pack_open(struct tag_pack_reader *r, struct bytes body)
{
    r->in = body;
    r->words = (struct pack_words){NULL, 0, 0};
    r->before = (struct series_ref){0, 0};
    r->sets = 0;
    r->has_entries = false;
}

void tag_pack_close(struct tag_pack_reader *r)
{
    pack_words_fini(&r->words);
}

static bool ascend(struct bytes a, struct bytes b)
{
    int order = memcmp(a.at, b.at, a.size < b.size ? a.size : b.size);
    return order < 0 || (order == 0 && a.size < b.size);
}

static enum err take_set(struct tag_pack_reader *r, unsigned *count)
{
    uint64_t tags;
    if (bytes_take_varint(&r->in, &tags) != OK || tags == 0 || tags > TAG_SET_MAX) {
        return E_CORRUPT;
    }
    for (unsigned i = 0; i < tags; i++) {
        struct tag *t = &r->tags[i];
        TRY(pack_take_word(&r->words, &r->in, &t->key));
        TRY(pack_take_word(&r->words, &r->in, &t->value));
        if (catalogue_tag_fault(t->key, t->value) != NULL || t->value.size == 0 ||
            (i > 0 && !ascend(r->tags[i - 1].key, t->key))) {
            return E_CORRUPT;
        }
    }
    *count = (unsigned)tags;
    r->sets++;
    return OK;
}

enum err tag_pack_next(struct tag_pack_reader *r, struct tag_pack_entry *entry)
{
    uint64_t head;
    if (r->in.size == 0) {
        return E_END;
    }
    *entry = (struct tag_pack_entry){.ref = r->before};
    if (bytes_take_varint(&r->in, &head) != OK || head >> SET_SHIFT > r->sets) {
        return E_CORRUPT;
    }
    TRY(pack_take_place(&r->in, head & PLACE_MASK, r->has_entries, &entry->ref));
    entry->set = (uint32_t)(head >> SET_SHIFT);
    entry->is_new = entry->set == r->sets;
    if (entry->is_new) {
        TRY(take_set(r, &entry->count));
        entry->tags = r->tags;
    }
    r->before = entry->ref;
    r->has_entries = true;
    return OK;
}
