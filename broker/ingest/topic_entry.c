#include "broker/ingest/topic_entry.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/hash.h"

enum { SLOTS_MIN = 1024, NAMES_ROOM_MIN = 32, FIELDS_ROOM_MIN = 1 };

struct topic_table {
    struct topic_entry **slots; /* Linear probing; NULL: free. */
    size_t mask;                /* Slots - 1. */
    size_t hand;                /* The clock's. */
    uint32_t count, topics_max;
    uint64_t bytes, bytes_max;
    uint32_t period;
    int64_t forgotten_us; /* Latest arrival in this period among those forgotten. */
    struct catalogue *catalogue;
    struct topic_entry *last; /* The one asked for last: often asked for again, */
    uint64_t epoch;           /* or the one that came after it before. Up with each forgotten. */
};

static uint64_t bytes_of_entry(const struct topic_entry *e)
{
    return sizeof *e + e->topic_bytes + e->names_room + e->fields_room * sizeof e->field[0];
}

static void destroy_entry(struct topic_entry *e)
{
    free(e->field);
    free(e->names);
    free(e);
}

enum err topic_table_create(struct catalogue *catalogue, uint32_t topics_max, uint64_t bytes_max,
                            struct topic_table **out)
{
    CHECK(topics_max > 0);
    struct topic_table *t = calloc(1, sizeof *t);
    if (t == NULL) {
        return E_NO_MEMORY;
    }
    t->slots = calloc(SLOTS_MIN, sizeof(struct topic_entry *));
    if (t->slots == NULL) {
        free(t);
        return E_NO_MEMORY;
    }
    t->mask = SLOTS_MIN - 1;
    t->catalogue = catalogue;
    t->topics_max = topics_max;
    t->bytes_max = bytes_max;
    *out = t;
    return OK;
}

void topic_table_destroy(struct topic_table *t)
{
    if (t == NULL) {
        return;
    }
    for (size_t i = 0; i <= t->mask; i++) {
        if (t->slots[i] != NULL) {
            destroy_entry(t->slots[i]);
        }
    }
    free(t->slots);
    free(t);
}

uint32_t topic_table_count(const struct topic_table *t)
{
    return t->count;
}

void topic_table_restart(struct topic_table *t)
{
    t->period++;
    t->forgotten_us = 0;
}

static bool is_of(const struct topic_entry *e, struct bytes topic)
{
    return bytes_equal((struct bytes){e->topic, e->topic_bytes}, topic);
}

/* Where `topic` is, or the free slot where it would go. */
static size_t find_slot(const struct topic_table *t, uint64_t hash, struct bytes topic)
{
    size_t at = hash & t->mask;
    for (; t->slots[at] != NULL; at = (at + 1) & t->mask) {
        const struct topic_entry *e = t->slots[at];
        if (e->hash == hash && is_of(e, topic)) {
            break;
        }
    }
    return at;
}

/* Free a slot and move back those after it that would not be found any more. */
static void remove_slot(struct topic_table *t, size_t hole)
{
    for (size_t at = (hole + 1) & t->mask; t->slots[at] != NULL; at = (at + 1) & t->mask) {
        size_t home = t->slots[at]->hash & t->mask;
        if (((at - home) & t->mask) >= ((at - hole) & t->mask)) {
            t->slots[hole] = t->slots[at];
            hole = at;
        }
    }
    t->slots[hole] = NULL;
}

static void forget(struct topic_table *t, size_t at)
{
    struct topic_entry *e = t->slots[at];
    if (e->period == t->period && e->arrival_us > t->forgotten_us) {
        t->forgotten_us = e->arrival_us;
    }
    t->bytes -= bytes_of_entry(e);
    t->count--;
    t->last = t->last == e ? NULL : t->last;
    t->epoch++;
    remove_slot(t, at);
    destroy_entry(e);
}

/* Forget entries not used lately until one more fits. */
static void make_room(struct topic_table *t)
{
    while (t->count > 0 && (t->count >= t->topics_max || t->bytes >= t->bytes_max)) {
        struct topic_entry *e = t->slots[t->hand];
        if (e != NULL && !e->used) {
            forget(t, t->hand); /* Another may have moved here: the hand stays. */
            continue;
        }
        if (e != NULL) {
            e->used = false;
        }
        t->hand = (t->hand + 1) & t->mask;
    }
}

static enum err grow(struct topic_table *t)
{
    if (t->count * 2 <= t->mask) {
        return OK;
    }
    struct topic_table bigger = *t;
    bigger.mask = t->mask * 2 + 1;
    bigger.slots = calloc(bigger.mask + 1, sizeof(struct topic_entry *));
    if (bigger.slots == NULL) {
        return E_NO_MEMORY;
    }
    for (size_t i = 0; i <= t->mask; i++) {
        struct topic_entry *e = t->slots[i];
        if (e != NULL) {
            size_t at = e->hash & bigger.mask;
            while (bigger.slots[at] != NULL) {
                at = (at + 1) & bigger.mask;
            }
            bigger.slots[at] = e;
        }
    }
    free(t->slots);
    *t = bigger;
    t->hand &= t->mask;
    return OK;
}

static enum err add(struct topic_table *t, uint64_t hash, struct bytes topic,
                    struct topic_entry **out)
{
    make_room(t);
    TRY(grow(t));
    struct topic_entry *e = calloc(1, sizeof *e + topic.size);
    if (e == NULL) {
        return E_NO_MEMORY;
    }
    e->hash = hash;
    e->period = t->period;
    e->arrival_us = t->forgotten_us; /* It may be one of those. */
    e->topic_bytes = (uint16_t)topic.size;
    if (topic.size > 0) {
        memcpy(e->topic, topic.at, topic.size);
    }
    t->slots[find_slot(t, hash, topic)] = e;
    t->count++;
    t->bytes += bytes_of_entry(e);
    *out = e;
    return OK;
}

/* Messages often come in the order they came in before. Of many topics, the slot of one is far from
 * that of the next, and rarely in the processor's cache. NULL: not so. */
static struct topic_entry *guess(const struct topic_table *t, struct bytes topic)
{
    struct topic_entry *last = t->last;
    if (last == NULL || is_of(last, topic)) {
        return last;
    }
    struct topic_entry *after = last->after_epoch == t->epoch ? last->after : NULL;
    return after != NULL && is_of(after, topic) ? after : NULL;
}

enum err topic_table_get(struct topic_table *t, struct bytes topic, struct topic_entry **out)
{
    CHECK(topic.size <= SERIES_PATH_BYTES_MAX);
    struct topic_entry *e = guess(t, topic);
    if (e == NULL) {
        uint64_t hash = hash_bytes(topic);
        e = t->slots[find_slot(t, hash, topic)];
        if (e == NULL) {
            TRY(add(t, hash, topic, &e));
        }
    }
    if (t->last != NULL && t->last != e) {
        t->last->after = e;
        t->last->after_epoch = t->epoch;
    }
    if (e->period != t->period) {
        e->period = t->period;
        e->arrival_us = 0;
    }
    e->used = true;
    t->last = e;
    *out = e;
    return OK;
}

/* Make room for one field with a name of `name_bytes`. */
static enum err reserve(struct topic_entry *e, size_t name_bytes)
{
    if (e->fields == e->fields_room) {
        uint32_t room = e->fields_room == 0 ? FIELDS_ROOM_MIN : e->fields_room * 2;
        struct topic_field *field = realloc(e->field, room * sizeof *field);
        if (field == NULL) {
            return E_NO_MEMORY;
        }
        e->field = field;
        e->fields_room = room;
    }
    if (name_bytes > e->names_room - e->names_bytes) {
        uint32_t room = e->names_room * 2 + (uint32_t)name_bytes + NAMES_ROOM_MIN;
        uint8_t *names = realloc(e->names, room);
        if (names == NULL) {
            return E_NO_MEMORY;
        }
        e->names = names;
        e->names_room = room;
    }
    return OK;
}

/* Forgetting a field for want of memory costs a look-up the next time, nothing else. */
static void remember(struct topic_table *t, struct topic_entry *e, struct bytes name,
                     struct series_ref ref)
{
    const uint64_t before = bytes_of_entry(e);
    if (e->fields < TOPIC_FIELDS_MAX && reserve(e, name.size) == OK) {
        e->field[e->fields++] = (struct topic_field){
            .ref = ref, .name_at = e->names_bytes, .name_bytes = (uint16_t)name.size};
        if (name.size > 0) {
            memcpy(e->names + e->names_bytes, name.at, name.size);
        }
        e->names_bytes += (uint32_t)name.size;
    }
    t->bytes += bytes_of_entry(e) - before;
}

enum err topic_entry_find(struct topic_table *t, struct topic_entry *e, struct bytes name,
                          uint32_t *cursor, struct series_ref *out)
{
    const uint32_t looks = e->fields < TOPIC_SEARCH_MAX ? e->fields : TOPIC_SEARCH_MAX;
    uint32_t at = *cursor < e->fields ? *cursor : 0;
    for (uint32_t i = 0; i < looks; i++, at = at + 1 < e->fields ? at + 1 : 0) {
        const struct topic_field *f = &e->field[at];
        if (f->name_bytes == name.size &&
            (name.size == 0 || memcmp(e->names + f->name_at, name.at, name.size) == 0)) {
            *cursor = at + 1;
            *out = f->ref;
            return OK;
        }
    }
    TRY(catalogue_find_below(t->catalogue, (struct bytes){e->topic, e->topic_bytes}, name, out));
    remember(t, e, name, *out);
    *cursor = e->fields;
    return OK;
}

enum err topic_entry_add(struct topic_table *t, struct topic_entry *e, struct bytes name,
                         uint32_t *cursor, struct series_ref *out)
{
    TRY(catalogue_intern(t->catalogue, (struct bytes){e->topic, e->topic_bytes}, name, out));
    remember(t, e, name, *out);
    *cursor = e->fields;
    return OK;
}
