#include "base/timestamp.h"

#include <stdio.h>
#include <time.h>

#include "base/number.h"
#include "tests/lib/rng.h"
#include "tests/lib/test.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define S            INT64_C(1000000000)

struct time_case {
    const char *text;
    enum err error;
    int64_t time_ns;
};

static void rfc_3339_times_are_read(void **state)
{
    static const struct time_case cases[] = {
        {"1970-01-01T00:00:00Z", OK, 0},
        {"2026-11-23T05:16:51Z", OK, 1795411011 * S},
        {"2026-11-23t05:16:51z", OK, 1795411011 * S},
        {"2026-11-23 06:16:51+01:00", OK, 1795411011 * S},
        {"2026-11-22T23:46:51.25-05:30", OK, 1795411011 * S + 250000000},
        {"2026-11-23T05:16:51.123456789999Z", OK, 1795411011 * S + 123456789},
        {"2026-11-23T05:16:51-00:00", OK, 1795411011 * S},
        {"2000-02-29T00:00:00Z", OK, 951782400 * S},
        {"2016-12-31T23:59:60Z", OK, 1483228800 * S},
        {"2017-01-01T00:59:60.5+01:00", OK, 1483228800 * S + S / 2},
        {"2200-01-01T00:00:00Z", OK, TIMESTAMP_MAX_NS},
        {"2199-12-31T23:59:59.999999999Z", OK, TIMESTAMP_MAX_NS - 1},
        {"1970-01-01T00:30:00+00:30", OK, 0},
        {"2200-01-01T00:00:00.1Z", E_LIMIT, 0},
        {"1969-12-31T23:59:59Z", E_LIMIT, 0},
        {"1970-01-01T00:00:00+00:01", E_LIMIT, 0},
        {"0000-01-01T00:00:00Z", E_LIMIT, 0},
        {"9999-12-31T23:59:59Z", E_LIMIT, 0},
        {"2016-12-31T22:59:60Z", E_MALFORMED, 0},
        {"2016-12-31T23:59:61Z", E_MALFORMED, 0},
        {"2023-02-29T00:00:00Z", E_MALFORMED, 0},
        {"2100-02-29T00:00:00Z", E_MALFORMED, 0},
        {"2026-00-10T00:00:00Z", E_MALFORMED, 0},
        {"2026-13-10T00:00:00Z", E_MALFORMED, 0},
        {"2026-04-31T00:00:00Z", E_MALFORMED, 0},
        {"2026-04-00T00:00:00Z", E_MALFORMED, 0},
        {"2026-04-01T24:00:00Z", E_MALFORMED, 0},
        {"2026-04-01T00:60:00Z", E_MALFORMED, 0},
        {"2026-04-01T00:00:00", E_MALFORMED, 0},
        {"2026-04-01T00:00Z", E_MALFORMED, 0},
        {"2026-04-01T00:00:00.Z", E_MALFORMED, 0},
        {"2026-04-01T00:00:00,5Z", E_MALFORMED, 0},
        {"2026-04-01T00:00:00+0100", E_MALFORMED, 0},
        {"2026-04-01T00:00:00+24:00", E_MALFORMED, 0},
        {"2026-04-01T00:00:00+01:60", E_MALFORMED, 0},
        {"2026-04-01T00:00:00Z ", E_MALFORMED, 0},
        {" 2026-04-01T00:00:00Z", E_MALFORMED, 0},
        {"2026-4-1T00:00:00Z", E_MALFORMED, 0},
        {"+2026-04-01T00:00:00Z", E_MALFORMED, 0},
        {"2026-04-01_00:00:00Z", E_MALFORMED, 0},
        {"2026-04-01", E_MALFORMED, 0},
        {"", E_MALFORMED, 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t time_ns = -7;
        assert_int_equal(timestamp_read_rfc3339(bytes_of(cases[i].text), &time_ns), cases[i].error);
        assert_int_equal(time_ns, cases[i].error == OK ? cases[i].time_ns : -7);
    }
}

static void the_magnitude_of_a_unix_time_tells_its_unit(void **state)
{
    static const struct time_case cases[] = {
        {"100000000", OK, 100000000 * S},
        {"1700000000", OK, 1700000000 * S},
        {"1.7e9", OK, 1700000000 * S},
        {"17e8", OK, 1700000000 * S},
        {"1700000000.5", OK, 1700000000 * S + S / 2},
        {"1700000000.123456789", OK, 1700000000 * S + 123456789},
        {"1700000000.1234567899999999999999", OK, 1700000000 * S + 123456789},
        {"7258118400", OK, TIMESTAMP_MAX_NS},
        {"1700000000123", OK, 1700000000 * S + 123000000},
        {"1700000000123.000001", OK, 1700000000 * S + 123000001},
        {"1700000000123456", OK, 1700000000 * S + 123456000},
        {"1700000000123456789", OK, 1700000000 * S + 123456789},
        {"1700000000123456789.9", OK, 1700000000 * S + 123456789},
        {"100000000000", OK, 100000000 * S},
        {"7258118401", E_LIMIT, 0},
        {"7258118400.000000001", E_LIMIT, 0},
        {"99999999999", E_LIMIT, 0},
        {"9999999999999999999", E_LIMIT, 0},
        {"100000000000000000000", E_LIMIT, 0},
        {"1e300", E_LIMIT, 0},
        {"1e999999999999", E_LIMIT, 0},
        {"99999999", E_NOT_FOUND, 0},
        {"21.5", E_NOT_FOUND, 0},
        {"0", E_NOT_FOUND, 0},
        {"0e30", E_NOT_FOUND, 0},
        {"-1700000000", E_NOT_FOUND, 0},
        {"1e-999999999999", E_NOT_FOUND, 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t time_ns = -7;
        assert_int_equal(timestamp_read_unix(bytes_of(cases[i].text), &time_ns), cases[i].error);
        assert_int_equal(time_ns, cases[i].error == OK ? cases[i].time_ns : -7);

        /* As a double it is the same to within the precision of a double. */
        struct number n;
        if (cases[i].error == OK) {
            assert_ok(number_read(bytes_of(cases[i].text), &n));
            assert_ok(timestamp_read_number(&n, &time_ns));
            int64_t off_ns = time_ns - cases[i].time_ns;
            assert_true(off_ns > -500 && off_ns < 500);
        }
    }
    int64_t time_ns;
    assert_ok(timestamp_read_number(&(struct number){0, 1700000000123456, 6}, &time_ns));
    assert_int_equal(time_ns, 1700000000 * S + 123456000);
    assert_int_equal(timestamp_read_unix(bytes_of("1700000000 "), &time_ns), E_MALFORMED);
    assert_int_equal(timestamp_read_unix(bytes_of("soon"), &time_ns), E_MALFORMED);
    assert_int_equal(timestamp_read_number(&(struct number){-1e9, 0, NUMBER_RAW}, &time_ns),
                     E_NOT_FOUND);
    assert_int_equal(timestamp_read_number(&(struct number){0.0 / 0.0, 0, NUMBER_RAW}, &time_ns),
                     E_NOT_FOUND);
    assert_int_equal(timestamp_read_number(&(struct number){1e300, 0, NUMBER_RAW}, &time_ns),
                     E_LIMIT);
}

static void people_write_times_in_many_ways(void **state)
{
    const int64_t now_ns = 1795411011 * S + 5;
    const struct time_case cases[] = {
        {"now", OK, now_ns},
        {"-6h", OK, now_ns - 6 * 3600 * S},
        {"+15m", OK, now_ns + 900 * S},
        {"-2w", OK, now_ns - 14 * 86400 * S},
        {"2026-11-23", OK, 1795392000 * S},
        {"2026-11-23T05:16:51Z", OK, 1795411011 * S},
        {"1795411011", OK, 1795411011 * S},
        {"1795411011000", OK, 1795411011 * S},
        {"0", OK, 0},
        {"86400", OK, 86400 * S},
        {"0.5", OK, S / 2},
        {"-100000d", E_LIMIT, 0},
        {"+99999999999999999999s", E_LIMIT, 0},
        {"+9999999999d", E_LIMIT, 0},
        {"2201-01-01", E_LIMIT, 0},
        {"1969-12-31", E_LIMIT, 0},
        {"99999999999", E_LIMIT, 0},
        {"", E_MALFORMED, 0},
        {"-", E_MALFORMED, 0},
        {"-5", E_MALFORMED, 0},
        {"6h", E_MALFORMED, 0},
        {"-6x", E_MALFORMED, 0},
        {"-h", E_MALFORMED, 0},
        {"yesterday", E_MALFORMED, 0},
        {"2026-11-31", E_MALFORMED, 0},
        {"2026-11", E_MALFORMED, 0},
        {"Now", E_MALFORMED, 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t time_ns = -7;
        assert_int_equal(timestamp_read_human(bytes_of(cases[i].text), now_ns, &time_ns),
                         cases[i].error);
        assert_int_equal(time_ns, cases[i].error == OK ? cases[i].time_ns : -7);
    }
}

static void lengths_have_a_unit_and_are_above_zero(void **state)
{
    static const struct time_case cases[] = {
        {"5m", OK, 300 * S},
        {"1h", OK, 3600 * S},
        {"1d", OK, 86400 * S},
        {"90s", OK, 90 * S},
        {"1w", OK, 604800 * S},
        {"250ms", OK, 250000000},
        {"10us", OK, 10000},
        {"7ns", OK, 7},
        {"0s", E_MALFORMED, 0},
        {"5", E_MALFORMED, 0},
        {"m", E_MALFORMED, 0},
        {"", E_MALFORMED, 0},
        {"-5m", E_MALFORMED, 0},
        {"1.5h", E_MALFORMED, 0},
        {"5 m", E_MALFORMED, 0},
        {"5mo", E_MALFORMED, 0},
        {"9223372036854775807ns", OK, INT64_MAX},
        {"9223372036854775808ns", E_LIMIT, 0},
        {"9223372036854775807s", E_LIMIT, 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t length_ns = -7;
        assert_int_equal(timestamp_read_length(bytes_of(cases[i].text), &length_ns),
                         cases[i].error);
        assert_int_equal(length_ns, cases[i].error == OK ? cases[i].time_ns : -7);
    }
}

static void assert_written(int64_t time_ns, enum timestamp_format format, const char *text)
{
    char to[TIMESTAMP_TEXT_BYTES_MAX];
    size_t size = timestamp_write(time_ns, format, to);
    assert_int_equal(size, strlen(text));
    assert_memory_equal(to, text, size);
}

static void times_are_written_whole_or_with_their_fraction(void **state)
{
    const int64_t time_ns = 1795411011 * S;
    (void)state;
    assert_written(0, TIMESTAMP_RFC3339, "1970-01-01T00:00:00Z");
    assert_written(time_ns, TIMESTAMP_RFC3339, "2026-11-23T05:16:51Z");
    assert_written(time_ns + 20000000, TIMESTAMP_RFC3339, "2026-11-23T05:16:51.020Z");
    assert_written(time_ns + 1000, TIMESTAMP_RFC3339, "2026-11-23T05:16:51.000001Z");
    assert_written(time_ns + 123456789, TIMESTAMP_RFC3339, "2026-11-23T05:16:51.123456789Z");
    assert_written(TIMESTAMP_MAX_NS, TIMESTAMP_RFC3339, "2200-01-01T00:00:00Z");
    assert_written(-1, TIMESTAMP_RFC3339, "1969-12-31T23:59:59.999999999Z");
    assert_written(INT64_MIN, TIMESTAMP_RFC3339, "1677-09-21T00:12:43.145224192Z");
    assert_written(INT64_MAX, TIMESTAMP_RFC3339, "2262-04-11T23:47:16.854775807Z");
    assert_written(time_ns, TIMESTAMP_S, "1795411011");
    assert_written(time_ns + S / 2, TIMESTAMP_S, "1795411011.5");
    assert_written(time_ns + 1, TIMESTAMP_S, "1795411011.000000001");
    assert_written(time_ns + 120000000, TIMESTAMP_MS, "1795411011120");
    assert_written(time_ns + 1000, TIMESTAMP_MS, "1795411011000.001");
    assert_written(time_ns + 1000, TIMESTAMP_US, "1795411011000001");
    assert_written(time_ns + 1, TIMESTAMP_NS, "1795411011000000001");
    assert_written(0, TIMESTAMP_S, "0");
    assert_written(-1500000000, TIMESTAMP_S, "-1.5");
    assert_written(INT64_MIN, TIMESTAMP_NS, "-9223372036854775808");
}

static void every_time_reads_back_from_its_text(void **state)
{
    struct rng r = {3};
    (void)state;
    for (int i = 0; i < 100000; i++) {
        char to[TIMESTAMP_TEXT_BYTES_MAX];
        int64_t step = i % 4 == 0 ? S : i % 4 == 1 ? 1000000 : i % 4 == 2 ? 1000 : 1;
        int64_t time_ns = (int64_t)(rng_next(&r) % (uint64_t)TIMESTAMP_MAX_NS) / step * step;
        int64_t read_ns = -1;
        struct bytes text = {(uint8_t *)to, timestamp_write(time_ns, TIMESTAMP_RFC3339, to)};
        assert_ok(timestamp_read_rfc3339(text, &read_ns));
        assert_int_equal(read_ns, time_ns);
        for (int format = TIMESTAMP_S; format <= TIMESTAMP_NS; format++) {
            text.size = timestamp_write(time_ns, (enum timestamp_format)format, to);
            if (time_ns >= 100000000 * S) {
                assert_ok(timestamp_read_unix(text, &read_ns));
                assert_int_equal(read_ns, time_ns);
            }
        }
    }
}

static void every_day_agrees_with_the_c_library(void **state)
{
    (void)state;
    for (int64_t day = 0; day <= TIMESTAMP_MAX_NS / S / 86400; day++) {
        char to[TIMESTAMP_TEXT_BYTES_MAX], want[64];
        time_t time_s = (time_t)(day * 86400 + 3661);
        struct tm tm;
        assert_non_null(gmtime_r(&time_s, &tm));
        strftime(want, sizeof want, "%Y-%m-%dT%H:%M:%SZ", &tm);
        size_t size = timestamp_write((int64_t)time_s * S, TIMESTAMP_RFC3339, to);
        assert_int_equal(size, strlen(want));
        assert_memory_equal(to, want, size);
    }
}

static void local_clocks_are_written_with_their_offset(void **state)
{
    static const struct {
        int64_t time_ns;
        int32_t ahead_s;
        const char *text;
    } cases[] = {{0, 3600, "1970-01-01T01:00:00+01:00"},
                 {INT64_C(1774745999500000000), 3600, "2026-03-29T01:59:59.500+01:00"},
                 {INT64_C(1774746000000000000), -16200, "2026-03-28T20:30:00-04:30"},
                 {0, -1800, "1969-12-31T23:30:00-00:30"},
                 {0, 5040, "1970-01-01T01:24:00+01:24"},
                 {0, 5041, "1970-01-01T00:00:00Z"}};
    char text[TIMESTAMP_TEXT_BYTES_MAX];
    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const size_t size = timestamp_write_ahead(cases[i].time_ns, cases[i].ahead_s, text);
        assert_true(bytes_equal((struct bytes){(uint8_t *)text, size}, bytes_of(cases[i].text)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc_3339_times_are_read),
        cmocka_unit_test(the_magnitude_of_a_unix_time_tells_its_unit),
        cmocka_unit_test(people_write_times_in_many_ways),
        cmocka_unit_test(lengths_have_a_unit_and_are_above_zero),
        cmocka_unit_test(times_are_written_whole_or_with_their_fraction),
        cmocka_unit_test(every_time_reads_back_from_its_text),
        cmocka_unit_test(every_day_agrees_with_the_c_library),
        cmocka_unit_test(local_clocks_are_written_with_their_offset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
