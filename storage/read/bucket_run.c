#include "storage/read/bucket_run.h"

#include <math.h>
#include <stdlib.h>

#include "base/clock.h"

/* What a look into the store costs besides the points it decodes, in points. */
enum { LOOK_POINTS = 256 };

void bucket_run_init(struct bucket_run *r, const struct query_request *request, struct scan *s)
{
    const int64_t gap_ns = request->gap_max_ns;
    *r = (struct bucket_run){.request = request,
                             .needs = cell_needs_of(request),
                             .hold_ns = gap_ns > 0 ? gap_ns : QUERY_HOLD_NS,
                             .difference_ns = gap_ns > 0 ? gap_ns : QUERY_DIFFERENCE_NS,
                             .scan = s,
                             .phase = RUN_END};
}

void bucket_run_fini(struct bucket_run *r)
{
    cell_fini(&r->cells[0]);
    cell_fini(&r->cells[1]);
}

void bucket_run_start(struct bucket_run *r, struct series_ref series, int64_t from_ns,
                      int64_t to_ns)
{
    r->series = series;
    r->from_ns = from_ns;
    r->to_ns = to_ns;
    r->phase = RUN_LOOK;
    r->started = r->has_before = r->is_open = false;
    r->held_ns = from_ns;
    r->interval_ns = 0;
    r->samples = 0;
    r->piece = (struct piece){.stats = NULL};
    r->used = 0;
}

static void next_phase(struct bucket_run *r)
{
    r->phase++;
    r->started = false;
    r->piece = (struct piece){.stats = NULL};
    r->used = 0;
}

/* The next piece of from <= t < to, or E_END; counts what it costs. */
static enum err next_piece(struct bucket_run *r, const struct buckets *buckets, int64_t from_ns,
                           int64_t to_ns, size_t *budget)
{
    if (*budget == 0) {
        return E_MORE;
    }
    if (!r->started) {
        scan_start(r->scan, r->series, from_ns, to_ns);
        r->started = true;
    }
    r->piece = (struct piece){.stats = NULL};
    r->used = 0;
    const enum err e = scan_next_piece(r->scan, buckets, &r->piece);
    const size_t cost = LOOK_POINTS + r->piece.span.count + r->piece.stats_count;
    *budget -= cost < *budget ? cost : *budget;
    return e;
}

/* -- Before the window ------------------------------------------------------------------------ */

static void keep_before(struct bucket_run *r)
{
    const struct chunk_stats *stats = r->piece.stats;
    const struct span *span = &r->piece.span;
    for (size_t i = r->piece.stats_count; i > 0; i--) {
        if (stats[i - 1].count > 0) {
            r->has_before = true;
            r->before = stats[i - 1].last;
            r->before_ns = stats[i - 1].last_ns;
            return;
        }
    }
    for (size_t i = span->count; i > 0; i--) {
        if (!isnan(span->values[i - 1])) {
            r->has_before = true;
            r->before = span->values[i - 1];
            r->before_ns = span->times[i - 1];
            return;
        }
    }
}

/* Find the last point before the window, as far back as a gap goes. E_END: that is done. */
static enum err look(struct bucket_run *r, size_t *budget)
{
    static const struct buckets all = {BUCKET_FIXED, INT64_MAX, NULL};
    int64_t back_ns = 0, from_ns;
    back_ns = r->needs.twa ? r->hold_ns : 0;
    back_ns = r->needs.counter && r->difference_ns > back_ns ? r->difference_ns : back_ns;
    if (back_ns == 0) {
        return E_END;
    }
    from_ns = r->from_ns > back_ns ? r->from_ns - back_ns : 0;
    if (from_ns >= r->from_ns) {
        return E_END;
    }
    for (;;) {
        TRY(next_piece(r, &all, from_ns, r->from_ns, budget));
        keep_before(r);
    }
}

/* -- The usual interval ----------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void settle_interval(struct bucket_run *r)
{
    if (r->samples > 1) {
        const size_t count = r->samples - 1;
        qsort(r->intervals, count, sizeof r->intervals[0], compare);
        r->interval_ns = r->intervals[(count - 1) / 2];
    }
}

/* Find how far the first points are apart. E_END: that is done. */
static enum err sample(struct bucket_run *r, size_t *budget)
{
    while (r->needs.coverage && r->samples < RUN_SAMPLE_POINTS) {
        const enum err e = next_piece(r, NULL, r->from_ns, r->to_ns, budget);
        if (e == E_END) {
            break;
        }
        TRY(e);
        const struct span *span = &r->piece.span;
        for (size_t i = 0; i < span->count && r->samples < RUN_SAMPLE_POINTS; i++) {
            if (r->samples > 0) {
                r->intervals[r->samples - 1] = span->times[i] - r->sample_ns;
            }
            r->sample_ns = span->times[i];
            r->samples++;
        }
    }
    settle_interval(r);
    return E_END;
}

/* -- Points into buckets ---------------------------------------------------------------------- */

/* The cell being filled is complete. True: it is given; false: there was nothing in it. */
static bool close_cell(struct bucket_run *r, struct cell **out)
{
    struct cell *c = &r->cells[r->at];
    r->is_open = false;
    if (cell_is_empty(c)) {
        return false;
    }
    cell_finish(c, (struct bucket){r->from_ns, r->to_ns}, r->interval_ns);
    *out = c;
    r->at ^= 1;
    return true;
}

/* Make the bucket of `time_ns` the one being filled. True: the one before is given; call again. */
static bool turn_to(struct bucket_run *r, int64_t time_ns, struct cell **out)
{
    if (r->is_open) {
        if (time_ns < r->cells[r->at].span.end_ns) {
            return false;
        }
        if (close_cell(r, out)) {
            return true;
        }
    }
    cell_start(&r->cells[r->at], buckets_find(&r->request->buckets, time_ns), &r->needs);
    r->is_open = true;
    return false;
}

/* When the value before stands no longer, if no point comes. */
static int64_t hold_end(const struct bucket_run *r, int64_t until_ns)
{
    int64_t end_ns;
    if (__builtin_add_overflow(r->before_ns, r->hold_ns, &end_ns)) {
        return until_ns;
    }
    return end_ns < until_ns ? end_ns : until_ns;
}

static void add_held(struct bucket_run *r, struct cell *c, int64_t until_ns)
{
    if (until_ns > r->held_ns) {
        const double seconds = (double)(until_ns - r->held_ns) / NS_PER_S;
        c->weighted += r->before * seconds;
        c->held_s += seconds;
        r->held_ns = until_ns;
    }
}

/* Let the value before stand until `until_ns`, through all buckets on the way. True: a cell is
 * given; call again. */
static bool hold(struct bucket_run *r, int64_t until_ns, struct cell **out)
{
    if (!r->needs.twa || !r->has_before) {
        return false;
    }
    const int64_t end_ns = hold_end(r, until_ns);
    while (r->held_ns < end_ns) {
        if (turn_to(r, r->held_ns, out)) {
            return true;
        }
        struct cell *c = &r->cells[r->at];
        add_held(r, c, end_ns < c->span.end_ns ? end_ns : c->span.end_ns);
    }
    return false;
}

static void add_difference(struct bucket_run *r, struct cell *c, int64_t time_ns, double value)
{
    const int64_t apart_ns = time_ns - r->before_ns;
    if (apart_ns <= r->difference_ns) {
        const double difference = value - r->before;
        const double restarted = value > 0 ? value : 0;
        c->increase += difference < 0 ? restarted : difference;
        c->increase_s += (double)apart_ns / NS_PER_S;
        c->differences++;
    }
}

/* Points of one bucket, for what depends on the point before. */
static void add_steps(struct bucket_run *r, struct cell *c, const int64_t *times,
                      const double *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (isnan(values[i])) {
            continue;
        }
        if (r->has_before) {
            add_held(r, c, hold_end(r, times[i]));
            add_difference(r, c, times[i], values[i]);
        }
        r->has_before = true;
        r->before = values[i];
        r->before_ns = r->held_ns = times[i];
    }
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
        const size_t middle = low + (high - low) / 2;
        if (span->times[middle] < end_ns) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static enum err add_points(struct bucket_run *r, size_t end)
{
    const struct span *span = &r->piece.span;
    struct cell *c = &r->cells[r->at];
    const int64_t *times = span->times + r->used;
    const double *values = span->values + r->used;
    const size_t count = end - r->used;
    aggregate_add(&c->base, times, values, count);
    if (r->needs.values) {
        TRY(value_set_add(&c->values, values, count));
    }
    if (r->needs.twa || r->needs.counter) {
        add_steps(r, c, times, values, count);
    }
    r->used = end;
    return OK;
}

/* Put the piece into buckets. OK: a cell is given; E_MORE: the piece is used up. */
static enum err use_piece(struct bucket_run *r, struct cell **out)
{
    const struct span *span = &r->piece.span;
    while (r->used < r->piece.stats_count) {
        const struct chunk_stats *stats = &r->piece.stats[r->used];
        if (turn_to(r, stats->first_ns, out)) {
            return OK;
        }
        aggregate_add_stats(&r->cells[r->at].base, stats);
        r->used++;
    }
    while (r->used < span->count) {
        const int64_t time_ns = span->times[r->used];
        if (hold(r, time_ns, out) || turn_to(r, time_ns, out)) {
            return OK;
        }
        TRY(add_points(r, run_end(span, r->used, r->cells[r->at].span.end_ns)));
    }
    return E_MORE;
}

/* OK: a cell is given. E_END: the window has no more points. */
static enum err points(struct bucket_run *r, size_t *budget, struct cell **out)
{
    const struct buckets *buckets = r->needs.by_stats ? &r->request->buckets : NULL;
    for (;;) {
        const enum err e = use_piece(r, out);
        if (e != E_MORE) {
            return e;
        }
        TRY(next_piece(r, buckets, r->from_ns, r->to_ns, budget));
    }
}

/* The last value stands on, then the last cell is complete. */
static enum err rest(struct bucket_run *r, struct cell **out)
{
    if (hold(r, r->to_ns, out) || (r->is_open && close_cell(r, out))) {
        return OK;
    }
    return E_END;
}

static enum err phase(struct bucket_run *r, size_t *budget, struct cell **out)
{
    switch (r->phase) {
    case RUN_LOOK:
        return look(r, budget);
    case RUN_SAMPLE:
        return sample(r, budget);
    case RUN_POINTS:
        return points(r, budget, out);
    case RUN_REST:
        return rest(r, out);
    case RUN_END:
    default:
        return E_END;
    }
}

enum err bucket_run_next(struct bucket_run *r, size_t *budget, struct cell **out)
{
    while (r->phase != RUN_END) {
        const enum err e = phase(r, budget, out);
        if (e != E_END) {
            return e;
        }
        next_phase(r);
    }
    return E_END;
}
