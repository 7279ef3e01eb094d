/* Tags of series as one pack, by ascending (group, column): each series has a set, told in full the
 * first time and by number after that; the texts in it are words. docs/FORMAT.md, "Catalogue".
 * Pure; inside this room only. */

#ifndef STORAGE_CATALOGUE_TAG_PACK_H
#define STORAGE_CATALOGUE_TAG_PACK_H

#include "storage/catalogue/catalogue_tag.h"
#include "storage/catalogue/pack.h"

/* Sets of a pack, by what the writer tells them apart. */
struct tag_pack_sets {
    const struct tag_set **at;
    uint32_t count, room;
};

struct tag_pack_writer { /* Zeroed: an empty pack. */
    struct writer out;   /* The body. */
    struct pack_words words;
    struct tag_pack_sets sets;
    struct series_ref before;
};

/* Append the tags of a series, behind those of lower places. E_NO_MEMORY. */
MUST_USE enum err tag_pack_put(struct tag_pack_writer *p, const struct catalogue *c,
                               struct series_ref ref, const struct tag_set *set);
void tag_pack_restart(struct tag_pack_writer *p); /* Empty; keeps its memory. */
void tag_pack_fini(struct tag_pack_writer *p);

struct tag_pack_entry {
    struct series_ref ref;
    uint32_t set;           /* Number of its set, */
    bool is_new;            /* and whether it is told here first: */
    unsigned count;         /* so many tags, */
    const struct tag *tags; /* by ascending keys. */
};

struct tag_pack_reader {
    struct bytes in;
    struct pack_words words;
    struct series_ref before;
    uint32_t sets;
    bool has_entries;
    struct tag tags[TAG_SET_MAX];
};

void tag_pack_open(struct tag_pack_reader *r, struct bytes body);
/* Tags are borrowed until the next call. E_END, E_CORRUPT, E_NO_MEMORY. Safe on any bytes. */
MUST_USE enum err tag_pack_next(struct tag_pack_reader *r, struct tag_pack_entry *entry);
void tag_pack_close(struct tag_pack_reader *r);

#endif /* STORAGE_CATALOGUE_TAG_PACK_H */
