/* A query's plan, as its cursors see it. Room-internal to queries; immutable while they run. */

#ifndef STORAGE_READ_QUERY_INSIDE_H
#define STORAGE_READ_QUERY_INSIDE_H

#include "storage/read/query_groups.h"

struct query {
    struct engine *engine;
    struct query_request request; /* Without its filter. */
    struct series_list series;
    struct query_groups groups; /* None without keys. */
    unsigned columns;
    struct query_cursor *own; /* Of query_step(); NULL: not called yet. */
    uint64_t rows_left;
};

/* The series of a unit. */
struct query_members {
    size_t count;
    const struct series_ref *refs;
};

static inline struct query_members query_members(const struct query *q, size_t unit)
{
    if (q->request.key_count == 0) {
        return (struct query_members){1, &q->series.refs[unit]};
    }
    const struct query_group *g = &q->groups.groups[unit];
    return (struct query_members){g->count, &q->groups.members[g->first]};
}

#endif /* STORAGE_READ_QUERY_INSIDE_H */
