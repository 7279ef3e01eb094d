#include "broker/mqtt/topic_tree.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/hash.h"

enum { SLOTS_FIRST = 64 };

/* Where a walk stands: `rest` begins with the next level unless it has ended. */
struct path {
    struct bytes rest;
    bool ended;
};

static struct path path_of(struct bytes text)
{
    return (struct path){text, false};
}

/* Cut off the next level; only while it has not ended. */
static struct bytes path_next(struct path *p)
{
    const uint8_t *slash = p->rest.size == 0 ? NULL : memchr(p->rest.at, '/', p->rest.size);
    struct bytes level = p->rest;

    if (slash == NULL) {
        p->ended = true;
        return level;
    }
    level.size = (size_t)(slash - level.at);
    p->rest.at += level.size + 1;
    p->rest.size -= level.size + 1;
    return level;
}

static bool is_one(struct bytes level, char c)
{
    return level.size == 1 && level.at[0] == (uint8_t)c;
}

static uint32_t hash_of(const struct topic_node *parent, struct bytes level)
{
    return (uint32_t)hash_seeded((uint64_t)(uintptr_t)parent, level);
}

static struct bytes level_of(const struct topic_node *n)
{
    return (struct bytes){n->level, n->size};
}

static struct topic_node *child_find(const struct topic_tree *t, const struct topic_node *parent,
                                     struct bytes level)
{
    uint32_t hash = hash_of(parent, level);
    struct topic_node *n = t->slots[hash & (t->slot_count - 1)];
    while (n != NULL &&
           !(n->hash == hash && n->parent == parent && bytes_equal(level_of(n), level))) {
        n = n->chained;
    }
    return n;
}

/* Twice the slots; staying small on lack of memory only costs time. */
static void grow(struct topic_tree *t)
{
    size_t count = t->slot_count * 2;
    struct topic_node **slots = calloc(count, sizeof(struct topic_node *));
    if (slots == NULL) {
        return;
    }
    for (size_t i = 0; i < t->slot_count; i++) {
        for (struct topic_node *n = t->slots[i], *after; n != NULL; n = after) {
            after = n->chained;
            n->chained = slots[n->hash & (count - 1)];
            slots[n->hash & (count - 1)] = n;
        }
    }
    free(t->slots);
    t->slots = slots;
    t->slot_count = count;
}

static struct topic_node *node_create(struct bytes level)
{
    struct topic_node *n = calloc(1, sizeof *n + level.size);
    if (n != NULL && level.size > 0) {
        n->size = (uint32_t)level.size;
        memcpy(n->level, level.at, level.size);
    }
    return n;
}

static struct topic_node *child_add(struct topic_tree *t, struct topic_node *parent,
                                    struct bytes level)
{
    struct topic_node *n = node_create(level);
    if (n == NULL) {
        return NULL;
    }
    if (t->node_count >= t->slot_count) {
        grow(t);
    }
    n->parent = parent;
    n->next = parent->child;
    if (n->next != NULL) {
        n->next->previous = n;
    }
    parent->child = n;
    n->hash = hash_of(parent, level);
    n->chained = t->slots[n->hash & (t->slot_count - 1)];
    t->slots[n->hash & (t->slot_count - 1)] = n;
    t->node_count++;
    if (is_one(level, '+')) {
        parent->plus = n;
    } else if (is_one(level, '#')) {
        parent->rest = n;
    }
    return n;
}

/* Take a leaf out and free it. */
static void child_remove(struct topic_tree *t, struct topic_node *n)
{
    struct topic_node **at = &t->slots[n->hash & (t->slot_count - 1)];
    while (*at != n) {
        at = &(*at)->chained;
    }
    *at = n->chained;
    if (n->previous != NULL) {
        n->previous->next = n->next;
    } else {
        n->parent->child = n->next;
    }
    if (n->next != NULL) {
        n->next->previous = n->previous;
    }
    if (n->parent->plus == n) {
        n->parent->plus = NULL;
    } else if (n->parent->rest == n) {
        n->parent->rest = NULL;
    }
    t->node_count--;
    free(n);
}

enum err topic_tree_init(struct topic_tree *t)
{
    *t = (struct topic_tree){.slot_count = SLOTS_FIRST};
    t->root = node_create((struct bytes){NULL, 0});
    t->slots = calloc(SLOTS_FIRST, sizeof(struct topic_node *));
    if (t->root == NULL || t->slots == NULL) {
        topic_tree_fini(t);
        return E_NO_MEMORY;
    }
    return OK;
}

void topic_tree_fini(struct topic_tree *t)
{
    for (size_t i = 0; t->slots != NULL && i < t->slot_count; i++) {
        for (struct topic_node *n = t->slots[i], *after; n != NULL; n = after) {
            after = n->chained;
            free(n);
        }
    }
    free(t->slots);
    free(t->root);
    *t = (struct topic_tree){0};
}

enum err topic_tree_add(struct topic_tree *t, struct bytes path, struct topic_node **out)
{
    struct path p = path_of(path);
    struct topic_node *at = t->root;

    while (!p.ended) {
        struct bytes level = path_next(&p);
        struct topic_node *child = child_find(t, at, level);
        if (child == NULL) {
            child = child_add(t, at, level);
        }
        if (child == NULL) {
            topic_tree_prune(t, at);
            return E_NO_MEMORY;
        }
        at = child;
    }
    *out = at;
    return OK;
}

struct topic_node *topic_tree_find(const struct topic_tree *t, struct bytes path)
{
    struct path p = path_of(path);
    struct topic_node *at = t->root;

    while (!p.ended && at != NULL) {
        at = child_find(t, at, path_next(&p));
    }
    return at;
}

void topic_tree_prune(struct topic_tree *t, struct topic_node *node)
{
    while (node != t->root && node->value == NULL && node->child == NULL) {
        struct topic_node *parent = node->parent;
        child_remove(t, node);
        node = parent;
    }
}

static void visit_node(const struct topic_node *n, topic_visit *visit, void *context)
{
    if (n != NULL && n->value != NULL) {
        visit(context, n->value);
    }
}

void topic_tree_each(const struct topic_tree *t, topic_visit *visit, void *context)
{
    for (size_t i = 0; t->slots != NULL && i < t->slot_count; i++) {
        for (const struct topic_node *n = t->slots[i]; n != NULL; n = n->chained) {
            visit_node(n, visit, context);
        }
    }
}

/* Filters below `at` against what is left of the name. */
// NOLINTNEXTLINE(misc-no-recursion): no deeper than TOPIC_LEVELS_MAX
static void match(const struct topic_tree *t, const struct topic_node *at, struct path p,
                  topic_visit *visit, void *context)
{
    if (p.ended) {
        visit_node(at, visit, context);
        visit_node(at->rest, visit, context); /* "a/#" selects "a" as well. */
        return;
    }
    bool is_hidden = at == t->root && p.rest.size > 0 && p.rest.at[0] == '$';
    struct bytes level = path_next(&p);
    const struct topic_node *literal = child_find(t, at, level);

    if (literal != NULL) {
        match(t, literal, p, visit, context);
    }
    if (is_hidden) {
        return; /* [MQTT-4.7.2-1] */
    }
    visit_node(at->rest, visit, context);
    if (at->plus != NULL) {
        match(t, at->plus, p, visit, context);
    }
}

void topic_tree_match(const struct topic_tree *t, struct bytes name, topic_visit *visit,
                      void *context)
{
    match(t, t->root, path_of(name), visit, context);
}

static bool is_hidden(const struct topic_tree *t, const struct topic_node *n)
{
    return n->parent == t->root && n->size > 0 && n->level[0] == '$';
}

// NOLINTNEXTLINE(misc-no-recursion): no deeper than TOPIC_LEVELS_MAX
static void visit_all(const struct topic_tree *t, const struct topic_node *at, topic_visit *visit,
                      void *context)
{
    visit_node(at, visit, context);
    for (const struct topic_node *n = at->child; n != NULL; n = n->next) {
        if (!is_hidden(t, n)) {
            visit_all(t, n, visit, context);
        }
    }
}

/* Names below `at` that what is left of the filter selects. */
// NOLINTNEXTLINE(misc-no-recursion): no deeper than TOPIC_LEVELS_MAX
static void select_below(const struct topic_tree *t, const struct topic_node *at, struct path p,
                         topic_visit *visit, void *context)
{
    if (p.ended) {
        visit_node(at, visit, context);
        return;
    }
    struct bytes level = path_next(&p);
    if (is_one(level, '#')) {
        visit_all(t, at, visit, context);
        return;
    }
    if (!is_one(level, '+')) {
        const struct topic_node *literal = child_find(t, at, level);
        if (literal != NULL) {
            select_below(t, literal, p, visit, context);
        }
        return;
    }
    for (const struct topic_node *n = at->child; n != NULL; n = n->next) {
        if (!is_hidden(t, n)) {
            select_below(t, n, p, visit, context);
        }
    }
}

void topic_tree_select(const struct topic_tree *t, struct bytes filter, topic_visit *visit,
                       void *context)
{
    select_below(t, t->root, path_of(filter), visit, context);
}
