/* Sweeping: whether a sealed part still holds what deletes or retention have taken away, so that it
 * is worth writing anew. Only headers are read, and chunks that a window cuts through. */

#ifndef STORAGE_PART_SWEEP_H
#define STORAGE_PART_SWEEP_H

#include <stdatomic.h>
#include <stdbool.h>

#include "storage/erase/erasure.h"
#include "storage/part/part.h"

struct sweep {
    struct part *part; /* Sealed. */
    const struct erasure *erasure;
    uint32_t group_end;      /* Groups are below this. */
    const atomic_bool *stop; /* Set: leave it. */
};

/* Any one thread. Of retention only periods that are over as a whole count. Damaged chunks are left
 * out. E_BUSY: `stop`. E_NO_MEMORY, errors of part.h. */
MUST_USE enum err sweep_look(const struct sweep *s, bool *found);

#endif /* STORAGE_PART_SWEEP_H */
