/* The bytes of a partition's file beside its chunks: keys, and the one record of table "meta".
 *
 * Pure. Layout: docs/FORMAT.md, "Partition". */

#ifndef STORAGE_PART_PART_META_H
#define STORAGE_PART_PART_META_H

#include <stdint.h>

#include "base/bytes.h"
#include "storage/part/part.h"

/* Files without anything special; with bundles; with flushes told apart by their positions. Files
 * whose small tables share a tree, with flushes told apart or not: without bundles; with bundles.
 */
enum {
    PART_VERSION = 1,
    PART_VERSION_BUNDLES = 2,
    PART_VERSION_POSITIONS = 3,
    PART_VERSION_SHARED = 4,
    PART_VERSION_SHARED_BUNDLES = 5
};
enum { PART_KEY_BYTES = 16, PART_META_BYTES = 48 };

/* Key of a chunk: sorts by (flush, group, time). */
struct part_key {
    uint32_t flush, group;
    int64_t first_ns;
};
void part_key_write(struct part_key key, uint8_t to[PART_KEY_BYTES]);
/* E_CORRUPT: not a key. */
MUST_USE enum err part_key_read(struct bytes key, struct part_key *out);

/* What the file says of itself: the last complete flush (0: none) and the journal position covered
 * by it. */
struct part_meta {
    struct part_period period;
    uint32_t flushes;
    uint64_t applied;
    uint16_t version;
};
void part_meta_write(const struct part_meta *meta, uint8_t to[PART_META_BYTES]);
/* E_CORRUPT, E_VERSION. */
MUST_USE enum err part_meta_read(struct bytes in, struct part_meta *out);

#endif /* STORAGE_PART_PART_META_H */
