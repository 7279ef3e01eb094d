/* The catalogue: which series exist, and where their points are kept.
 *
 * A series is a path. Its points live in one column of one row group: the fields of a device's
 * message share a group (one topic) and hence their times. A group has at most 64 columns; the next
 * field opens a sibling group of the same topic. The first to define a path owns its place, so a
 * path fed from two topics is still one series.
 *
 * Any thread may call everything here: groups and columns are only ever added, readers take no
 * lock, and adding takes one lock on the first sight of a name. Ids are dense from 0. */

#ifndef STORAGE_CATALOGUE_CATALOGUE_H
#define STORAGE_CATALOGUE_CATALOGUE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/topic.h"

enum { GROUP_COLUMNS_MAX = 64, SERIES_PATH_BYTES_MAX = 1024 };

struct catalogue;
struct kv;

struct series_ref {
    uint32_t group;
    uint8_t column;
};

struct group {
    uint32_t id;
    struct bytes topic;                         /* Lives as long as the catalogue. */
    atomic_uint columns;                        /* Published after the name is in place. */
    unsigned room;                              /* Of `names`; the catalogue's own. */
    _Atomic(const struct series_name **) names; /* Those below `columns`; moves when it grows. */
};

/* The field below the topic: "" for the topic's own series, else "pm25" or "wind/dir". */
struct series_name {
    uint32_t size;
    uint8_t at[];
};

struct catalogue_limits {
    uint32_t series_max;
};

MUST_USE enum err catalogue_create(const struct catalogue_limits *limits, struct catalogue **out);
void catalogue_destroy(struct catalogue *c);

/* The place of series `topic` + "/" + `name`, made if new. E_LIMIT: series_max reached, a path
 * longer than SERIES_PATH_BYTES_MAX, or one that is no topic name. E_NO_MEMORY. */
MUST_USE enum err catalogue_intern(struct catalogue *c, struct bytes topic, struct bytes name,
                                   struct series_ref *out);

/* The same of a series there is. E_NOT_FOUND; E_LIMIT: no path a series may have. */
MUST_USE enum err catalogue_find_below(struct catalogue *c, struct bytes topic, struct bytes name,
                                       struct series_ref *out);

/* The path of the series `name` below `topic`, in `to`. E_LIMIT: no path a series may have. */
MUST_USE enum err catalogue_join(struct bytes topic, struct bytes name,
                                 uint8_t to[SERIES_PATH_BYTES_MAX], struct bytes *path);

/* The place of the series `path`. E_NOT_FOUND. */
MUST_USE enum err catalogue_find(struct catalogue *c, struct bytes path, struct series_ref *out);

/* Groups and series there are now. */
uint32_t catalogue_group_count(const struct catalogue *c);
uint32_t catalogue_series_count(const struct catalogue *c);

/* NULL: no such id (also below the count, where a damaged journal lost a definition). */
const struct group *catalogue_group(const struct catalogue *c, uint32_t id);

/* Name of a column below `columns`; empty where a definition was lost. Any thread, also of series
 * to come: load `columns` first. */
static inline const struct series_name *group_name(const struct group *g, unsigned column)
{
    return atomic_load_explicit(&g->names, memory_order_acquire)[column];
}

/* The `index`-th series in the order they were defined, below catalogue_series_count(). */
struct series_ref catalogue_series(const struct catalogue *c, uint32_t index);

/* Write the path of a series that exists; returns its length, no 0 byte. */
size_t catalogue_path(const struct catalogue *c, struct series_ref ref,
                      uint8_t to[SERIES_PATH_BYTES_MAX]);

/* All series the valid `filter` selects, in order of their paths (bytewise). Free with
 * series_list_fini(). E_NO_MEMORY, E_LIMIT: more than `max`. */
struct series_list {
    size_t count;
    struct series_ref *refs;
};
MUST_USE enum err catalogue_select(struct catalogue *c, struct bytes filter, size_t max,
                                   struct series_list *out);
void series_list_fini(struct series_list *l);

/* Recovery: put a series at the place the journal or the file says. E_CORRUPT: taken by another. */
MUST_USE enum err catalogue_define(struct catalogue *c, struct series_ref ref, struct bytes topic,
                                   struct bytes name);

/* Keep what is not kept yet in `kv` / read all of it. One thread. Errors of kv.h. What is damaged
 * is logged, counted and left out. */
MUST_USE enum err catalogue_save(struct catalogue *c, struct kv *kv);
MUST_USE enum err catalogue_load(struct catalogue *c, struct kv *kv);
uint32_t catalogue_damaged(const struct catalogue *c);

/* Read a file of format version 1, which is not saved to any more. */
MUST_USE enum err catalogue_load_v1(struct catalogue *c, struct kv *kv);
/* The next save writes everything: to another file. */
void catalogue_forget_file(struct catalogue *c);

#endif /* STORAGE_CATALOGUE_CATALOGUE_H */
