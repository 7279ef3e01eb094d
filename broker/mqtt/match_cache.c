#include "broker/mqtt/match_cache.h"

#include <stdlib.h>

enum { SLOTS = 1 << 17, BYTES_MAX = 32 << 20 };

struct cached {
    uint64_t generation, hash;
    struct match match; /* Its arrays are in `memory`. */
    size_t topic_bytes, bytes;
    const uint8_t *topic;
    void *memory[]; /* The items, the shares, the topic. */
};

struct match_cache {
    const struct subscriptions *subscriptions;
    size_t bytes;
    struct match scratch;
    struct cached *slots[SLOTS];
};

enum err match_cache_create(const struct subscriptions *s, struct match_cache **out)
{
    struct match_cache *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return E_NO_MEMORY;
    }
    c->subscriptions = s;
    *out = c;
    return OK;
}

static void slot_clear(struct match_cache *c, struct cached **slot)
{
    if (*slot != NULL) {
        c->bytes -= (*slot)->bytes;
        free(*slot);
        *slot = NULL;
    }
}

static void clear(struct match_cache *c)
{
    for (size_t i = 0; i < SLOTS; i++) {
        slot_clear(c, &c->slots[i]);
    }
}

void match_cache_destroy(struct match_cache *c)
{
    if (c != NULL) {
        clear(c);
        match_fini(&c->scratch);
        free(c);
    }
}

static bool is_current(const struct match_cache *c, const struct cached *e, struct bytes topic,
                       uint64_t hash)
{
    return e != NULL && e->hash == hash &&
           e->generation == subscriptions_generation(c->subscriptions) &&
           bytes_equal((struct bytes){e->topic, e->topic_bytes}, topic);
}

/* A copy of the scratch match; NULL when memory is short, which only costs time. */
static struct cached *remember(struct match_cache *c, struct bytes topic, uint64_t hash)
{
    size_t items = (size_t)c->scratch.count * sizeof(void *);
    size_t shares = (size_t)c->scratch.share_count * sizeof(void *);
    size_t bytes = sizeof(struct cached) + items + shares + topic.size;
    if (c->bytes + bytes > BYTES_MAX) {
        clear(c);
    }
    struct cached *e = bytes > BYTES_MAX / 4 ? NULL : malloc(bytes);
    if (e == NULL) {
        return NULL;
    }
    *e = (struct cached){.generation = subscriptions_generation(c->subscriptions),
                         .hash = hash,
                         .match = c->scratch,
                         .topic_bytes = topic.size,
                         .bytes = bytes};
    e->match.items = (struct subscription **)e->memory;
    e->match.shares = (struct share **)(e->memory + c->scratch.count);
    uint8_t *text = (uint8_t *)(e->memory + c->scratch.count + c->scratch.share_count);
    if (items > 0) {
        memcpy((void *)e->match.items, (const void *)c->scratch.items, items);
    }
    if (shares > 0) {
        memcpy((void *)e->match.shares, (const void *)c->scratch.shares, shares);
    }
    memcpy(text, topic.at, topic.size);
    e->topic = text;
    c->bytes += bytes;
    return e;
}

enum err match_cache_find(struct match_cache *c, struct bytes topic, uint64_t hash,
                          const struct match **out)
{
    struct cached **slot = &c->slots[hash % SLOTS];
    if (is_current(c, *slot, topic, hash)) {
        *out = &(*slot)->match;
        return OK;
    }
    TRY(subscriptions_match(c->subscriptions, topic, &c->scratch));
    slot_clear(c, slot);
    *slot = remember(c, topic, hash);
    *out = *slot == NULL ? &c->scratch : &(*slot)->match;
    return OK;
}
