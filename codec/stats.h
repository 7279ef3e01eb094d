/* A column's statistics as bytes: exact integers where the column is decimal, else doubles.
 *
 * Exact: zigzag min, varint max-min, first-min, last-min, sum - count*min, all of the integers q;
 * with |q| < 2^50 and 8192 rows at most, each fits 64 bits. Doubles: min, max, sum, first, last. */

#ifndef CODEC_STATS_H
#define CODEC_STATS_H

#include "codec/chunk.h"

enum { STATS_BYTES_MAX = 5 * VARINT_BYTES_MAX, STATS_DOUBLES_BYTES = 5 * sizeof(double) };

/* Statistics of decimals, from their integers. `count` >= 1. E_LIMIT. */
MUST_USE enum err stats_write_exact(const int64_t *q, uint32_t count, struct writer *out);

/* Fill min, max, sum, first and last; stats->count (>= 1) is set already. `*first`: the first
 * integer. E_CORRUPT. */
MUST_USE enum err stats_read_exact(struct bytes *in, uint8_t scale, struct chunk_stats *stats,
                                   int64_t *first);

/* Statistics of any doubles: everything but times. Sums after Neumaier (ZAMM 54, 1974). Sets the
 * places of the first and last value that is not NaN (when all are: of the first and last). */
struct chunk_stats stats_of_doubles(const double *values, uint32_t count, uint32_t *first,
                                    uint32_t *last);

/* min..last as doubles; nothing when stats->count is 0. E_LIMIT, E_CORRUPT. */
MUST_USE enum err stats_write_doubles(const struct chunk_stats *stats, struct writer *out);
MUST_USE enum err stats_read_doubles(struct bytes *in, struct chunk_stats *stats);

#endif /* CODEC_STATS_H */
