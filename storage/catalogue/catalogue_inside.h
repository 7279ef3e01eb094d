/* What the files of the catalogue share. Nobody else includes this. */

#ifndef STORAGE_CATALOGUE_CATALOGUE_INSIDE_H
#define STORAGE_CATALOGUE_CATALOGUE_INSIDE_H

#include "base/thread.h"
#include "storage/catalogue/catalogue.h"
#include "storage/catalogue/pack_table.h"
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
    atomic_uint group_end; /* Groups with tags are below this. */

    /* The saving thread's. */
    struct pack_table table;
    bool all_dirty; /* A save failed half way, or the file is another. */
};
void tag_store_init(struct tag_store *t);
void tag_store_fini(struct tag_store *t);
/* NULL: nothing of this group ever had tags. */
atomic_bool *tag_store_dirty(const struct tag_store *t, uint32_t group);
/* Columns of the group that may have tags. */
unsigned tag_store_columns(const struct tag_store *t, uint32_t group);
/* A set of 1..TAG_SET_MAX tags by ascending keys, and its number from 1. */
struct tag;
MUST_USE enum err tag_store_intern(struct tag_store *t, const struct tag *tags, unsigned count,
                                   uint32_t *id);
/* The series has this set from now on (0: none); true of the file, too, if `is_kept`. */
MUST_USE enum err tag_store_give(struct tag_store *t, struct series_ref ref, uint32_t id,
                                 bool is_kept);

/* catalogue_tag_file.c */
MUST_USE enum err tag_store_save(struct catalogue *c, struct kv *kv);
MUST_USE enum err tag_store_load(struct catalogue *c, struct kv *kv);

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
