#include "cli/replay_plan.h"

#include <stdio.h>
#include <string.h>

#include "tests/lib/test.h"

static struct replay_plan *plan;

static void plan_of(const char *header, const char *pattern, char split)
{
    const char *why = NULL;
    assert_ok(replay_plan_create(header, pattern, split, &plan, &why));
}

static void expect_message(unsigned device, const char *text, unsigned points)
{
    unsigned got;
    struct bytes message = replay_plan_message(plan, device, &got);
    assert_int_equal(got, points);
    assert_int_equal(message.size, strlen(text));
    assert_memory_equal(message.at, text, message.size);
}

static void columns_become_members_of_their_device(void **state)
{
    char line[] = "1483228800000,-4,68,,31.5";
    int64_t time_ns;
    unsigned column;
    const char *why;
    (void)state;
    plan_of("ts_ms,3_temperature,3_humidity,140_temperature,3_pm_25", "krakow/air/%1", '_');
    assert_int_equal(replay_plan_devices(plan), 2);
    assert_string_equal(replay_plan_topic(plan, 0), "krakow/air/3");
    assert_string_equal(replay_plan_topic(plan, 1), "krakow/air/140");
    assert_ok(replay_plan_row(plan, line, &time_ns, &column, &why));
    assert_int_equal(time_ns, INT64_C(1483228800000000000));
    expect_message(0, "{\"time\":1483228800000,\"temperature\":-4,\"humidity\":68,\"pm_25\":31.5}",
                   3);
    expect_message(1, "", 0);
    replay_plan_destroy(plan);
}

static void without_a_split_there_is_one_device(void **state)
{
    char line[] = "2026-01-01T00:00:00.000000001Z,1e3";
    int64_t time_ns;
    unsigned column;
    const char *why;
    (void)state;
    plan_of("time,power", "grid", 0);
    assert_string_equal(replay_plan_topic(plan, 0), "grid");
    assert_ok(replay_plan_row(plan, line, &time_ns, &column, &why));
    expect_message(0, "{\"time\":1767225600000000001,\"power\":1e3}", 1);
    replay_plan_destroy(plan);
}

static void wrong_rows_name_their_column(void **state)
{
    static const struct {
        const char *line;
        unsigned column;
    } rows[] = {{"x,1,2", 1},
                {"-5,1,2", 1},
                {"1483228800,1", 3},
                {"1483228800,1,two", 3},
                {"1483228800,1,2,3", 3},
                {"1483228800,01,2", 2}};
    (void)state;
    plan_of("t,a,b", "x", 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char line[64];
        int64_t time_ns;
        unsigned column = 0;
        const char *why = NULL;
        (void)snprintf(line, sizeof line, "%s", rows[i].line);
        assert_int_equal(replay_plan_row(plan, line, &time_ns, &column, &why), E_MALFORMED);
        assert_int_equal(column, rows[i].column);
        assert_non_null(why);
    }
    replay_plan_destroy(plan);
}

static void wrong_headers_are_told(void **state)
{
    static const char *const headers[] = {"ts", "ts,", "ts,nosplit", "ts,a_b,", "ts,a_\"b"};
    const char *why = NULL;
    (void)state;
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        assert_int_equal(replay_plan_create(headers[i], "x", '_', &plan, &why), E_MALFORMED);
        assert_non_null(why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_become_members_of_their_device),
        cmocka_unit_test(without_a_split_there_is_one_device),
        cmocka_unit_test(wrong_rows_name_their_column),
        cmocka_unit_test(wrong_headers_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
