/* A view: the set of partitions and heads that together hold every point, at one moment.
 *
 * The store thread publishes a new view when a checkpoint or retention changes the set; readers
 * hold the current one for one step of a query, never across a wait. Heads are ordered oldest
 * first. At equal times a later head wins over an earlier one, heads win over partitions, and those
 * of a later layer over those of an earlier one. */

#ifndef STORAGE_VIEW_H
#define STORAGE_VIEW_H

#include "storage/erase/tombs.h"
#include "storage/memory/head.h"
#include "storage/view_parts.h"

struct engine;

enum { VIEW_HEADS_MAX = 2 };

struct view {
    unsigned heads;
    struct head *head[VIEW_HEADS_MAX];
    struct view_parts layer[VIEW_LAYERS];
    const struct tombs *tombs; /* What is deleted in them, though it is there; NULL: nothing. */
};

static inline size_t view_part_count(const struct view *v)
{
    return v->layer[VIEW_SEALED].count + v->layer[VIEW_CLOSING].count + v->layer[VIEW_ACTIVE].count;
}

/* Any thread. The view and all in it live until dropped. */
const struct view *view_hold(struct engine *e);
void view_drop(struct engine *e, const struct view *v);

/* Count a chunk that could not be read. Any thread. */
void view_count_corrupt(struct engine *e);

#endif /* STORAGE_VIEW_H */
