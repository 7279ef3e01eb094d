#include "storage/memory/arena.h"

#include <stdint.h>
#include <stdlib.h>

/* Blocks are so large that malloc() maps each on its own and gives it back to the system whole. */
enum { BLOCK_BYTES = 1 << 20, ALIGN = 8 };

struct arena_block {
    struct arena_block *next;
    size_t size;
    uint8_t at[];
};

static struct arena_block *new_block(struct arena *a, size_t size)
{
    struct arena_block *b = malloc(sizeof *b + size);
    if (b != NULL) {
        b->size = size;
        a->bytes += sizeof *b + size;
    }
    return b;
}

void *arena_take(struct arena *a, size_t bytes)
{
    size_t size = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    if (size > a->left) {
        struct arena_block *b = new_block(a, size > BLOCK_BYTES / 4 ? size : BLOCK_BYTES);
        if (b == NULL) {
            return NULL;
        }
        if (b->size != BLOCK_BYTES && a->blocks != NULL) { /* A big one goes behind the newest. */
            b->next = a->blocks->next;
            a->blocks->next = b;
            return b->at;
        }
        b->next = a->blocks;
        a->blocks = b;
        a->left = b->size;
    }
    uint8_t *at = a->blocks->at + (a->blocks->size - a->left);
    a->left -= size;
    return at;
}

void arena_fini(struct arena *a)
{
    while (a->blocks != NULL) {
        struct arena_block *next = a->blocks->next;
        free(a->blocks);
        a->blocks = next;
    }
    *a = (struct arena){.blocks = NULL};
}
