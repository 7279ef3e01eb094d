#include "storage/read/aggregate.h"

#include <math.h>
#include <string.h>

#include "base/check.h"

enum { LANES = 4, LANES_WORTH = 16 };

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

/* Deviation around a centre near the mean, then moved to the mean: no division for each value. */
static void add_spread(struct aggregate *a, const double *values, size_t count)
{
    uint64_t numbers = 0;
    double sum = 0, rest = 0, deviation = 0;
    for (size_t i = 0; i < count; i++) {
        bool is_number = !isnan(values[i]);
        sum += is_number ? values[i] : 0;
        numbers += is_number;
    }
    if (numbers == 0) {
        return;
    }
    const double centre = sum / (double)numbers;
    for (size_t i = 0; i < count; i++) {
        double apart = isnan(values[i]) ? 0 : values[i] - centre;
        rest += apart;
        deviation += apart * apart;
    }
    rest /= (double)numbers;
    join_spread(a, numbers, centre + rest, deviation - rest * rest * (double)numbers);
}

/* Any values, one after another. */
static void add_each(struct aggregate *a, const int64_t *times, const double *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const double value = values[i];
        if (isnan(value)) {
            continue;
        }
        a->first = a->count == 0 ? value : a->first;
        a->first_ns = a->count == 0 ? times[i] : a->first_ns;
        a->last = value;
        a->last_ns = times[i];
        a->min = value < a->min ? value : a->min;
        a->max = value > a->max ? value : a->max;
        a->count++;
        add_to_sum(a, value);
    }
}

/* Values side by side, so that the processor need not wait for one addition before it begins the
 * next: pairs, as SSE2 has them, and two of those. A vector extension of gcc and clang. */
typedef double pair __attribute__((vector_size(16)));
typedef int64_t mask __attribute__((vector_size(16)));

struct lane_sums {
    pair sum, lost, min, max;
    mask numbers; /* All ones where no NaN was met. */
};

/* The rounding error is taken without a branch (Knuth's TwoSum, TAOCP 2, 4.2.2). */
static inline void sum_pair(struct lane_sums *s, const double *values)
{
    pair value;
    memcpy(&value, values, sizeof value);
    const pair next = s->sum + value, back = next - s->sum;
    const mask less = value<s->min, more = value> s->max;
    s->lost += (s->sum - (next - back)) + (value - back);
    s->sum = next;
    s->min = (pair)((less & (mask)value) | (~less & (mask)s->min));
    s->max = (pair)((more & (mask)value) | (~more & (mask)s->max));
    s->numbers &= value == value; /* NOLINT(misc-redundant-expression): NaN is not. */
}

static void join_lanes(struct aggregate *a, const struct lane_sums *s)
{
    for (size_t l = 0; l < LANES / 2; l++) {
        add_to_sum(a, s->sum[l]);
        a->lost += s->lost[l];
        a->min = s->min[l] < a->min ? s->min[l] : a->min;
        a->max = s->max[l] > a->max ? s->max[l] : a->max;
    }
}

/* A multiple of LANES values. False, and nothing added: there is a NaN among them. */
static bool add_lanes(struct aggregate *a, const int64_t *times, const double *values, size_t count)
{
    struct lane_sums even = {.min = {a->min, a->min}, .max = {a->max, a->max}};
    even.numbers = ~even.numbers;
    struct lane_sums odd = even;
    for (size_t i = 0; i < count; i += LANES) {
        sum_pair(&even, values + i);
        sum_pair(&odd, values + i + LANES / 2);
    }
    const mask numbers = even.numbers & odd.numbers;
    if (numbers[0] == 0 || numbers[1] == 0) {
        return false;
    }
    join_lanes(a, &even);
    join_lanes(a, &odd);
    a->first = a->count == 0 ? values[0] : a->first;
    a->first_ns = a->count == 0 ? times[0] : a->first_ns;
    a->last = values[count - 1];
    a->last_ns = times[count - 1];
    a->count += count;
    return true;
}

void aggregate_add(struct aggregate *a, const int64_t *times, const double *values, size_t count)
{
    if (a->spread) {
        add_spread(a, values, count);
    }
    size_t done = 0;
    if (count >= LANES_WORTH && add_lanes(a, times, values, count - count % LANES)) {
        done = count - count % LANES;
    }
    add_each(a, times + done, values + done, count - done);
}

void aggregate_add_stats(struct aggregate *a, const struct chunk_stats *stats)
{
    CHECK(!a->spread);
    if (stats->count == 0) {
        return;
    }
    a->first = a->count == 0 ? stats->first : a->first;
    a->first_ns = a->count == 0 ? stats->first_ns : a->first_ns;
    a->last = stats->last;
    a->last_ns = stats->last_ns;
    a->min = stats->min < a->min ? stats->min : a->min;
    a->max = stats->max > a->max ? stats->max : a->max;
    a->count += stats->count;
    add_to_sum(a, stats->sum);
}

void aggregate_merge(struct aggregate *a, const struct aggregate *b)
{
    CHECK(a->spread == b->spread);
    if (a->count == 0 || b->count == 0) {
        *a = a->count == 0 ? *b : *a;
        return;
    }
    if (a->spread) {
        join_spread(a, b->count, b->mean, b->deviation);
    }
    if (b->first_ns < a->first_ns) {
        a->first = b->first;
        a->first_ns = b->first_ns;
    }
    if (b->last_ns > a->last_ns) {
        a->last = b->last;
        a->last_ns = b->last_ns;
    }
    a->min = b->min < a->min ? b->min : a->min;
    a->max = b->max > a->max ? b->max : a->max;
    a->count += b->count;
    add_to_sum(a, b->sum);
    a->lost += b->lost;
}

/* With an infinity among the values, what the compensation lost is no number. */
static double total(const struct aggregate *a)
{
    return isfinite(a->sum) ? a->sum + a->lost : a->sum;
}

static double stddev(const struct aggregate *a)
{
    if (a->count < 2) {
        return 0;
    }
    /* Rounding may leave it below 0; NaN, from infinities, stays. */
    return sqrt((a->deviation < 0 ? 0 : a->deviation) / (double)(a->count - 1));
}

double aggregate_get(const struct aggregate *a, enum query_aggregate what)
{
    if (a->count == 0) {
        return what == QUERY_COUNT ? 0 : (double)NAN;
    }
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
        return stddev(a);
    case QUERY_TWA:
    case QUERY_INCREASE:
    case QUERY_RATE:
    case QUERY_COVERAGE:
    case QUERY_AGGREGATES:
    default:
        break;
    }
    UNREACHABLE();
}
