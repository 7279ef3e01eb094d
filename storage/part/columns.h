/* Rows turned into columns: a window over the rows of one group, in order of time, out of which
 * chunks are cut. Rows are put behind, what was cut off is dropped in front; equal times become one
 * row, in which the value that came last stands. What it replaced, and when things came that did
 * not come on time, is kept beside (codec/arrivals.h). */

#ifndef STORAGE_PART_COLUMNS_H
#define STORAGE_PART_COLUMNS_H

#include "codec/chunk.h"
#include "storage/memory/head.h"

/* Of one value only so many replaced ones are kept: the first and those that came last. */
enum { COLUMNS_VERSIONS_MAX = 16 };

struct columns {
    uint32_t rows; /* Distinct times. */
    uint64_t used; /* Bit c: column c has a value. */
    int64_t times[CHUNK_ROWS_MAX];
    /* Values of the row that came again: equal, and different. */
    uint32_t duplicates[CHUNK_ROWS_MAX], overwritten[CHUNK_ROWS_MAX];
    uint32_t arrivals[CHUNK_ROWS_MAX]; /* Of the first value of the row; 0: on time. */
    struct chunk_revision *revisions;  /* As struct chunk_input has them. */
    uint32_t revision_count, revision_limit;
    struct chunk_arrivals *decoded;    /* While a chunk is put; NULL until needed. */
    double *values[CHUNK_COLUMNS_MAX]; /* CHUNK_ROWS_MAX each; NULL until needed. */
    /* Bits at and above `rows` are 0; of columns not used, undefined. */
    uint64_t present[CHUNK_COLUMNS_MAX][CHUNK_PRESENT_WORDS];
    int64_t own_times[CHUNK_ROWS_MAX]; /* Of one column while a chunk is put. */
};

MUST_USE enum err columns_create(struct columns **out);
void columns_destroy(struct columns *c); /* NULL is fine. */

void columns_clear(struct columns *c);

/* Put a row whose time is not before the last one's; there is room unless it is equal.
 * E_NO_MEMORY. */
MUST_USE enum err columns_put_row(struct columns *c, const struct head_row *row);

/* Put `count` rows of `from`, the first of which is `at`, all behind the last one's time; there is
 * room for them. E_NO_MEMORY. */
MUST_USE enum err columns_put_run(struct columns *c, const struct columns *from, uint32_t at,
                                  uint32_t count);

/* The same for one row, whose time is not before the last one's. */
MUST_USE enum err columns_put_one(struct columns *c, const struct columns *from, uint32_t at);

/* Replace the content by the rows of a chunk. E_CORRUPT, E_NO_MEMORY: empty then. */
MUST_USE enum err columns_put_chunk(struct columns *c, const struct chunk *chunk,
                                    struct chunk_scratch *scratch);

/* The values of these columns at from_ns <= t < to_ns go, with what they were before. */
void columns_erase(struct columns *c, uint64_t columns, int64_t from_ns, int64_t to_ns);

/* The first `rows` rows go. */
void columns_drop(struct columns *c, uint32_t rows);

/* Describe the first `rows` rows as a chunk's input; `list` has room for all columns. Borrows from
 * `c` until it is changed, and masks the presence behind `rows`: columns_unmask() before anything
 * else is done with it. */
struct columns_mask {
    size_t word;
    uint64_t saved[CHUNK_COLUMNS_MAX];
};
void columns_describe(struct columns *c, uint32_t rows, struct chunk_input_column *list,
                      struct chunk_input *out, struct columns_mask *mask);
void columns_unmask(struct columns *c, const struct columns_mask *mask);

#endif /* STORAGE_PART_COLUMNS_H */
