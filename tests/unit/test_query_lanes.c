/* Queries that several workers answer at once, through the socket: everything once, in order. */

#include <math.h>

#include "tests/lib/query_world.h"

enum { SERIES = 300 };

/* Series `city/<i % 7>/s<i>`, i * 7 % 500 + 1 rows a second apart, value = row number. */
static unsigned rows_of(unsigned i)
{
    return i * 7 % 500 + 1;
}

static void write_all(void)
{
    struct hejnal_batch *b;
    char path[64];
    assert_int_equal(hejnal_batch_create(&b), HEJNAL_OK);
    for (unsigned i = 0; i < SERIES; i++) {
        (void)snprintf(path, sizeof path, "city/%u/s%03u", i % 7, i);
        assert_int_equal(hejnal_batch_section(b, path, NULL, 0), HEJNAL_OK);
        for (unsigned row = 0; row < rows_of(i); row++) {
            const double value = row;
            assert_int_equal(hejnal_batch_row(b, start_ns + row * second_ns, &value, 1), HEJNAL_OK);
        }
    }
    assert_int_equal(hejnal_write(w.h, b), HEJNAL_OK);
    hejnal_batch_destroy(b);
}

static struct hejnal_answer *ask(const struct hejnal_query *query)
{
    struct hejnal_answer *a = NULL;
    assert_int_equal(hejnal_query(w.h, query, &a), HEJNAL_OK);
    return a;
}

/* All points, each series once, in order of paths. */
static void read_points(const struct hejnal_query *query)
{
    struct hejnal_answer *a = ask(query);
    struct hejnal_block b;
    enum hejnal_result r;
    char path[64] = "";
    unsigned series = 0, row = 0, expected = 0;
    while ((r = hejnal_next_block(a, &b)) == HEJNAL_OK) {
        if (strcmp(b.path, path) != 0) {
            assert_int_equal(row, expected);
            assert_true(strcmp(b.path, path) > 0);
            (void)snprintf(path, sizeof path, "%s", b.path);
            expected = rows_of((unsigned)strtoul(path + strlen("city/0/s"), NULL, 10));
            row = 0;
            series++;
        }
        assert_int_equal(b.series, SERIES);
        for (size_t i = 0; i < b.rows; i++, row++) {
            assert_true(b.column[0][i] == row && b.times[i] == start_ns + row * second_ns);
        }
    }
    assert_int_equal(r, HEJNAL_END);
    assert_int_equal(row, expected);
    assert_int_equal(series, SERIES);
    hejnal_answer_close(a);
}

static void points_of_many_series_come_once_and_in_order(void **state)
{
    const struct hejnal_query query = {.filter = "city/#", .to_ns = INT64_MAX};
    (void)state;
    write_all();
    read_points(&query);
    assert_int_equal(hejnal_checkpoint(w.h), HEJNAL_OK);
    for (int i = 0; i < 5; i++) {
        read_points(&query);
    }
}

static void answers_interleave_and_may_be_left_at_any_block(void **state)
{
    const struct hejnal_query query = {.filter = "city/#", .to_ns = INT64_MAX};
    struct hejnal_answer *answers[12];
    struct hejnal_block b;
    (void)state;
    write_all();
    for (int i = 0; i < 12; i++) {
        answers[i] = ask(&query);
    }
    for (int block = 0; block < 12; block++) {
        for (int i = 0; i < 12; i++) {
            if (i >= block) {
                assert_int_equal(hejnal_next_block(answers[i], &b), HEJNAL_OK);
            }
        }
        hejnal_answer_close(answers[block]);
    }
    read_points(&query);
}

static void rows_max_holds_for_all_series_together(void **state)
{
    const struct hejnal_query query = {.filter = "city/#", .to_ns = INT64_MAX, .rows_max = 1234};
    struct hejnal_block b;
    enum hejnal_result r;
    size_t rows = 0;
    (void)state;
    write_all();
    struct hejnal_answer *a = ask(&query);
    while ((r = hejnal_next_block(a, &b)) == HEJNAL_OK) {
        rows += b.rows;
    }
    assert_int_equal(r, HEJNAL_END);
    assert_int_equal(rows, 1234);
    hejnal_answer_close(a);
}

static void groups_come_in_order_with_their_keys(void **state)
{
    static const double percents[] = {50};
    const struct hejnal_key key = {NULL, 2};
    const struct hejnal_query query = {.filter = "city/#",
                                       .to_ns = INT64_MAX,
                                       .unit = HEJNAL_DAY,
                                       .time_zone = "Europe/Warsaw",
                                       .aggregates = HEJNAL_COUNT | HEJNAL_MAX,
                                       .percentiles = percents,
                                       .percentile_count = 1,
                                       .keys = &key,
                                       .key_count = 1};
    struct hejnal_block b;
    (void)state;
    write_all();
    struct hejnal_answer *a = ask(&query);
    for (unsigned group = 0; group < 7; group++) {
        char name[16];
        unsigned count = 0, most = 0;
        for (unsigned i = group; i < SERIES; i += 7) {
            count += rows_of(i);
            most = rows_of(i) > most ? rows_of(i) : most;
        }
        (void)snprintf(name, sizeof name, "$2=%u", group);
        assert_int_equal(hejnal_next_block(a, &b), HEJNAL_OK);
        assert_string_equal(b.path, name);
        assert_string_equal(b.keys[0], name + 3);
        assert_int_equal(b.columns, 3);
        assert_int_equal(b.rows, 1);
        assert_int_equal(b.times[0], start_ns - 3600 * second_ns); /* Midnight in Warsaw. */
        assert_true(b.column[0][0] == count && b.column[1][0] == most - 1);
        assert_true(b.column[2][0] > 0 && b.column[2][0] < most);
    }
    assert_int_equal(hejnal_next_block(a, &b), HEJNAL_END);
    hejnal_answer_close(a);
}

static void refused(const struct hejnal_query *query, enum hejnal_result result, const char *field,
                    unsigned position)
{
    struct hejnal_answer *a = ask(query);
    struct hejnal_block b;
    assert_int_equal(hejnal_next_block(a, &b), result);
    assert_string_equal(hejnal_error_field(w.h), field);
    assert_int_equal(hejnal_error_position(w.h), position);
    assert_true(hejnal_error(w.h)[0] != 0);
    hejnal_answer_close(a);
}

static void what_cannot_be_is_refused_by_field_and_byte(void **state)
{
    const struct hejnal_query good = {
        .filter = "#", .to_ns = INT64_MAX, .unit = HEJNAL_DAY, .aggregates = HEJNAL_MEAN};
    const struct hejnal_key both = {"a=b", 0}, none = {NULL, 0}, deep = {NULL, 200};
    static const double percents[] = {101};
    struct hejnal_query q = good;
    (void)state;
    q.time_zone = "Europe/Nowhere";
    refused(&q, HEJNAL_INVALID, "time_zone", 0);
    q.time_zone = "../../etc/passwd";
    refused(&q, HEJNAL_INVALID, "time_zone", 0);
    q = good;
    q.where = "unit=\"m\"";
    refused(&q, HEJNAL_INVALID, "where", 5);
    q = good;
    q.percentiles = percents;
    q.percentile_count = 1;
    refused(&q, HEJNAL_INVALID, "percentiles", 0);
    q = good;
    q.unit_count = 1001;
    refused(&q, HEJNAL_INVALID, "calendar", 0);
    q = good;
    q.bucket_ns = 5;
    refused(&q, HEJNAL_INVALID, "bucket_ns", 0);
    q = good;
    q.key_count = 1;
    q.keys = &none;
    refused(&q, HEJNAL_INVALID, "group_by[0]", 0);
    q.keys = &deep;
    refused(&q, HEJNAL_INVALID, "group_by[0]", 0);
    q = good;
    q.unit = HEJNAL_FIXED;
    q.bucket_ns = second_ns;
    q.fill = HEJNAL_FILL_NULL;
    refused(&q, HEJNAL_LIMIT, "fill", 0);
    q.bucket_ns = 0;
    q.aggregates = 0;
    refused(&q, HEJNAL_INVALID, "fill", 0);
    q.fill = HEJNAL_FILL_NONE;
    q.keys = &both;
    q.key_count = 1;
    refused(&q, HEJNAL_INVALID, "group_by", 0);
}

static void silent_series_are_those_older_than_asked(void **state)
{
    struct hejnal_answer *a;
    struct hejnal_last last;
    unsigned silent = 0;
    (void)state;
    write_all();
    const int64_t before_ns = start_ns + 250 * second_ns;
    assert_int_equal(hejnal_silent(w.h, "city/#", before_ns, &a), HEJNAL_OK);
    while (hejnal_next_last(a, &last) == HEJNAL_OK) {
        assert_true(last.time_ns < before_ns);
        silent++;
    }
    hejnal_answer_close(a);
    for (unsigned i = 0; i < SERIES; i++) {
        silent -= rows_of(i) <= 250;
    }
    assert_int_equal(silent, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(points_of_many_series_come_once_and_in_order),
        TEST(answers_interleave_and_may_be_left_at_any_block),
        TEST(rows_max_holds_for_all_series_together),
        TEST(groups_come_in_order_with_their_keys),
        TEST(what_cannot_be_is_refused_by_field_and_byte),
        TEST(silent_series_are_those_older_than_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
