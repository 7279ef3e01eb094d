#include "broker/subscriptions.h"

#include <stdlib.h>

#include "base/check.h"
#include "broker/topic_tree.h"

struct filter_entry {
    struct topic_node *node;
    uint64_t loops;
    uint32_t count, capacity;
    struct subscription **items;
    size_t size;
    uint8_t filter[];
};

struct subscriptions {
    struct topic_tree tree;
    uint64_t generation;
    uint64_t entries;
    void (*on_interest)(void *context, struct bytes filter, bool gained);
    void *context;
};

enum err subscriptions_create(void (*on_interest)(void *context, struct bytes filter, bool gained),
                              void *context, struct subscriptions **out)
{
    struct subscriptions *s = calloc(1, sizeof *s);
    if (s == NULL || topic_tree_init(&s->tree) != OK) {
        free(s);
        return E_NO_MEMORY;
    }
    s->generation = 1;
    s->on_interest = on_interest;
    s->context = context;
    *out = s;
    return OK;
}

static void free_entry(void *context, void *value)
{
    struct filter_entry *e = value;
    (void)context;
    free((void *)e->items);
    free(e);
}

void subscriptions_destroy(struct subscriptions *s)
{
    if (s != NULL) {
        topic_tree_each(&s->tree, free_entry, NULL);
        topic_tree_fini(&s->tree);
        free(s);
    }
}

static struct bytes filter_of(const struct filter_entry *e)
{
    return (struct bytes){e->filter, e->size};
}

static struct filter_entry *entry_find(const struct subscriptions *s, struct bytes filter)
{
    struct topic_node *node = topic_tree_find(&s->tree, filter);
    return node == NULL ? NULL : node->value;
}

static enum err entry_take(struct subscriptions *s, struct bytes filter, struct filter_entry **out)
{
    struct topic_node *node;
    TRY(topic_tree_add(&s->tree, filter, &node));
    if (node->value == NULL) {
        struct filter_entry *e = calloc(1, sizeof *e + filter.size);
        if (e == NULL) {
            topic_tree_prune(&s->tree, node);
            return E_NO_MEMORY;
        }
        e->node = node;
        e->size = filter.size;
        memcpy(e->filter, filter.at, filter.size);
        node->value = e;
        s->entries++;
    }
    *out = node->value;
    return OK;
}

/* Let go of an entry nobody needs any more. */
static void entry_drop(struct subscriptions *s, struct filter_entry *e)
{
    if (e->count == 0 && e->loops == 0) {
        struct topic_node *node = e->node;
        node->value = NULL;
        free_entry(NULL, e);
        topic_tree_prune(&s->tree, node);
        s->entries--;
    }
}

/* Look where there is less to look through. */
static struct subscription *subscription_find(const struct filter_entry *e,
                                              const struct subscriber *subscriber)
{
    if (subscriber->count < e->count) {
        for (struct subscription *at = subscriber->first; at != NULL; at = at->next) {
            if (at->entry == e) {
                return at;
            }
        }
        return NULL;
    }
    for (uint32_t i = 0; i < e->count; i++) {
        if (e->items[i]->subscriber == subscriber) {
            return e->items[i];
        }
    }
    return NULL;
}

static enum err reserve(struct subscription ***items, uint32_t count, uint32_t *capacity)
{
    if (count < *capacity) {
        return OK;
    }
    uint32_t wanted = *capacity == 0 ? 1 : *capacity * 2;
    struct subscription **grown =
        realloc((void *)*items, (size_t)wanted * sizeof(struct subscription *));
    if (grown == NULL) {
        return E_NO_MEMORY;
    }
    *items = grown;
    *capacity = wanted;
    return OK;
}

static void link_in(struct filter_entry *e, struct subscriber *subscriber, struct subscription *new)
{
    new->subscriber = subscriber;
    new->entry = e;
    new->index = e->count;
    e->items[e->count++] = new;
    new->previous = NULL;
    new->next = subscriber->first;
    if (new->next != NULL) {
        new->next->previous = new;
    }
    subscriber->first = new;
    subscriber->count++;
}

enum err subscriptions_put(struct subscriptions *s, struct subscriber *subscriber,
                           struct bytes filter, const struct subscription_options *options,
                           bool *existed)
{
    struct filter_entry *e;
    TRY(entry_take(s, filter, &e));
    struct subscription *at = subscription_find(e, subscriber);
    *existed = at != NULL;
    if (at == NULL) {
        at = malloc(sizeof *at);
        if (at == NULL || reserve(&e->items, e->count, &e->capacity) != OK) {
            free(at);
            entry_drop(s, e);
            return E_NO_MEMORY;
        }
        link_in(e, subscriber, at);
        if (e->count == 1) {
            s->on_interest(s->context, filter, true);
        }
    }
    at->options = *options;
    s->generation++;
    return OK;
}

static void subscription_remove(struct subscriptions *s, struct subscription *at)
{
    struct filter_entry *e = at->entry;
    struct subscriber *subscriber = at->subscriber;

    e->items[at->index] = e->items[--e->count];
    e->items[at->index]->index = at->index;
    if (at->previous != NULL) {
        at->previous->next = at->next;
    } else {
        subscriber->first = at->next;
    }
    if (at->next != NULL) {
        at->next->previous = at->previous;
    }
    subscriber->count--;
    free(at);
    s->generation++;
    if (e->count == 0) {
        s->on_interest(s->context, filter_of(e), false);
        entry_drop(s, e);
    }
}

bool subscriptions_has(const struct subscriptions *s, const struct subscriber *subscriber,
                       struct bytes filter)
{
    const struct filter_entry *e = entry_find(s, filter);
    return e != NULL && subscription_find(e, subscriber) != NULL;
}

enum err subscriptions_remove(struct subscriptions *s, struct subscriber *subscriber,
                              struct bytes filter)
{
    struct filter_entry *e = entry_find(s, filter);
    struct subscription *at = e == NULL ? NULL : subscription_find(e, subscriber);
    if (at == NULL) {
        return E_NOT_FOUND;
    }
    subscription_remove(s, at);
    return OK;
}

void subscriptions_clear(struct subscriptions *s, struct subscriber *subscriber)
{
    while (subscriber->first != NULL) {
        subscription_remove(s, subscriber->first);
    }
}

enum err subscriptions_interest(struct subscriptions *s, struct bytes filter, unsigned loop,
                                bool gained)
{
    struct filter_entry *e;
    CHECK(loop < 64);
    TRY(entry_take(s, filter, &e));
    uint64_t bit = UINT64_C(1) << loop;
    e->loops = gained ? e->loops | bit : e->loops & ~bit;
    s->generation++;
    entry_drop(s, e);
    return OK;
}

bool subscriptions_is_empty(const struct subscriptions *s)
{
    return s->entries == 0;
}

uint64_t subscriptions_generation(const struct subscriptions *s)
{
    return s->generation;
}

struct collection {
    struct match *match;
    enum err result;
};

static void collect(void *context, void *value)
{
    struct collection *c = context;
    struct match *m = c->match;
    const struct filter_entry *e = value;

    m->loops |= e->loops;
    for (uint32_t i = 0; i < e->count; i++) {
        if (reserve(&m->items, m->count, &m->capacity) != OK) {
            c->result = E_NO_MEMORY;
            return;
        }
        m->items[m->count++] = e->items[i];
    }
}

static int by_subscriber(const void *a, const void *b)
{
    const struct subscription *const *left = a, *const *right = b;
    uintptr_t l = (uintptr_t)(*left)->subscriber, r = (uintptr_t)(*right)->subscriber;
    return l < r ? -1 : l > r;
}

enum err subscriptions_match(const struct subscriptions *s, struct bytes topic, struct match *m)
{
    struct collection c = {m, OK};
    m->loops = 0;
    m->count = 0;
    topic_tree_match(&s->tree, topic, collect, &c);
    if (m->count > 1) {
        qsort((void *)m->items, m->count, sizeof(struct subscription *), by_subscriber);
    }
    return c.result;
}
