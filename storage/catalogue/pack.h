/* What the packs of catalog.mdb have in common: a pack is one value of a table that holds many
 * small things under one checksum, sized to fill a page of the file. docs/FORMAT.md, "Catalogue".
 *
 * Texts that repeat inside a pack are its words: written out the first time, by number after that.
 * Inside this room only. */

#ifndef STORAGE_CATALOGUE_PACK_H
#define STORAGE_CATALOGUE_PACK_H

#include <stdint.h>

#include "storage/catalogue/catalogue.h"

enum {
    PACK_BYTES_MAX = 4080, /* One overflow page of LMDB. */
    PACK_SUM_BYTES = 8,
    PACK_BODY_BYTES_MAX = PACK_BYTES_MAX - PACK_SUM_BYTES
};

/* Room for `more` bytes behind what is written; the buffer is of malloc. E_NO_MEMORY. */
MUST_USE enum err pack_reserve(struct writer *w, size_t more);

/* Append the checksum of what is written, under `key`. E_NO_MEMORY. */
MUST_USE enum err pack_seal(struct bytes key, struct writer *w);

/* The body of a sound pack. E_CORRUPT. */
MUST_USE enum err pack_open(struct bytes key, struct bytes value, struct bytes *body);

/* Words in order of their first use. They are borrowed: from whom they were put, or the body. */
struct pack_words { /* Zeroed: none. */
    struct bytes *at;
    uint32_t count, room;
};

void pack_words_fini(struct pack_words *words);

/* Append a word, or its number. The writer has room for a word of this size and 2 varints.
 * E_NO_MEMORY. */
MUST_USE enum err pack_put_word(struct pack_words *words, struct writer *w, struct bytes word);

/* E_CORRUPT, E_NO_MEMORY. */
MUST_USE enum err pack_take_word(struct pack_words *words, struct bytes *in, struct bytes *word);

/* Where an entry is, from the one before it in its pack, if there is one. */
enum pack_place { PACK_NEXT_COLUMN, PACK_NEXT_GROUP, PACK_ANY };
enum pack_place pack_place_of(bool has_before, struct series_ref before, struct series_ref ref);

/* What PACK_ANY needs beside itself where places ascend; the writer has room for 2 varints. */
MUST_USE enum err pack_put_step(struct writer *w, struct series_ref before, struct series_ref ref);

/* Move `ref` on to the place of the next entry. E_CORRUPT. */
MUST_USE enum err pack_take_place(struct bytes *in, unsigned place, bool has_before,
                                  struct series_ref *ref);

#endif /* STORAGE_CATALOGUE_PACK_H */
