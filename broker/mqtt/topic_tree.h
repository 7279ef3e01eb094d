/* A tree of topics by level: filters to be matched by a name, or names to be selected by a filter.
 *
 * Every node is found by one hash look-up of (parent, level), so a level with a million children
 * costs no more than one with two. Paths must be valid (base/topic.h): that bounds the depth. */

#ifndef BROKER_MQTT_TOPIC_TREE_H
#define BROKER_MQTT_TOPIC_TREE_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct topic_node {
    void *value; /* The caller's; NULL: only a step on the way to others. */
    struct topic_node *parent, *child, *next, *previous; /* First child; siblings. */
    struct topic_node *plus, *rest;                      /* The children "+" and "#", else NULL. */
    struct topic_node *chained; /* Next in the same slot of the hash table. */
    uint32_t hash;
    uint32_t size;
    uint8_t level[];
};

struct topic_tree {
    struct topic_node *root;
    struct topic_node **slots;
    size_t slot_count, node_count;
};

MUST_USE enum err topic_tree_init(struct topic_tree *t);
/* Frees the nodes; values are the caller's. An all-zero tree is fine. */
void topic_tree_fini(struct topic_tree *t);

/* The node of `path`, made when absent; set its value or prune it. E_NO_MEMORY. */
MUST_USE enum err topic_tree_add(struct topic_tree *t, struct bytes path, struct topic_node **out);
/* NULL: absent. Wildcards in `path` are ordinary levels here. */
struct topic_node *topic_tree_find(const struct topic_tree *t, struct bytes path);
/* Take out `node` and its ancestors as far as they have neither value nor children. */
void topic_tree_prune(struct topic_tree *t, struct topic_node *node);

/* Call `visit` for the value of every node (visit may free the value) ... */
typedef void topic_visit(void *context, void *value);
void topic_tree_each(const struct topic_tree *t, topic_visit *visit, void *context);
/* ... whose path, a filter, selects `name`; */
void topic_tree_match(const struct topic_tree *t, struct bytes name, topic_visit *visit,
                      void *context);
/* ... whose path, a name, is selected by `filter`. The tree must not change meanwhile. */
void topic_tree_select(const struct topic_tree *t, struct bytes filter, topic_visit *visit,
                       void *context);

#endif /* BROKER_MQTT_TOPIC_TREE_H */
