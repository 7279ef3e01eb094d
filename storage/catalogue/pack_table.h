/* A table of catalog.mdb whose packs hold what is known of groups, in order of their ids: a pack
 * has the groups from the one in its key up to that of the next. What changed is written again, by
 * whole packs, filled anew where several of them follow one another. One thread; inside this room
 * only. */

#ifndef STORAGE_CATALOGUE_PACK_TABLE_H
#define STORAGE_CATALOGUE_PACK_TABLE_H

#include <stdbool.h>

#include "storage/catalogue/pack.h"

struct kv;

struct pack_range;

struct pack_table { /* Zeroed: of a file not looked into. */
    const char *name;
    struct pack_range *ranges; /* As they are in the file, while `is_read`. */
    size_t count;
    bool is_read;
};

/* Who knows the groups and makes the bytes. */
struct pack_source {
    void *context;
    uint32_t end; /* Groups are below this. */
    bool (*is_dirty)(void *context, uint32_t group);
    /* Append the group to the pack being made, if there is anything of it to keep. E_LIMIT: it does
     * not fit beside the others, nothing changed. */
    enum err (*add)(void *context, uint32_t group);
    void (*restart)(void *context); /* With an empty pack. */
    struct writer *out;             /* The body of the pack being made, with PACK_SUM_BYTES free. */
};

/* Write all packs with groups that are dirty. Errors of kv.h; nothing is known of the file then. */
MUST_USE enum err pack_table_save(struct pack_table *t, struct kv *kv,
                                  const struct pack_source *source);

/* The next save looks into the file first. */
void pack_table_forget(struct pack_table *t);

#endif /* STORAGE_CATALOGUE_PACK_TABLE_H */
