#include "storage/read/fill.h"

#include <math.h>
#include <string.h>

#include "base/check.h"
#include "base/civil.h"
#include "base/clock.h"

void fill_init(struct fill *f, const struct query_request *request)
{
    *f = (struct fill){.request = request};
    for (unsigned i = 0; i < QUERY_AGGREGATES; i++) {
        if ((request->aggregates >> i & 1) != 0) {
            f->is_count[f->columns++] = i == QUERY_COUNT || i == QUERY_COVERAGE;
        }
    }
    f->columns += request->percentile_count;
}

void fill_start(struct fill *f)
{
    f->at_ns = buckets_find(&f->request->buckets, f->request->from_ns).start_ns;
    f->has_any = f->has_row = f->is_finished = false;
    for (unsigned i = 0; i < f->columns; i++) {
        f->last_ns[i] = -1;
    }
}

static void keep(struct fill *f, int64_t time_ns, const double *row)
{
    for (unsigned i = 0; i < f->columns; i++) {
        if (!isnan(row[i])) {
            f->last[i] = row[i];
            f->last_ns[i] = time_ns;
        }
    }
}

void fill_seed(struct fill *f, int64_t time_ns, const double *row)
{
    f->has_any = true;
    keep(f, time_ns < 0 ? 0 : time_ns, row); /* A bucket of 1970 may begin before it. */
}

void fill_offer(struct fill *f, int64_t time_ns, const double *row, bool is_hollow)
{
    CHECK(!f->has_row && !f->is_finished);
    f->has_any = f->has_row = true;
    f->is_hollow = is_hollow;
    f->row_ns = time_ns;
    memcpy(f->row, row, f->columns * sizeof *row);
}

void fill_finish(struct fill *f)
{
    f->is_finished = true;
}

static bool is_near(const struct fill *f, int64_t from_ns, int64_t to_ns)
{
    return f->request->fill_max_ns == 0 || to_ns - from_ns <= f->request->fill_max_ns;
}

static double previous(const struct fill *f, unsigned column)
{
    const bool has = f->last_ns[column] >= 0 && is_near(f, f->last_ns[column], f->at_ns);
    return has ? f->last[column] : (double)NAN;
}

static double on_line(const struct fill *f, unsigned column)
{
    const int64_t last_ns = f->last_ns[column];
    if (!f->has_row || last_ns < 0 || !is_near(f, last_ns, f->row_ns)) {
        return (double)NAN;
    }
    const double share = (double)(f->at_ns - last_ns) / (double)(f->row_ns - last_ns);
    return f->last[column] + share * (f->row[column] - f->last[column]);
}

static double filled(const struct fill *f, unsigned column)
{
    if (f->is_count[column]) {
        return 0;
    }
    switch (f->request->fill) {
    case QUERY_FILL_PREVIOUS:
        return previous(f, column);
    case QUERY_FILL_LINEAR:
        return on_line(f, column);
    case QUERY_FILL_NULL:
    case QUERY_FILL_NONE:
    default:
        return (double)NAN;
    }
}

static void give_row(struct fill *f, double *row)
{
    const bool fills = f->is_hollow && f->request->fill == QUERY_FILL_PREVIOUS;
    for (unsigned i = 0; i < f->columns; i++) {
        row[i] = fills && isnan(f->row[i]) ? previous(f, i) : f->row[i];
    }
    keep(f, f->row_ns < 0 ? 0 : f->row_ns, f->row);
    f->has_row = false;
}

bool fill_take(struct fill *f, int64_t *time_ns, double *row)
{
    if (!f->has_any || (!f->has_row && !f->is_finished) || f->at_ns >= f->request->to_ns) {
        return false;
    }
    *time_ns = f->at_ns;
    if (f->has_row && f->row_ns == f->at_ns) {
        give_row(f, row);
    } else {
        for (unsigned i = 0; i < f->columns; i++) {
            row[i] = filled(f, i);
        }
    }
    f->at_ns = buckets_find(&f->request->buckets, f->at_ns).end_ns;
    return true;
}

bool query_fill_is_long(const struct query_request *r)
{
    static const int64_t days[] = {
        [BUCKET_DAY] = 1, [BUCKET_WEEK] = 7, [BUCKET_MONTH] = 30, [BUCKET_YEAR] = 365};
    int64_t length = r->buckets.length, span = r->to_ns - r->from_ns;
    if (r->fill == QUERY_FILL_NONE || length == 0) {
        return false;
    }
    if (r->buckets.unit != BUCKET_FIXED) {
        length *= days[r->buckets.unit] * DAY_S;
        span /= NS_PER_S;
    }
    return span / length >= QUERY_FILL_BUCKETS_MAX;
}
