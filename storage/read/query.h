/* A query: points or buckets of all series a filter selects, in bounded blocks.
 *
 * A cursor that can be left at any block and taken up again, on any worker thread: nothing is held
 * between steps. Series come in order of their paths, times ascend within a series. */

#ifndef STORAGE_READ_QUERY_H
#define STORAGE_READ_QUERY_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/catalogue/catalogue.h"
#include "storage/engine.h"
#include "storage/read/buckets.h"

/* X(name): also the order of bits and of result columns. NaN values take no part. */
#define QUERY_AGGREGATE_MAP(X)                                                                     \
    X(COUNT, "count")                                                                              \
    X(SUM, "sum")                                                                                  \
    X(MEAN, "mean")                                                                                \
    X(MIN, "min")                                                                                  \
    X(MAX, "max")                                                                                  \
    X(FIRST, "first")                                                                              \
    X(LAST, "last")                                                                                \
    X(STDDEV, "stddev") /* Of the sample, n - 1; 0 for one value. */
#define QUERY_AGGREGATE_ENUM(name, text) QUERY_##name,
enum query_aggregate { QUERY_AGGREGATE_MAP(QUERY_AGGREGATE_ENUM) QUERY_AGGREGATES };
#undef QUERY_AGGREGATE_ENUM

enum { QUERY_BLOCK_ROWS_MAX = 8192 };

struct query_request {
    struct bytes filter;    /* Valid; copied. */
    int64_t from_ns, to_ns; /* from <= t < to. */
    struct buckets buckets; /* `length` 0: raw points. A zone is the caller's, until the end. */
    uint32_t aggregates;    /* Bits of enum query_aggregate; buckets only. */
    size_t series_max;      /* More selected series are refused: E_LIMIT. */
    uint64_t rows_max;      /* Stop after so many rows; 0: all. */
};

struct query;

/* E_LIMIT, E_NO_MEMORY. No series selected is no error: the first step ends. */
MUST_USE enum err query_open(struct engine *e, const struct query_request *request,
                             struct query **out);
void query_close(struct query *q);

/* For progress: series selected, series done. */
void query_progress(const struct query *q, size_t *series, size_t *done);

/* One block: rows of one series. Borrowed until the next step. */
struct query_block {
    struct series_ref series;
    size_t rows;
    const int64_t *times; /* Of points, or the starts of buckets; empty buckets are left out. */
    unsigned columns;     /* 1 for raw, else the number of aggregates asked for. */
    const double *column[QUERY_AGGREGATES]; /* `rows` values each; the count as a double. */
};

/* The next block. E_END: no more; whole. E_MORE: the step's budget is used up without a full block,
 * call again. */
MUST_USE enum err query_step(struct query *q, struct query_block *out);

#endif /* STORAGE_READ_QUERY_H */
