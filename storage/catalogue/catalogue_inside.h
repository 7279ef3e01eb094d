/* What the files of the catalogue share. Nobody else includes this. */

#ifndef STORAGE_CATALOGUE_CATALOGUE_INSIDE_H
#define STORAGE_CATALOGUE_CATALOGUE_INSIDE_H

#include "base/thread.h"
#include "storage/catalogue/catalogue.h"
#include "storage/memory/arena.h"
#include "storage/memory/id_set.h"
#include "storage/memory/segments.h"

/* A series and its whole path, in the order of definition. Never changed once counted. */
struct series {
    struct bytes path;
    struct series_ref ref;
};

/* Ids of the first `count` series in order of their paths; shared, never changed. */
struct series_order {
    unsigned holders; /* Under order_lock. */
    uint32_t count;
    uint32_t ids[];
};

/* catalogue_tag.c: changed under the catalogue's lock. */
struct tag_store {
    struct arena arena;
    _Atomic uint64_t bytes; /* Of the arena, for any thread. */
    struct segments texts;  /* _Atomic(const struct tag_text *), by ids from 1 */
    struct segments sets;   /* _Atomic(const struct tag_set *), by ids from 1 */
    struct segments groups; /* struct tag_group */
    struct id_set by_text, by_set;
    uint32_t text_count, set_count;
};
void tag_store_fini(struct tag_store *t);

struct catalogue {
    uint32_t series_max;
    struct lock lock;       /* Adding; guards the arena and everything that grows. */
    struct arena arena;     /* Paths, names, groups. */
    struct segments series; /* struct series */
    struct segments groups; /* _Atomic(struct group *) */
    atomic_uint series_count, group_count;
    struct id_set by_path;  /* Series ids. */
    struct id_set by_topic; /* Group ids. */

    struct lock order_lock;
    struct series_order *order;

    struct tag_store tags;

    uint32_t kept; /* Series that are in the file; the saving thread's. */
};

const struct series *catalogue_series_at(const struct catalogue *c, uint32_t index);

#endif /* STORAGE_CATALOGUE_CATALOGUE_INSIDE_H */
