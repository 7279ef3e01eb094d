/* Working memory of the codec: every array a chunk needs, so that nothing is allocated on the way.
 *
 * Private to this room. A function may overwrite only the arrays its own file is named for here;
 * what it takes and returns in others is said at its prototype. */

#ifndef CODEC_SCRATCH_H
#define CODEC_SCRATCH_H

#include <stdint.h>

#include "codec/chunk.h"

enum {
    SCRATCH_RUNS_MAX = CHUNK_ROWS_MAX / 2,
    SCRATCH_SLOTS = 2 * CHUNK_ROWS_MAX,
    SCRATCH_STATES_MAX = 1024
};

/* One state of the tANS decoder: what it stands for and how to go on. */
struct scratch_state {
    uint32_t base; /* Lowest value of the token; the token itself when it is long. */
    uint16_t next; /* Next state, less the bits read. */
    uint8_t bits;  /* Of the next state. */
    uint8_t total; /* The same and the token's own bits; TANS_LONG when too many. */
};

struct chunk_scratch {
    bool is_dense; /* What chunk_write() was asked for; every ints_write() heeds it. */
    bool is_brief; /* Inside a brief chunk, where there is more to choose from. */
    /* tans */
    struct scratch_state state[SCRATCH_STATES_MAX];
    uint16_t next_state[SCRATCH_STATES_MAX];
    uint8_t spread[SCRATCH_STATES_MAX]; /* The token of each state. */
    uint16_t out_bits[CHUNK_ROWS_MAX];  /* Bits each residual leaves, and how many. */
    uint8_t out_width[CHUNK_ROWS_MAX];
    /* ints */
    uint64_t z[CHUNK_ROWS_MAX];      /* What is packed: residuals, never negative. */
    int64_t reduced[CHUNK_ROWS_MAX]; /* Values after their common divisor is taken out. */
    int64_t run_value[SCRATCH_RUNS_MAX], run_length[SCRATCH_RUNS_MAX];
    /* doubles */
    int64_t dictionary[SCRATCH_RUNS_MAX];
    uint16_t slot[SCRATCH_SLOTS]; /* Hash table of the dictionary: place + 1, or 0. */
    /* column and chunk */
    int64_t q[CHUNK_ROWS_MAX];     /* The column's (or times') integers. */
    int64_t other[CHUNK_ROWS_MAX]; /* The same of the column it refers to. */
    double values[CHUNK_ROWS_MAX]; /* A column with its gaps closed. */
    uint64_t present[CHUNK_PRESENT_WORDS];
};

#endif /* CODEC_SCRATCH_H */
