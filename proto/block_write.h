/* Blocks of rows written straight into a frame: what protobuf-c would write of a SeriesBlock, at
 * the pace of the memory. Lengths are varints of a fixed width, so that no size is reckoned before.
 */

#ifndef PROTO_BLOCK_WRITE_H
#define PROTO_BLOCK_WRITE_H

#include "base/bytes.h"

enum { BLOCK_COLUMNS_MAX = 64, BLOCK_KEYS_MAX = 4 };

struct block_column {
    size_t numbers, runs;
    const double *number;
    const uint32_t *run; /* Of texts; see Column. */
};

/* Fields of SeriesBlock; empty or 0: left out. */
struct block {
    uint32_t series;
    uint64_t series_done;
    struct bytes path;
    unsigned keys, columns;
    struct bytes key[BLOCK_KEYS_MAX];
    size_t rows;
    const int64_t *times; /* Not deltas. */
    struct block_column column[BLOCK_COLUMNS_MAX];
};

/* Room it takes at most. */
size_t block_room(const struct block *b);

/* Append as a part of a Response (frame_part() of frame.h). E_LIMIT: fewer than block_room() bytes
 * are left; nothing written. */
MUST_USE enum err block_write(struct writer *w, const struct block *b);

#endif /* PROTO_BLOCK_WRITE_H */
