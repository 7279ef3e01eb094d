#include "storage/read/aggregate.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/check.h"

enum { LANES = 4, LANES_WORTH = 16 };

void aggregate_init(struct aggregate *a, enum aggregate_extent extent)
{
    *a = (struct aggregate){.min = HUGE_VAL,
                            .max = -HUGE_VAL,
                            .extent = extent}; /* first, last: with the first value. */
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

/* Points `from` and `to` are the first and last of those just added. */
static void set_ends(struct aggregate *a, const int64_t *times, const double *values, size_t from,
                     size_t to)
{
    if (a->count == 0) {
        a->first = values[from];
        a->first_ns = times[from];
    }
    a->last = values[to];
    a->last_ns = times[to];
}

/* Any values, one after another. The rounding error is taken without a branch (Knuth's TwoSum,
 * TAOCP 2, 4.2.2). */
static inline __attribute__((always_inline)) void
add_each(struct aggregate *a, const int64_t *times, const double *values, size_t count, bool sums)
{
    double min = a->min, max = a->max, sum = a->sum, lost = a->lost;
    size_t numbers = 0, from = 0, to = 0;
    for (size_t i = 0; i < count; i++) {
        const double value = values[i];
        if (isnan(value)) {
            continue;
        }
        from = numbers == 0 ? i : from;
        to = i;
        numbers++;
        min = value < min ? value : min;
        max = value > max ? value : max;
        if (sums) {
            const double next = sum + value, back = next - sum;
            lost += (sum - (next - back)) + (value - back);
            sum = next;
        }
    }
    if (numbers > 0) {
        set_ends(a, times, values, from, to);
        a->min = min;
        a->max = max;
        a->sum = sum;
        a->lost = lost;
        a->count += numbers;
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

static inline __attribute__((always_inline)) void add_pair(struct lane_sums *s,
                                                           const double *values, bool sums)
{
    pair value;
    memcpy(&value, values, sizeof value);
    const mask less = value<s->min, more = value> s->max;
    s->min = (pair)((less & (mask)value) | (~less & (mask)s->min));
    s->max = (pair)((more & (mask)value) | (~more & (mask)s->max));
    s->numbers &= value == value; /* NOLINT(misc-redundant-expression): NaN is not. */
    if (sums) {
        const pair next = s->sum + value, back = next - s->sum;
        s->lost += (s->sum - (next - back)) + (value - back);
        s->sum = next;
    }
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
static inline __attribute__((always_inline)) bool
add_lanes(struct aggregate *a, const int64_t *times, const double *values, size_t count, bool sums)
{
    struct lane_sums even = {.min = {a->min, a->min}, .max = {a->max, a->max}};
    even.numbers = ~even.numbers;
    struct lane_sums odd = even;
    for (size_t i = 0; i < count; i += LANES) {
        add_pair(&even, values + i, sums);
        add_pair(&odd, values + i + LANES / 2, sums);
    }
    const mask numbers = even.numbers & odd.numbers;
    if (numbers[0] == 0 || numbers[1] == 0) {
        return false;
    }
    join_lanes(a, &even);
    join_lanes(a, &odd);
    set_ends(a, times, values, 0, count - 1);
    a->count += count;
    return true;
}

static inline __attribute__((always_inline)) void add(struct aggregate *a, const int64_t *times,
                                                      const double *values, size_t count, bool sums)
{
    size_t done = 0;
    if (count >= LANES_WORTH && add_lanes(a, times, values, count - count % LANES, sums)) {
        done = count - count % LANES;
    }
    add_each(a, times + done, values + done, count - done, sums);
}

void aggregate_add(struct aggregate *a, const int64_t *times, const double *values, size_t count)
{
    if (a->extent == AGGREGATE_REACH) {
        add(a, times, values, count, false);
        return;
    }
    if (a->extent == AGGREGATE_SPREAD) {
        add_spread(a, values, count);
    }
    add(a, times, values, count, true);
}

void aggregate_add_stats(struct aggregate *a, const struct chunk_stats *stats)
{
    CHECK(a->extent != AGGREGATE_SPREAD);
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
    if (a->extent >= AGGREGATE_SUM) {
        add_to_sum(a, stats->sum);
    }
}

void aggregate_merge(struct aggregate *a, const struct aggregate *b)
{
    CHECK(a->extent == b->extent);
    if (a->count == 0 || b->count == 0) {
        *a = a->count == 0 ? *b : *a;
        return;
    }
    if (a->extent == AGGREGATE_SPREAD) {
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
    if (a->extent >= AGGREGATE_SUM) {
        add_to_sum(a, b->sum);
        a->lost += b->lost;
    }
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
