/* Cursors of queries: units one after another, each a series or a group, into blocks of rows. */

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "storage/read/bucket_run.h"
#include "storage/read/fill.h"
#include "storage/read/group_table.h"
#include "storage/read/query_inside.h"

/* Work of one step, in points decoded; what a look into the store costs besides counts too, so that
 * a hundred thousand empty series do not hold a worker either. */
enum { STEP_POINTS = 256 * 1024, LOOK_POINTS = 256 };

enum { COLUMNS_KEPT = 4 }; /* By a cursor at rest. */

/* Buckets: what is still to be read of a series. */
enum window { WINDOW_BEFORE, WINDOW_WHOLE, WINDOWS };

struct query_cursor {
    const struct query *query;
    size_t unit, end;
    struct scan *scan;
    /* Points. */
    bool started;
    struct piece piece;
    size_t used;
    /* Buckets. */
    struct bucket_run run;
    enum window window;
    bool has_run; /* In the window. */
    struct fill fill;
    bool is_filling; /* The unit has begun. */
    struct group_table table;
    size_t member, given; /* Series of the group gathered, cells of the table given. */
    size_t regular;       /* Series of the group that have a usual interval. */
    size_t rows;          /* In the arrays below. */
    int64_t *times;
    double *column[QUERY_COLUMNS_MAX];
};

/* Those there are may be of a query before. */
static enum err make_buffers(struct query_cursor *c)
{
    if (c->times == NULL && (c->times = malloc(QUERY_BLOCK_ROWS_MAX * sizeof *c->times)) == NULL) {
        return E_NO_MEMORY;
    }
    for (unsigned i = 0; i < c->query->columns; i++) {
        if (c->column[i] == NULL &&
            (c->column[i] = malloc(QUERY_BLOCK_ROWS_MAX * sizeof *c->column[i])) == NULL) {
            return E_NO_MEMORY;
        }
    }
    return OK;
}

enum err query_cursor_reuse(struct query_cursor *c, const struct query *q)
{
    const int64_t known_ns = q->request.known_ns;
    c->query = q;
    scan_set_known(c->scan, known_ns != 0 ? known_ns : INT64_MAX);
    if (q->request.buckets.length > 0) {
        TRY(make_buffers(c));
        bucket_run_init(&c->run, &q->request, c->scan);
        fill_init(&c->fill, &q->request);
    }
    return OK;
}

enum err query_cursor_create(const struct query *q, struct query_cursor **out)
{
    struct query_cursor *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return E_NO_MEMORY;
    }
    group_table_init(&c->table);
    enum err e = scan_create(q->engine, &c->scan);
    e = e == OK ? query_cursor_reuse(c, q) : e;
    if (e != OK) {
        query_cursor_destroy(c);
        return e;
    }
    *out = c;
    return OK;
}

static void drop_columns(struct query_cursor *c, unsigned from)
{
    for (unsigned i = from; i < QUERY_COLUMNS_MAX; i++) {
        free(c->column[i]);
        c->column[i] = NULL;
    }
}

void query_cursor_rest(struct query_cursor *c)
{
    c->query = NULL;
    c->piece = (struct piece){.stats = NULL};
    bucket_run_fini(&c->run);
    scan_rest(c->scan);
    group_table_rest(&c->table);
    drop_columns(c, COLUMNS_KEPT);
}

void query_cursor_destroy(struct query_cursor *c)
{
    if (c == NULL) {
        return;
    }
    scan_destroy(c->scan);
    bucket_run_fini(&c->run);
    group_table_fini(&c->table);
    free(c->times);
    drop_columns(c, 0);
    free(c);
}

/* Nothing is read of the unit at hand yet. */
static void begin_unit(struct query_cursor *c)
{
    c->started = false;
    c->piece = (struct piece){.stats = NULL};
    c->used = 0;
    c->window = WINDOW_BEFORE;
    c->has_run = c->is_filling = false;
    c->member = c->given = c->regular = 0;
    group_table_clear(&c->table);
}

void query_cursor_start(struct query_cursor *c, size_t from, size_t end)
{
    c->unit = from;
    c->end = end;
    c->rows = 0;
    begin_unit(c);
}

size_t query_cursor_unit(const struct query_cursor *c)
{
    return c->unit;
}

static void next_unit(struct query_cursor *c)
{
    c->unit++;
    begin_unit(c);
}

/* -- Points ----------------------------------------------------------------------------------- */

/* Raw points leave as they lie in the scan's arrays. */
static void give_points(struct query_cursor *c, struct query_block *out)
{
    const struct span *span = &c->piece.span;
    size_t rows = span->count - c->used;
    rows = rows < QUERY_BLOCK_ROWS_MAX ? rows : QUERY_BLOCK_ROWS_MAX;
    *out = (struct query_block){.unit = c->unit,
                                .series = c->query->series.refs[c->unit],
                                .rows = rows,
                                .times = span->times + c->used,
                                .columns = 1,
                                .column = {span->values + c->used}};
    c->used += rows;
}

static enum err next_points(struct query_cursor *c, struct query_block *out)
{
    const struct query_request *r = &c->query->request;
    size_t budget = STEP_POINTS;
    while (c->unit < c->end) {
        if (c->used < c->piece.span.count) {
            give_points(c, out);
            return OK;
        }
        if (budget == 0) {
            return E_MORE;
        }
        if (!c->started) {
            scan_start(c->scan, c->query->series.refs[c->unit], r->from_ns, r->to_ns);
            c->started = true;
        }
        c->used = 0;
        c->piece = (struct piece){.stats = NULL};
        const enum err e = scan_next_piece(c->scan, NULL, &c->piece);
        const size_t cost = LOOK_POINTS + c->piece.span.count;
        budget -= cost < budget ? cost : budget;
        if (e == E_END) {
            next_unit(c);
        } else if (e != OK) {
            return e;
        }
    }
    return E_END;
}

/* -- Buckets ---------------------------------------------------------------------------------- */

/* Begin with a window of the series. False: there is none. */
static bool start_window(struct query_cursor *c, struct series_ref series)
{
    const struct query_request *r = &c->query->request;
    int64_t from_ns = r->from_ns, to_ns = r->to_ns;
    if (c->window == WINDOW_BEFORE) {
        if (r->fill != QUERY_FILL_PREVIOUS || r->fill_max_ns == 0) {
            return false;
        }
        to_ns = buckets_find(&r->buckets, r->from_ns).start_ns;
        from_ns = to_ns > r->fill_max_ns ? to_ns - r->fill_max_ns : 0;
        from_ns = buckets_find(&r->buckets, from_ns).start_ns;
        from_ns = from_ns < 0 ? 0 : from_ns;
    }
    if (from_ns >= to_ns) {
        return false;
    }
    bucket_run_start(&c->run, series, from_ns, to_ns);
    return true;
}

/* The next cell of a series; E_END: it is done, and the next may begin. */
static enum err next_of_series(struct query_cursor *c, struct series_ref series, size_t *budget,
                               struct cell **out)
{
    for (; c->window < WINDOWS; c->window++) {
        if (!c->has_run && !start_window(c, series)) {
            continue;
        }
        c->has_run = true;
        const enum err e = bucket_run_next(&c->run, budget, out);
        if (e != E_END) {
            return e;
        }
        c->has_run = false;
    }
    c->window = WINDOW_BEFORE;
    return E_END;
}

/* Gather all series of the group; E_END: they are in the table. */
static enum err gather(struct query_cursor *c, size_t *budget)
{
    const struct query_members members = query_members(c->query, c->unit);
    struct cell *cell;
    while (c->member < members.count) {
        enum err e = next_of_series(c, members.refs[c->member], budget, &cell);
        if (e == OK) {
            cell->coverage = c->run.interval_ns > 0 ? cell->coverage : 0;
            e = group_table_put(&c->table, cell);
        } else if (e == E_END) {
            c->member++;
            c->regular += c->run.interval_ns > 0;
            e = group_table_end_series(&c->table);
        }
        if (e != OK) {
            return e;
        }
    }
    return E_END;
}

/* The next cell of the unit. E_END: no more. */
static enum err next_cell(struct query_cursor *c, size_t *budget, struct cell **out)
{
    if (c->query->request.key_count == 0) {
        return next_of_series(c, c->query->series.refs[c->unit], budget, out);
    }
    const enum err e = gather(c, budget);
    if (e != E_END) {
        return e;
    }
    if (c->given == c->table.all.count) {
        return E_END;
    }
    *out = &c->table.all.cells[c->given++];
    return OK;
}

static void put_row(struct query_cursor *c, int64_t time_ns, const double *row)
{
    c->times[c->rows] = time_ns;
    for (unsigned i = 0; i < c->query->columns; i++) {
        c->column[i][c->rows] = row[i];
    }
    c->rows++;
}

/* There is room for a row. */
static void offer(struct query_cursor *c, struct cell *cell)
{
    const struct query_request *r = &c->query->request;
    double row[QUERY_COLUMNS_MAX];
    (void)cell_row(cell, r, r->key_count == 0 ? 1 : c->regular, row);
    if (r->fill == QUERY_FILL_NONE) {
        put_row(c, cell->span.start_ns, row);
    } else if (cell->span.end_ns <= r->from_ns) {
        fill_seed(&c->fill, cell->span.start_ns, row);
    } else {
        fill_offer(&c->fill, cell->span.start_ns, row, cell->base.count == 0);
    }
}

/* Take what is ready to be given. False: there is no room for more rows. */
static bool take_rows(struct query_cursor *c)
{
    double row[QUERY_COLUMNS_MAX];
    int64_t time_ns;
    while (c->rows < QUERY_BLOCK_ROWS_MAX) {
        if (!fill_take(&c->fill, &time_ns, row)) {
            return true;
        }
        put_row(c, time_ns, row);
    }
    return false;
}

static void give_rows(struct query_cursor *c, struct query_block *out)
{
    *out = (struct query_block){.unit = c->unit,
                                .series = query_members(c->query, c->unit).refs[0],
                                .rows = c->rows,
                                .times = c->times,
                                .columns = c->query->columns};
    for (unsigned i = 0; i < c->query->columns; i++) {
        out->column[i] = c->column[i];
    }
    c->rows = 0;
}

/* Go on with the unit. OK: there is a block; E_END: it is done. */
static enum err step_unit(struct query_cursor *c, size_t *budget, struct query_block *out)
{
    struct cell *cell = NULL;
    if (!c->is_filling) {
        fill_start(&c->fill);
        c->is_filling = true;
    }
    for (;;) {
        if (!take_rows(c)) {
            give_rows(c, out);
            return OK;
        }
        if (c->fill.is_finished) {
            break;
        }
        const enum err e = next_cell(c, budget, &cell);
        if (e == OK) {
            CHECK(cell != NULL);
            offer(c, cell);
        } else if (e == E_END) {
            fill_finish(&c->fill);
        } else {
            return e;
        }
    }
    if (c->rows > 0) {
        give_rows(c, out);
        return OK; /* Come back to find it done. */
    }
    return E_END;
}

static enum err next_buckets(struct query_cursor *c, struct query_block *out)
{
    size_t budget = STEP_POINTS;
    while (c->unit < c->end) {
        const enum err e = step_unit(c, &budget, out);
        if (e != E_END) {
            return e;
        }
        next_unit(c);
    }
    return E_END;
}

enum err query_cursor_next(struct query_cursor *c, struct query_block *out)
{
    return c->query->request.buckets.length > 0 ? next_buckets(c, out) : next_points(c, out);
}
