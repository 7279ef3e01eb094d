#include "broker/mqtt/subscriptions.h"

#include <stdlib.h>

#include "base/check.h"
#include "broker/mqtt/share.h"
#include "broker/mqtt/topic_tree.h"

struct filter_entry {
    struct topic_node *node;
    uint64_t loops;
    struct members members;
    struct share *shares;
    size_t size;
    uint8_t filter[];
};

struct subscriptions {
    struct topic_tree tree;
    uint64_t generation;
    uint64_t entries;
    subscriptions_interest_change *on_interest;
    void *context;
};

/* Where the subscribers of one filter stand. */
struct place {
    struct filter_entry *entry;
    struct share *share; /* NULL: not shared. */
};

enum err subscriptions_create(subscriptions_interest_change *on_interest, void *context,
                              struct subscriptions **out)
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
    while (e->shares != NULL) {
        struct share *share = e->shares;
        e->shares = share->next;
        share_destroy(share);
    }
    members_fini(&e->members);
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

static struct members *members_of(const struct place *p)
{
    return p->share != NULL ? &p->share->members : &p->entry->members;
}

static struct share *share_find(const struct filter_entry *e, struct bytes group)
{
    struct share *at = e->shares;
    while (at != NULL && !bytes_equal(at->group, group)) {
        at = at->next;
    }
    return at;
}

/* E_NOT_FOUND. */
static enum err place_find(const struct subscriptions *s, struct bytes text, struct place *out)
{
    struct bytes group, filter = text;
    bool shared = share_split(text, &group, &filter);
    if (share_is_shared(text) && !shared) {
        return E_NOT_FOUND;
    }
    const struct topic_node *node = topic_tree_find(&s->tree, filter);
    if (node == NULL || node->value == NULL) {
        return E_NOT_FOUND;
    }
    *out = (struct place){.entry = node->value};
    if (shared) {
        out->share = share_find(out->entry, group);
    }
    return shared && out->share == NULL ? E_NOT_FOUND : OK;
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

/* Let go of a place nobody needs any more. */
static void place_drop(struct subscriptions *s, const struct place *p)
{
    struct filter_entry *e = p->entry;
    if (p->share != NULL && p->share->members.count == 0 && p->share->elsewhere == 0) {
        struct share **at = &e->shares;
        while (*at != p->share) {
            at = &(*at)->next;
        }
        *at = p->share->next;
        share_destroy(p->share);
    }
    if (e->members.count == 0 && e->loops == 0 && e->shares == NULL) {
        struct topic_node *node = e->node;
        node->value = NULL;
        free_entry(NULL, e);
        topic_tree_prune(&s->tree, node);
        s->entries--;
    }
}

/* The place, made if absent; drop it if nothing is put there. */
static enum err place_take(struct subscriptions *s, struct bytes text, struct place *out)
{
    struct bytes group, filter = text;
    struct place p = {0};
    bool shared = share_split(text, &group, &filter);

    if (share_is_shared(text) && !shared) {
        return E_MALFORMED;
    }
    TRY(entry_take(s, filter, &p.entry));
    if (shared) {
        p.share = share_find(p.entry, group);
    }
    if (shared && p.share == NULL) {
        enum err e = share_create(text, &p.share);
        if (e != OK) {
            place_drop(s, &p);
            return e;
        }
        p.share->next = p.entry->shares;
        p.entry->shares = p.share;
    }
    *out = p;
    return OK;
}

/* Look where there is less to look through. */
static struct subscription *subscription_find(const struct place *p,
                                              const struct subscriber *subscriber)
{
    const struct members *m = members_of(p);
    if (subscriber->count < m->count) {
        for (struct subscription *at = subscriber->first; at != NULL; at = at->next) {
            if (at->entry == p->entry && at->share == p->share) {
                return at;
            }
        }
        return NULL;
    }
    for (uint32_t i = 0; i < m->count; i++) {
        if (m->items[i]->subscriber == subscriber) {
            return m->items[i];
        }
    }
    return NULL;
}

/* Tell of a place that has changed. */
static void tell(struct subscriptions *s, const struct place *p)
{
    const uint32_t count = p->entry->members.count;
    if (p->share != NULL) {
        s->on_interest(s->context, p->share->filter->view.topic, share_interest(p->share));
    } else if (count <= 1) {
        s->on_interest(s->context, (struct bytes){p->entry->filter, p->entry->size}, count);
    }
}

static enum err subscription_add(struct subscriptions *s, const struct place *p,
                                 struct subscriber *subscriber, struct subscription **out)
{
    struct subscription *new = malloc(sizeof *new);
    if (new == NULL || members_add(members_of(p), new) != OK) {
        free(new);
        return E_NO_MEMORY;
    }
    new->subscriber = subscriber;
    new->entry = p->entry;
    new->share = p->share;
    new->number = subscriber->numbered++;
    new->previous = NULL;
    new->next = subscriber->first;
    if (new->next != NULL) {
        new->next->previous = new;
    }
    subscriber->first = new;
    subscriber->count++;
    if (p->share != NULL) {
        p->share->here += subscriber->is_here;
    }
    if (p->share != NULL || members_of(p)->count == 1) {
        tell(s, p);
    }
    *out = new;
    return OK;
}

enum err subscriptions_put(struct subscriptions *s, struct subscriber *subscriber,
                           struct bytes filter, const struct subscription_options *options,
                           bool *existed)
{
    struct place p;
    TRY(place_take(s, filter, &p));
    struct subscription *at = subscription_find(&p, subscriber);
    *existed = at != NULL;
    if (at == NULL) {
        enum err e = subscription_add(s, &p, subscriber, &at);
        if (e != OK) {
            place_drop(s, &p);
            return e;
        }
    }
    at->options = *options;
    s->generation++;
    return OK;
}

static void subscription_remove(struct subscriptions *s, struct subscription *at)
{
    const struct place p = {at->entry, at->share};
    struct subscriber *subscriber = at->subscriber;

    members_remove(members_of(&p), at);
    if (p.share != NULL) {
        p.share->here -= subscriber->is_here;
    }
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
    if (p.share != NULL || p.entry->members.count == 0) {
        tell(s, &p);
    }
    place_drop(s, &p);
}

struct subscription *subscriptions_find(const struct subscriptions *s,
                                        const struct subscriber *subscriber, struct bytes filter)
{
    struct place p;
    return place_find(s, filter, &p) == OK ? subscription_find(&p, subscriber) : NULL;
}

enum err subscriptions_remove(struct subscriptions *s, struct subscriber *subscriber,
                              struct bytes filter)
{
    struct place p;
    TRY(place_find(s, filter, &p));
    struct subscription *at = subscription_find(&p, subscriber);
    if (at == NULL) {
        return E_NOT_FOUND;
    }
    subscription_remove(s, at);
    return OK;
}

void subscriptions_clear(struct subscriptions *s, struct subscriber *subscriber)
{
    for (struct subscription *at = subscriber->first, *next; at != NULL; at = next) {
        next = at->next;
        subscription_remove(s, at);
    }
}

void subscriptions_set_here(struct subscriptions *s, struct subscriber *subscriber, bool is_here)
{
    if (subscriber->is_here == is_here) {
        return;
    }
    subscriber->is_here = is_here;
    for (struct subscription *at = subscriber->first; at != NULL; at = at->next) {
        if (at->share != NULL) {
            const struct place p = {at->entry, at->share};
            at->share->here = is_here ? at->share->here + 1 : at->share->here - 1;
            tell(s, &p);
        }
    }
}

enum err subscriptions_interest(struct subscriptions *s, struct bytes filter, unsigned loop,
                                uint64_t interest)
{
    struct place p;
    CHECK(loop < LOOPS_MAX);
    TRY(place_take(s, filter, &p));
    uint64_t bit = UINT64_C(1) << loop;
    if (p.share != NULL) {
        share_set(p.share, loop, interest);
    } else {
        p.entry->loops = interest > 0 ? p.entry->loops | bit : p.entry->loops & ~bit;
    }
    s->generation++;
    place_drop(s, &p);
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

struct share *subscriptions_share(const struct subscriptions *s, struct bytes filter)
{
    struct place p;
    return place_find(s, filter, &p) == OK ? p.share : NULL;
}

struct collection {
    struct match *match;
    enum err result;
};

/* Room for one more pointer. */
static enum err reserve(void **items, uint32_t count, uint32_t *capacity)
{
    if (count < *capacity) {
        return OK;
    }
    uint32_t wanted = *capacity == 0 ? 4 : *capacity * 2;
    void *grown = realloc(*items, (size_t)wanted * sizeof(void *));
    if (grown == NULL) {
        return E_NO_MEMORY;
    }
    *items = grown;
    *capacity = wanted;
    return OK;
}

static enum err collect_entry(struct match *m, const struct filter_entry *e)
{
    m->loops |= e->loops;
    for (uint32_t i = 0; i < e->members.count; i++) {
        TRY(reserve((void **)&m->items, m->count, &m->capacity));
        m->items[m->count++] = e->members.items[i];
    }
    for (struct share *at = e->shares; at != NULL; at = at->next) {
        TRY(reserve((void **)&m->shares, m->share_count, &m->share_capacity));
        m->shares[m->share_count++] = at;
    }
    return OK;
}

static void collect(void *context, void *value)
{
    struct collection *c = context;
    if (c->result == OK) {
        c->result = collect_entry(c->match, value);
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
    m->count = m->share_count = 0;
    topic_tree_match(&s->tree, topic, collect, &c);
    if (m->count > 1) {
        qsort((void *)m->items, m->count, sizeof(struct subscription *), by_subscriber);
    }
    return c.result;
}

void match_fini(struct match *m)
{
    free((void *)m->items);
    free((void *)m->shares);
    *m = (struct match){0};
}
