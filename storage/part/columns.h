/* Rows turned into columns: the input of one chunk, with equal times merged. */

#ifndef STORAGE_PART_COLUMNS_H
#define STORAGE_PART_COLUMNS_H

#include "codec/chunk.h"
#include "storage/part/row_set.h"

struct columns {
    uint32_t rows; /* Distinct times. */
    uint64_t used; /* Bit c: column c has a value. */
    int64_t times[CHUNK_ROWS_MAX];
    size_t next[CHUNK_ROWS_MAX]; /* Index in the row set behind the last row with that time. */
    /* Values met again in rows 0..i: equal, and different. */
    uint32_t duplicates[CHUNK_ROWS_MAX], overwritten[CHUNK_ROWS_MAX];
    double *values[CHUNK_COLUMNS_MAX]; /* CHUNK_ROWS_MAX each; NULL until needed. */
    uint64_t present[CHUNK_COLUMNS_MAX][CHUNK_PRESENT_WORDS];
};

MUST_USE enum err columns_create(struct columns **out);
void columns_destroy(struct columns *c); /* NULL is fine. */

/* Fill with rows from the `from`th on, at most `rows_max` distinct times. Of equal times a later
 * row's value wins. E_NO_MEMORY. */
MUST_USE enum err columns_fill(struct columns *c, const struct row_set *rows, size_t from,
                               uint32_t rows_max);

/* Describe the first `rows` rows as a chunk's input; `list` has room for all columns. Borrows from
 * `c` until it is filled again, and masks the presence behind `rows`: columns_unmask() before
 * describing more rows of the same fill. */
struct columns_mask {
    size_t word;
    uint64_t saved[CHUNK_COLUMNS_MAX];
};
void columns_describe(struct columns *c, uint32_t rows, struct chunk_input_column *list,
                      struct chunk_input *out, struct columns_mask *mask);
void columns_unmask(struct columns *c, const struct columns_mask *mask);

#endif /* STORAGE_PART_COLUMNS_H */
