/* What the files of the dictionary share. Nobody else includes this. */

#ifndef STORAGE_CATALOGUE_TEXTS_INSIDE_H
#define STORAGE_CATALOGUE_TEXTS_INSIDE_H

#include "base/thread.h"
#include "storage/catalogue/texts.h"
#include "storage/memory/arena.h"
#include "storage/memory/id_set.h"
#include "storage/memory/segments.h"

/* With a 0 behind its bytes. Never changed once published. */
struct text {
    uint32_t size;
    uint8_t at[];
};

struct texts {
    uint32_t texts_max;
    struct lock lock;      /* Adding; guards the arena and everything that grows. */
    struct arena arena;    /* Texts. */
    struct segments slots; /* _Atomic(const struct text *); NULL: lost. */
    atomic_uint end;
    struct id_set by_text;
    uint32_t kept; /* Ids below it are in the file; the saving thread's. */
};

/* The body of a pair of the file: the texts of the ids from pack * TEXTS_PACK on, below `end`.
 * E_LIMIT; E_CORRUPT: no such body, of which some may be taken; E_NO_MEMORY. */
MUST_USE enum err texts_write_pack(const struct texts *t, uint32_t pack, uint32_t end,
                                   struct writer *w);
MUST_USE enum err texts_read_pack(struct texts *t, uint32_t pack, struct bytes in);

#endif /* STORAGE_CATALOGUE_TEXTS_INSIDE_H */
