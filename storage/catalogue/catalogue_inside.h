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

/* How far the file has the names; the saving thread's. */
struct names_kept {
    uint32_t series;    /* So many are in the file, */
    uint32_t open_from; /* those from here on in the last pack, */
    uint32_t open_pack; /* which has this number. */
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

    /* Groups below this get no further columns: where damage took names, places may be in use. */
    uint32_t closed_groups;
    uint32_t damaged; /* What loading left out. */
    struct names_kept kept;
};

const struct series *catalogue_series_at(const struct catalogue *c, uint32_t index);

/* Before others start: ids below `groups` were given out; groups below `closed` get no further
 * columns. */
void catalogue_close_groups(struct catalogue *c, uint32_t groups, uint32_t closed);
/* Log and count what loading leaves out. */
void catalogue_note_damage(struct catalogue *c, const char *what);

#endif /* STORAGE_CATALOGUE_CATALOGUE_INSIDE_H */
