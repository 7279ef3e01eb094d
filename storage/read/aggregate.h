/* What count, sum, mean, min, max, first, last and stddev say of the values of one bucket, one
 * value or many at a time.
 *
 * Sums are compensated (Neumaier, ZAMM 1974); the squared deviation is taken over each run of
 * values in two passes and runs are joined (Chan, Golub, LeVeque, 1979). NaN values take no part.
 */

#ifndef STORAGE_READ_AGGREGATE_H
#define STORAGE_READ_AGGREGATE_H

#include <stddef.h>
#include <stdint.h>

#include "codec/chunk.h"
#include "storage/read/query.h"

/* How much is kept: each adds to the one before. */
enum aggregate_extent {
    AGGREGATE_REACH, /* Count, min, max, first, last. */
    AGGREGATE_SUM,
    AGGREGATE_SPREAD /* Mean and deviation. */
};

struct aggregate {
    uint64_t count;
    double min, max, first, last;
    int64_t first_ns, last_ns;
    double sum, lost;       /* The sum is both together. */
    double mean, deviation; /* Squared, summed. */
    enum aggregate_extent extent;
};

void aggregate_init(struct aggregate *a, enum aggregate_extent extent);

/* Values behind those added before, in order of time. */
void aggregate_add(struct aggregate *a, const int64_t *times, const double *values, size_t count);

/* The values of a whole chunk, by its statistics. Not with AGGREGATE_SPREAD. */
void aggregate_add_stats(struct aggregate *a, const struct chunk_stats *stats);

/* Those of another series over the same bucket, of the same extent. First and last go by time, at
 * equal times `a` has them. */
void aggregate_merge(struct aggregate *a, const struct aggregate *b);

/* One of COUNT to STDDEV that the extent has. Of no values the count is 0, the rest NaN. */
double aggregate_get(const struct aggregate *a, enum query_aggregate what);

#endif /* STORAGE_READ_AGGREGATE_H */
