#include "storage/read/cell.h"

#include <math.h>

#include "base/clock.h"

static bool asks(const struct query_request *r, enum query_aggregate what)
{
    return (r->aggregates >> what & 1) != 0;
}

static enum aggregate_extent extent_of(const struct query_request *r)
{
    if (asks(r, QUERY_STDDEV)) {
        return AGGREGATE_SPREAD;
    }
    return asks(r, QUERY_SUM) || asks(r, QUERY_MEAN) ? AGGREGATE_SUM : AGGREGATE_REACH;
}

struct cell_needs cell_needs_of(const struct query_request *r)
{
    struct cell_needs n = {.extent = extent_of(r),
                           .values = r->percentile_count > 0,
                           .twa = asks(r, QUERY_TWA),
                           .counter = asks(r, QUERY_INCREASE) || asks(r, QUERY_RATE),
                           .coverage = asks(r, QUERY_COVERAGE)};
    n.by_stats = n.extent != AGGREGATE_SPREAD && !n.values && !n.twa && !n.counter;
    return n;
}

void cell_start(struct cell *c, struct bucket span, const struct cell_needs *needs)
{
    c->span = span;
    aggregate_init(&c->base, needs->extent);
    c->weighted = c->held_s = 0;
    c->increase = c->increase_s = 0;
    c->rate = c->coverage = 0;
    c->differences = 0;
    if (needs->values) {
        value_set_clear(&c->values);
    }
}

void cell_fini(struct cell *c)
{
    value_set_fini(&c->values);
}

bool cell_is_empty(const struct cell *c)
{
    return c->base.count == 0 && c->held_s == 0;
}

void cell_finish(struct cell *c, struct bucket window, int64_t interval_ns)
{
    if (c->differences > 0) {
        c->rate = c->increase / c->increase_s;
    }
    c->coverage = (double)NAN;
    if (interval_ns > 0) {
        const int64_t from_ns =
            c->span.start_ns > window.start_ns ? c->span.start_ns : window.start_ns;
        const int64_t to_ns = c->span.end_ns < window.end_ns ? c->span.end_ns : window.end_ns;
        const double share =
            (double)c->base.count * (double)interval_ns / (double)(to_ns - from_ns);
        c->coverage = share < 1 ? share : 1;
    }
}

enum err cell_merge(struct cell *c, const struct cell *other)
{
    aggregate_merge(&c->base, &other->base);
    c->weighted += other->weighted;
    c->held_s += other->held_s;
    c->increase += other->increase;
    c->increase_s += other->increase_s;
    c->rate += other->rate;
    c->coverage += other->coverage;
    c->differences += other->differences;
    return value_set_is_unused(&other->values) ? OK : value_set_merge(&c->values, &other->values);
}

static double get(const struct cell *c, enum query_aggregate what, size_t series)
{
    switch (what) {
    case QUERY_TWA:
        return c->held_s > 0 ? c->weighted / c->held_s : (double)NAN;
    case QUERY_INCREASE:
        return c->differences > 0 ? c->increase : (double)NAN;
    case QUERY_RATE:
        return c->differences > 0 ? c->rate : (double)NAN;
    case QUERY_COVERAGE:
        return series > 0 ? c->coverage / (double)series : (double)NAN;
    case QUERY_COUNT:
    case QUERY_SUM:
    case QUERY_MEAN:
    case QUERY_MIN:
    case QUERY_MAX:
    case QUERY_FIRST:
    case QUERY_LAST:
    case QUERY_STDDEV:
    case QUERY_AGGREGATES:
    default:
        return aggregate_get(&c->base, what);
    }
}

unsigned cell_row(struct cell *c, const struct query_request *r, size_t series, double *to)
{
    unsigned column = 0;
    for (uint32_t left = r->aggregates; left != 0; left &= left - 1) {
        to[column++] = get(c, (enum query_aggregate)__builtin_ctz(left), series);
    }
    for (unsigned i = 0; i < r->percentile_count; i++) {
        to[column++] = value_set_percentile(&c->values, r->percentiles[i]);
    }
    return column;
}
