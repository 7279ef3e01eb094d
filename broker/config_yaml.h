/* A YAML text, one node after the other, each with its place. The door to libyaml.
 *
 * What a node means is for the caller to say; complaints about it, and the library's own about what
 * is no YAML, are one line that begins with file:line:column. */

#ifndef BROKER_CONFIG_YAML_H
#define BROKER_CONFIG_YAML_H

#include <stddef.h>

#include "base/bytes.h"
#include "base/err.h"

enum config_node {
    CONFIG_NODE_TEXT,  /* A value or the key of a map. */
    CONFIG_NODE_ALIAS, /* `*name`: stands for another node. */
    CONFIG_NODE_LIST,  /* Its nodes follow, then CONFIG_NODE_END. */
    CONFIG_NODE_MAP,   /* Key, value, ..., CONFIG_NODE_END. */
    CONFIG_NODE_END,
    CONFIG_NODE_OVER /* Of the text; nothing follows. */
};

struct config_place {
    size_t line, column; /* From 1. */
};

struct config_yaml;

/* Borrow `text`, `path` and `complaint` until config_yaml_destroy(). E_NO_MEMORY. */
struct config_yaml_source {
    struct bytes text;
    const char *path; /* For complaints. */
    char *complaint;
    size_t complaint_bytes;
};
MUST_USE enum err config_yaml_create(const struct config_yaml_source *source,
                                     struct config_yaml **out);
void config_yaml_destroy(struct config_yaml *y);

/* The next node. E_MALFORMED: no YAML, or a second document; complained of. */
MUST_USE enum err config_yaml_next(struct config_yaml *y, enum config_node *kind);

/* Of the node at hand: its text, 0-terminated and without a 0 byte in it, until the next call; and
 * where it begins. */
const char *config_yaml_text(const struct config_yaml *y);
struct config_place config_yaml_place(const struct config_yaml *y);

/* Say what is wrong at a place; E_MALFORMED. */
MUST_USE enum err config_yaml_refuse(struct config_yaml *y, struct config_place place,
                                     const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The next node, which must be a text: one value. */
MUST_USE enum err config_yaml_next_value(struct config_yaml *y);

#endif /* BROKER_CONFIG_YAML_H */
