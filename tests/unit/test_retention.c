#include "storage/erase/retention.h"

#include "base/clock.h"
#include "tests/lib/test.h"

enum { DAY_S = 86400 };
#define DAY_NS (INT64_C(86400) * NS_PER_S)
#define NOW_NS (1000 * DAY_NS + 7)

static struct catalogue *c;
static struct retention *r;

static int build(void **state)
{
    static const struct catalogue_limits limits = {1000};
    const struct retention_rule rules[] = {{bytes_of("k/air/#"), 100 * DAY_S},
                                           {bytes_of("k/+/debug/#"), 2 * DAY_S},
                                           {bytes_of("k/water/+/level"), 0},
                                           {bytes_of("+/water/#"), 50 * DAY_S}};
    const struct retention_options options = {rules, 4, 10 * DAY_S, DAY_S};
    (void)state;
    assert_ok(catalogue_create(&limits, &c));
    assert_ok(retention_create(&options, &r));
    return 0;
}

static int clear(void **state)
{
    (void)state;
    retention_destroy(r);
    catalogue_destroy(c);
    return 0;
}

static int64_t days_kept(const char *topic, const char *name)
{
    struct series_ref ref;
    assert_ok(catalogue_intern(c, bytes_of(topic), bytes_of(name), &ref));
    const int64_t horizon_ns = retention_horizon(r, c, ref);
    uint8_t room[SERIES_PATH_BYTES_MAX];
    struct bytes path;
    assert_ok(catalogue_join(bytes_of(topic), bytes_of(name), room, &path));
    assert_int_equal(retention_horizon_of_path(r, path), horizon_ns);
    return horizon_ns == RETENTION_FOR_EVER ? 0 : (NOW_NS - horizon_ns) / DAY_NS;
}

static void the_first_rule_that_selects_a_series_decides(void **state)
{
    (void)state;
    retention_move(r, NOW_NS);
    for (int again = 0; again < 2; again++) { /* Found out, and remembered. */
        assert_int_equal(days_kept("k/air/1", "pm25"), 100);
        assert_int_equal(days_kept("k/air", "debug"), 100);
        assert_int_equal(days_kept("k/heat/debug/7", ""), 2);
        assert_int_equal(days_kept("k/heat", "debug/x"), 2);
        assert_int_equal(days_kept("k/heat", "power"), 10);
        assert_int_equal(days_kept("k/water/7", "level"), 0);
        assert_int_equal(days_kept("k/water/7", "flow"), 50);
        assert_int_equal(days_kept("k/water/7", "debug/flow"), 50);
        assert_int_equal(days_kept("k/water/level", ""), 50);
        assert_int_equal(days_kept("m/water", ""), 50);
        assert_int_equal(days_kept("$k/water", ""), 10);
        assert_int_equal(days_kept("other", ""), 10);
    }
}

static void horizons_only_move_on_and_tell_when_a_period_is_over(void **state)
{
    (void)state;
    assert_int_equal(retention_generation(r), 0);
    assert_int_equal(retention_latest(r), RETENTION_FOR_EVER);
    retention_move(r, NOW_NS);
    const uint64_t first = retention_generation(r);
    assert_true(first > 0);
    retention_move(r, NOW_NS + DAY_NS / 2);
    assert_int_equal(retention_generation(r), first);
    retention_move(r, NOW_NS + DAY_NS);
    assert_int_equal(retention_generation(r), first + 1);
    retention_move(r, NOW_NS - 30 * DAY_NS);
    assert_int_equal(retention_generation(r), first + 1);
    assert_int_equal(days_kept("other", ""), 9); /* Against NOW_NS. */
    assert_int_equal(retention_least(r), RETENTION_FOR_EVER);
    assert_int_equal(retention_latest(r), NOW_NS + DAY_NS - 2 * DAY_NS);
}

static void a_part_shrinks_when_some_series_lost_a_whole_period_of_it(void **state)
{
    (void)state;
    retention_move(r, NOW_NS);
    assert_true(retention_shrinks(r, 997 * DAY_NS, 998 * DAY_NS));
    assert_false(retention_shrinks(r, 998 * DAY_NS, 999 * DAY_NS)); /* Two days are not over. */
    assert_true(retention_shrinks(r, 0, 10 * DAY_NS));
}

static void cuts_are_of_the_columns_a_rule_selects(void **state)
{
    struct series_ref level, flow;
    struct cuts cuts;
    (void)state;
    cuts_init(&cuts);
    retention_move(r, NOW_NS);
    assert_ok(catalogue_intern(c, bytes_of("k/water/7"), bytes_of("level"), &level));
    assert_ok(catalogue_intern(c, bytes_of("k/water/7"), bytes_of("flow"), &flow));
    assert_ok(retention_cut_group(r, c, level.group, false, &cuts));
    assert_int_equal(cuts.count, 1); /* One is kept for ever. */
    assert_int_equal(cuts.at[0].columns, UINT64_C(1) << flow.column);
    assert_int_equal(cuts.at[0].to_ns, NOW_NS - 50 * DAY_NS);
    cuts.count = 0;
    assert_ok(retention_cut_group(r, c, level.group, true, &cuts));
    assert_int_equal(cuts.at[0].to_ns, 950 * DAY_NS);
    assert_true(cuts_cover(&cuts, 1000, 0, 949 * DAY_NS));
    assert_false(cuts_touch(&cuts, 0, 950 * DAY_NS, 951 * DAY_NS));
    cuts_fini(&cuts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_first_rule_that_selects_a_series_decides, build, clear),
        cmocka_unit_test_setup_teardown(horizons_only_move_on_and_tell_when_a_period_is_over, build,
                                        clear),
        cmocka_unit_test_setup_teardown(a_part_shrinks_when_some_series_lost_a_whole_period_of_it,
                                        build, clear),
        cmocka_unit_test_setup_teardown(cuts_are_of_the_columns_a_rule_selects, build, clear)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
