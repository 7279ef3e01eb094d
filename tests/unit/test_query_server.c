/* The query server, driven through its socket by the client library. */

#include "broker/query/query_server.h"

#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#include "broker/threads/metrics.h"
#include "broker/threads/rejects.h"
#include "tests/lib/query_world.h"
#include "tests/lib/test.h"

static struct hejnal_answer *ask(const char *filter, int64_t bucket_ns, unsigned aggregates)
{
    const struct hejnal_query query = {.filter = filter,
                                       .from_ns = start_ns,
                                       .to_ns = start_ns + 86400 * 365 * second_ns,
                                       .bucket_ns = bucket_ns,
                                       .aggregates = aggregates};
    struct hejnal_answer *a;
    assert_int_equal(hejnal_query(w.h, &query, &a), HEJNAL_OK);
    return a;
}

/* Reads all of it: rows in order, value = row number in each series. Returns the rows. */
static size_t count_rows(const char *filter)
{
    struct hejnal_answer *a = ask(filter, 0, 0);
    struct hejnal_block block;
    enum hejnal_result result;
    size_t rows = 0, in_series = 0;
    char path[64] = "";
    while ((result = hejnal_next_block(a, &block)) == HEJNAL_OK) {
        if (strcmp(path, block.path) != 0) {
            assert_true(strcmp(path, block.path) < 0);
            (void)snprintf(path, sizeof path, "%s", block.path);
            in_series = 0;
        }
        for (size_t i = 0; i < block.rows; i++, in_series++) {
            assert_true(block.times[i] == start_ns + (int64_t)in_series * second_ns);
            assert_true(block.column[0][i] == (double)in_series);
        }
        rows += block.rows;
    }
    assert_int_equal(result, HEJNAL_END);
    hejnal_answer_close(a);
    return rows;
}

static void what_is_acknowledged_is_queried_before_and_after_a_checkpoint(void **state)
{
    (void)state;
    write_rows("krakow/air/1/pm25", 100000); /* Many frames: credit is given on the way. */
    write_rows("krakow/air/2/pm25", 3);
    assert_int_equal(hejnal_write_acked(w.h), 100003);
    assert_int_equal(count_rows("krakow/air/+/pm25"), 100003);
    assert_int_equal(count_rows("krakow/air/2/#"), 3);
    assert_int_equal(count_rows("nothing/here"), 0);
    assert_int_equal(hejnal_checkpoint(w.h), HEJNAL_OK);
    assert_int_equal(count_rows("#"), 100003);
    assert_int_equal(hejnal_checkpoint(w.h), HEJNAL_OK); /* Nothing to do is fine. */
}

static void buckets_have_a_column_for_each_aggregate(void **state)
{
    struct hejnal_block block;
    (void)state;
    write_rows("a/b", 120);
    struct hejnal_answer *a = ask("a/b", 60 * second_ns, HEJNAL_MAX | HEJNAL_COUNT | HEJNAL_MEAN);
    assert_int_equal(hejnal_next_block(a, &block), HEJNAL_OK);
    assert_int_equal(block.rows, 2);
    assert_int_equal(block.columns, 3);
    assert_int_equal(block.series, 1);
    assert_true(block.times[1] == start_ns + 60 * second_ns);
    assert_true(block.column[0][0] == 60);   /* count */
    assert_true(block.column[1][1] == 89.5); /* mean */
    assert_true(block.column[2][1] == 119);  /* max */
    assert_int_equal(hejnal_next_block(a, &block), HEJNAL_END);
    hejnal_answer_close(a);
}

static void gaps_in_columns_and_mixed_sections_arrive(void **state)
{
    static const char *const names[] = {"level", "flow", "state"};
    struct hejnal_batch *b;
    struct hejnal_answer *a;
    struct hejnal_last last;
    size_t rows[3] = {0};
    (void)state;
    assert_int_equal(hejnal_batch_create(&b), HEJNAL_OK);
    for (unsigned i = 0; i < 1000; i++) {
        const double row[] = {i, -0.5 * i, 1};
        assert_int_equal(hejnal_batch_section(b, i % 2 == 0 ? "w/even" : "w/odd", names, 3),
                         HEJNAL_OK);
        /* level always, flow every third, state never but in the last row */
        uint64_t present = 1U | (i % 3 == 0 ? 2U : 0U) | (i == 999 ? 4U : 0U);
        assert_int_equal(hejnal_batch_row(b, start_ns + i * second_ns, row, present), HEJNAL_OK);
        rows[0]++;
        rows[1] += i % 3 == 0;
        rows[2] += i == 999;
    }
    assert_int_equal(hejnal_batch_points(b), rows[0] + rows[1] + rows[2]);
    assert_int_equal(hejnal_write(w.h, b), HEJNAL_OK);
    hejnal_batch_destroy(b);
    for (unsigned i = 0; i < 3; i++) {
        char filter[32];
        struct hejnal_block block;
        size_t found = 0;
        (void)snprintf(filter, sizeof filter, "w/+/%s", names[i]);
        a = ask(filter, 0, 0);
        while (hejnal_next_block(a, &block) == HEJNAL_OK) {
            found += block.rows;
        }
        hejnal_answer_close(a);
        assert_int_equal(found, rows[i]);
    }
    assert_int_equal(hejnal_last(w.h, "w/odd/flow", &a), HEJNAL_OK);
    assert_int_equal(hejnal_next_last(a, &last), HEJNAL_OK);
    assert_string_equal(last.path, "w/odd/flow");
    assert_true(last.time_ns == start_ns + 999 * second_ns && last.value == -499.5);
    assert_int_equal(hejnal_next_last(a, &last), HEJNAL_END);
    hejnal_answer_close(a);
}

static void write_series(unsigned count)
{
    struct hejnal_batch *b;
    assert_int_equal(hejnal_batch_create(&b), HEJNAL_OK);
    for (unsigned i = 0; i < count; i++) {
        char path[32];
        const double value = i;
        (void)snprintf(path, sizeof path, "many/%06u", i);
        assert_int_equal(hejnal_batch_section(b, path, NULL, 0), HEJNAL_OK);
        assert_int_equal(hejnal_batch_row(b, start_ns, &value, 1), HEJNAL_OK);
    }
    assert_int_equal(hejnal_write(w.h, b), HEJNAL_OK);
    hejnal_batch_destroy(b);
}

static void lists_of_many_series_come_whole_and_in_order(void **state)
{
    struct hejnal_answer *a;
    struct hejnal_last last;
    enum hejnal_result result;
    const char *path;
    unsigned count = 0;
    char want[32];
    (void)state;
    write_series(4500);
    assert_int_equal(hejnal_series(w.h, "many/+", &a), HEJNAL_OK);
    while ((result = hejnal_next_series(a, &path)) == HEJNAL_OK) {
        (void)snprintf(want, sizeof want, "many/%06u", count++);
        assert_string_equal(path, want);
    }
    assert_int_equal(result, HEJNAL_END);
    assert_int_equal(count, 4500);
    hejnal_answer_close(a);
    assert_int_equal(hejnal_last(w.h, "#", &a), HEJNAL_OK);
    for (count = 0; (result = hejnal_next_last(a, &last)) == HEJNAL_OK; count++) {
        assert_true(last.value == count);
    }
    assert_int_equal(result, HEJNAL_END);
    assert_int_equal(count, 4500);
    hejnal_answer_close(a);
}

static void refused(struct hejnal_answer *a, enum hejnal_result want, const char *field,
                    unsigned position)
{
    struct hejnal_block block;
    assert_int_equal(hejnal_next_block(a, &block), want);
    assert_true(hejnal_error(w.h)[0] != 0);
    assert_string_equal(hejnal_error_field(w.h), field);
    assert_int_equal(hejnal_error_position(w.h), position);
    hejnal_answer_close(a);
}

static void a_wrong_request_is_told_where_and_the_connection_goes_on(void **state)
{
    struct hejnal_batch *b;
    const double value = 1;
    (void)state;
    refused(ask("a/#/b", 0, 0), HEJNAL_INVALID, "filter", 3);
    refused(ask("#", 5, 0), HEJNAL_INVALID, "aggregates", 0);
    refused(ask("#", 0, HEJNAL_MEAN), HEJNAL_INVALID, "bucket_ns", 0);
    assert_int_equal(hejnal_batch_create(&b), HEJNAL_OK);
    assert_int_equal(hejnal_batch_section(b, "a/+", NULL, 0), HEJNAL_OK);
    assert_int_equal(hejnal_batch_row(b, start_ns, &value, 1), HEJNAL_OK);
    assert_int_equal(hejnal_write(w.h, b), HEJNAL_INVALID);
    assert_string_equal(hejnal_error_field(w.h), "rows[0].path");
    assert_int_equal(hejnal_error_position(w.h), 3);
    hejnal_batch_destroy(b);
    write_rows("a/b", 2);
    assert_int_equal(count_rows("#"), 2);
}

static void too_many_series_are_refused_with_both_numbers(void **state)
{
    (void)state;
    write_series(SERIES_MAX / 2 + 1);
    struct hejnal_answer *a = ask("#", 0, 0);
    struct hejnal_block block;
    assert_int_equal(hejnal_next_block(a, &block), HEJNAL_LIMIT);
    assert_non_null(strstr(hejnal_error(w.h), "2501"));
    assert_non_null(strstr(hejnal_error(w.h), "2500"));
    hejnal_answer_close(a);
}

static void writes_over_the_series_limit_are_refused(void **state)
{
    struct hejnal_batch *b;
    const double value = 1;
    (void)state;
    assert_int_equal(hejnal_batch_create(&b), HEJNAL_OK);
    for (unsigned i = 0; i < SERIES_MAX + 10; i++) {
        char path[32];
        (void)snprintf(path, sizeof path, "s/%u", i);
        assert_int_equal(hejnal_batch_section(b, path, NULL, 0), HEJNAL_OK);
        assert_int_equal(hejnal_batch_row(b, start_ns, &value, 1), HEJNAL_OK);
    }
    assert_int_equal(hejnal_write(w.h, b), HEJNAL_LIMIT);
    hejnal_batch_destroy(b);
    write_rows("s/1", 2);
}

static void points_older_than_retention_are_told_apart(void **state)
{
    struct hejnal_batch *b;
    const double value = 1;
    (void)state;
    assert_int_equal(hejnal_batch_create(&b), HEJNAL_OK);
    assert_int_equal(hejnal_batch_section(b, "old/and/new", NULL, 0), HEJNAL_OK);
    assert_int_equal(hejnal_batch_row(b, second_ns, &value, 1), HEJNAL_OK);
    assert_int_equal(hejnal_batch_row(b, start_ns, &value, 1), HEJNAL_OK);
    assert_int_equal(hejnal_write(w.h, b), HEJNAL_OK);
    assert_int_equal(hejnal_write_acked(w.h), 1);
    assert_int_equal(hejnal_write_refused(w.h), 1);
    hejnal_batch_destroy(b);
}

static void a_tail_gets_what_becomes_durable_and_is_wanted(void **state)
{
    struct hejnal_answer *tail;
    struct hejnal_block block;
    size_t rows = 0;
    (void)state;
    write_rows("t/before", 5);
    assert_int_equal(hejnal_tail(w.h, "t/+", &tail), HEJNAL_OK);
    write_rows("t/after", 7);
    write_rows("other", 3);
    write_rows("t/more", 2);
    while (rows < 9) {
        assert_int_equal(hejnal_next_block(tail, &block), HEJNAL_OK);
        assert_string_equal(block.path, rows < 7 ? "t/after" : "t/more");
        assert_true(block.times[0] >= start_ns);
        assert_int_equal(block.dropped, 0);
        rows += block.rows;
    }
    hejnal_set_timeout(w.h, 100);
    assert_int_equal(hejnal_next_block(tail, &block), HEJNAL_TIMEOUT);
    hejnal_set_timeout(w.h, TIMEOUT_MS);
    hejnal_answer_close(tail);
    write_rows("t/after", 1);
    assert_int_equal(count_rows("t/before"), 5);
}

static void a_slow_tail_loses_points_and_is_told_how_many(void **state)
{
    enum { ROWS = 1000000, NUDGE_MS = 300 };
    struct hejnal *slow;
    struct hejnal_answer *tail;
    struct hejnal_block block;
    uint64_t told = 0, dropped = 0, written = ROWS;
    (void)state;
    assert_int_equal(hejnal_connect("127.0.0.1", w.port, TIMEOUT_MS, &slow), HEJNAL_OK);
    const int small = 64 << 10;
    assert_int_equal(setsockopt(hejnal_fd(slow), SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    assert_int_equal(hejnal_tail(slow, "#", &tail), HEJNAL_OK);
    int64_t before = metrics_read(METRIC_TAIL_DROPPED);
    write_rows("flood", ROWS); /* Nobody reads the tail meanwhile. */
    assert_true(metrics_read(METRIC_TAIL_DROPPED) > before);
    hejnal_set_timeout(slow, NUDGE_MS);
    while (told < written) {
        enum hejnal_result result = hejnal_next_block(tail, &block);
        if (result == HEJNAL_TIMEOUT) { /* The last loss is told with the next block. */
            write_rows("flood", 1);
            written++;
            continue;
        }
        assert_int_equal(result, HEJNAL_OK);
        told += block.rows + block.dropped;
        dropped += block.dropped;
    }
    assert_true(dropped > 0 && told == written);
    assert_int_equal(dropped, metrics_read(METRIC_TAIL_DROPPED) - before);
    hejnal_answer_close(tail);
    hejnal_close(slow);
}

static void an_answer_closed_early_leaves_the_connection_usable(void **state)
{
    struct hejnal_block block;
    (void)state;
    write_rows("a/long", 300000);
    for (int i = 0; i < 10; i++) {
        struct hejnal_answer *a = ask("#", 0, 0);
        assert_int_equal(hejnal_next_block(a, &block), HEJNAL_OK);
        hejnal_answer_close(a);
    }
    assert_int_equal(count_rows("#"), 300000);
}

static void two_answers_are_read_in_turns(void **state)
{
    struct hejnal_block block;
    size_t rows = 0;
    (void)state;
    write_rows("x", 50000);
    write_rows("y", 50000);
    struct hejnal_answer *a = ask("x", 0, 0), *b = ask("y", 0, 0);
    while (hejnal_next_block(a, &block) == HEJNAL_OK) {
        rows += block.rows;
        if (hejnal_next_block(b, &block) == HEJNAL_OK) {
            rows += block.rows;
        }
    }
    while (hejnal_next_block(b, &block) == HEJNAL_OK) {
        rows += block.rows;
    }
    assert_int_equal(rows, 100000);
    hejnal_answer_close(a);
    hejnal_answer_close(b);
}

static void clients_that_vanish_leave_nothing_behind(void **state)
{
    (void)state;
    write_rows("a/long", 200000);
    for (int i = 0; i < 20; i++) {
        const struct hejnal_query query = {
            .filter = "#", .from_ns = 0, .to_ns = start_ns + 86400 * 9 * second_ns};
        struct hejnal_answer *a, *tail;
        struct hejnal *h;
        assert_int_equal(hejnal_connect("127.0.0.1", w.port, TIMEOUT_MS, &h), HEJNAL_OK);
        assert_int_equal(hejnal_tail(h, "#", &tail), HEJNAL_OK);
        assert_int_equal(hejnal_query(h, &query, &a), HEJNAL_OK);
        hejnal_close(h);
    }
    assert_int_equal(count_rows("#"), 200000);
    for (int i = 0; metrics_read(METRIC_QUERY_CONNECTIONS) > 1 && i < 100; i++) {
        (void)poll(NULL, 0, 20);
    }
    assert_int_equal(metrics_read(METRIC_QUERY_CONNECTIONS), 1);
}

static void the_server_tells_of_itself(void **state)
{
    struct hejnal_answer *a;
    struct hejnal_stat stat;
    struct hejnal_reject reject;
    double points = -1, memory = -1;
    (void)state;
    assert_non_null(strstr(hejnal_server(w.h), "hejnald "));
    write_rows("a", 42);
    assert_int_equal(hejnal_stats(w.h, &a), HEJNAL_OK);
    while (hejnal_next_stat(a, &stat) == HEJNAL_OK) {
        points = strcmp(stat.name, "store.points.written") == 0 ? stat.value : points;
        memory = strcmp(stat.name, "process.memory") == 0 ? stat.value : memory;
    }
    assert_true(points == 42 && memory > 0);
    hejnal_answer_close(a);
    rejects_add(start_ns, bytes_of("krakow/b\xc3\xb3r\xc3"), bytes_of("no number"), "because");
    assert_int_equal(hejnal_rejects(w.h, &a), HEJNAL_OK);
    assert_int_equal(hejnal_next_reject(a, &reject), HEJNAL_OK);
    assert_string_equal(reject.topic, "krakow/b\xc3\xb3r"); /* Half a character is left out. */
    assert_string_equal(reject.reason, "because");
    assert_memory_equal(reject.payload, "no number", 9);
    assert_int_equal(reject.payload_full_bytes, 9);
    enum hejnal_result result = HEJNAL_OK;
    while (result == HEJNAL_OK) { /* Of the tests before. */
        result = hejnal_next_reject(a, &reject);
    }
    assert_int_equal(result, HEJNAL_END);
    hejnal_answer_close(a);
}

static void a_slow_reader_of_a_query_costs_bounded_memory_and_gets_all(void **state)
{
    (void)state;
    write_rows("a/long", 500000);
    const struct hejnal_query query = {
        .filter = "#", .from_ns = 0, .to_ns = start_ns + 86400 * 90 * second_ns};
    struct hejnal_answer *answers[4];
    struct hejnal_block block;
    size_t rows = 0;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(hejnal_query(w.h, &query, &answers[i]), HEJNAL_OK);
    }
    (void)poll(NULL, 0, 200); /* All credit is used up, the socket is full. */
    for (int i = 0; i < 4; i++) {
        while (hejnal_next_block(answers[i], &block) == HEJNAL_OK) {
            rows += block.rows;
        }
        hejnal_answer_close(answers[i]);
    }
    assert_int_equal(rows, 4 * 500000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_acknowledged_is_queried_before_and_after_a_checkpoint),
        TEST(buckets_have_a_column_for_each_aggregate),
        TEST(gaps_in_columns_and_mixed_sections_arrive),
        TEST(lists_of_many_series_come_whole_and_in_order),
        TEST(a_wrong_request_is_told_where_and_the_connection_goes_on),
        TEST(too_many_series_are_refused_with_both_numbers),
        TEST(writes_over_the_series_limit_are_refused),
        TEST(points_older_than_retention_are_told_apart),
        TEST(a_tail_gets_what_becomes_durable_and_is_wanted),
        TEST(a_slow_tail_loses_points_and_is_told_how_many),
        TEST(an_answer_closed_early_leaves_the_connection_usable),
        TEST(two_answers_are_read_in_turns),
        TEST(clients_that_vanish_leave_nothing_behind),
        TEST(the_server_tells_of_itself),
        TEST(a_slow_reader_of_a_query_costs_bounded_memory_and_gets_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
