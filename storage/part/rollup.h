/* Rollups: what count, sum, min, max, first and last say of each hour and each day of a column,
 * as rows in chunks of their own.
 *
 * Hours and days of UTC. A value holds consecutive buckets from its first row to its last: those
 * without a row have no points in the file. Between values nothing is said. Pure. Layout:
 * docs/FORMAT.md, "Partition"; why: docs/decisions/0020-rollups.md. */

#ifndef STORAGE_PART_ROLLUP_H
#define STORAGE_PART_ROLLUP_H

#include "codec/chunk.h"

enum rollup_level { ROLLUP_HOUR, ROLLUP_DAY, ROLLUP_LEVELS };

enum { ROLLUP_KEY_BYTES = 14, ROLLUP_ROWS_MAX = 1024 };

/* Length of a bucket. */
int64_t rollup_length_ns(enum rollup_level level);

/* The last start of a bucket that is not after `time_ns`, the first that is not before it. */
int64_t rollup_floor(enum rollup_level level, int64_t time_ns);
int64_t rollup_ceil(enum rollup_level level, int64_t time_ns);

/* Sorts by (group, level, column, last bucket): the first value at or behind a time is the one that
 * holds it, if any does. */
struct rollup_key {
    uint32_t group;
    enum rollup_level level;
    uint8_t column;
    int64_t last_ns; /* Start of the last bucket. */
};
void rollup_key_write(struct rollup_key key, uint8_t to[ROLLUP_KEY_BYTES]);
MUST_USE enum err rollup_key_read(struct bytes key, struct rollup_key *out); /* E_CORRUPT. */

struct rollup_row {
    int64_t start_ns;
    struct chunk_stats stats; /* Of at least one value, if only NaN. */
};

/* Encode 1..ROLLUP_ROWS_MAX rows, whose last is the key's. E_LIMIT: does not fit `out`. */
MUST_USE enum err rollup_write(const struct rollup_row *rows, uint32_t count, struct bytes key,
                               struct chunk_scratch *scratch, struct writer *out);

/* Decode into `rows`, ROLLUP_ROWS_MAX of them. E_CORRUPT, E_VERSION. */
MUST_USE enum err rollup_read(struct bytes key, struct bytes value, struct chunk_scratch *scratch,
                              struct rollup_row *rows, uint32_t *count);

#endif /* STORAGE_PART_ROLLUP_H */
