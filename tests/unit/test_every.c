#include "cli/every.h"

#include "base/timestamp.h"
#include "base/zone.h"
#include "cli/aggregates.h"
#include "tests/lib/test.h"

#define HOUR_NS (INT64_C(3600) * 1000000000)

static struct hejnal_query every(const char *text, bool has_zone)
{
    struct hejnal_query q = {.filter = NULL};
    assert_ok(every_read(text, has_zone, &q));
    return q;
}

static void lengths_are_fixed_or_of_the_calendar(void **state)
{
    static const char *const bad[] = {"",  "0h",   "h",   "-1h",    "1x",
                                      "5", "1.5h", " 1h", "1001mo", "0w"};
    struct hejnal_query q = every("90m", false);
    (void)state;
    assert_true(q.bucket_ns == HOUR_NS * 3 / 2 && q.unit == HEJNAL_FIXED);
    q = every("1d", false);
    assert_true(q.bucket_ns == 24 * HOUR_NS && q.unit == HEJNAL_FIXED);
    q = every("2d", true);
    assert_true(q.bucket_ns == 0 && q.unit == HEJNAL_DAY && q.unit_count == 2);
    q = every("1w", false);
    assert_true(q.unit == HEJNAL_WEEK && q.unit_count == 1);
    q = every("3mo", true);
    assert_true(q.unit == HEJNAL_MONTH && q.unit_count == 3);
    q = every("1y", false);
    assert_true(q.unit == HEJNAL_YEAR);
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(every_read(bad[i], false, &q), E_MALFORMED);
    }
    assert_int_equal(every_read("6h", true, &q), E_LIMIT);
}

static void keys_are_tags_and_levels(void **state)
{
    static const char *const bad[] = {"", "a,", ",a", "$", "$0", "$x", "$1x", "$129", "$-200"};
    struct hejnal_key keys[HEJNAL_KEYS_MAX];
    char text[32] = "site,$2,$-1";
    unsigned count = 0;
    (void)state;
    assert_ok(every_read_keys(text, keys, &count));
    assert_int_equal(count, 3);
    assert_string_equal(keys[0].tag, "site");
    assert_true(keys[1].tag == NULL && keys[1].level == 2);
    assert_true(keys[2].tag == NULL && keys[2].level == -1);
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        (void)strncpy(text, bad[i], sizeof text - 1);
        assert_int_equal(every_read_keys(text, keys, &count), E_MALFORMED);
    }
    memcpy(text, "a,b,c,d,e", sizeof "a,b,c,d,e");
    assert_int_equal(every_read_keys(text, keys, &count), E_LIMIT);
}

static void dates_are_midnights_of_the_zone(void **state)
{
    struct zone *z;
    int64_t time_ns, utc_ns;
    (void)state;
    assert_ok(zone_open(bytes_of("Europe/Warsaw"), &z));
    assert_ok(every_read_time("2026-07-01", NULL, 0, &utc_ns));
    assert_ok(every_read_time("2026-07-01", z, 0, &time_ns));
    assert_true(time_ns == utc_ns - 2 * HOUR_NS);
    assert_ok(every_read_time("2026-07-01T00:00:00Z", z, 0, &time_ns));
    assert_true(time_ns == utc_ns);
    assert_ok(every_read_time("1782864000", z, 0, &time_ns)); /* Ten digits, no date. */
    assert_true(time_ns == utc_ns);
    assert_int_equal(every_read_time("2026-13-01", z, 0, &time_ns), E_MALFORMED);
    zone_close(z);
}

static void aggregates_are_words_and_percentiles(void **state)
{
    static const char *const bad[] = {"", "mean,", "p", "p-1", "p101", "pNaN", "p1e999", "Mean"};
    const char *titles[HEJNAL_VALUES_MAX], *wrong = NULL;
    struct aggregates a;
    (void)state;
    assert_ok(aggregates_read("p99.9,max,median,coverage,count", &a, &wrong));
    assert_int_equal(a.bits, HEJNAL_MAX | HEJNAL_COVERAGE | HEJNAL_COUNT);
    assert_int_equal(aggregates_titles(&a, titles), 5);
    assert_string_equal(titles[0], "count");
    assert_string_equal(titles[2], "coverage");
    assert_string_equal(titles[3], "p99.9");
    assert_string_equal(titles[4], "median");
    assert_true(a.percentiles[0] == 99.9 && a.percentiles[1] == 50);
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(aggregates_read(bad[i], &a, &wrong), E_MALFORMED);
        assert_non_null(wrong);
    }
    assert_int_equal(aggregates_read("p1,p2,p3,p4,p5,p6,p7,p8,p9", &a, &wrong), E_LIMIT);
    assert_string_equal(wrong, "p9");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lengths_are_fixed_or_of_the_calendar),
        cmocka_unit_test(keys_are_tags_and_levels),
        cmocka_unit_test(dates_are_midnights_of_the_zone),
        cmocka_unit_test(aggregates_are_words_and_percentiles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
