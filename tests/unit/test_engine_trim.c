/* What is left of the journal after a checkpoint goes piece by piece. */

#include "base/clock.h"
#include "tests/lib/store_fixture.h"

#define T0 (INT64_C(1479877011) * NS_PER_S)

static struct engine_stats stats(void)
{
    struct engine_stats now;
    engine_stats(s.engine, &now);
    return now;
}

enum { TOGETHER = 250, COMMITS = 160 };

static void write_many_records(void)
{
    struct batch *batches[TOGETHER];
    const struct series_ref ref = store_series(&s, "k/a", "x");
    for (int i = 0; i < TOGETHER; i++) {
        assert_ok(batch_create(&batches[i]));
    }
    for (int n = 0; n < COMMITS; n++) {
        for (int i = 0; i < TOGETHER; i++) {
            const struct batch_value v = {ref.column, {n, 0, NUMBER_RAW}};
            batch_reset(batches[i]);
            assert_ok(batch_put_row(batches[i], ref.group, T0 + n * TOGETHER + i, &v, 1));
        }
        assert_ok(engine_write(s.engine, batches, TOGETHER));
    }
    for (int i = 0; i < TOGETHER; i++) {
        batch_destroy(batches[i]);
    }
}

/* Writing need not wait for all of it, and a kill in the middle costs nothing. */
static void a_long_journal_is_trimmed_piece_by_piece(void **state)
{
    (void)state;
    write_many_records();
    const uint64_t live = stats().journal_bytes;
    assert_ok(engine_checkpoint_begin(s.engine));
    assert_ok(engine_checkpoint_end(s.engine, engine_checkpoint_run(s.engine)));
    assert_true(engine_wants_trim(s.engine));
    assert_true(stats().journal_bytes > 0 && stats().journal_bytes < live);
    store_close(&s);
    store_verify(&s);
    store_open(&s);
    assert_false(engine_wants_trim(s.engine)); /* The next checkpoint says how far. */
    assert_int_equal(stats().head_rows, 0);
    assert_ok(store_put(&s, store_series(&s, "k/a", "x"), T0 - 1, 1));
    assert_ok(store_write(&s));
    assert_int_equal(stats().head_rows, 1);
    assert_ok(store_checkpoint(&s));
    assert_int_equal(stats().journal_bytes, 0);
    int64_t time_ns;
    double value;
    assert_ok(engine_last(s.engine, store_series(&s, "k/a", "x"), &time_ns, &value));
    assert_true(time_ns == T0 + COMMITS * TOGETHER - 1 && value == COMMITS - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_long_journal_is_trimmed_piece_by_piece, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
