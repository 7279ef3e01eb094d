/* An array that grows without moving: slot i keeps its address for ever.
 *
 * Segment k holds SEGMENT_FIRST << k slots, so 22 pointers reach all 32-bit ids. One thread adds
 * segments; readers index what was published to them. Inside this room only. */

#ifndef STORAGE_MEMORY_SEGMENTS_H
#define STORAGE_MEMORY_SEGMENTS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { SEGMENT_FIRST = 1024, SEGMENTS_MAX = 22 };

struct segments {
    _Atomic(uint8_t *) at[SEGMENTS_MAX];
};

/* The slot of `slot_bytes` at `index`, NULL when its segment was never reserved. */
void *segments_find(const struct segments *s, size_t slot_bytes, uint32_t index);

/* The same, its segment made (zeroed) if absent. E_NO_MEMORY. One thread at a time. */
MUST_USE enum err segments_reserve(struct segments *s, size_t slot_bytes, uint32_t index,
                                   void **out);

/* Bytes reserved so far. */
size_t segments_bytes(const struct segments *s, size_t slot_bytes);

void segments_fini(struct segments *s);

#endif /* STORAGE_MEMORY_SEGMENTS_H */
