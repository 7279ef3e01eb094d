/* Series gathered into groups by tags and levels of their paths. Room-internal to queries. */

#ifndef STORAGE_READ_QUERY_GROUPS_H
#define STORAGE_READ_QUERY_GROUPS_H

#include "storage/read/query.h"

struct query_group {
    size_t key;          /* Where its key begins in `keys`. */
    size_t first, count; /* Its series, in `members`. */
};

struct query_groups {
    size_t count, limit;
    struct query_group *groups; /* In order of their keys' values, bytewise. */
    struct series_ref *members; /* Of each group in order of paths. */
    size_t key_bytes, key_limit;
    uint8_t *keys; /* Of each group, key by key: u16 LE size + value. */
};

/* E_LIMIT: QUERY_GROUP_KEYS_BYTES_MAX. E_NO_MEMORY. */
MUST_USE enum err query_groups_make(const struct catalogue *c, const struct query_request *r,
                                    const struct series_list *series, struct query_groups *out);
void query_groups_fini(struct query_groups *g);

struct bytes query_groups_value(const struct query_groups *g, size_t group, unsigned key);

#endif /* STORAGE_READ_QUERY_GROUPS_H */
