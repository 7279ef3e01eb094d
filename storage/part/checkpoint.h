/* A checkpoint: the rows of frozen heads become chunks in their partitions.
 *
 * One flush for each partition the rows fall into, partition after partition by time. Rows of a
 * group are sorted by time, equal times merged column by column (the row that came last wins), and
 * cut into chunks that fill a page of the file. A partition that is complete stays complete when a
 * later one fails: try again, and it is left out. */

#ifndef STORAGE_PART_CHECKPOINT_H
#define STORAGE_PART_CHECKPOINT_H

#include <stdint.h>

#include "storage/erase/erasure.h"
#include "storage/memory/head.h"
#include "storage/part/part.h"

struct checkpoint {
    struct head *const *heads; /* Frozen, oldest first. */
    unsigned head_count;
    uint64_t applied;              /* Journal position of the last row in them. */
    int64_t partition_s;           /* Length of a period. */
    const struct erasure *erasure; /* What is left out of the heads. */
    /* Find the partition of `period`, or open (make) it. The part stays the giver's, who holds it
     * until checkpoint_write() returns. E_NOT_FOUND: the period is beyond retention, leave its rows
     * out. */
    enum err (*find_part)(void *context, struct part_period period, struct part **out);
    void *context;
};

struct checkpoint_result {
    uint64_t rows;        /* Read from the heads. */
    uint64_t duplicates;  /* Values that came again equal. */
    uint64_t overwritten; /* Values that came again different. */
    uint64_t chunks, chunk_bytes;
    uint64_t partitions; /* That got a flush. */
};

/* Write all rows out; durable when it returns OK. `out` says what was done also after a failure:
 * partitions up to there are complete (part_applied() >= applied), the others untouched. Any one
 * thread; memory for the rows of one group in one partition. E_NO_MEMORY, errors of `find_part` and
 * of part.h. */
MUST_USE enum err checkpoint_write(const struct checkpoint *c, struct checkpoint_result *out);

#endif /* STORAGE_PART_CHECKPOINT_H */
