/* A query: points or buckets of all series a filter selects, in bounded blocks.
 *
 * A plan, made once, and cursors over its units: the series in order of their paths, or the groups
 * they are gathered into in order of their keys. A cursor can be left at any block and taken up
 * again, on any worker thread; cursors over different units run beside each other. Nothing of the
 * store is held between steps. */

#ifndef STORAGE_READ_QUERY_H
#define STORAGE_READ_QUERY_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/catalogue/catalogue.h"
#include "storage/engine.h"
#include "storage/read/buckets.h"
#include "storage/read/predicate.h"

/* X(name): also the order of bits and of result columns. NaN values take no part. The first seven
 * are had from statistics without decoding, and coverage from the first points of a series. Of
 * several series in a group: */
#define QUERY_AGGREGATE_MAP(X)                                                                     \
    X(COUNT, "count")                                                                              \
    X(SUM, "sum")                                                                                  \
    X(MEAN, "mean")                                                                                \
    X(MIN, "min")                                                                                  \
    X(MAX, "max")                                                                                  \
    X(FIRST, "first") /* By time; at equal times of the first path. */                             \
    X(LAST, "last")                                                                                \
    X(STDDEV, "stddev")     /* Of the sample, n - 1; 0 for one value. */                           \
    X(TWA, "twa")           /* Mean by time, of all series' time together. */                      \
    X(INCREASE, "increase") /* Of a counter; the sum of the series'. */                            \
    X(RATE, "rate")         /* Increase a second; the sum of the series'. */                       \
    X(COVERAGE, "coverage") /* Share of the points expected; the mean of the series'. */
#define QUERY_AGGREGATE_ENUM(name, text) QUERY_##name,
enum query_aggregate { QUERY_AGGREGATE_MAP(QUERY_AGGREGATE_ENUM) QUERY_AGGREGATES };
#undef QUERY_AGGREGATE_ENUM

enum {
    QUERY_BLOCK_ROWS_MAX = 8192,
    QUERY_PERCENTILES_MAX = 8,
    QUERY_COLUMNS_MAX = QUERY_AGGREGATES + QUERY_PERCENTILES_MAX,
    QUERY_KEYS_MAX = 4,
    QUERY_TAG_BYTES_MAX = 64,
    QUERY_FILL_BUCKETS_MAX = 1000000,     /* A filled window has no more. */
    QUERY_GROUP_BYTES_MAX = 64 << 20,     /* Buckets of one group being gathered. */
    QUERY_GROUP_KEYS_BYTES_MAX = 64 << 20 /* Key values of all series, while they are sorted. */
};

/* How long a value stands (twa) and how far the points of a difference may be apart (increase,
 * rate), unless the request says. */
#define QUERY_HOLD_NS       (INT64_C(3600) * 1000000000)
#define QUERY_DIFFERENCE_NS (7 * INT64_C(86400) * 1000000000)

/* What becomes of buckets of the window that have no row: they are left out; or each is a row, of
 * NaN; of what the bucket before had; of a line between the buckets around it. The count and
 * coverage of a filled row are 0. */
enum query_fill { QUERY_FILL_NONE, QUERY_FILL_NULL, QUERY_FILL_PREVIOUS, QUERY_FILL_LINEAR };

/* What series are gathered by: a level of their path, from 1, from its end -1; or a tag. */
struct query_key {
    int level; /* 0: `tag`. */
    uint8_t tag_bytes;
    uint8_t tag[QUERY_TAG_BYTES_MAX];
};

struct query_request {
    struct bytes filter;           /* Valid; copied. */
    const struct predicate *where; /* NULL: all; the caller's, needed by query_open() only. */
    int64_t from_ns, to_ns;        /* from <= t < to. */
    int64_t known_ns;       /* Only what was known then (scan_set_known()); 0: what is now. */
    struct buckets buckets; /* `length` 0: raw points. A zone is the caller's, until the end. */
    uint32_t aggregates;    /* Bits of enum query_aggregate; buckets only. */
    unsigned percentile_count;
    double percentiles[QUERY_PERCENTILES_MAX]; /* 0..100; columns behind the aggregates. */
    enum query_fill fill;
    int64_t fill_max_ns; /* A filled bucket starts at most so far from the one it is filled from;
                          * `previous` looks so far back before the window. 0: any, no look back. */
    int64_t gap_max_ns;  /* 0: QUERY_HOLD_NS and QUERY_DIFFERENCE_NS. */
    unsigned key_count;  /* 0: each series on its own. */
    struct query_key keys[QUERY_KEYS_MAX];
    size_t series_max; /* More series selected by filter and `where` are refused: E_LIMIT. */
    uint64_t rows_max; /* query_step() stops after so many rows; 0: all. */
};

struct query;

/* E_LIMIT: query_fill_is_long(), more series than series_max, or keys of more than
 * QUERY_GROUP_KEYS_BYTES_MAX, in this order. E_NO_MEMORY. No series selected is no error: there are
 * no units. */
MUST_USE enum err query_open(struct engine *e, const struct query_request *request,
                             struct query **out);
void query_close(struct query *q); /* After its cursors. */

/* Whether it fills a window of more than QUERY_FILL_BUCKETS_MAX buckets. */
bool query_fill_is_long(const struct query_request *r);

size_t query_series(const struct query *q); /* Selected. */
size_t query_units(const struct query *q);

/* The unit's path, or its group's name: `key=value` of each key, parted by `,`; keys are `$3` or a
 * tag's name; in values `,`, `=`, `%` and control characters are written %XX, and what a series
 * has not is empty. At most QUERY_NAME_BYTES_MAX bytes, no 0 byte. */
enum { QUERY_NAME_BYTES_MAX = QUERY_KEYS_MAX * (QUERY_TAG_BYTES_MAX + 2 + 3 * 1024) };
size_t query_name(const struct query *q, size_t unit, uint8_t to[QUERY_NAME_BYTES_MAX]);

/* Value of a group's key; as long as the query. */
struct bytes query_key_value(const struct query *q, size_t unit, unsigned key);

/* One block: rows of one unit. Borrowed until the next step. */
struct query_block {
    size_t unit;
    struct series_ref series; /* The unit's first. */
    size_t rows;
    const int64_t *times; /* Of points, or the starts of buckets; see enum query_fill. */
    unsigned columns;     /* 1 for raw, else aggregates and percentiles asked for. */
    const double *column[QUERY_COLUMNS_MAX]; /* `rows` values each; the count as a double. */
};

struct query_cursor;
MUST_USE enum err query_cursor_create(const struct query *q, struct query_cursor **out);
void query_cursor_destroy(struct query_cursor *c); /* NULL is fine. */

/* What it was made for is done with: keep the memory most queries need, let go of more. Then it may
 * serve another query of the same engine, as if made for it. E_NO_MEMORY: it still rests. */
void query_cursor_rest(struct query_cursor *c);
MUST_USE enum err query_cursor_reuse(struct query_cursor *c, const struct query *q);

/* Go over units from <= unit < end, anew. */
void query_cursor_start(struct query_cursor *c, size_t from, size_t end);

/* The next block. E_END: no more; whole. E_MORE: the step's budget is used up without a full block,
 * call again. E_LIMIT: a group needs more than QUERY_GROUP_BYTES_MAX. */
MUST_USE enum err query_cursor_next(struct query_cursor *c, struct query_block *out);

/* The unit it is at: those before are done. */
size_t query_cursor_unit(const struct query_cursor *c);

/* The simple way, one cursor over everything, at most rows_max rows. */
MUST_USE enum err query_step(struct query *q, struct query_block *out);

#endif /* STORAGE_READ_QUERY_H */
