#include "proto/frame_arena.h"

#include <stdalign.h>
#include <stdlib.h>

#include "base/check.h"

/* A message of packed numbers takes 1 to 8 times its bytes in memory, one of many short rows about
 * 12 times; one that wants more is up to something. */
enum { BUDGET_FACTOR = 16, BUDGET_LEAST_BYTES = 64 << 10, FIRST_BYTES = 1024, ALIGN = 16 };

struct block {
    struct block *next;
    alignas(ALIGN) uint8_t at[];
};

struct arena {
    struct block *blocks; /* Besides this first one. */
    uint8_t *at;
    size_t left;   /* Bytes from `at`. */
    size_t size;   /* Of the newest block; the next is twice as large. */
    size_t budget; /* Bytes that may still be taken from the system. */
    bool is_short; /* Asked for more than there is. */
    alignas(ALIGN) uint8_t first[];
};

static void *take_block(struct arena *a, size_t size)
{
    size_t block_size = a->size * 2 > size ? a->size * 2 : size;
    if (block_size > a->budget) {
        block_size = size;
    }
    if (block_size > a->budget) {
        return NULL;
    }
    struct block *b = malloc(sizeof *b + block_size);
    if (b == NULL) {
        return NULL;
    }
    b->next = a->blocks;
    a->blocks = b;
    a->budget -= block_size;
    a->size = block_size;
    a->at = b->at;
    a->left = block_size;
    return b->at;
}

static void *arena_alloc(void *context, size_t size)
{
    struct arena *a = context;
    size_t rounded = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);

    if (rounded < size || (rounded > a->left && take_block(a, rounded) == NULL)) {
        a->is_short = true;
        return NULL;
    }
    void *at = a->at;
    a->at += rounded;
    a->left -= rounded;
    return at;
}

static void arena_free(void *context, void *at)
{
    (void)context; /* All goes together. */
    (void)at;
}

static void destroy(struct arena *a)
{
    while (a->blocks != NULL) {
        struct block *next = a->blocks->next;
        free(a->blocks);
        a->blocks = next;
    }
    free(a);
}

enum err frame_arena_unpack(const ProtobufCMessageDescriptor *descriptor, struct bytes body,
                            size_t whole, void **message)
{
    size_t size = (FIRST_BYTES + 2 * whole + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    struct arena *a = malloc(sizeof *a + size);
    if (a == NULL) {
        return E_NO_MEMORY;
    }
    *a = (struct arena){.at = a->first,
                        .left = size,
                        .size = size,
                        .budget = BUDGET_LEAST_BYTES + BUDGET_FACTOR * whole};
    ProtobufCAllocator allocator = {arena_alloc, arena_free, a};
    void *unpacked = protobuf_c_message_unpack(descriptor, &allocator, body.size, body.at);
    if (unpacked == NULL) {
        enum err e = a->is_short ? E_NO_MEMORY : E_MALFORMED;
        destroy(a);
        return e;
    }
    /* The message is what the library asks for first: so the arena is found from it again. */
    CHECK(unpacked == (void *)a->first);
    *message = unpacked;
    return OK;
}

static struct arena *arena_of(void *message)
{
    return (struct arena *)(void *)((uint8_t *)message - offsetof(struct arena, first));
}

void *frame_arena_alloc(void *message, size_t size)
{
    return arena_alloc(arena_of(message), size);
}

void frame_arena_free(void *message)
{
    if (message != NULL) {
        destroy(arena_of(message));
    }
}
