/* Memory that is taken bit by bit and given back all at once. One thread at a time takes. Inside
 * this room only. */

#ifndef STORAGE_MEMORY_ARENA_H
#define STORAGE_MEMORY_ARENA_H

#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *blocks; /* The newest first. Zeroed: empty. */
    size_t left;                /* Bytes free in the newest. */
    size_t bytes;               /* Taken from the system. */
};

/* 8-byte aligned, not zeroed. NULL: out of memory. */
void *arena_take(struct arena *a, size_t bytes);

void arena_fini(struct arena *a);

#endif /* STORAGE_MEMORY_ARENA_H */
