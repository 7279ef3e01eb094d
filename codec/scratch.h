/* Working memory of the codec: every array a chunk needs, so that nothing is allocated on the way.
 *
 * Private to this room. A function may overwrite only the arrays its own file is named for here;
 * what it takes and returns in others is said at its prototype. */

#ifndef CODEC_SCRATCH_H
#define CODEC_SCRATCH_H

#include <stdint.h>

#include "codec/chunk.h"

enum { SCRATCH_RUNS_MAX = CHUNK_ROWS_MAX / 2, SCRATCH_SLOTS = 2 * CHUNK_ROWS_MAX };

struct chunk_scratch {
    /* ints */
    uint64_t z[CHUNK_ROWS_MAX];      /* What is packed: residuals, never negative. */
    int64_t reduced[CHUNK_ROWS_MAX]; /* Values after their common divisor is taken out. */
    int64_t run_value[SCRATCH_RUNS_MAX], run_length[SCRATCH_RUNS_MAX];
    /* decimal */
    int64_t dictionary[SCRATCH_RUNS_MAX];
    uint16_t slot[SCRATCH_SLOTS]; /* Hash table of the dictionary: place + 1, or 0. */
    /* column and chunk */
    int64_t q[CHUNK_ROWS_MAX];     /* The column's (or times') integers. */
    int64_t other[CHUNK_ROWS_MAX]; /* The same of the column it refers to. */
    double values[CHUNK_ROWS_MAX]; /* A column with its gaps closed. */
    uint64_t present[CHUNK_PRESENT_WORDS];
};

#endif /* CODEC_SCRATCH_H */
