#include "storage/engine.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/thread.h"
#include "storage/read/scan.h"
#include "storage/view.h"
#include "tests/lib/rng.h"
#include "tests/lib/store_fixture.h"

#define T0     (INT64_C(1479877011) * 1000000000)
#define DAY_NS (INT64_C(86400) * 1000000000)

/* Rows in the heads of the current view. */
static uint64_t rows_in_head(void)
{
    struct engine_stats stats;
    engine_stats(s.engine, &stats);
    return stats.head_rows;
}

static uint64_t live_journal(void)
{
    struct engine_stats stats;
    engine_stats(s.engine, &stats);
    return stats.journal_bytes;
}

static void expect_last(const char *path, int64_t time_ns, double value)
{
    struct series_ref ref;
    int64_t t = 0;
    double v = 0;
    assert_ok(catalogue_find(engine_catalogue(s.engine), bytes_of(path), &ref));
    assert_ok(engine_last(s.engine, ref, &t, &v));
    assert_int_equal(t, time_ns);
    assert_true(v == value);
}

static void put(const char *topic, const char *name, int64_t time_ns, double value)
{
    assert_ok(store_put(&s, store_series(&s, topic, name), time_ns, value));
}

static void what_was_written_is_visible_and_outlives_a_restart(void **state)
{
    (void)state;
    put("k/a", "x", T0, 1.5);
    put("k/a", "y", T0, 2);
    put("k/b", "", T0 + 5, 3);
    assert_int_equal(rows_in_head(), 0); /* Not before it is durable. */
    assert_ok(store_write(&s));
    assert_int_equal(rows_in_head(), 3);
    for (int round = 0; round < 3; round++) {
        expect_last("k/a/x", T0, 1.5);
        expect_last("k/a/y", T0, 2);
        expect_last("k/b", T0 + 5, 3);
        store_close(&s);
        store_open(&s);
        assert_int_equal(rows_in_head(), 3);
        assert_int_equal(catalogue_series_count(engine_catalogue(s.engine)), 3);
    }
}

static void the_last_value_is_the_newest_by_event_time(void **state)
{
    (void)state;
    put("k", "", T0 + 10, 1);
    put("k", "", T0, 2);
    assert_ok(store_write(&s));
    expect_last("k", T0 + 10, 1);
    put("k", "", T0 + 10, 3); /* The later row wins at equal times. */
    assert_ok(store_write(&s));
    expect_last("k", T0 + 10, 3);
    assert_ok(store_checkpoint(&s));
    put("k", "", T0 + 9, 4);
    assert_ok(store_write(&s));
    store_close(&s);
    store_open(&s);
    expect_last("k", T0 + 10, 3);
}

static void a_checkpoint_empties_head_and_journal(void **state)
{
    (void)state;
    assert_int_equal(engine_checkpoint_begin(s.engine), E_END);
    for (int i = 0; i < 1000; i++) {
        put("k/a", "x", T0 + i * DAY_NS / 50, i);
    }
    assert_ok(store_write(&s));
    assert_ok(engine_checkpoint_begin(s.engine));
    assert_int_equal(engine_checkpoint_begin(s.engine), E_BUSY);
    put("k/a", "x", T0, 7); /* Comes in while it runs. */
    assert_ok(store_write(&s));
    assert_int_equal(rows_in_head(), 1001);
    assert_ok(engine_checkpoint_end(s.engine, engine_checkpoint_run(s.engine)));
    assert_int_equal(rows_in_head(), 1);
    struct engine_stats stats;
    engine_stats(s.engine, &stats);
    assert_int_equal(stats.partitions, 4);
    assert_int_equal(stats.checkpoints, 1);
    assert_true(stats.journal_bytes < 200);
    store_close(&s);
    store_open(&s);
    assert_int_equal(rows_in_head(), 1);
    expect_last("k/a/x", T0 + 999 * DAY_NS / 50, 999);
    assert_ok(store_checkpoint(&s));
    assert_int_equal(live_journal(), 0);
    assert_int_equal(engine_checkpoint_begin(s.engine), E_END);
}

static off_t journal_file_bytes(void)
{
    struct stat file;
    assert_int_equal(stat(directory_file(&s.dir, "journal.mdb"), &file), 0);
    return file.st_size;
}

static void write_many(struct series_ref ref, int64_t count)
{
    for (int64_t t = T0; t < T0 + count; t++) {
        if (store_put(&s, ref, t, 1) == E_LIMIT) {
            assert_ok(store_write(&s));
            assert_ok(store_put(&s, ref, t, 1));
        }
    }
    assert_ok(store_write(&s));
}

/* Who writes while a checkpoint runs will need the room again. */
static void the_journal_file_waits_for_a_quiet_moment_to_shrink(void **state)
{
    (void)state;
    write_many(store_series(&s, "k", ""), 300000);
    assert_ok(engine_checkpoint_begin(s.engine));
    put("k", "", T0, 2);
    assert_ok(store_write(&s));
    assert_ok(engine_checkpoint_end(s.engine, engine_checkpoint_run(s.engine)));
    assert_true(journal_file_bytes() > 1000000);
    assert_true(engine_wants_compact(s.engine));
    engine_compact(s.engine);
    assert_false(engine_wants_compact(s.engine));
    assert_true(journal_file_bytes() < 65536);
    assert_int_equal(rows_in_head(), 1);
    store_close(&s);
    store_open(&s);
    assert_int_equal(rows_in_head(), 1);
}

/* Beside what a checkpoint wrote nobody sees how much the journal once held. */
static void the_journal_file_is_small_when_little_lives_in_it(void **state)
{
    (void)state;
    write_many(store_series(&s, "k", ""), 300000);
    assert_true(journal_file_bytes() > 1000000);
    assert_ok(store_checkpoint(&s));
    assert_true(journal_file_bytes() < 65536);
    put("k", "", T0, 2);
    assert_ok(store_write(&s));
    store_close(&s);
    store_open(&s);
    assert_int_equal(rows_in_head(), 1);
    expect_last("k", T0 + 299999, 1);
}

static void replay_leaves_out_what_partitions_have(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        put("k/a", "x", T0 + i, i);
    }
    assert_ok(store_write(&s));
    assert_ok(engine_checkpoint_begin(s.engine));
    assert_ok(engine_checkpoint_run(s.engine));
    store_close(&s); /* Flushed, but never published nor trimmed. */
    store_open(&s);
    assert_int_equal(rows_in_head(), 0);
    assert_true(live_journal() > 0);
    assert_ok(store_checkpoint(&s));
    assert_int_equal(live_journal(), 0);
}

static void a_failed_checkpoint_keeps_all_readable_and_is_tried_again(void **state)
{
    (void)state;
    put("k/a", "x", T0, 1);
    assert_ok(store_write(&s));
    assert_ok(engine_checkpoint_begin(s.engine));
    assert_int_equal(engine_checkpoint_end(s.engine, E_IO), E_IO);
    assert_true(engine_wants_checkpoint(s.engine)); /* Sealing waits for it. */
    assert_int_equal(rows_in_head(), 1);
    put("k/a", "x", T0 + 1, 2);
    assert_ok(store_write(&s));
    assert_int_equal(rows_in_head(), 2);
    assert_ok(store_checkpoint(&s)); /* The frozen one. */
    assert_int_equal(rows_in_head(), 1);
    assert_ok(store_checkpoint(&s));
    assert_int_equal(rows_in_head(), 0);
    assert_int_equal(live_journal(), 0);
}

static void retention_drops_whole_partitions_and_old_last_values(void **state)
{
    (void)state;
    store_close(&s);
    s.options.keep_s = 10 * 86400;
    store_open(&s);
    struct engine_stats stats;
    struct series_ref ref = store_series(&s, "k/a", "");
    int64_t t;
    double v;
    put("k/a", "", T0, 1);
    put("k/b", "", T0 + 30 * DAY_NS, 2);
    assert_ok(store_write(&s));
    assert_ok(store_checkpoint(&s));
    const struct view *held = view_hold(s.engine);
    engine_keep(s.engine, T0 + 30 * DAY_NS);
    engine_stats(s.engine, &stats);
    assert_int_equal(stats.partitions, 1);
    assert_int_equal(stats.partitions_dropped, 1);
    assert_int_equal(view_part_count(held), 2); /* A reader keeps what it has. */
    view_drop(s.engine, held);
    assert_int_equal(engine_last(s.engine, ref, &t, &v), E_NOT_FOUND);
    put("k/a", "", T0, 3); /* Let in by mistake: the partition is not made again. */
    put("k/a", "", T0 + 30 * DAY_NS, 4);
    assert_ok(store_write(&s));
    assert_ok(store_checkpoint(&s));
    engine_stats(s.engine, &stats);
    assert_int_equal(stats.partitions, 1);
    store_close(&s);
    store_open(&s);
    engine_stats(s.engine, &stats);
    assert_int_equal(stats.partitions, 1);
    expect_last("k/a", T0 + 30 * DAY_NS, 4);
}

static void count_receipt(void *context, const struct receipt *r)
{
    uint64_t *sum = context;
    *sum = *sum * 31 + r->client_hash + r->packet_id + (uint64_t)r->time_ns;
}

static enum err count_state(void *context, const struct batch_state *state)
{
    *(size_t *)context += state->value.size;
    return OK;
}

static void receipts_and_state_outlive_trimming(void **state)
{
    (void)state;
    uint64_t before = 0, after = 0;
    size_t bytes = 0;
    for (uint32_t i = 0; i < 9000; i++) {
        struct receipt r = {rng_next(&(struct rng){i}), i, T0 + i, (uint16_t)i};
        if (batch_put_receipt(s.batch, &r) == E_LIMIT) {
            assert_ok(store_write(&s));
            assert_ok(batch_put_receipt(s.batch, &r));
        }
    }
    assert_ok(batch_put_state(s.batch, 7, 1, bytes_of("key"), bytes_of("value")));
    put("k", "", T0, 1);
    assert_ok(store_write(&s));
    engine_each_receipt(s.engine, count_receipt, &before);
    assert_ok(store_checkpoint(&s));
    store_close(&s);
    store_open(&s);
    engine_each_receipt(s.engine, count_receipt, &after);
    assert_true(before == after && before != 0);
    assert_ok(engine_each_state(s.engine, 7, count_state, &bytes));
    assert_int_equal(bytes, 5);
}

static void a_second_process_is_turned_away(void **state)
{
    (void)state;
    struct engine *other = NULL;
    assert_int_equal(engine_open(&s.options, &other), E_BUSY);
    assert_null(other);
}

static void a_journal_older_than_the_partitions_is_refused(void **state)
{
    (void)state;
    put("k", "", T0, 1);
    assert_ok(store_write(&s));
    assert_ok(store_checkpoint(&s));
    store_close(&s);
    assert_int_equal(unlink(directory_file(&s.dir, "journal.mdb")), 0);
    assert_int_equal(engine_open(&s.options, &s.engine), E_CORRUPT);
    s.engine = NULL;
}

static void the_journal_limit_refuses_writes_until_a_checkpoint(void **state)
{
    (void)state;
    enum err e = OK;
    int64_t t = T0;
    store_close(&s);
    s.options.journal_map = 1 << 20;
    store_open(&s);
    for (int i = 0; e == OK && i < 100; i++) {
        struct series_ref ref = store_series(&s, "k", "");
        while (store_put(&s, ref, t, 0.1 * (double)t) == OK) {
            t++;
        }
        e = store_write(&s);
    }
    assert_int_equal(e, E_NO_SPACE);
    assert_true(engine_wants_checkpoint(s.engine));
    uint64_t rows = rows_in_head();
    assert_ok(store_checkpoint(&s));
    assert_false(engine_wants_checkpoint(s.engine));
    put("k", "", t, 1);
    assert_ok(store_write(&s));
    assert_true(rows > 0);
    assert_int_equal(rows_in_head(), 1);
}

static void a_full_head_asks_for_a_checkpoint_unless_chunks_were_tiny(void **state)
{
    (void)state;
    store_close(&s);
    s.options.head_bytes = 1 << 20;
    s.options.journal_bytes = 64 << 20;
    store_open(&s);
    for (int series = 0; series < 5000; series++) {
        char topic[32];
        snprintf(topic, sizeof topic, "k/%d", series);
        put(topic, "", T0, 1);
        if (series % 1000 == 999) {
            assert_ok(store_write(&s));
        }
    }
    assert_false(engine_wants_checkpoint(s.engine));
    for (int64_t i = 0; !engine_wants_checkpoint(s.engine); i++) {
        assert_in_range(i, 0, 20 * 5000 / 1000);
        for (int64_t n = 0; n < 1000; n++) {
            put("k/0", "", T0 + i * 1000 + n, 1);
        }
        assert_ok(store_write(&s));
    }
    assert_true(rows_in_head() >= 16 * 5000);
    assert_ok(store_checkpoint(&s));
    assert_false(engine_wants_checkpoint(s.engine));
}

struct race {
    struct series_ref ref;
    atomic_bool done;
};

/* Row i has time T0 + i and value i: whoever looks sees a run without holes from 0. */
static void look_on(void *argument)
{
    struct race *race = argument;
    int64_t newest = -1;
    bool done;
    do {
        done = atomic_load(&race->done);
        int64_t t;
        double v;
        uint64_t rows = 0;
        if (engine_last(s.engine, race->ref, &t, &v) == OK) {
            assert_true(t - T0 == (int64_t)v && t - T0 >= newest);
            newest = t - T0;
        }
        const struct view *view = view_hold(s.engine);
        for (unsigned i = 0; i < view->heads; i++) {
            struct head_cursor cursor;
            struct head_row row;
            head_cursor_init(&cursor, view->head[i], race->ref.group);
            while (head_cursor_next(&cursor, &row)) {
                assert_true(row.values[0] == (double)(row.time_ns - T0));
                rows++;
            }
        }
        assert_true(view_part_count(view) > 0 || (int64_t)rows > newest);
        view_drop(s.engine, view);
        struct engine_stats stats;
        engine_stats(s.engine, &stats);
    } while (!done);
}

static enum err run_result;

static void run_checkpoint(void *argument)
{
    (void)argument;
    run_result = engine_checkpoint_run(s.engine);
}

static void readers_and_a_checkpoint_run_beside_writing(void **state)
{
    (void)state;
    struct race race = {.ref = store_series(&s, "k", "v")};
    struct thread reader, worker;
    int64_t n = 0;
    assert_ok(thread_start(&reader, "reader", look_on, &race));
    for (int round = 0; round < 5; round++) {
        put("k", "v", T0 + n, (double)n);
        n++;
        assert_ok(store_write(&s));
        assert_ok(engine_checkpoint_begin(s.engine));
        assert_ok(thread_start(&worker, "worker", run_checkpoint, NULL));
        for (int i = 0; i < 30; i++, n++) {
            put("k", "v", T0 + n, (double)n);
            assert_ok(store_write(&s));
        }
        thread_join(&worker);
        assert_ok(run_result);
        assert_ok(engine_checkpoint_end(s.engine, run_result));
    }
    atomic_store(&race.done, true);
    thread_join(&reader);
    assert_int_equal(rows_in_head(), 30);
}

/* The limit on file sizes stands in for a full disk: what was acknowledged stays, the rest is
 * refused, and when there is room again writing goes on. */
static void a_full_disk_refuses_and_recovers(void **state)
{
    (void)state;
    struct rlimit before, tight;
    struct engine_stats stats;
    uint64_t acked = 0;
    enum err e = OK;
    int64_t t = T0;
    struct series_ref ref = store_series(&s, "k", "");
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, SIG_IGN);
    tight = before;
    tight.rlim_cur = 1500000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    for (int i = 0; e == OK && i < 100; i++) {
        uint64_t rows = 0;
        for (; store_put(&s, ref, t, 0.1 * (double)t) == OK; t++) {
            rows++;
        }
        e = store_write(&s);
        acked += e == OK ? rows : 0;
    }
    assert_true(e == E_NO_SPACE || e == E_IO);
    put("k", "", t, 1);
    (void)store_write(&s);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    put("l", "", t, 1);
    assert_ok(store_write(&s));
    engine_stats(s.engine, &stats);
    assert_true(stats.commit_failures >= 1);
    assert_true(stats.head_rows > acked);
    uint64_t rows = stats.head_rows;
    store_close(&s);
    store_open(&s);
    assert_int_equal(rows_in_head(), rows);
}

/* The child writes batches of ten numbered rows and reports each acknowledged one through a pipe,
 * now and then with a checkpoint, until it is killed. */
static void write_until_killed(int report, uint32_t next)
{
    struct rng rng = {next + 1};
    store_open(&s);
    for (;; next++) {
        char topic[32];
        snprintf(topic, sizeof topic, "k/%u", next % 50);
        for (uint32_t i = 0; i < 10; i++) {
            put(topic, "v", T0 + (int64_t)next * DAY_NS / 100 + i, next * 10.0 + i);
        }
        if (store_write(&s) != OK || write(report, &next, sizeof next) != sizeof next) {
            _exit(1);
        }
        if (rng_below(&rng, 20) == 0) {
            (void)!store_checkpoint(&s);
        }
    }
}

static uint32_t run_and_kill(struct rng *rng, uint32_t from)
{
    int ends[2], status;
    uint32_t acked = from, got;
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)close(ends[0]);
        write_until_killed(ends[1], from);
    }
    (void)close(ends[1]);
    if (rng_below(rng, 4) > 0 && read(ends[0], &got, sizeof got) == sizeof got) {
        acked = got + 1; /* Else it may be killed while it opens the store. */
    }
    (void)usleep(rng_below(rng, 30000));
    assert_int_equal(kill(pid, SIGKILL), 0);
    while (read(ends[0], &got, sizeof got) == sizeof got) {
        acked = got + 1;
    }
    (void)close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    return acked;
}

/* All ten rows of batches `topic`, `topic` + 50, ... below `acked`, in order of time. */
static void expect_acked(struct scan *scan, uint32_t topic, uint32_t acked)
{
    char path[32];
    struct series_ref ref;
    struct span span = {0, NULL, NULL};
    size_t at = 0;
    if (topic >= acked) {
        return;
    }
    snprintf(path, sizeof path, "k/%u/v", topic);
    assert_ok(catalogue_find(engine_catalogue(s.engine), bytes_of(path), &ref));
    scan_start(scan, ref, 0, INT64_MAX);
    for (uint32_t n = topic; n < acked; n += 50) {
        for (uint32_t i = 0; i < 10; i++, at++) {
            if (at == span.count) {
                assert_ok(scan_next(scan, &span));
                at = 0;
            }
            assert_int_equal(span.times[at], T0 + (int64_t)n * DAY_NS / 100 + i);
            assert_true(span.values[at] == n * 10.0 + i);
        }
    }
}

/* Promises P1, P2. */
static void nothing_acknowledged_is_lost_when_killed(void **state)
{
    (void)state;
    struct rng rng = {7};
    uint32_t acked = 0;
    store_close(&s);
    for (int round = 0; round < 50; round++) {
        struct scan *scan = NULL;
        acked = run_and_kill(&rng, acked);
        if (acked > 0) {
            store_verify(&s);
        }
        store_open(&s);
        assert_ok(scan_create(s.engine, &scan));
        for (uint32_t topic = 0; topic < 50; topic++) {
            expect_acked(scan, topic, acked);
        }
        scan_destroy(scan);
        store_close(&s);
    }
    assert_true(acked > 50);
    store_open(&s);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_was_written_is_visible_and_outlives_a_restart),
        TEST(the_last_value_is_the_newest_by_event_time),
        TEST(a_checkpoint_empties_head_and_journal),
        TEST(the_journal_file_is_small_when_little_lives_in_it),
        TEST(the_journal_file_waits_for_a_quiet_moment_to_shrink),
        TEST(replay_leaves_out_what_partitions_have),
        TEST(a_failed_checkpoint_keeps_all_readable_and_is_tried_again),
        TEST(retention_drops_whole_partitions_and_old_last_values),
        TEST(receipts_and_state_outlive_trimming),
        TEST(a_second_process_is_turned_away),
        TEST(a_journal_older_than_the_partitions_is_refused),
        TEST(the_journal_limit_refuses_writes_until_a_checkpoint),
        TEST(a_full_head_asks_for_a_checkpoint_unless_chunks_were_tiny),
        TEST(readers_and_a_checkpoint_run_beside_writing),
        TEST(a_full_disk_refuses_and_recovers),
        TEST(nothing_acknowledged_is_lost_when_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
