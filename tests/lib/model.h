/* The trivial store that the real one is compared with: sorted arrays of points, last write wins.
 */

#ifndef TESTS_LIB_MODEL_H
#define TESTS_LIB_MODEL_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

struct model_point {
    int64_t time_ns;
    double value;
    size_t arrival;
};

struct model {
    size_t count, limit;
    struct model_point *points; /* In order of time, each time once, after model_settle(). */
    size_t arrivals;
    bool unsettled;
};

static inline void model_put(struct model *m, int64_t time_ns, double value)
{
    if (m->count == m->limit) {
        m->limit = m->limit == 0 ? 1024 : m->limit * 2;
        m->points = realloc(m->points, m->limit * sizeof *m->points);
        CHECK(m->points != NULL);
    }
    m->unsettled |= m->count > 0 && time_ns <= m->points[m->count - 1].time_ns;
    m->points[m->count++] = (struct model_point){time_ns, value, m->arrivals++};
}

static inline int model_compare(const void *a, const void *b)
{
    const struct model_point *x = a, *y = b;
    if (x->time_ns != y->time_ns) {
        return x->time_ns < y->time_ns ? -1 : 1;
    }
    return x->arrival < y->arrival ? -1 : 1;
}

static inline void model_settle(struct model *m)
{
    size_t kept = 0;
    if (!m->unsettled) {
        return;
    }
    qsort(m->points, m->count, sizeof *m->points, model_compare);
    for (size_t i = 0; i < m->count; i++) {
        kept -= kept > 0 && m->points[kept - 1].time_ns == m->points[i].time_ns;
        m->points[kept++] = m->points[i];
    }
    m->count = kept;
    m->unsettled = false;
}

/* Index of the first point that is not before `time_ns`. */
static inline size_t model_find(struct model *m, int64_t time_ns)
{
    size_t low = 0;
    model_settle(m);
    for (size_t high = m->count; low < high;) {
        size_t middle = (low + high) / 2;
        if (m->points[middle].time_ns < time_ns) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* What was put so far at from_ns <= t < to_ns goes. */
static inline void model_erase(struct model *m, int64_t from_ns, int64_t to_ns)
{
    size_t kept = 0;
    model_settle(m);
    for (size_t i = 0; i < m->count; i++) {
        if (m->points[i].time_ns < from_ns || m->points[i].time_ns >= to_ns) {
            m->points[kept++] = m->points[i];
        }
    }
    m->count = kept;
}

static inline void model_free(struct model *m)
{
    free(m->points);
    *m = (struct model){0};
}

/* What is to be said of points from..to-1: NaN takes no part, sums in long double. */
struct model_bucket {
    size_t count;
    long double sum, magnitude; /* Of the values, of their absolutes. */
    double min, max, first, last, stddev;
};

static inline double model_stddev(const struct model *m, size_t from, size_t to, long double mean)
{
    long double squares = 0;
    size_t count = 0;
    for (size_t i = from; i < to; i++) {
        if (!isnan(m->points[i].value)) {
            long double apart = (long double)m->points[i].value - mean;
            squares += apart * apart;
            count++;
        }
    }
    return count > 1 ? (double)sqrtl(squares / (long double)(count - 1)) : 0;
}

static inline struct model_bucket model_sum(const struct model *m, size_t from, size_t to)
{
    struct model_bucket b = {0};
    for (size_t i = from; i < to; i++) {
        double v = m->points[i].value;
        if (isnan(v)) {
            continue;
        }
        b.first = b.count == 0 ? v : b.first;
        b.min = b.count == 0 || v < b.min ? v : b.min;
        b.max = b.count == 0 || v > b.max ? v : b.max;
        b.last = v;
        b.count++;
        b.sum += (long double)v;
        b.magnitude += (long double)(v < 0 ? -v : v);
    }
    b.stddev = model_stddev(m, from, to, b.count > 0 ? b.sum / (long double)b.count : 0);
    return b;
}

#endif /* TESTS_LIB_MODEL_H */
