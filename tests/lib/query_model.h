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
    long double weighted, held, increase, seconds, rate, magnitude;
    size_t differences;
};

static inline int64_t query_model_gap(const struct query_request *r, int64_t unless_said)
{
    return r->gap_max_ns > 0 ? r->gap_max_ns : unless_said;
}

/* A value stood from `p` to the next point `next_ns`: what of it lies in the part. */
static inline void query_model_hold(struct query_model_flow *f, const struct model_point *p,
                                    int64_t next_ns, int64_t hold_ns, struct bucket part)
{
    const int64_t start = p->time_ns > part.start_ns ? p->time_ns : part.start_ns;
    int64_t end = next_ns < p->time_ns + hold_ns ? next_ns : p->time_ns + hold_ns;
    end = end < part.end_ns ? end : part.end_ns;
    if (end > start) {
        const long double seconds = (long double)(end - start) / 1e9L;
        f->weighted += (long double)p->value * seconds;
        f->magnitude += fabsl((long double)p->value) * seconds;
        f->held += seconds;
    }
}

static inline void query_model_step(struct query_model_flow *f, const struct model_point *before,
                                    const struct model_point *p, int64_t apart_ns,
                                    struct bucket part)
{
    const double difference = p->value - before->value;
    if (p->time_ns >= part.start_ns && p->time_ns < part.end_ns &&
        p->time_ns - before->time_ns <= apart_ns) {
        f->increase += (long double)(difference >= 0 ? difference : p->value > 0 ? p->value : 0);
        f->seconds += (long double)(p->time_ns - before->time_ns) / 1e9L;
        f->differences++;
    }
}

/* Time-weighted sum and differences of one series in a part of a bucket. */
static inline struct query_model_flow query_model_flow(const struct query_request *r,
                                                       struct model *m, struct bucket part)
{
    const int64_t hold_ns = query_model_gap(r, QUERY_HOLD_NS);
    const int64_t apart_ns = query_model_gap(r, QUERY_DIFFERENCE_NS);
    struct query_model_flow f = {0};
    const struct model_point *before = NULL;
    model_settle(m);
    for (size_t i = 0; i < m->count; i++) {
        const struct model_point *p = &m->points[i];
        if (isnan(p->value)) {
            continue;
        }
        if (before != NULL) {
            query_model_hold(&f, before, p->time_ns, hold_ns, part);
            query_model_step(&f, before, p, apart_ns, part);
        }
        before = p;
    }
    if (before != NULL) {
        query_model_hold(&f, before, INT64_MAX, hold_ns, part);
    }
    f.rate = f.differences > 0 ? f.increase / f.seconds : 0;
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
        f = query_model_flow(r, m, part);
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

/* Where a bucket lies among the rows there are: so many are before it, `next` is the first behind.
 */
struct query_model_place {
    const struct query_model_row *rows, *next;
    size_t before;
    int64_t time_ns;
};

static inline void query_model_line(const struct query_model_row *last,
                                    const struct query_model_row *next, unsigned c,
                                    struct query_model_row *out)
{
    const double share =
        (double)(out->time_ns - last->time_ns) / (double)(next->time_ns - last->time_ns);
    out->value[c] = last->value[c] + share * (next->value[c] - last->value[c]);
    out->scale[c] = last->scale[c] + next->scale[c];
}

/* One column of a filled row. */
static inline void query_model_fill(const struct query_request *r,
                                    const struct query_model_place *p, unsigned c,
                                    struct query_model_row *out)
{
    const bool is_line = r->fill == QUERY_FILL_LINEAR;
    size_t at = p->before;
    out->value[c] = (double)NAN;
    out->scale[c] = 1;
    while (at > 0 && isnan(p->rows[at - 1].value[c])) {
        at--;
    }
    if (at == 0 || r->fill == QUERY_FILL_NULL || (is_line && p->next == NULL)) {
        return;
    }
    const struct query_model_row *last = &p->rows[at - 1];
    const int64_t last_ns = last->time_ns < 0 ? 0 : last->time_ns;
    const int64_t to_ns = is_line ? p->next->time_ns : p->time_ns;
    if (r->fill_max_ns > 0 && to_ns - last_ns > r->fill_max_ns) {
        return;
    }
    if (is_line) {
        query_model_line(last, p->next, c, out);
    } else {
        out->value[c] = last->value[c];
        out->scale[c] = last->scale[c];
    }
}

static inline struct query_model_row query_model_filled(const struct query_request *r,
                                                        const struct query_model_place *p,
                                                        unsigned columns)
{
    struct query_model_row out = {.time_ns = p->time_ns};
    unsigned column = 0;
    for (unsigned c = 0; c < columns; c++) {
        query_model_fill(r, p, c, &out);
    }
    for (unsigned i = 0; i < QUERY_AGGREGATES; i++) {
        const bool is_asked = (r->aggregates >> i & 1) != 0;
        if (is_asked && (i == QUERY_COUNT || i == QUERY_COVERAGE)) {
            out.value[column] = 0;
        }
        column += is_asked;
    }
    return out;
}

/* A row that is there; what it lacks is filled from before where it has no points. */
static inline struct query_model_row
query_model_kept(const struct query_request *r, const struct query_model_place *p, unsigned columns)
{
    struct query_model_row row = *p->next;
    if (row.count == 0 && r->fill == QUERY_FILL_PREVIOUS) {
        for (unsigned c = 0; c < columns; c++) {
            if (isnan(row.value[c])) {
                query_model_fill(r, p, c, &row);
            }
        }
    }
    return row;
}

/* Rows of all buckets that have one, from the one of `from_ns` on. */
static inline size_t query_model_rows(struct query_model *q, struct bucket window,
                                      struct query_model_row *rows)
{
    size_t count = 0;
    for (int64_t t = window.start_ns; t < window.end_ns;) {
        const struct bucket b = buckets_find(&q->request->buckets, t);
        count += query_model_bucket(q, b, window, &rows[count]);
        t = b.end_ns;
    }
    return count;
}

/* Rows before the window, to fill from. */
static inline size_t query_model_seeds(struct query_model *q, int64_t start_ns,
                                       struct query_model_row *rows)
{
    const struct query_request *r = q->request;
    if (r->fill != QUERY_FILL_PREVIOUS || r->fill_max_ns == 0) {
        return 0;
    }
    const int64_t back_ns = start_ns > r->fill_max_ns ? start_ns - r->fill_max_ns : 0;
    const int64_t from_ns = buckets_find(&r->buckets, back_ns).start_ns;
    return query_model_rows(q, (struct bucket){from_ns < 0 ? 0 : from_ns, start_ns}, rows);
}

/* Rows of the unit into q->row. */
static inline void query_model_run(struct query_model *q, unsigned columns)
{
    static struct query_model_row rows[QUERY_MODEL_ROWS_MAX];
    const struct query_request *r = q->request;
    const int64_t start_ns = buckets_find(&r->buckets, r->from_ns).start_ns;
    size_t at = query_model_seeds(q, start_ns, rows);
    const size_t count = at + query_model_rows(q, (struct bucket){r->from_ns, r->to_ns}, rows + at);
    CHECK(count < QUERY_MODEL_ROWS_MAX);
    q->rows = 0;
    for (int64_t t = start_ns; t < r->to_ns && count > 0;) {
        const struct query_model_place place = {rows, at < count ? &rows[at] : NULL, at, t};
        if (place.next != NULL && place.next->time_ns == t) {
            q->row[q->rows++] = query_model_kept(r, &place, columns);
            at++;
        } else if (r->fill != QUERY_FILL_NONE) {
            q->row[q->rows++] = query_model_filled(r, &place, columns);
        }
        t = buckets_find(&r->buckets, t).end_ns;
    }
}

#endif /* TESTS_LIB_QUERY_MODEL_H */
