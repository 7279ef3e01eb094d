/* Queries through the whole engine, beside writers and checkpoints. */

#include "storage/read/query.h"

#include <math.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/thread.h"
#include "tests/lib/rng.h"
#include "tests/lib/store_fixture.h"

#define MONDAY_NS (INT64_C(1483315200) * NS_PER_S)
enum { SERIES = 5, ROUNDS = 60, ROWS = 400 };

/* Point i of a series: one each 10 minutes, so that rounds cross partitions; its value is i. */
static int64_t time_of(int i)
{
    return MONDAY_NS + i * INT64_C(600) * NS_PER_S;
}

struct reader {
    struct thread thread;
    atomic_int *written; /* Points of each series that were acknowledged. */
    atomic_bool *stop;
    uint64_t seen;
};

/* All points of all series: the first `least` without gap; behind them what comes meanwhile, each
 * once. */
static uint64_t read_all(int least)
{
    const struct query_request request = {
        .filter = bytes_of("city/#"), .to_ns = INT64_MAX, .series_max = 100};
    struct query_block block;
    struct query *q;
    enum err e;
    uint32_t series = UINT32_MAX;
    int next = 0;
    uint64_t points = 0;
    assert_ok(query_open(s.engine, &request, &q));
    while ((e = query_step(q, &block)) == OK || e == E_MORE) {
        if (e == E_MORE) {
            continue;
        }
        if (block.series.group != series) {
            assert_true(series == UINT32_MAX || next >= least);
            series = block.series.group;
            next = 0;
        }
        for (size_t i = 0; i < block.rows; i++, next++) {
            const int at = (int)block.column[0][i];
            if (block.times[i] != time_of(at) || at < next || (next < least && at > next)) {
                fail_msg("point %d is missing or another: %d", next, at);
            }
            next = at;
        }
        points += block.rows;
    }
    assert_int_equal(e, E_END);
    query_close(q);
    return points;
}

static void read_on(void *raw)
{
    struct reader *r = raw;
    while (!atomic_load(r->stop)) {
        r->seen += read_all(atomic_load(r->written));
    }
}

struct worker {
    struct thread thread;
    enum err result;
    atomic_bool done;
};

static void run_checkpoint(void *raw)
{
    struct worker *w = raw;
    w->result = engine_checkpoint_run(s.engine);
    atomic_store(&w->done, true);
}

static void write_round(struct series_ref *refs, int from)
{
    for (int i = from; i < from + ROWS; i++) {
        for (int k = 0; k < SERIES; k++) {
            enum err e = store_put(&s, refs[k], time_of(i), i);
            if (e == E_LIMIT) {
                assert_ok(store_write(&s));
                e = store_put(&s, refs[k], time_of(i), i);
            }
            assert_ok(e);
        }
    }
    assert_ok(store_write(&s));
}

static void readers_see_every_acknowledged_point_once_at_any_time(void **state)
{
    static const char *const topics[SERIES] = {"city/a", "city/b", "city/c", "city/d", "city/e"};
    struct series_ref refs[SERIES];
    struct worker worker = {.result = OK};
    atomic_int written = 0;
    atomic_bool stop = false;
    struct reader readers[2];
    bool running = false;
    int checkpoints = 0;
    (void)state;
    for (int k = 0; k < SERIES; k++) {
        refs[k] = store_series(&s, topics[k], "");
    }
    for (int i = 0; i < 2; i++) {
        readers[i] = (struct reader){.written = &written, .stop = &stop};
        assert_ok(thread_start(&readers[i].thread, "reader", read_on, &readers[i]));
    }
    for (int round = 0; round < ROUNDS; round++) {
        write_round(refs, round * ROWS);
        atomic_store(&written, (round + 1) * ROWS);
        if (running && atomic_load(&worker.done)) {
            thread_join(&worker.thread);
            assert_ok(engine_checkpoint_end(s.engine, worker.result));
            running = false;
            checkpoints++;
        }
        if (!running) {
            assert_ok(engine_checkpoint_begin(s.engine));
            atomic_store(&worker.done, false);
            assert_ok(thread_start(&worker.thread, "worker", run_checkpoint, &worker));
            running = true;
        }
    }
    if (running) { /* The only one, perhaps, where others keep the machine busy. */
        thread_join(&worker.thread);
        assert_ok(engine_checkpoint_end(s.engine, worker.result));
        checkpoints++;
    }
    atomic_store(&stop, true);
    for (int i = 0; i < 2; i++) {
        thread_join(&readers[i].thread);
        assert_true(readers[i].seen > 0);
    }
    assert_true(checkpoints > 0);
    assert_int_equal(read_all(ROUNDS * ROWS), ROUNDS * ROWS * SERIES);
    store_close(&s);
    store_open(&s);
    assert_int_equal(read_all(ROUNDS * ROWS), ROUNDS * ROWS * SERIES);
}

static void a_query_goes_on_while_its_partitions_are_dropped(void **state)
{
    store_close(&s);
    s.options.keep_s = 1;
    store_open(&s);
    struct series_ref ref = store_series(&s, "city/a", "");
    const struct query_request request = {
        .filter = bytes_of("#"), .to_ns = INT64_MAX, .series_max = 10};
    struct query_block block;
    struct query *q;
    enum err e;
    int64_t last_ns = 0;
    (void)state;
    for (int i = 0; i < 40000; i++) { /* Some 40 weeks. */
        e = store_put(&s, ref, time_of(i), i);
        if (e == E_LIMIT) {
            assert_ok(store_write(&s));
            e = store_put(&s, ref, time_of(i), i);
        }
        assert_ok(e);
    }
    assert_ok(store_write(&s));
    assert_ok(store_checkpoint(&s));
    assert_ok(query_open(s.engine, &request, &q));
    assert_ok(query_step(q, &block));
    assert_int_equal(block.times[0], MONDAY_NS);
    engine_keep(s.engine, time_of(30000) + NS_PER_S);
    while ((e = query_step(q, &block)) == OK || e == E_MORE) {
        if (e == OK) {
            assert_true(block.times[0] > last_ns);
            last_ns = block.times[block.rows - 1];
        }
    }
    assert_int_equal(e, E_END);
    assert_int_equal(last_ns, time_of(39999));
    query_close(q);
}

static void infinities_and_single_values_aggregate_as_ieee_says(void **state)
{
    struct series_ref ref = store_series(&s, "city/a", "");
    const double values[] = {5, (double)INFINITY, (double)NAN, 7, 9, (double)NAN};
    const struct query_request request = {.filter = bytes_of("#"),
                                          .to_ns = INT64_MAX,
                                          .series_max = 10,
                                          .buckets = {.length = INT64_C(1200) * NS_PER_S},
                                          .aggregates = 0xff};
    struct query_block b;
    struct query *q;
    (void)state;
    for (int i = 0; i < 6; i++) {
        assert_ok(store_put(&s, ref, time_of(i), values[i]));
    }
    assert_ok(store_write(&s));
    assert_ok(query_open(s.engine, &request, &q));
    assert_ok(query_step(q, &b));
    assert_int_equal(b.rows, 3);
    assert_int_equal(b.columns, 8);
    assert_true(b.column[QUERY_COUNT][0] == 2 && b.column[QUERY_COUNT][1] == 1);
    assert_true(isinf(b.column[QUERY_SUM][0]) && isinf(b.column[QUERY_MEAN][0]));
    assert_true(b.column[QUERY_MIN][0] == 5 && isinf(b.column[QUERY_MAX][0]));
    assert_true(b.column[QUERY_FIRST][1] == 7 && b.column[QUERY_LAST][1] == 7);
    assert_true(isnan(b.column[QUERY_STDDEV][0]));
    assert_true(b.column[QUERY_STDDEV][1] == 0 && b.column[QUERY_STDDEV][2] == 0);
    assert_true(b.column[QUERY_SUM][2] == 9);
    assert_int_equal(query_step(q, &b), E_END);
    query_close(q);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STORE(readers_see_every_acknowledged_point_once_at_any_time),
        WITH_STORE(a_query_goes_on_while_its_partitions_are_dropped),
        WITH_STORE(infinities_and_single_values_aggregate_as_ieee_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
