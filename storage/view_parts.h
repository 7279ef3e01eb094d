/* The partitions of a view: layers of parts, each of periods that do not overlap, ascending.
 *
 * Layers lie over one another: at equal times what is in a later layer came later. Parts of an
 * active layer are moved to the closing one when a sealing begins to read them, so that checkpoints
 * can go on with new files for the same periods. */

#ifndef STORAGE_VIEW_PARTS_H
#define STORAGE_VIEW_PARTS_H

#include <stddef.h>

#include "storage/part/part.h"

enum view_layer { VIEW_SEALED, VIEW_CLOSING, VIEW_ACTIVE, VIEW_LAYERS };

struct view_parts {
    size_t count;
    struct part **at;
};

/* Index of the first part that ends after `time_ns`; l->count: none. */
size_t view_part_from(const struct view_parts *l, int64_t time_ns);

/* The part whose period holds `time_ns`, borrowed; NULL: none. */
struct part *view_part_find(const struct view_parts *l, int64_t time_ns);

/* Put `p` where it belongs; there is room. Take it out, if it is there. */
void view_part_add(struct view_parts *l, struct part *p);
void view_part_remove(struct view_parts *l, const struct part *p);

#endif /* STORAGE_VIEW_PARTS_H */
