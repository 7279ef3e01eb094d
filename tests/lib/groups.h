/* Groups as they are offered to a bundle: few rows, columns of every kind; for tests. */

#ifndef TESTS_LIB_GROUPS_H
#define TESTS_LIB_GROUPS_H

#include <string.h>

#include "codec/chunk.h"
#include "tests/lib/rng.h"

enum { GROUPS_COLUMNS = 4, GROUPS_ROWS_MAX = 400 };

struct group_rows {
    struct chunk_input in;
    struct chunk_input_column column[GROUPS_COLUMNS];
    int64_t times[GROUPS_ROWS_MAX];
    double values[GROUPS_COLUMNS][GROUPS_ROWS_MAX];
    uint64_t present[CHUNK_PRESENT_WORDS];
    uint32_t arrivals[GROUPS_ROWS_MAX];
};

/* A beat with jitter, seconds or exact; or times of any kind. */
static inline void group_times(struct rng *r, struct group_rows *g, int64_t start_ns)
{
    const int64_t step_ns = (int64_t)(1 + rng_below(r, 900)) * 1000000000;
    const uint32_t kind = rng_below(r, 4);
    for (uint32_t i = 0; i < g->in.rows; i++) {
        int64_t jitter_ns = kind == 0   ? (int64_t)rng_below(r, 200) * 1000000
                            : kind == 1 ? (rng_below(r, 20) == 0) * (step_ns / 2)
                                        : 0;
        g->times[i] = start_ns + i * step_ns + jitter_ns;
    }
    if (kind == 3) {
        for (uint32_t i = 1; i < g->in.rows; i++) {
            g->times[i] = g->times[i - 1] + 1 + (int64_t)(rng_next(r) >> (20 + rng_below(r, 40)));
        }
    }
}

/* What is no walk: constant, few doubles that are no decimals, any bits, decimals with exceptions.
 */
static inline double group_odd(struct rng *r, uint32_t kind, uint32_t row)
{
    uint64_t bits = kind == 2 ? rng_next(r) : UINT64_C(0x8000000000000000) >> (row % 2);
    double odd;
    memcpy(&odd, &bits, sizeof odd);
    return kind == 0       ? 21.5
           : kind == 1     ? (1 + rng_below(r, 6)) / 7.0
           : row % 10 == 3 ? odd
                           : row / 10.0;
}

static inline void group_values(struct rng *r, struct group_rows *g, unsigned column)
{
    int64_t walk = (int64_t)rng_below(r, 100000) - 50000;
    const uint32_t noise = rng_below(r, 300), kind = rng_below(r, 12);
    for (uint32_t i = 0; i < g->in.rows; i++) {
        walk += noise == 0 ? 0 : (int64_t)rng_below(r, 2 * noise + 1) - noise;
        g->values[column][i] = kind < 4 ? group_odd(r, kind, i) : (double)walk / 100;
    }
}

/* Mostly scalars on time; sometimes several columns, one of them with gaps, or rows that came late.
 */
static inline void group_fill(struct rng *r, struct group_rows *g, int64_t start_ns)
{
    g->in = (struct chunk_input){.rows = 1 + rng_below(r, rng_below(r, 5) == 0 ? 400 : 100),
                                 .times = g->times,
                                 .columns = rng_below(r, 3) == 0 ? GROUPS_COLUMNS : 1,
                                 .column = g->column};
    group_times(r, g, start_ns);
    for (unsigned i = 0; i < g->in.columns; i++) {
        group_values(r, g, i);
        g->column[i] = (struct chunk_input_column){.id = (uint8_t)(i * 3), .values = g->values[i]};
    }
    if (rng_below(r, 3) == 0) {
        for (uint32_t i = 0; i < CHUNK_PRESENT_WORDS; i++) {
            g->present[i] = rng_next(r) | 1;
        }
        g->column[g->in.columns - 1].present = g->present;
    }
    if (rng_below(r, 4) == 0) {
        for (uint32_t i = 0; i < g->in.rows; i++) {
            g->arrivals[i] = 1700000000 + i / 7;
        }
        g->in.arrivals = g->arrivals;
    }
}

#endif /* TESTS_LIB_GROUPS_H */
