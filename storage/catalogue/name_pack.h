/* Names of series as one pack: (group, column), topic and name of many, in the order in which they
 * were defined. Each says how it differs from the one before, and the last level of a topic and the
 * names below it are words. docs/FORMAT.md, "Catalogue". Pure; inside this room only. */

#ifndef STORAGE_CATALOGUE_NAME_PACK_H
#define STORAGE_CATALOGUE_NAME_PACK_H

#include "storage/catalogue/catalogue.h"
#include "storage/catalogue/pack.h"

struct name_entry {
    struct series_ref ref;
    struct bytes topic, name;
};

struct name_pack_writer { /* Zeroed: an empty pack. */
    struct writer out;    /* The body. */
    struct pack_words words;
    struct name_entry before;
    uint32_t count;
};

/* Texts are borrowed until the pack is written. E_LIMIT: it would be larger than a page (nothing
 * changed, start the next one). E_NO_MEMORY. */
MUST_USE enum err name_pack_add(struct name_pack_writer *p, const struct name_entry *entry);
void name_pack_restart(struct name_pack_writer *p); /* Empty; keeps its memory. */
void name_pack_fini(struct name_pack_writer *p);

struct name_pack_reader {
    struct bytes in;
    struct pack_words words;
    struct series_ref before;
    size_t topic_size;
    uint8_t topic[SERIES_PATH_BYTES_MAX];
};

void name_pack_open(struct name_pack_reader *r, struct bytes body);
/* Texts are borrowed until the next call. E_END, E_CORRUPT, E_NO_MEMORY. Safe on any bytes. */
MUST_USE enum err name_pack_next(struct name_pack_reader *r, struct name_entry *entry);
void name_pack_close(struct name_pack_reader *r);

#endif /* STORAGE_CATALOGUE_NAME_PACK_H */
