/* The trivial store that the real one is compared with: sorted arrays of points, last write wins.
 */

#ifndef TESTS_LIB_MODEL_H
#define TESTS_LIB_MODEL_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

struct model {
    size_t count, limit;
    int64_t *times;
    double *values;
};

/* Index of the first point that is not before `time_ns`. */
static inline size_t model_find(const struct model *m, int64_t time_ns)
{
    size_t low = 0, high = m->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (m->times[middle] < time_ns) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static inline void model_put(struct model *m, int64_t time_ns, double value)
{
    size_t at = model_find(m, time_ns);
    if (at == m->count || m->times[at] != time_ns) {
        if (m->count == m->limit) {
            m->limit = m->limit == 0 ? 1024 : m->limit * 2;
            m->times = realloc(m->times, m->limit * sizeof *m->times);
            m->values = realloc(m->values, m->limit * sizeof *m->values);
            CHECK(m->times != NULL && m->values != NULL);
        }
        memmove(m->times + at + 1, m->times + at, (m->count - at) * sizeof *m->times);
        memmove(m->values + at + 1, m->values + at, (m->count - at) * sizeof *m->values);
        m->count++;
    }
    m->times[at] = time_ns;
    m->values[at] = value;
}

static inline void model_free(struct model *m)
{
    free(m->times);
    free(m->values);
    *m = (struct model){0};
}

/* What is to be said of points from..to-1: NaN takes no part, sums in long double. */
struct model_bucket {
    size_t count;
    long double sum, magnitude; /* Of the values, of their absolutes. */
    double min, max, first, last, stddev;
};

static inline struct model_bucket model_sum(const struct model *m, size_t from, size_t to)
{
    struct model_bucket b = {0};
    long double squares = 0;
    for (size_t i = from; i < to; i++) {
        double v = m->values[i];
        if (isnan(v)) {
            continue;
        }
        b.first = b.count == 0 ? v : b.first;
        b.min = b.count == 0 || v < b.min ? v : b.min;
        b.max = b.count == 0 || v > b.max ? v : b.max;
        b.last = v;
        b.count++;
        b.sum += v;
        b.magnitude += v < 0 ? -v : v;
    }
    for (size_t i = from; i < to && b.count > 1; i++) {
        if (!isnan(m->values[i])) {
            long double apart = m->values[i] - b.sum / (long double)b.count;
            squares += apart * apart;
        }
    }
    b.stddev = b.count > 1 ? (double)sqrtl(squares / (long double)(b.count - 1)) : 0;
    return b;
}

#endif /* TESTS_LIB_MODEL_H */
