#include "storage/read/buckets.h"

#include "base/clock.h"
#include "base/timestamp.h"
#include "base/zone.h"
#include "tests/lib/rng.h"
#include "tests/lib/test.h"

static int64_t at(const char *text)
{
    int64_t time_ns;
    assert_ok(timestamp_read_rfc3339(bytes_of(text), &time_ns));
    return time_ns;
}

static void expect(const struct buckets *b, const char *inside, const char *start, const char *end)
{
    const struct bucket found = buckets_find(b, at(inside));
    assert_int_equal(found.start_ns, at(start));
    assert_int_equal(found.end_ns, at(end));
}

static struct zone *open_zone(const char *name)
{
    struct zone *z = NULL;
    assert_ok(zone_open(bytes_of(name), &z));
    return z;
}

static void fixed_buckets_start_at_multiples_since_1970(void **state)
{
    struct buckets b = {.length = 300 * (int64_t)NS_PER_S};
    (void)state;
    expect(&b, "2026-11-23T05:16:51.5Z", "2026-11-23T05:15:00Z", "2026-11-23T05:20:00Z");
    struct bucket before = buckets_find(&b, -1);
    assert_true(before.start_ns == -b.length && before.end_ns == 0);
    before = buckets_find(&b, INT64_MIN);
    assert_true(before.start_ns == INT64_MIN && before.end_ns > INT64_MIN);
    before = buckets_find(&b, INT64_MAX);
    assert_true(before.start_ns < INT64_MAX && before.end_ns == INT64_MAX);
    b.length = INT64_MAX;
    before = buckets_find(&b, INT64_MIN);
    assert_true(before.start_ns == INT64_MIN && before.end_ns == -INT64_MAX);
    before = buckets_find(&b, 5);
    assert_true(before.start_ns == 0 && before.end_ns == INT64_MAX);
}

static void days_of_warsaw_have_23_24_and_25_hours(void **state)
{
    struct zone *z = open_zone("Europe/Warsaw");
    struct buckets b = {BUCKET_DAY, 1, z};
    (void)state;
    expect(&b, "2026-03-28T23:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z");
    expect(&b, "2026-10-25T12:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z");
    expect(&b, "2026-11-23T22:59:59.999999999Z", "2026-11-22T23:00:00Z", "2026-11-23T23:00:00Z");
    b.unit = BUCKET_WEEK; /* From Monday. */
    expect(&b, "2026-03-29T12:00:00Z", "2026-03-22T23:00:00Z", "2026-03-29T22:00:00Z");
    b.unit = BUCKET_MONTH;
    expect(&b, "2026-02-28T22:59:59Z", "2026-01-31T23:00:00Z", "2026-02-28T23:00:00Z");
    expect(&b, "2024-02-29T12:00:00Z", "2024-01-31T23:00:00Z", "2024-02-29T23:00:00Z");
    b.length = 3; /* Quarters. */
    expect(&b, "2026-05-05T00:00:00Z", "2026-03-31T22:00:00Z", "2026-06-30T22:00:00Z");
    b = (struct buckets){BUCKET_YEAR, 1, z};
    expect(&b, "2199-06-01T00:00:00Z", "2198-12-31T23:00:00Z", "2199-12-31T23:00:00Z");
    zone_close(z);
}

static void midnights_that_do_not_exist_begin_when_the_clock_passes_them(void **state)
{
    struct zone *paulo = open_zone("America/Sao_Paulo"), *cairo = open_zone("Africa/Cairo");
    struct zone *howe = open_zone("Australia/Lord_Howe");
    struct buckets b = {BUCKET_DAY, 1, paulo};
    (void)state;
    /* At midnight of 2018-11-04 clocks went to 01:00, and on 2018-02-18 back to 23:00. */
    expect(&b, "2018-11-04T03:00:00Z", "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z");
    expect(&b, "2018-11-04T02:59:59Z", "2018-11-03T03:00:00Z", "2018-11-04T03:00:00Z");
    expect(&b, "2018-02-18T02:30:00Z", "2018-02-17T02:00:00Z", "2018-02-18T03:00:00Z");
    b.zone = cairo;
    expect(&b, "2026-04-24T12:00:00Z", "2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z");
    b.zone = howe; /* By half an hour, to 10:30 and to 11:00. */
    expect(&b, "2026-04-05T00:00:00Z", "2026-04-04T13:00:00Z", "2026-04-05T13:30:00Z");
    expect(&b, "2026-10-04T00:00:00Z", "2026-10-03T13:30:00Z", "2026-10-04T13:00:00Z");
    zone_close(paulo);
    zone_close(cairo);
    zone_close(howe);
}

static void a_skipped_day_has_no_bucket_and_a_repeated_one_is_not_cut(void **state)
{
    struct zone *apia = open_zone("Pacific/Apia"), *johns = open_zone("America/St_Johns");
    struct buckets b = {BUCKET_DAY, 1, apia};
    (void)state;
    /* Behind 2011-12-29 came the 31st. */
    expect(&b, "2011-12-30T09:59:59Z", "2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z");
    expect(&b, "2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z");
    b.zone = johns; /* 00:01 became 23:01 of the day before: that hour stays with the new day. */
    expect(&b, "2010-11-07T02:30:30Z", "2010-11-07T02:30:00Z", "2010-11-08T03:30:00Z");
    expect(&b, "2010-11-07T03:00:00Z", "2010-11-07T02:30:00Z", "2010-11-08T03:30:00Z");
    zone_close(apia);
    zone_close(johns);
}

static void buckets_of_every_kind_tile_time(void **state)
{
    static const char *const names[] = {"Europe/Warsaw",     "America/Sao_Paulo", "Africa/Cairo",
                                        "America/St_Johns",  "Pacific/Apia",      "Asia/Kolkata",
                                        "Africa/Casablanca", "America/Nuuk"};
    struct rng r = {7};
    (void)state;
    for (unsigned n = 0; n < sizeof names / sizeof names[0]; n++) {
        struct zone *z = open_zone(names[n]);
        for (int i = 0; i < 4000; i++) {
            const struct buckets b = {(enum bucket_unit)rng_below(&r, 5), 1 + rng_below(&r, 40), z};
            const int64_t time_ns = (int64_t)(rng_next(&r) % (uint64_t)TIMESTAMP_MAX_NS);
            const struct bucket found = buckets_find(&b, time_ns);
            assert_true(found.start_ns <= time_ns && time_ns < found.end_ns);
            const struct bucket same = buckets_find(&b, found.start_ns);
            assert_true(same.start_ns == found.start_ns && same.end_ns == found.end_ns);
            assert_int_equal(buckets_find(&b, found.end_ns).start_ns, found.end_ns);
            assert_int_equal(buckets_find(&b, found.end_ns - 1).start_ns, found.start_ns);
        }
        zone_close(z);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fixed_buckets_start_at_multiples_since_1970),
        cmocka_unit_test(days_of_warsaw_have_23_24_and_25_hours),
        cmocka_unit_test(midnights_that_do_not_exist_begin_when_the_clock_passes_them),
        cmocka_unit_test(a_skipped_day_has_no_bucket_and_a_repeated_one_is_not_cut),
        cmocka_unit_test(buckets_of_every_kind_tile_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
