/* Aggregates over whole buckets of dense data, answered from rollups where these exist, against the
 * trivial model; and what rollups of a sealed file there are. */

#include "storage/read/rollup_scan.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/zone.h"
#include "storage/part/part_rollup.h"
#include "storage/read/query.h"
#include "storage/read/scan.h"
#include "storage/view.h"
#include "tests/lib/model.h"
#include "tests/lib/rng.h"
#include "tests/lib/store.h"

#define START_NS (INT64_C(1490000000) * NS_PER_S) /* 2017-03-20, before clocks go forward. */
#define HOUR_NS  (INT64_C(3600) * NS_PER_S)
#define DAY_NS   (24 * HOUR_NS)

enum { COLUMNS = 3, DAYS = 16, ROWS_A_DAY = 16000, BUCKETS = 15 };

static struct store s;
static struct rng rng;
static struct series_ref refs[COLUMNS];
static struct model models[COLUMNS];
static struct zone *warsaw, *kolkata;

static int set_up(void **state)
{
    static const char *const names[COLUMNS] = {"a", "b", "c"};
    (void)state;
    rng = (struct rng){7};
    store_make(&s);
    assert_ok(zone_open(bytes_of("Europe/Warsaw"), &warsaw));
    assert_ok(zone_open(bytes_of("Asia/Kolkata"), &kolkata));
    for (int i = 0; i < COLUMNS; i++) {
        refs[i] = store_series(&s, "k/t", names[i]);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < COLUMNS; i++) {
        model_free(&models[i]);
    }
    zone_close(warsaw);
    zone_close(kolkata);
    store_remove(&s);
    return 0;
}

static void write_batch(void)
{
    assert_ok(store_write(&s));
    if (engine_wants_checkpoint(s.engine)) {
        assert_ok(store_checkpoint(&s));
    }
}

static double any_value(unsigned column)
{
    const uint32_t luck = rng_below(&rng, 20000);
    if (luck == 0) {
        return (double)(int64_t)rng_next(&rng) / 1e7;
    }
    if (luck < 400 || (column == 2 && luck < 10000)) {
        return nan("");
    }
    return (double)((int)rng_below(&rng, 2000) - 500) / 10;
}

/* A row of all columns, sometimes of one; the last column has a day of its own without numbers. */
static void put_row(int64_t time_ns)
{
    const bool is_void = time_ns / DAY_NS % 7 == 3;
    const unsigned alone = rng_below(&rng, 30);
    struct batch_value values[COLUMNS];
    unsigned count = 0;
    for (unsigned i = 0; i < COLUMNS; i++) {
        if (alone < COLUMNS && alone != i) {
            continue;
        }
        const double value = i == 2 && is_void ? nan("") : any_value(i);
        values[count++] = (struct batch_value){refs[i].column, {value, 0, NUMBER_RAW}};
        model_put(&models[i], time_ns, value);
    }
    enum err e = batch_put_row(s.batch, refs[0].group, time_ns, values, count);
    if (e == E_LIMIT) {
        write_batch();
        e = batch_put_row(s.batch, refs[0].group, time_ns, values, count);
    }
    assert_ok(e);
}

static void put_days(int from, int end)
{
    for (int day = from; day < end; day++) {
        for (int i = 0; i < ROWS_A_DAY && day % 9 != 4; i++) {
            put_row(START_NS + day * DAY_NS + i * (DAY_NS / ROWS_A_DAY) + rng_below(&rng, 1000000));
        }
    }
    write_batch();
}

static bool is_near(double got, long double want, long double magnitude)
{
    return fabsl((long double)got - want) <= 1e-12L * magnitude;
}

static void assert_row(const struct model *m, size_t from, size_t to, const struct query_block *b,
                       size_t row)
{
    const struct model_bucket want = model_sum(m, from, to);
    const long double n = (long double)want.count;
    assert_true(b->column[QUERY_COUNT][row] == (double)want.count);
    assert_true(is_near(b->column[QUERY_SUM][row], want.sum, want.magnitude));
    assert_true(is_near(b->column[QUERY_MEAN][row], want.sum / n, want.magnitude / n));
    assert_true(b->column[QUERY_MIN][row] == want.min);
    assert_true(b->column[QUERY_MAX][row] == want.max);
    assert_true(b->column[QUERY_FIRST][row] == want.first);
    assert_true(b->column[QUERY_LAST][row] == want.last);
}

/* The next row of an answer; E_END behind the last. */
static enum err next_row(struct query *q, struct query_block *b, size_t *row)
{
    if (b->rows > 0 && ++*row < b->rows) {
        return OK;
    }
    enum err e = E_MORE;
    while (e == E_MORE) {
        e = query_step(q, b);
    }
    b->rows = e == OK ? b->rows : 0;
    *row = 0;
    return e;
}

static void assert_query(unsigned column, const struct buckets *buckets, int64_t from_ns,
                         int64_t to_ns)
{
    static const char *const filters[COLUMNS] = {"k/t/a", "k/t/b", "k/t/c"};
    const struct query_request request = {.filter = bytes_of(filters[column]),
                                          .from_ns = from_ns,
                                          .to_ns = to_ns,
                                          .buckets = *buckets,
                                          .aggregates = 0x7f,
                                          .series_max = 10};
    struct model *m = &models[column];
    struct query_block block = {0};
    struct query *q;
    size_t row = 0, at = model_find(m, from_ns), next;
    const size_t end = model_find(m, to_ns);
    assert_ok(query_open(s.engine, &request, &q));
    for (; at < end; at = next) {
        const struct bucket b = buckets_find(buckets, m->points[at].time_ns);
        next = model_find(m, b.end_ns);
        next = next < end ? next : end;
        if (model_sum(m, at, next).count > 0) {
            assert_ok(next_row(q, &block, &row));
            assert_int_equal(block.times[row], b.start_ns);
            assert_row(m, at, next, &block, row);
        }
    }
    assert_int_equal(next_row(q, &block, &row), E_END);
    query_close(q);
}

static struct buckets any_buckets(unsigned i)
{
    const struct buckets all[BUCKETS] = {{.length = HOUR_NS},
                                         {.length = DAY_NS},
                                         {.length = 7 * DAY_NS},
                                         {.length = 36 * HOUR_NS},
                                         {.length = HOUR_NS * 3 / 2},
                                         {.length = DAY_NS * 9 / 2 + 1},
                                         {.length = 600 * (int64_t)NS_PER_S},
                                         {.length = INT64_MAX},
                                         {BUCKET_DAY, 1, NULL},
                                         {BUCKET_MONTH, 1, NULL},
                                         {BUCKET_DAY, 1, warsaw},
                                         {BUCKET_WEEK, 1, warsaw},
                                         {BUCKET_MONTH, 1, kolkata},
                                         {BUCKET_DAY, 1, kolkata},
                                         {BUCKET_YEAR, 1, warsaw}};
    return all[i];
}

/* Borders of hours and days, and any other time. */
static int64_t any_time(void)
{
    const int64_t time_ns = START_NS + rng_below(&rng, (DAYS + 4) * 86400) * (int64_t)NS_PER_S;
    switch (rng_below(&rng, 3)) {
    case 0:
        return rollup_floor(ROLLUP_DAY, time_ns);
    case 1:
        return rollup_floor(ROLLUP_HOUR, time_ns);
    default:
        return time_ns;
    }
}

static void assert_queries(void)
{
    for (unsigned i = 0; i < BUCKETS; i++) {
        const struct buckets buckets = any_buckets(i);
        const unsigned column = rng_below(&rng, COLUMNS);
        const int64_t from_ns = any_time(), to_ns = any_time();
        assert_query(column, &buckets, START_NS - DAY_NS, START_NS + (DAYS + 9) * DAY_NS);
        assert_query(column, &buckets, from_ns, to_ns);
    }
}

/* Statistics of pieces stand for exactly the points between their first and last, and the pieces
 * for all; returns their number. */
static size_t assert_pieces(unsigned column, const struct buckets *buckets)
{
    struct model *m = &models[column];
    uint64_t count = 0, want;
    struct scan *scan;
    struct piece piece;
    size_t pieces = 0;
    enum err e;
    assert_ok(scan_create(s.engine, &scan));
    scan_start(scan, refs[column], 0, INT64_MAX);
    for (; (e = scan_next_piece(scan, buckets, &piece)) == OK; pieces++) {
        for (size_t i = 0; i < piece.stats_count; i++) {
            const struct chunk_stats *st = &piece.stats[i];
            const size_t first = model_find(m, st->first_ns), end = model_find(m, st->last_ns + 1);
            const struct model_bucket b = model_sum(m, first, end);
            assert_int_equal(m->points[first].time_ns, st->first_ns);
            assert_int_equal(m->points[end - 1].time_ns, st->last_ns);
            assert_int_equal(b.count, st->count);
            assert_true(st->count == 0 || (m->points[first].value == st->first &&
                                           m->points[end - 1].value == st->last));
            count += st->count;
        }
        for (size_t i = 0; i < piece.span.count; i++) {
            count += isnan(piece.span.values[i]) ? 0 : 1;
        }
    }
    assert_int_equal(e, E_END);
    want = model_sum(m, 0, model_find(m, INT64_MAX)).count;
    assert_int_equal(count, want);
    scan_destroy(scan);
    return pieces;
}

static void assert_everything(void)
{
    const struct buckets year = {BUCKET_YEAR, 1, NULL};
    for (unsigned column = 0; column < COLUMNS; column++) {
        (void)assert_pieces(column, &year);
    }
    assert_queries();
}

/* Levels with values of column `column`. */
static unsigned levels_of(struct part *p, uint8_t column)
{
    struct part_rollups *r;
    struct bytes key, value;
    struct rollup_key place;
    unsigned levels = 0;
    assert_ok(part_rollups_open(p, &r));
    const struct rollup_key first = {0, ROLLUP_HOUR, 0, INT64_MIN};
    enum err e = part_rollups_find(r, first, &key, &value);
    for (; e == OK; e = part_rollups_next(r, &key, &value)) {
        assert_ok(rollup_key_read(key, &place));
        assert_true(value.size <= CHUNK_PAGE_BYTES);
        levels |= place.column == column ? 1U << place.level : 0;
    }
    assert_int_equal(e, E_END);
    part_rollups_close(r);
    return levels;
}

/* Levels that sealed parts have of any column. */
static unsigned sealed_levels(void)
{
    const struct view *view = view_hold(s.engine);
    const struct view_parts *l = &view->layer[VIEW_SEALED];
    unsigned levels = 0;
    for (size_t i = 0; i < l->count; i++) {
        levels |= part_has_rollups(l->at[i]) ? levels_of(l->at[i], 0) : 0;
    }
    view_drop(s.engine, view);
    return levels;
}

/* Late rows, here and there. */
static void put_late(int rows)
{
    for (int i = 0; i < rows; i++) {
        put_row(any_time());
    }
    write_batch();
}

static void run(uint32_t partition_s)
{
    const struct engine_seal_request request = {INT64_MAX, true};
    store_close(&s);
    directory_remove_store(s.dir.path);
    s.options.partition_s = partition_s;
    s.options.journal_bytes = 4 << 20;
    store_open(&s);
    for (unsigned i = 0; i < COLUMNS; i++) {
        model_free(&models[i]);
        refs[i] = store_series(&s, "k/t", i == 0 ? "a" : i == 1 ? "b" : "c");
    }
    put_days(0, DAYS / 2);
    assert_ok(store_checkpoint(&s));
    assert_ok(store_seal(&s, true));
    assert_everything();
    put_days(DAYS / 2, DAYS);
    assert_everything();
    put_late(3); /* In the head, over sealed days. */
    assert_everything();
    assert_ok(store_checkpoint(&s));
    put_late(40);
    assert_everything();
    assert_ok(store_checkpoint(&s));
    assert_ok(engine_seal_begin(s.engine, &request));
    put_late(2); /* Over closing parts. */
    assert_everything();
    assert_ok(engine_seal_end(s.engine, engine_seal_run(s.engine)));
    assert_everything();
    (void)!store_seal(&s, true);
    assert_ok(store_checkpoint(&s));
    (void)!store_seal(&s, true);
    assert_everything();
    assert_int_equal(sealed_levels(), 1U << ROLLUP_HOUR | 1U << ROLLUP_DAY);
    store_close(&s);
    store_verify(&s);
    store_open(&s);
    assert_everything();
}

static void answers_equal_the_model_whatever_lies_over_rollups(void **state)
{
    (void)state;
    run(7 * 86400);
    run(6 * 3600);
}

/* The sealed part, one; borrowed. */
static struct part *sealed_part(const struct view *view)
{
    assert_int_equal(view->layer[VIEW_SEALED].count, 1);
    return view->layer[VIEW_SEALED].at[0];
}

static void put_steps(int64_t step_s, int rows)
{
    for (int64_t i = 0; i < rows; i++) {
        const double value = (double)rng_below(&rng, 500) / 10;
        const int64_t time_ns = START_NS + i * step_s * NS_PER_S;
        enum err e = store_put(&s, refs[0], time_ns, value);
        if (e == E_LIMIT) {
            write_batch();
            e = store_put(&s, refs[0], time_ns, value);
        }
        assert_ok(e);
        model_put(&models[0], time_ns, value);
    }
    write_batch();
    assert_ok(store_checkpoint(&s));
    assert_ok(store_seal(&s, true));
}

static void sparse_data_has_no_rollups(void **state)
{
    (void)state;
    put_steps(3600, 24 * 300);
    const struct view *view = view_hold(s.engine);
    assert_false(part_has_rollups(sealed_part(view)));
    view_drop(s.engine, view);
}

static void minutes_are_rolled_up_by_days_only(void **state)
{
    (void)state;
    s.options.partition_s = 53 * 7 * 86400;
    store_close(&s);
    directory_remove_store(s.dir.path);
    store_open(&s);
    refs[0] = store_series(&s, "k/t", "a");
    put_steps(60, 1440 * 150);
    const struct view *view = view_hold(s.engine);
    assert_int_equal(levels_of(sealed_part(view), 0), 1U << ROLLUP_DAY);
    view_drop(s.engine, view);
}

static void a_long_window_of_dense_data_takes_few_pieces(void **state)
{
    const struct buckets hours = {.length = HOUR_NS}, days = {.length = DAY_NS},
                         all = {.length = INT64_MAX};
    (void)state;
    s.options.partition_s = 53 * 7 * 86400;
    store_close(&s);
    directory_remove_store(s.dir.path);
    store_open(&s);
    refs[0] = store_series(&s, "k/t", "a");
    put_steps(10, 8640 * 40);
    const struct view *view = view_hold(s.engine);
    assert_int_equal(levels_of(sealed_part(view), 0), 1U << ROLLUP_HOUR | 1U << ROLLUP_DAY);
    view_drop(s.engine, view);
    /* The hour or day cut at each end, hours up to the first and from the last day, days. */
    assert_true(assert_pieces(0, &hours) <= 5);
    assert_true(assert_pieces(0, &days) <= 5);
    assert_true(assert_pieces(0, &all) <= 5);
}

#define IN_A_STORE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_STORE(answers_equal_the_model_whatever_lies_over_rollups),
        IN_A_STORE(sparse_data_has_no_rollups),
        IN_A_STORE(minutes_are_rolled_up_by_days_only),
        IN_A_STORE(a_long_window_of_dense_data_takes_few_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
