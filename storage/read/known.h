/* What was known at an earlier time, and with which value (promise P4's other half).
 *
 * A point that came about at its own time was known from that time on; one that came late, or
 * early, from its arrival on, which is kept with it to the second. Of a value that was corrected,
 * each version counts from its own arrival until the next. */

#ifndef STORAGE_READ_KNOWN_H
#define STORAGE_READ_KNOWN_H

#include "base/clock.h"
#include "codec/chunk.h"

/* Whether a point that came at `arrival_s` (0: on time) was known at `known_ns`. */
static inline bool known_is(int64_t time_ns, int64_t arrival_s, int64_t known_ns)
{
    return (arrival_s == 0 ? time_ns : arrival_s * NS_PER_S) <= known_ns;
}

struct known_rows {
    const int64_t *times; /* Of all rows of a chunk. */
    const struct chunk_arrivals *arrivals;
    uint8_t column;
    int64_t known_ns;
};

/* Of the points of a column, in order, keep those that were known, with the value of then. Returns
 * how many are left. */
uint32_t known_keep(const struct known_rows *rows, int64_t *times, double *values, uint32_t count);

#endif /* STORAGE_READ_KNOWN_H */
