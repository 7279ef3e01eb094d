/* A chunk: consecutive rows of one row group, compressed into one checksummed run of bytes.
 *
 * Pure computation: no disk, no clock, no allocation; the caller lends the scratch memory. Times
 * are one shared column; values are decimals turned into integers and packed, bit for bit lossless
 * for every double. Each column carries its statistics, so aggregates over a whole chunk decode
 * nothing. Byte layout: docs/FORMAT.md, "Chunk". Any bytes may be given to the reader: every length
 * is checked against the end before it is used. */

#ifndef CODEC_CHUNK_H
#define CODEC_CHUNK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

enum {
    CHUNK_ROWS_MAX = 8192,
    CHUNK_COLUMNS_MAX = 64,
    CHUNK_PAGE_BYTES = 4080,   /* Fills one LMDB overflow page exactly. */
    CHUNK_INLINE_BYTES = 2014, /* The most that stays inside a leaf page, with a 16-byte key. */
    CHUNK_PRESENT_WORDS = CHUNK_ROWS_MAX / 64,
    CHUNK_REVISIONS_MAX = 4096
};

/* One column to write: the values of all rows; those whose bit is clear are ignored. */
struct chunk_input_column {
    uint8_t id;              /* 0..63, ascending over the columns. */
    const double *values;    /* `rows` of them. */
    const uint64_t *present; /* Bit i of word i/64: row i has a value. NULL: all have. */
};

/* A version of one value that does not simply stand in its row: an older one that was replaced, or,
 * without a value of its own, when the current one came (where that is not when its row did). */
struct chunk_revision {
    uint32_t row;
    uint8_t column;
    bool is_current;    /* The value is the column's. */
    uint32_t arrival_s; /* Unix seconds, rounded up; 0: on time. */
    double value;
};

struct chunk_input {
    uint32_t rows;        /* 1..CHUNK_ROWS_MAX. */
    const int64_t *times; /* Strictly increasing, nanoseconds. */
    /* When each row came, unix seconds rounded up, 0: on time. NULL: all did. */
    const uint32_t *arrivals;
    /* Ascending by row and column, of one value the oldest first, `is_current` last. */
    const struct chunk_revision *revisions;
    uint32_t revision_count; /* At most CHUNK_REVISIONS_MAX. */
    unsigned columns;        /* 1..CHUNK_COLUMNS_MAX. */
    const struct chunk_input_column *column;
    bool dense; /* 10-18 % smaller for twice the time: for chunks that are sealed. */
};

/* What a column says of itself without being decoded. NaN values are counted apart and take no part
 * in min, max, sum, first and last. Times are those of first and last; when every value is NaN, of
 * the first and last of them. */
struct chunk_stats {
    uint32_t count;     /* Values present, NaN not counted. */
    uint32_t nan_count; /* NaN values present. */
    double min, max, sum;
    double first, last; /* NaN, as min and max, when count is 0. */
    int64_t first_ns, last_ns;
};

struct chunk_column {
    uint8_t id;
    uint8_t form; /* How values became integers: doubles.h. */
    struct chunk_stats stats;
    struct bytes present; /* Encoded presence map; empty: every row has a value. */
    struct bytes stream;  /* Encoded values. */
    int64_t base;         /* What is added to the integers of the stream. */
};

/* A chunk opened for reading; borrows the value's bytes. */
struct chunk {
    uint32_t rows;
    unsigned columns;
    int64_t first_ns, last_ns;
    struct bytes times;    /* Encoded times. */
    struct bytes arrivals; /* Encoded arrivals; empty: all rows came on time, none was replaced. */
    uint64_t unit_ns;      /* Times are multiples of it. */
    uint64_t step;         /* What the stream of times leaves out at each row, in units. */
    uint32_t arrival_base_s; /* What is added to arrivals. */
    bool is_brief;           /* An empty stream stands for zeros (brief.h). */
    struct chunk_column column[CHUNK_COLUMNS_MAX];
};

/* Working memory of one thread, about half a MiB; holds nothing between calls. E_NO_MEMORY. */
struct chunk_scratch;
MUST_USE enum err chunk_scratch_create(struct chunk_scratch **out);
void chunk_scratch_destroy(struct chunk_scratch *s);

/* Encode; a column without any value is left out. The checksum covers `key`, so a misplaced value
 * is caught. E_LIMIT: does not fit `out`, which is as before. A column may be
 * tried in two forms, one behind the other, so `out` had better have room for more than aimed at.
 */
MUST_USE enum err chunk_write(const struct chunk_input *in, struct bytes key,
                              struct chunk_scratch *scratch, struct writer *out);

/* Check everything that can be checked without decoding the streams. E_CORRUPT, E_VERSION. */
MUST_USE enum err chunk_read(struct bytes key, struct bytes value, struct chunk *out);

/* Index of column `id` in chunk->column, or -1. */
int chunk_column_find(const struct chunk *c, uint8_t id);

/* Decode all `rows` times. E_CORRUPT. */
MUST_USE enum err chunk_times(const struct chunk *c, struct chunk_scratch *scratch, int64_t *times);

/* Decode the points of column `index`: its values and their times, in order; both arrays have room
 * for `rows`; `times` may be `all_times`. Give the decoded times of the chunk in `all_times` (from
 * chunk_times()) so that several columns share the work. E_CORRUPT. */
MUST_USE enum err chunk_points(const struct chunk *c, unsigned index, const int64_t *all_times,
                               struct chunk_scratch *scratch, int64_t *times, double *values,
                               uint32_t *count);

/* When rows came, and what was replaced; `times` are those of chunk_times(). E_CORRUPT. */
struct chunk_arrivals {
    uint32_t arrivals[CHUNK_ROWS_MAX]; /* Unix seconds, rounded up; 0: on time. */
    struct chunk_revision revisions[CHUNK_REVISIONS_MAX];
    uint32_t revision_count;
};
MUST_USE enum err chunk_arrivals(const struct chunk *c, const int64_t *times,
                                 struct chunk_scratch *scratch, struct chunk_arrivals *out);

#endif /* CODEC_CHUNK_H */
