/* A hash set of ids, read without a lock while one thread at a time adds.
 *
 * The set knows hashes only; whoever looks compares. Tables it has grown out of live until fini:
 * all of them together are no longer than the newest. Inside this room only. */

#ifndef STORAGE_MEMORY_ID_SET_H
#define STORAGE_MEMORY_ID_SET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct id_table;

struct id_set { /* Zeroed: empty. */
    _Atomic(struct id_table *) table;
};

/* The id with this hash for which `is_it` says so. What was written before id_set_add() is seen. */
bool id_set_find(const struct id_set *s, uint64_t hash, bool (*is_it)(void *context, uint32_t id),
                 void *context, uint32_t *id);

/* E_NO_MEMORY. */
MUST_USE enum err id_set_add(struct id_set *s, uint64_t hash, uint32_t id);

void id_set_fini(struct id_set *s);

#endif /* STORAGE_MEMORY_ID_SET_H */
