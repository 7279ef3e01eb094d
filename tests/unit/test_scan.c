/* Heads, checkpoints, partitions, scans and queries against a trivial model. The engine here is a
 * stand-in that only holds a view, so that every state of it can be put up. */

#include "storage/read/scan.h"

#include <stdio.h>

#include "base/clock.h"
#include "storage/part/checkpoint.h"
#include "storage/part/seal.h"
#include "storage/read/query.h"
#include "storage/view.h"
#include "tests/lib/directory.h"
#include "tests/lib/model.h"
#include "tests/lib/rng.h"
#include "tests/lib/test.h"

#define START_NS (INT64_C(1483228800) * NS_PER_S) /* 2017-01-01 */
/* Most groups are small, and packed when sealed. */
enum { BUSY = 3, GROUPS = 60, COLUMNS = 3, PARTITION_S = 3600, PARTS_MAX = 64 };

struct engine {
    struct catalogue *catalogue;
    struct view view;
    struct part *parts[PARTS_MAX];  /* The active ones. */
    struct part *sealed[PARTS_MAX]; /* At most one, over all that was before. */
    uint32_t numbers;
    struct directory directory;
    struct model model[GROUPS][COLUMNS];
    struct rng rng;
    uint64_t position, corrupt;
    unsigned opens_left; /* find_part() fails when it gets to 0. */
    struct checkpoint_result result;
};

const struct view *view_hold(struct engine *e)
{
    return &e->view;
}

void view_drop(struct engine *e, const struct view *v)
{
    assert_ptr_equal(v, &e->view);
}

void view_count_corrupt(struct engine *e)
{
    e->corrupt++;
}

struct catalogue *engine_catalogue(struct engine *e)
{
    return e->catalogue;
}

int64_t engine_horizon(struct engine *e, struct series_ref ref)
{
    (void)e;
    (void)ref;
    return 0;
}

static int city_build(void **state)
{
    static const char *const names[COLUMNS] = {"a", "b", "c"};
    static const struct catalogue_limits limits = {1000};
    struct engine *e = calloc(1, sizeof *e);
    struct series_ref ref;
    assert_non_null(e);
    directory_make(&e->directory);
    e->rng.state = 42;
    e->view.layer[VIEW_ACTIVE].at = e->parts;
    e->view.layer[VIEW_SEALED].at = e->sealed;
    e->view.heads = 1;
    e->opens_left = UINT32_MAX;
    assert_ok(head_create(&e->view.head[0]));
    assert_ok(catalogue_create(&limits, &e->catalogue));
    for (uint32_t group = 0; group < GROUPS; group++) {
        char topic[8];
        snprintf(topic, sizeof topic, "t/%u", group);
        for (uint8_t column = 0; column < COLUMNS; column++) {
            assert_ok(
                catalogue_intern(e->catalogue, bytes_of(topic), bytes_of(names[column]), &ref));
            assert_int_equal(ref.group, group);
            assert_int_equal(ref.column, column);
        }
    }
    *state = e;
    return 0;
}

static void drop_layer(struct view_parts *l)
{
    for (size_t i = 0; i < l->count; i++) {
        part_drop(l->at[i]);
    }
    l->count = 0;
}

static int city_raze(void **state)
{
    struct engine *e = *state;
    for (int i = 0; i < VIEW_LAYERS; i++) {
        drop_layer(&e->view.layer[i]);
    }
    for (unsigned i = 0; i < e->view.heads; i++) {
        head_destroy(e->view.head[i]);
    }
    for (int i = 0; i < GROUPS * COLUMNS; i++) {
        model_free(&e->model[i / COLUMNS][i % COLUMNS]);
    }
    catalogue_destroy(e->catalogue);
    directory_remove(&e->directory);
    free(e);
    return 0;
}

/* The part of a period, opened on demand and put into the view where it belongs. */
static enum err find_part(void *context, struct part_period period, struct part **out)
{
    struct engine *e = context;
    struct view_parts *l = &e->view.layer[VIEW_ACTIVE];
    if (e->opens_left-- == 0) {
        return E_NO_SPACE;
    }
    *out = view_part_find(l, period.start_ns);
    if (*out == NULL) {
        const struct part_name name = {period, PART_ACTIVE, ++e->numbers};
        assert_true(l->count < PARTS_MAX);
        TRY(part_open(e->directory.path, name, out));
        view_part_add(l, *out);
    }
    return OK;
}

static enum err checkpoint_try(struct engine *e, unsigned heads)
{
    const struct erasure nothing = {NULL, e->catalogue, NULL};
    const struct checkpoint c = {.heads = e->view.head,
                                 .erasure = &nothing,
                                 .head_count = heads,
                                 .applied = e->position,
                                 .partition_s = PARTITION_S,
                                 .find_part = find_part,
                                 .context = e};
    return checkpoint_write(&c, &e->result);
}

/* All heads go to partitions, one empty head is left. */
static void checkpoint(struct engine *e)
{
    e->position++;
    assert_ok(checkpoint_try(e, e->view.heads));
    for (unsigned i = 0; i < e->view.heads; i++) {
        head_destroy(e->view.head[i]);
    }
    e->view.heads = 1;
    assert_ok(head_create(&e->view.head[0]));
}

/* All partitions become one sealed file. */
static void seal(struct engine *e)
{
    static const atomic_bool stop = false;
    struct part *parts[PARTS_MAX + 1], *fresh;
    struct seal_result result;
    size_t count = 0;
    const struct erasure nothing = {NULL, e->catalogue, NULL};
    struct seal work = {.directory = e->directory.path,
                        .erasure = &nothing,
                        .name = {.kind = PART_SEALED, .number = ++e->numbers},
                        .parts = parts,
                        .group_end = GROUPS,
                        .stop = &stop};
    for (int i = 0; i < VIEW_LAYERS; i++) {
        for (size_t j = 0; j < e->view.layer[i].count; j++) {
            parts[count++] = e->view.layer[i].at[j];
        }
    }
    work.part_count = count;
    work.name.period = part_period(parts[0]);
    for (size_t i = 0; i < count; i++) {
        const struct part_period p = part_period(parts[i]);
        struct part_period *all = &work.name.period;
        all->start_ns = p.start_ns < all->start_ns ? p.start_ns : all->start_ns;
        all->end_ns = p.end_ns > all->end_ns ? p.end_ns : all->end_ns;
    }
    assert_ok(seal_write(&work, &result, &fresh));
    for (size_t i = 0; i < count; i++) {
        assert_true(part_is_source(fresh, part_name(parts[i])));
        part_doom(parts[i]);
    }
    drop_layer(&e->view.layer[VIEW_SEALED]);
    drop_layer(&e->view.layer[VIEW_ACTIVE]);
    view_part_add(&e->view.layer[VIEW_SEALED], fresh);
}

static void put_row(struct engine *e, uint32_t group, int64_t time_ns, uint64_t columns,
                    const double *values)
{
    struct batch_entry row = {.kind = BATCH_ROW,
                              .row = {.group = group, .time_ns = time_ns, .columns = columns}};
    for (unsigned column = 0; column < COLUMNS; column++) {
        if ((columns >> column & 1) != 0) {
            row.row.values[row.row.count++] = values[column];
            model_put(&e->model[group][column], time_ns, values[column]);
        }
    }
    assert_ok(head_append(e->view.head[e->view.heads - 1], &row, 0));
}

static double any_value(struct rng *rng)
{
    switch (rng_below(rng, 12)) {
    case 0:
        return nan("");
    case 1:
        return (double)(int64_t)rng_next(rng) / 1e7;
    case 2:
        return -0.0;
    default:
        return (double)(int)rng_below(rng, 2000) / 10 - 50;
    }
}

/* Mostly in order, sometimes late, sometimes again. */
static void put_any_row(struct engine *e, int64_t now_ns)
{
    const uint32_t group = rng_below(&e->rng, rng_below(&e->rng, 4) == 0 ? GROUPS : BUSY);
    const struct model *seen = &e->model[group][rng_below(&e->rng, COLUMNS)];
    const uint32_t luck = rng_below(&e->rng, 100);
    double values[COLUMNS];
    int64_t time_ns = now_ns;
    if (luck < 5) {
        time_ns -= (int64_t)rng_below(&e->rng, 5 * PARTITION_S) * NS_PER_S;
    } else if (luck < 15 && seen->count > 0) {
        time_ns = seen->points[rng_below(&e->rng, (uint32_t)seen->count)].time_ns;
    }
    for (unsigned i = 0; i < COLUMNS; i++) {
        values[i] = any_value(&e->rng);
    }
    uint64_t columns = luck % 3 == 0 ? 1 + rng_below(&e->rng, 7) : 7;
    put_row(e, group, time_ns, columns, values);
}

/* cmocka's own assertions cost too much for millions of points. */
static void assert_same_point(const struct model *m, size_t at, int64_t time_ns, double value)
{
    if (at >= m->count || time_ns != m->points[at].time_ns ||
        memcmp(&value, &m->points[at].value, sizeof value) != 0) {
        fail_msg("point %zu of %zu is another: time %lld value %g", at, m->count,
                 (long long)time_ns, value);
    }
}

static void assert_scan(struct engine *e, struct scan *scan, struct series_ref ref, int64_t from_ns,
                        int64_t to_ns)
{
    struct model *m = &e->model[ref.group][ref.column];
    size_t at = model_find(m, from_ns);
    struct span span;
    enum err error;
    scan_start(scan, ref, from_ns, to_ns);
    while ((error = scan_next(scan, &span)) == OK) {
        assert_true(span.count > 0);
        for (size_t i = 0; i < span.count; i++) {
            assert_same_point(m, at++, span.times[i], span.values[i]);
        }
    }
    assert_int_equal(error, E_END);
    assert_int_equal(at, model_find(m, to_ns));
}

static bool is_near(double got, long double want, long double magnitude)
{
    return fabsl((long double)got - want) <= 1e-12L * magnitude;
}

/* One row of all aggregates in order of their bits; without the last, `spread` is false. */
static void assert_row(const struct model *m, size_t from, size_t to, const struct query_block *b,
                       size_t row, bool spread)
{
    struct model_bucket want = model_sum(m, from, to);
    long double n = (long double)want.count;
    assert_true(b->column[QUERY_COUNT][row] == (double)want.count);
    assert_true(is_near(b->column[QUERY_SUM][row], want.sum, want.magnitude));
    assert_true(is_near(b->column[QUERY_MEAN][row], want.sum / n, want.magnitude / n));
    assert_true(b->column[QUERY_MIN][row] == want.min);
    assert_true(b->column[QUERY_MAX][row] == want.max);
    assert_true(b->column[QUERY_FIRST][row] == want.first);
    assert_true(b->column[QUERY_LAST][row] == want.last);
    if (spread) {
        assert_true(fabs(b->column[QUERY_STDDEV][row] - want.stddev) <= 1e-9 * (want.stddev + 1));
    }
}

static int64_t bucket_of(int64_t time_ns, int64_t bucket_ns)
{
    return time_ns / bucket_ns * bucket_ns;
}

/* Runs over the model and the answer side by side. */
static void assert_buckets(struct engine *e, const struct query_request *request,
                           struct series_ref ref)
{
    const bool spread = (request->aggregates >> QUERY_STDDEV & 1) != 0;
    struct model *m = &e->model[ref.group][ref.column];
    size_t at = model_find(m, request->from_ns), end = model_find(m, request->to_ns);
    struct query_block block = {0};
    struct query *q;
    size_t row = 0;
    assert_ok(query_open(e, request, &q));
    while (at < end) {
        int64_t start_ns = bucket_of(m->points[at].time_ns, request->buckets.length);
        size_t next = model_find(m, start_ns + request->buckets.length);
        next = next < end ? next : end;
        if (model_sum(m, at, next).count > 0) {
            enum err error = OK;
            while (row == block.rows && (error = query_step(q, &block)) != E_END) {
                assert_true(error == OK || error == E_MORE);
                row = 0;
                block.rows = error == OK ? block.rows : 0;
            }
            assert_ok(error);
            assert_int_equal(block.times[row], start_ns);
            assert_row(m, at, next, &block, row, spread);
            row++;
        }
        at = next;
    }
    assert_int_equal(row, block.rows);
    enum err error = query_step(q, &block);
    while (error == E_MORE) {
        error = query_step(q, &block);
    }
    assert_int_equal(error, E_END);
    query_close(q);
}

static void assert_everything(struct engine *e, struct scan *scan, int64_t now_ns, int windows)
{
    const uint32_t span_s = (uint32_t)((now_ns - START_NS) / NS_PER_S) + 2;
    static const int64_t buckets_s[] = {10, 300, 3600, 86400};
    for (int i = 0; i < windows; i++) {
        struct series_ref ref = {rng_below(&e->rng, i % 2 == 0 ? GROUPS : BUSY),
                                 (uint8_t)rng_below(&e->rng, COLUMNS)};
        int64_t from_ns = START_NS + (int64_t)rng_below(&e->rng, span_s) * NS_PER_S;
        int64_t to_ns = from_ns + (int64_t)rng_below(&e->rng, span_s) * NS_PER_S;
        if (i < 3) {
            from_ns = 0;
            to_ns = INT64_MAX;
        }
        assert_scan(e, scan, ref, from_ns, to_ns);
        char filter[16];
        snprintf(filter, sizeof filter, "t/%u/%c", ref.group, 'a' + ref.column);
        struct query_request request = {
            .filter = bytes_of(filter),
            .from_ns = from_ns,
            .to_ns = to_ns,
            .buckets = {.length = buckets_s[rng_below(&e->rng, 4)] * NS_PER_S},
            .aggregates = rng_below(&e->rng, 2) == 0 ? 0xff : 0x7f,
            .series_max = 10,
        };
        assert_buckets(e, &request, ref);
    }
}

static void every_scan_and_query_equals_the_model(void **state)
{
    struct engine *e = *state;
    struct scan *scan;
    int64_t now_ns = START_NS + INT64_C(5) * PARTITION_S * NS_PER_S;
    assert_ok(scan_create(e, &scan));
    for (int round = 0; round < 40; round++) {
        uint32_t rows = rng_below(&e->rng, round % 8 == 0 ? 20000 : 800);
        for (uint32_t i = 0; i < rows; i++) {
            now_ns += rng_below(&e->rng, 1000) * (int64_t)NS_PER_MS;
            put_any_row(e, now_ns);
        }
        assert_everything(e, scan, now_ns, 6);
        if (round % 5 == 3) { /* A frozen head stays readable behind a failed try. */
            e->position++;
            e->opens_left = rng_below(&e->rng, 3);
            (void)!checkpoint_try(e, 1);
            e->opens_left = UINT32_MAX;
            assert_ok(head_create(&e->view.head[e->view.heads++]));
            for (int i = 0; i < 100; i++) {
                put_any_row(e, now_ns);
            }
            assert_everything(e, scan, now_ns, 3);
        }
        checkpoint(e);
        assert_everything(e, scan, now_ns, 6);
        if (round % 4 == 2) {
            seal(e);
            assert_everything(e, scan, now_ns, 6);
        }
    }
    assert_int_equal(e->corrupt, 0);
    scan_destroy(scan);
}

static void many_rows_against_the_time_stay_bounded_and_right(void **state)
{
    struct engine *e = *state;
    struct scan *scan;
    enum { ROWS = 300000 };
    assert_ok(scan_create(e, &scan));
    for (int i = 0; i < ROWS; i++) { /* Blocks of ascending rows, each before the last. */
        int block = i / 1000, within = i % 1000;
        double value = i;
        int64_t at = (int64_t)(ROWS / 1000 - block) * 1000 + within;
        put_row(e, 0, START_NS + at * NS_PER_MS, 1, &value);
    }
    assert_scan(e, scan, (struct series_ref){0, 0}, 0, INT64_MAX);
    checkpoint(e);
    assert_scan(e, scan, (struct series_ref){0, 0}, 0, INT64_MAX);
    scan_destroy(scan);
}

static void many_flushes_over_the_same_hour_stay_right(void **state)
{
    struct engine *e = *state;
    struct scan *scan;
    assert_ok(scan_create(e, &scan));
    for (int flush = 0; flush < 60; flush++) {
        for (int i = 0; i < 5000; i++) {
            double value = rng_below(&e->rng, 1000);
            int64_t at = rng_below(&e->rng, PARTITION_S * 1000 - 1);
            put_row(e, 1, START_NS + at * NS_PER_MS, 1, &value);
        }
        checkpoint(e);
    }
    assert_scan(e, scan, (struct series_ref){1, 0}, 0, INT64_MAX);
    assert_scan(e, scan, (struct series_ref){1, 0}, START_NS + 1800 * INT64_C(1000000000),
                START_NS + 1801 * INT64_C(1000000000));
    seal(e);
    assert_scan(e, scan, (struct series_ref){1, 0}, 0, INT64_MAX);
    scan_destroy(scan);
}

static void checkpoints_count_what_came_again(void **state)
{
    struct engine *e = *state;
    const double one[COLUMNS] = {1, 2, 3}, other[COLUMNS] = {1, 5, 3};
    put_row(e, 0, START_NS, 7, one);
    put_row(e, 0, START_NS, 7, one);
    put_row(e, 0, START_NS, 6, other);
    put_row(e, 0, START_NS + 1, 1, one);
    put_row(e, 1, START_NS - 1, 1, one);
    checkpoint(e);
    assert_int_equal(e->result.rows, 5);
    assert_int_equal(e->result.duplicates, 4);
    assert_int_equal(e->result.overwritten, 1);
    assert_int_equal(e->result.chunks, 2);
    assert_int_equal(e->result.partitions, 2);
}

static void full_chunks_fill_a_page_and_rests_fit_a_leaf(void **state)
{
    struct engine *e = *state;
    struct part_cursor *walk;
    struct bytes key, value;
    uint32_t flush, group, full = 0, other = 0;
    for (int i = 0; i < 3500 * 10; i++) {
        double value0 = (double)(500 + rng_below(&e->rng, 300)) / 10;
        put_row(e, 0, START_NS + i * INT64_C(100000000), 1, &value0);
    }
    checkpoint(e);
    assert_ok(part_walk_open(e->parts[0], &walk));
    while (part_walk_next(walk, &flush, &group, &key, &value) == OK) {
        assert_true(value.size <= CHUNK_PAGE_BYTES);
        full += value.size > 3800;
        other += value.size <= 3800;
    }
    part_cursor_close(walk);
    assert_true(full >= 3);
    assert_true(other <= 2);
}

static void raw_queries_give_bounded_blocks_in_order_of_paths(void **state)
{
    struct engine *e = *state;
    struct query_block block;
    struct query *q;
    size_t rows = 0, at = 0;
    enum err error;
    for (int i = 0; i < 20000; i++) {
        const double values[COLUMNS] = {i, -i, 0.5};
        put_row(e, (uint32_t)i % BUSY, START_NS + i * INT64_C(1000000000), 7, values);
        if (i == 12345) {
            checkpoint(e);
        }
    }
    struct query_request request = {
        .filter = bytes_of("t/+/b"), .from_ns = 0, .to_ns = INT64_MAX, .series_max = GROUPS};
    assert_ok(query_open(e, &request, &q));
    uint32_t group = 0;
    while ((error = query_step(q, &block)) == OK || error == E_MORE) {
        if (error == E_MORE) {
            continue;
        }
        at = block.series.group == group ? at : 0;
        assert_true(block.series.group == group || block.series.group == ++group);
        assert_int_equal(block.series.column, 1);
        assert_int_equal(block.columns, 1);
        assert_true(block.rows > 0 && block.rows <= QUERY_BLOCK_ROWS_MAX);
        for (size_t i = 0; i < block.rows; i++) {
            assert_same_point(&e->model[group][1], at++, block.times[i], block.column[0][i]);
        }
        rows += block.rows;
    }
    assert_int_equal(error, E_END);
    assert_int_equal(rows, 20000);
    assert_int_equal(query_units(q), GROUPS);
    query_close(q);

    request.series_max = GROUPS - 1;
    assert_int_equal(query_open(e, &request, &q), E_LIMIT);
    request.filter = bytes_of("nowhere/#");
    assert_ok(query_open(e, &request, &q));
    assert_int_equal(query_step(q, &block), E_END);
    query_close(q);
}

static void rows_max_ends_a_query(void **state)
{
    struct engine *e = *state;
    struct query_block block;
    struct query *q;
    for (int i = 0; i < 1000; i++) {
        double value = i;
        put_row(e, 0, START_NS + i, 1, &value);
    }
    for (int64_t bucket_ns = 0; bucket_ns < 20; bucket_ns += 10) {
        struct query_request request = {.filter = bytes_of("t/0/#"),
                                        .to_ns = INT64_MAX,
                                        .series_max = 100,
                                        .buckets = {.length = bucket_ns},
                                        .aggregates = 1,
                                        .rows_max = 17};
        assert_ok(query_open(e, &request, &q));
        assert_ok(query_step(q, &block));
        assert_int_equal(block.rows, 17);
        assert_int_equal(query_step(q, &block), E_END);
        query_close(q);
    }
}

#define IN_A_CITY(test) cmocka_unit_test_setup_teardown(test, city_build, city_raze)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_CITY(every_scan_and_query_equals_the_model),
        IN_A_CITY(many_rows_against_the_time_stay_bounded_and_right),
        IN_A_CITY(many_flushes_over_the_same_hour_stay_right),
        IN_A_CITY(checkpoints_count_what_came_again),
        IN_A_CITY(full_chunks_fill_a_page_and_rests_fit_a_leaf),
        IN_A_CITY(raw_queries_give_bounded_blocks_in_order_of_paths),
        IN_A_CITY(rows_max_ends_a_query),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
