#include "storage/aggregate.h"

#include <math.h>

#include "base/check.h"

void aggregate_init(struct aggregate *a, bool spread)
{
    *a = (struct aggregate){.min = HUGE_VAL,
                            .max = -HUGE_VAL,
                            .spread = spread}; /* first, last: with the first value. */
}

static void add_to_sum(struct aggregate *a, double value)
{
    double sum = a->sum + value;
    if (fabs(a->sum) >= fabs(value)) {
        a->lost += (a->sum - sum) + value;
    } else {
        a->lost += (value - sum) + a->sum;
    }
    a->sum = sum;
}

/* Join the deviation of a run of `count` values around their mean. */
static void join_spread(struct aggregate *a, uint64_t count, double mean, double deviation)
{
    double both = (double)(a->count + count);
    double apart = mean - a->mean;
    a->mean += apart * ((double)count / both);
    a->deviation += deviation + apart * apart * ((double)a->count * (double)count / both);
}

static void add_spread(struct aggregate *a, const double *values, size_t count)
{
    uint64_t numbers = 0;
    double mean = 0, rest = 0, deviation = 0;
    for (size_t i = 0; i < count; i++) {
        if (!isnan(values[i])) {
            mean += (values[i] - mean) / (double)++numbers;
        }
    }
    for (size_t i = 0; i < count; i++) {
        double apart = values[i] - mean;
        if (!isnan(apart)) {
            rest += apart;
            deviation += apart * apart;
        }
    }
    if (numbers > 0) {
        join_spread(a, numbers, mean, deviation - rest * rest / (double)numbers);
    }
}

void aggregate_add(struct aggregate *a, const double *values, size_t count)
{
    if (a->spread) {
        add_spread(a, values, count);
    }
    for (size_t i = 0; i < count; i++) {
        const double value = values[i];
        if (isnan(value)) {
            continue;
        }
        a->first = a->count == 0 ? value : a->first;
        a->last = value;
        a->min = value < a->min ? value : a->min;
        a->max = value > a->max ? value : a->max;
        a->count++;
        add_to_sum(a, value);
    }
}

void aggregate_add_stats(struct aggregate *a, const struct chunk_stats *stats)
{
    CHECK(!a->spread);
    if (stats->count == 0) {
        return;
    }
    a->first = a->count == 0 ? stats->first : a->first;
    a->last = stats->last;
    a->min = stats->min < a->min ? stats->min : a->min;
    a->max = stats->max > a->max ? stats->max : a->max;
    a->count += stats->count;
    add_to_sum(a, stats->sum);
}

/* With an infinity among the values, what the compensation lost is no number. */
static double total(const struct aggregate *a)
{
    return isfinite(a->sum) ? a->sum + a->lost : a->sum;
}

double aggregate_get(const struct aggregate *a, enum query_aggregate what)
{
    CHECK(a->count > 0);
    switch (what) {
    case QUERY_COUNT:
        return (double)a->count;
    case QUERY_SUM:
        return total(a);
    case QUERY_MEAN:
        return total(a) / (double)a->count;
    case QUERY_MIN:
        return a->min;
    case QUERY_MAX:
        return a->max;
    case QUERY_FIRST:
        return a->first;
    case QUERY_LAST:
        return a->last;
    case QUERY_STDDEV:
        return a->count < 2 ? 0 : sqrt(fmax(a->deviation, 0) / (double)(a->count - 1));
    case QUERY_AGGREGATES:
        break;
    }
    UNREACHABLE();
}
