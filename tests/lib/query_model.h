/* What a query over a few series must answer, worked out in the plainest way: every bucket of the
 * window by looking at all points of all series. Slow, and easy to believe. */

#ifndef TESTS_LIB_QUERY_MODEL_H
#define TESTS_LIB_QUERY_MODEL_H

#include "storage/read/query.h"
#include "tests/lib/model.h"

enum { QUERY_MODEL_ROWS_MAX = 20000, QUERY_MODEL_VALUES_MAX = 20000 };

struct query_model_row {
    int64_t time_ns;
    size_t count;
    double value[QUERY_COLUMNS_MAX];
    double scale[QUERY_COLUMNS_MAX]; /* Rounding is in proportion to this. */
};

struct query_model {
    const struct query_request *request;
    struct model *const *series; /* Of the unit, in order of paths. */
    size_t series_count;
    size_t rows;
    struct query_model_row row[QUERY_MODEL_ROWS_MAX];
};

static inline int query_model_compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static inline int query_model_compare_times(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The median of what lies between the first 1024 points of the window; 0: there is only one. */
static inline int64_t query_model_interval(struct model *m, int64_t from_ns, int64_t to_ns)
{
    static int64_t apart[1024];
    const size_t from = model_find(m, from_ns), to = model_find(m, to_ns);
    size_t count = 0;
    for (size_t i = from + 1; i < to && i < from + 1024; i++) {
        apart[count++] = m->points[i].time_ns - m->points[i - 1].time_ns;
    }
    qsort(apart, count, sizeof apart[0], query_model_compare_times);
    return count > 0 ? apart[(count - 1) / 2] : 0;
}

struct query_model_flow {
    long double weighted, held, increase, rate, magnitude;
    size_t differences;
};

/* Time-weighted sum and differences of one series in [from, to), gaps as the request says. */
static inline struct query_model_flow
query_model_flow(const struct query_request *r, struct model *m, int64_t from_ns, int64_t to_ns)
{
    const int64_t hold = r->gap_max_ns > 0 ? r->gap_max_ns : QUERY_HOLD_NS;
    const int64_t apart = r->gap_max_ns > 0 ? r->gap_max_ns : QUERY_DIFFERENCE_NS;
    struct query_model_flow f = {0};
    long double seconds = 0;
    const struct model_point *before = NULL;
    model_settle(m);
    for (size_t i = 0; i <= m->count; i++) {
        const struct model_point *p = i < m->count ? &m->points[i] : NULL;
        if (p != NULL && isnan(p->value)) {
            continue;
        }
        if (before != NULL) {
            int64_t end = p != NULL ? p->time_ns : INT64_MAX;
            int64_t start = before->time_ns > from_ns ? before->time_ns : from_ns;
            end = end < before->time_ns + hold ? end : before->time_ns + hold;
            end = end < to_ns ? end : to_ns;
            if (end > start) {
                f.weighted += (long double)before->value * (long double)(end - start) / 1e9L;
                f.magnitude +=
                    fabsl((long double)before->value) * (long double)(end - start) / 1e9L;
                f.held += (long double)(end - start) / 1e9L;
            }
        }
        if (before != NULL && p != NULL && p->time_ns >= from_ns && p->time_ns < to_ns &&
            p->time_ns - before->time_ns <= apart) {
            const double difference = p->value - before->value;
            f.increase += (long double)(difference >= 0 ? difference : p->value > 0 ? p->value : 0);
            seconds += (long double)(p->time_ns - before->time_ns) / 1e9L;
            f.differences++;
        }
        before = p != NULL ? p : before;
    }
    f.rate = f.differences > 0 ? f.increase / seconds : 0;
    return f;
}

/* What is gathered of a bucket from all series. */
struct query_model_sums {
    struct query_model_flow flow;
    size_t count, regular;
    double first, last, least, most;
    int64_t first_ns, last_ns;
    long double sum, magnitude, coverage;
    double values[QUERY_MODEL_VALUES_MAX];
};

static inline void query_model_point(struct query_model_sums *s, const struct model_point *p)
{
    if (p->time_ns < s->first_ns) {
        s->first_ns = p->time_ns;
        s->first = p->value;
    }
    if (p->time_ns > s->last_ns) {
        s->last_ns = p->time_ns;
        s->last = p->value;
    }
    s->least = p->value < s->least ? p->value : s->least;
    s->most = p->value > s->most ? p->value : s->most;
    s->sum += (long double)p->value;
    s->magnitude += fabsl((long double)p->value);
    CHECK(s->count < QUERY_MODEL_VALUES_MAX);
    s->values[s->count++] = p->value;
}

/* One series' part of the bucket from <= t < to, in the window `from_ns`..`to_ns`. */
static inline void query_model_add(struct query_model_sums *s, const struct query_request *r,
                                   struct model *m, struct bucket part, struct bucket window)
{
    const size_t before = s->count;
    for (size_t i = model_find(m, part.start_ns); i < model_find(m, part.end_ns); i++) {
        if (!isnan(m->points[i].value)) {
            query_model_point(s, &m->points[i]);
        }
    }
    const int64_t interval = query_model_interval(m, window.start_ns, window.end_ns);
    if (interval > 0) {
        const double share =
            (double)(s->count - before) * (double)interval / (double)(part.end_ns - part.start_ns);
        s->coverage += (long double)(share < 1 ? share : 1);
        s->regular++;
    }
    struct query_model_flow f = {0};
    const uint32_t flows = 1U << QUERY_TWA | 1U << QUERY_INCREASE | 1U << QUERY_RATE;
    if ((r->aggregates & flows) != 0) {
        f = query_model_flow(r, m, part.start_ns, part.end_ns);
    }
    s->flow.weighted += f.weighted;
    s->flow.held += f.held;
    s->flow.magnitude += f.magnitude;
    s->flow.increase += f.increase;
    s->flow.rate += f.rate;
    s->flow.differences += f.differences;
}

static inline double query_model_spread(const struct query_model_sums *s)
{
    const long double mean = s->count > 0 ? s->sum / (long double)s->count : 0;
    long double squares = 0;
    for (size_t i = 0; i < s->count; i++) {
        squares += ((long double)s->values[i] - mean) * ((long double)s->values[i] - mean);
    }
    return s->count > 1 ? (double)sqrtl(squares / (long double)(s->count - 1)) : 0;
}

static inline double query_model_get(const struct query_model_sums *s, unsigned what)
{
    const struct query_model_flow *f = &s->flow;
    const bool any = s->count > 0;
    const double results[QUERY_AGGREGATES] = {
        [QUERY_COUNT] = (double)s->count,
        [QUERY_SUM] = any ? (double)s->sum : (double)NAN,
        [QUERY_MEAN] = any ? (double)(s->sum / (long double)s->count) : (double)NAN,
        [QUERY_MIN] = any ? s->least : (double)NAN,
        [QUERY_MAX] = any ? s->most : (double)NAN,
        [QUERY_FIRST] = s->first,
        [QUERY_LAST] = s->last,
        [QUERY_STDDEV] = any ? query_model_spread(s) : (double)NAN,
        [QUERY_TWA] = f->held > 0 ? (double)(f->weighted / f->held) : (double)NAN,
        [QUERY_INCREASE] = f->differences > 0 ? (double)f->increase : (double)NAN,
        [QUERY_RATE] = f->differences > 0 ? (double)f->rate : (double)NAN,
        [QUERY_COVERAGE] =
            s->regular > 0 ? (double)(s->coverage / (long double)s->regular) : (double)NAN};
    return results[what];
}

static inline double query_model_percentile(struct query_model_sums *s, double percent)
{
    if (s->count == 0) {
        return (double)NAN;
    }
    qsort(s->values, s->count, sizeof s->values[0], query_model_compare);
    const double place = percent / 100 * (double)(s->count - 1);
    const size_t rank = (size_t)place;
    const double above = rank + 1 < s->count ? s->values[rank + 1] : s->values[rank];
    return s->values[rank] + (place - (double)rank) * (above - s->values[rank]);
}

/* Everything about one bucket, as far as it lies in the window. False: it is no row. */
static inline bool query_model_bucket(struct query_model *q, struct bucket span,
                                      struct bucket window, struct query_model_row *out)
{
    static struct query_model_sums s;
    const struct query_request *r = q->request;
    const struct bucket part = {span.start_ns > window.start_ns ? span.start_ns : window.start_ns,
                                span.end_ns < window.end_ns ? span.end_ns : window.end_ns};
    unsigned column = 0;
    s.flow = (struct query_model_flow){0};
    s.count = s.regular = 0;
    s.first = s.last = (double)NAN;
    s.least = HUGE_VAL;
    s.most = -HUGE_VAL;
    s.first_ns = INT64_MAX;
    s.last_ns = INT64_MIN;
    s.sum = s.magnitude = s.coverage = 0;
    for (size_t i = 0; i < q->series_count; i++) {
        query_model_add(&s, r, q->series[i], part, window);
    }
    if (s.count == 0 && ((r->aggregates >> QUERY_TWA & 1) == 0 || s.flow.held <= 0)) {
        return false;
    }
    *out = (struct query_model_row){.time_ns = span.start_ns, .count = s.count};
    for (unsigned i = 0; i < QUERY_AGGREGATES; i++) {
        if ((r->aggregates >> i & 1) != 0) {
            const double value = query_model_get(&s, i);
            out->scale[column] = (double)(1 + s.magnitude + s.flow.magnitude);
            out->scale[column] += isnan(value) ? 0 : fabs(value);
            out->value[column++] = value;
        }
    }
    for (unsigned i = 0; i < r->percentile_count; i++) {
        out->value[column] = query_model_percentile(&s, r->percentiles[i]);
        out->scale[column++] = (double)(1 + s.magnitude);
    }
    return true;
}

/* The row a filled bucket gets: `next` is the first row behind it, `rows` are those before it. */
static inline struct query_model_row
query_model_filled(const struct query_model *q, const struct query_model_row *rows, size_t before,
                   const struct query_model_row *next, int64_t time_ns, unsigned columns)
{
    struct query_model_row out = {.time_ns = time_ns};
    const struct query_request *r = q->request;
    for (unsigned c = 0; c < columns; c++) {
        size_t at = before;
        while (at > 0 && isnan(rows[at - 1].value[c])) {
            at--;
        }
        const struct query_model_row *last = at > 0 ? &rows[at - 1] : NULL;
        const bool far = last != NULL && r->fill_max_ns > 0 &&
                         (r->fill == QUERY_FILL_LINEAR && next != NULL ? next->time_ns : time_ns) -
                                 (last->time_ns < 0 ? 0 : last->time_ns) >
                             r->fill_max_ns;
        out.value[c] = (double)NAN;
        out.scale[c] = 1;
        if (last != NULL && !far && r->fill == QUERY_FILL_PREVIOUS) {
            out.value[c] = last->value[c];
            out.scale[c] = last->scale[c];
        }
        if (last != NULL && next != NULL && !far && r->fill == QUERY_FILL_LINEAR) {
            out.value[c] = last->value[c] + (double)(time_ns - last->time_ns) /
                                                (double)(next->time_ns - last->time_ns) *
                                                (next->value[c] - last->value[c]);
            out.scale[c] = last->scale[c] + next->scale[c];
        }
    }
    unsigned column = 0;
    for (unsigned i = 0; i < QUERY_AGGREGATES; i++) {
        if ((r->aggregates >> i & 1) != 0) {
            if (i == QUERY_COUNT || i == QUERY_COVERAGE) {
                out.value[column] = 0;
            }
            column++;
        }
    }
    return out;
}

/* Rows of the unit into q->row. */
static inline void query_model_run(struct query_model *q, unsigned columns)
{
    static struct query_model_row raw[QUERY_MODEL_ROWS_MAX];
    const struct query_request *r = q->request;
    const int64_t start0 = buckets_find(&r->buckets, r->from_ns).start_ns;
    size_t count = 0, seeds = 0, at = 0;
    q->rows = 0;
    if (r->fill == QUERY_FILL_PREVIOUS && r->fill_max_ns > 0) {
        int64_t from = start0 > r->fill_max_ns ? start0 - r->fill_max_ns : 0;
        from = buckets_find(&r->buckets, from).start_ns;
        from = from < 0 ? 0 : from;
        for (int64_t t = from; t < start0;) {
            const struct bucket b = buckets_find(&r->buckets, t);
            count += query_model_bucket(q, b, (struct bucket){from, start0}, &raw[count]);
            t = b.end_ns;
        }
        seeds = count;
    }
    for (int64_t t = start0; t < r->to_ns;) {
        const struct bucket b = buckets_find(&r->buckets, t);
        count += query_model_bucket(q, b, (struct bucket){r->from_ns, r->to_ns}, &raw[count]);
        CHECK(count < QUERY_MODEL_ROWS_MAX);
        t = b.end_ns;
    }
    at = seeds;
    for (int64_t t = start0; t < r->to_ns && count > 0;) {
        const struct query_model_row *next = at < count ? &raw[at] : NULL;
        struct query_model_row row;
        bool is_there = true;
        if (next != NULL && next->time_ns == t) {
            row = *next;
            for (unsigned c = 0; c < columns && row.count == 0; c++) {
                if (isnan(row.value[c]) && r->fill == QUERY_FILL_PREVIOUS) {
                    row.value[c] = query_model_filled(q, raw, at, next, t, columns).value[c];
                    row.scale[c] = fabs(row.value[c]) + 1;
                }
            }
            at++;
        } else {
            is_there = r->fill != QUERY_FILL_NONE;
            row = query_model_filled(q, raw, at, next, t, columns);
        }
        if (is_there) {
            q->row[q->rows++] = row;
        }
        t = buckets_find(&r->buckets, t).end_ns;
    }
}

#endif /* TESTS_LIB_QUERY_MODEL_H */
