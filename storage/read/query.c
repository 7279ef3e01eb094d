#include "storage/read/query.h"

#include <stdlib.h>

#include "storage/read/aggregate.h"
#include "storage/read/scan.h"

/* Work of one step, in points decoded; what a look into the store costs besides counts too, so that
 * a hundred thousand empty series do not hold a worker either. */
enum { STEP_POINTS = 256 * 1024, LOOK_POINTS = 256 };

struct query {
    struct engine *engine;
    struct query_request request;
    struct series_list series;
    size_t at; /* Index of the series being read. */
    bool started;
    uint64_t rows_left;
    struct scan *scan;
    struct piece piece; /* Being worked on. */
    size_t used;        /* Points of it done. */
    /* Buckets only. */
    bool by_stats;           /* The aggregates asked for can be had from statistics. */
    struct aggregate bucket; /* The one being filled, */
    struct bucket span;      /* when it is. */
    bool bucket_open;        /* It has been touched. */
    unsigned columns;
    size_t rows; /* In the arrays below. */
    int64_t *times;
    double *column[QUERY_AGGREGATES];
};

static enum err make_buffers(struct query *q)
{
    q->times = malloc(QUERY_BLOCK_ROWS_MAX * sizeof *q->times);
    if (q->times == NULL) {
        return E_NO_MEMORY;
    }
    for (unsigned i = 0; i < QUERY_AGGREGATES; i++) {
        if ((q->request.aggregates >> i & 1) == 0) {
            continue;
        }
        q->column[q->columns] = malloc(QUERY_BLOCK_ROWS_MAX * sizeof *q->column[0]);
        if (q->column[q->columns] == NULL) {
            return E_NO_MEMORY;
        }
        q->columns++;
    }
    return OK;
}

static enum err prepare(struct query *q)
{
    const struct query_request *r = &q->request;
    TRY(catalogue_select(engine_catalogue(q->engine), r->filter, r->series_max, &q->series));
    TRY(scan_create(q->engine, &q->scan));
    return r->buckets.length > 0 ? make_buffers(q) : OK;
}

enum err query_open(struct engine *e, const struct query_request *request, struct query **out)
{
    struct query *q = calloc(1, sizeof *q);
    if (q == NULL) {
        return E_NO_MEMORY;
    }
    q->engine = e;
    q->request = *request;
    q->rows_left = request->rows_max > 0 ? request->rows_max : UINT64_MAX;
    q->by_stats = (request->aggregates >> QUERY_STDDEV & 1) == 0;
    enum err error = prepare(q);
    if (error != OK) {
        query_close(q);
        return error;
    }
    q->request.filter = (struct bytes){NULL, 0}; /* The caller's; done with. */
    *out = q;
    return OK;
}

void query_close(struct query *q)
{
    if (q == NULL) {
        return;
    }
    series_list_fini(&q->series);
    scan_destroy(q->scan);
    free(q->times);
    for (unsigned i = 0; i < QUERY_AGGREGATES; i++) {
        free(q->column[i]);
    }
    free(q);
}

void query_progress(const struct query *q, size_t *series, size_t *done)
{
    *series = q->series.count;
    *done = q->at;
}

/* The next piece of the series being read, or E_END; counts what it costs. */
static enum err next_piece(struct query *q, size_t *budget)
{
    const bool by_stats = q->by_stats && q->request.buckets.length > 0;
    if (!q->started) {
        scan_start(q->scan, q->series.refs[q->at], q->request.from_ns, q->request.to_ns);
        q->started = true;
    }
    q->piece = (struct piece){.stats = NULL};
    q->used = 0;
    enum err e = scan_next_piece(q->scan, by_stats ? &q->request.buckets : NULL, &q->piece);
    size_t cost = LOOK_POINTS + q->piece.span.count;
    *budget -= cost < *budget ? cost : *budget;
    return e;
}

static void next_series(struct query *q)
{
    q->at++;
    q->started = false;
    q->piece = (struct piece){.stats = NULL};
    q->used = 0;
}

/* Raw points leave as they lie in the scan's arrays. */
static void give_points(struct query *q, struct query_block *out)
{
    const struct span *span = &q->piece.span;
    size_t rows = span->count - q->used;
    rows = rows < QUERY_BLOCK_ROWS_MAX ? rows : QUERY_BLOCK_ROWS_MAX;
    rows = rows < q->rows_left ? rows : (size_t)q->rows_left;
    *out = (struct query_block){.series = q->series.refs[q->at],
                                .rows = rows,
                                .times = span->times + q->used,
                                .columns = 1,
                                .column = {span->values + q->used}};
    q->used += rows;
    q->rows_left -= rows;
}

static enum err step_raw(struct query *q, struct query_block *out)
{
    size_t budget = STEP_POINTS;
    while (q->at < q->series.count && q->rows_left > 0) {
        if (q->used < q->piece.span.count) {
            give_points(q, out);
            return OK;
        }
        if (budget == 0) {
            return E_MORE;
        }
        enum err e = next_piece(q, &budget);
        if (e == E_END) {
            next_series(q);
        } else if (e != OK) {
            return e;
        }
    }
    return E_END;
}

/* The bucket is complete: it becomes a row, if it has values. */
static void close_bucket(struct query *q)
{
    if (q->bucket_open && q->bucket.count > 0) {
        unsigned column = 0;
        for (unsigned i = 0; i < QUERY_AGGREGATES; i++) {
            if ((q->request.aggregates >> i & 1) != 0) {
                q->column[column++][q->rows] = aggregate_get(&q->bucket, (enum query_aggregate)i);
            }
        }
        q->times[q->rows++] = q->span.start_ns;
    }
    q->bucket_open = false;
}

/* Make the bucket that holds `time_ns` the one being filled. False: no room for the row of the one
 * before. */
static bool open_bucket(struct query *q, int64_t time_ns)
{
    if (q->bucket_open && time_ns < q->span.end_ns) {
        return true;
    }
    if (q->bucket_open && q->bucket.count > 0 && q->rows == QUERY_BLOCK_ROWS_MAX) {
        return false;
    }
    close_bucket(q);
    aggregate_init(&q->bucket, !q->by_stats);
    q->span = buckets_find(&q->request.buckets, time_ns);
    q->bucket_open = true;
    return true;
}

/* Index behind the last of the times from `from` on that are before `end_ns`. */
static size_t run_end(const struct span *span, size_t from, int64_t end_ns)
{
    size_t low = from + 1, high = span->count, step = 8;
    while (low + step < high && span->times[low + step] < end_ns) {
        low += step; /* Gallop: buckets are short or long, mostly like the one before. */
        step *= 2;
    }
    high = low + step < high ? low + step : high;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (span->times[middle] < end_ns) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Put the piece into buckets, as far as there is room for rows. True: all of it. */
static bool use_piece(struct query *q)
{
    const struct span *span = &q->piece.span;
    if (q->piece.stats != NULL) {
        if (!open_bucket(q, q->piece.first_ns)) {
            return false;
        }
        aggregate_add_stats(&q->bucket, q->piece.stats);
        q->piece.stats = NULL;
        return true;
    }
    while (q->used < span->count) {
        if (!open_bucket(q, span->times[q->used])) {
            return false;
        }
        size_t end = run_end(span, q->used, q->span.end_ns);
        aggregate_add(&q->bucket, span->values + q->used, end - q->used);
        q->used = end;
    }
    return true;
}

static void give_buckets(struct query *q, struct query_block *out)
{
    size_t rows = q->rows < q->rows_left ? q->rows : (size_t)q->rows_left;
    *out = (struct query_block){
        .series = q->series.refs[q->at], .rows = rows, .times = q->times, .columns = q->columns};
    for (unsigned i = 0; i < q->columns; i++) {
        out->column[i] = q->column[i];
    }
    q->rows_left -= rows;
    q->rows = 0;
}

/* The scan of a series is at its end. True: there is a block to give. */
static bool end_series(struct query *q, struct query_block *out)
{
    if (q->rows == QUERY_BLOCK_ROWS_MAX) {
        give_buckets(q, out); /* No room for the last bucket: come back for it. */
        return true;
    }
    close_bucket(q);
    bool has_rows = q->rows > 0;
    if (has_rows) {
        give_buckets(q, out);
    }
    next_series(q);
    return has_rows;
}

static enum err step_buckets(struct query *q, struct query_block *out)
{
    size_t budget = STEP_POINTS;
    while (q->at < q->series.count && q->rows_left > 0) {
        if (!use_piece(q)) {
            give_buckets(q, out);
            return OK;
        }
        if (budget == 0) {
            return E_MORE;
        }
        enum err e = next_piece(q, &budget);
        if (e == E_END && end_series(q, out)) {
            return OK;
        }
        if (e != OK && e != E_END) {
            return e;
        }
    }
    return E_END;
}

enum err query_step(struct query *q, struct query_block *out)
{
    return q->request.buckets.length > 0 ? step_buckets(q, out) : step_raw(q, out);
}
