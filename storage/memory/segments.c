#include "storage/memory/segments.h"

#include <stdlib.h>

static unsigned segment_of(uint32_t index, size_t *offset)
{
    uint64_t from_first = (uint64_t)index + SEGMENT_FIRST;
    unsigned k = 63 - (unsigned)__builtin_clzll(from_first / SEGMENT_FIRST);
    *offset = (size_t)(from_first - ((uint64_t)SEGMENT_FIRST << k));
    return k;
}

void *segments_find(const struct segments *s, size_t slot_bytes, uint32_t index)
{
    size_t offset;
    unsigned k = segment_of(index, &offset);
    uint8_t *at = k < SEGMENTS_MAX ? atomic_load_explicit(&s->at[k], memory_order_acquire) : NULL;
    return at == NULL ? NULL : at + offset * slot_bytes;
}

enum err segments_reserve(struct segments *s, size_t slot_bytes, uint32_t index, void **out)
{
    size_t offset;
    unsigned k = segment_of(index, &offset);
    if (k >= SEGMENTS_MAX) {
        return E_NO_MEMORY;
    }
    uint8_t *at = atomic_load_explicit(&s->at[k], memory_order_relaxed);
    if (at == NULL) {
        at = calloc((size_t)SEGMENT_FIRST << k, slot_bytes);
        if (at == NULL) {
            return E_NO_MEMORY;
        }
        atomic_store_explicit(&s->at[k], at, memory_order_release);
    }
    *out = at + offset * slot_bytes;
    return OK;
}

size_t segments_bytes(const struct segments *s, size_t slot_bytes)
{
    size_t slots = 0;
    for (unsigned k = 0; k < SEGMENTS_MAX; k++) {
        if (atomic_load_explicit(&s->at[k], memory_order_relaxed) != NULL) {
            slots += (size_t)SEGMENT_FIRST << k;
        }
    }
    return slots * slot_bytes;
}

void segments_fini(struct segments *s)
{
    for (unsigned k = 0; k < SEGMENTS_MAX; k++) {
        free(atomic_load_explicit(&s->at[k], memory_order_relaxed));
        atomic_store_explicit(&s->at[k], NULL, memory_order_relaxed);
    }
}
