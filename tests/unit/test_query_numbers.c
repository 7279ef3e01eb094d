/* Series that travel as numbers: the table, and the library and the server over a socket. */

#include "broker/query/query_numbers.h"

#include "clients/hejnal_connection.h"
#include "tests/lib/query_world.h"
#include "tests/lib/test.h"

enum { NUMBERS = 100, SERIES = 150, WRITES = 6 };

static const struct query_numbers_limits few = {.most = 100, .most_all = 150};

static struct series_ref place(uint32_t group)
{
    return (struct series_ref){.group = group};
}

static void numbers_are_kept_in_order_and_found_again(void **state)
{
    struct query_numbers n = {0};
    uint32_t all = 0;
    (void)state;
    query_numbers_put(&n, 2, place(7), &few, &all); /* Not the next one. */
    assert_int_equal(n.count, 0);
    for (uint32_t i = 1; i <= few.most; i++) {
        query_numbers_put(&n, i, place(i * 10), &few, &all);
        assert_int_equal(n.count, i);
    }
    query_numbers_put(&n, 1, place(7), &few, &all); /* It stays whose it was. */
    query_numbers_put(&n, few.most + 1, place(7), &few, &all);
    assert_int_equal(n.count, few.most);
    for (uint32_t i = 1; i <= few.most; i++) {
        assert_int_equal(query_numbers_find(&n, i).group, i * 10);
    }
    query_numbers_drop(&n, &all);
    assert_int_equal(all, 0);
}

static void what_all_connections_keep_is_bounded(void **state)
{
    struct query_numbers one = {0}, other = {0};
    uint32_t all = 0;
    (void)state;
    query_numbers_put(&other, 1, place(1), &few, &all);
    for (uint32_t i = 1; i <= few.most; i++) {
        query_numbers_put(&one, i, place(i), &few, &all);
    }
    const uint32_t kept = one.count;
    assert_true(kept > 0 && kept < few.most && all <= few.most_all);
    query_numbers_drop(&other, &all);
    query_numbers_put(&one, kept + 1, place(1), &few, &all);
    assert_int_equal(one.count, kept + 1); /* There is room again. */
    query_numbers_drop(&one, &all);
    assert_int_equal(all, 0);
}

/* A row of each series, `round` seconds in; value = 1000 * round + series. */
static void fill(struct hejnal_batch *b, unsigned round, unsigned rows)
{
    char path[32];
    hejnal_batch_clear(b);
    for (unsigned s = 0; s < SERIES; s++) {
        (void)snprintf(path, sizeof path, "n/%03u", s);
        const char *column = "v";
        /* Series with a column of their own and without travel alike. */
        assert_int_equal(hejnal_batch_section(b, path, &column, s % 2), HEJNAL_OK);
        for (unsigned r = 0; r < rows; r++) {
            const double value = 1000 * (round + r) + s;
            assert_int_equal(hejnal_batch_row(b, start_ns + (round + r) * second_ns, &value, 1),
                             HEJNAL_OK);
        }
    }
}

/* All of `series` series have `rows` rows, each the right one. */
static void check_rows(size_t series, size_t rows)
{
    const struct hejnal_query query = {
        .filter = "n/#", .from_ns = start_ns, .to_ns = start_ns + 1000000 * second_ns};
    struct hejnal_answer *a;
    struct hejnal_block block;
    enum hejnal_result result;
    size_t blocks = 0;
    assert_int_equal(hejnal_query(w.h, &query, &a), HEJNAL_OK);
    while ((result = hejnal_next_block(a, &block)) == HEJNAL_OK) {
        const unsigned s = (unsigned)strtoul(block.path + 2, NULL, 10);
        assert_int_equal(block.rows, rows);
        for (size_t i = 0; i < rows; i++) {
            assert_true(block.times[i] == start_ns + (int64_t)i * second_ns);
            assert_true(block.column[0][i] == (double)(1000 * i + s));
        }
        blocks++;
    }
    assert_int_equal(result, HEJNAL_END);
    assert_int_equal(blocks, series);
    hejnal_answer_close(a);
}

static void a_batch_filled_again_and_again_arrives_whole_beyond_the_limit_of_numbers(void **state)
{
    struct hejnal_batch *b;
    (void)state;
    assert_int_equal(hejnal_batch_create(&b), HEJNAL_OK);
    for (unsigned i = 0; i < WRITES; i++) {
        fill(b, i, 1);
        assert_int_equal(hejnal_write(w.h, b), HEJNAL_OK);
    }
    assert_int_equal(hejnal_write_acked(w.h), WRITES * SERIES);
    assert_int_equal(w.h->numbers_known, NUMBERS);
    check_rows(SERIES, WRITES);
    hejnal_batch_destroy(b);
}

static void writes_under_way_and_long_sections_keep_their_series_apart(void **state)
{
    struct hejnal_batch *b;
    unsigned round = 0;
    (void)state;
    assert_int_equal(hejnal_batch_create(&b), HEJNAL_OK);
    for (unsigned i = 0; i < WRITES; i++) {
        const unsigned rows = i % 2 == 0 ? 3 : 40; /* As points, as sections. */
        fill(b, round, rows);
        assert_int_equal(hejnal_write_post(w.h, b), HEJNAL_OK);
        round += rows;
    }
    assert_int_equal(hejnal_write_wait(w.h, 0), HEJNAL_OK);
    check_rows(SERIES, round);
    hejnal_batch_destroy(b);
}

static void a_mark_leads_back_to_its_section(void **state)
{
    const char *names[] = {"x", "y"};
    const double values[] = {1, 2};
    struct hejnal_batch *b;
    uint64_t marks[3];
    (void)state;
    assert_int_equal(hejnal_batch_create(&b), HEJNAL_OK);
    assert_true(hejnal_batch_mark(b) == 0);
    assert_int_equal(hejnal_batch_select(b, 0), HEJNAL_MISUSE);
    assert_int_equal(hejnal_batch_select(b, 1), HEJNAL_MISUSE);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(hejnal_batch_section(b, "m/a", names, i), HEJNAL_OK);
        marks[i] = hejnal_batch_mark(b);
    }
    for (unsigned i = 0; i < 9; i++) { /* Rows in turn: each section's lists grow. */
        assert_int_equal(hejnal_batch_select(b, marks[i % 3]), HEJNAL_OK);
        assert_int_equal(hejnal_batch_row(b, start_ns + i * second_ns, values, UINT64_MAX),
                         HEJNAL_OK);
    }
    hejnal_batch_clear(b);
    assert_true(hejnal_batch_mark(b) == 0);
    assert_int_equal(hejnal_batch_select(b, marks[2]), HEJNAL_OK);
    assert_true(hejnal_batch_mark(b) == marks[2]);
    for (int64_t i = 0; i < 5; i++) {
        assert_int_equal(hejnal_batch_row(b, start_ns + i * second_ns, values, 1U << i % 2),
                         HEJNAL_OK);
    }
    assert_int_equal(hejnal_write(w.h, b), HEJNAL_OK);
    assert_int_equal(hejnal_write_acked(w.h), 5);
    hejnal_batch_destroy(b);
    struct hejnal_answer *a;
    struct hejnal_last last;
    assert_int_equal(hejnal_last(w.h, "m/#", &a), HEJNAL_OK);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(hejnal_next_last(a, &last), HEJNAL_OK);
        assert_string_equal(last.path, i == 0 ? "m/a/x" : "m/a/y");
        assert_true(last.value == values[i]);
        assert_true(last.time_ns == start_ns + (4 - i) * second_ns);
    }
    assert_int_equal(hejnal_next_last(a, &last), HEJNAL_END);
    hejnal_answer_close(a);
}

static void a_batch_may_go_to_several_connections(void **state)
{
    struct hejnal *other;
    struct hejnal_batch *b;
    (void)state;
    assert_int_equal(hejnal_connect("127.0.0.1", w.port, TIMEOUT_MS, &other), HEJNAL_OK);
    assert_int_equal(hejnal_batch_create(&b), HEJNAL_OK);
    for (unsigned i = 0; i < WRITES; i++) {
        fill(b, i, 1);
        assert_int_equal(hejnal_write(i % 3 == 0 ? other : w.h, b), HEJNAL_OK);
    }
    check_rows(SERIES, WRITES);
    hejnal_batch_destroy(b);
    hejnal_close(other);
}

/* One point under `number`; what the server says. */
static enum hejnal_result write_by_number(uint32_t number, double value)
{
    Hejnal__V1__WritePoints points = HEJNAL__V1__WRITE_POINTS__INIT;
    Hejnal__V1__Write write = HEJNAL__V1__WRITE__INIT;
    frame_request r = HEJNAL__V1__REQUEST__INIT;
    int64_t delta = start_ns;
    points.n_number = points.n_time_delta = points.n_value = 1;
    points.number = &number;
    points.time_delta = &delta;
    points.value = &value;
    write.points = &points;
    r.body_case = HEJNAL__V1__REQUEST__BODY_WRITE;
    r.write = &write;
    return hejnal_answer_call(w.h, &r, NULL);
}

static void a_number_the_connection_does_not_have_is_refused(void **state)
{
    struct hejnal_batch *b;
    (void)state;
    assert_int_equal(write_by_number(1, 5), HEJNAL_INVALID);
    assert_string_equal(hejnal_error_field(w.h), "points.number");
    assert_int_equal(hejnal_batch_create(&b), HEJNAL_OK);
    for (unsigned i = 0; i < 2; i++) { /* The second time it gets its number. */
        fill(b, i, 1);
        assert_int_equal(hejnal_write(w.h, b), HEJNAL_OK);
    }
    assert_int_equal(write_by_number(NUMBERS, 1000000), HEJNAL_OK);
    assert_int_equal(write_by_number(NUMBERS + 1, 5), HEJNAL_INVALID);
    assert_int_equal(write_by_number(0, 5), HEJNAL_INVALID);
    hejnal_batch_destroy(b);
}

static int with_few_numbers(void **state)
{
    w_numbers_max = NUMBERS;
    return set_up(state);
}

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, with_few_numbers, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_kept_in_order_and_found_again),
        cmocka_unit_test(what_all_connections_keep_is_bounded),
        WORLD_TEST(a_batch_filled_again_and_again_arrives_whole_beyond_the_limit_of_numbers),
        WORLD_TEST(writes_under_way_and_long_sections_keep_their_series_apart),
        WORLD_TEST(a_mark_leads_back_to_its_section),
        WORLD_TEST(a_batch_may_go_to_several_connections),
        WORLD_TEST(a_number_the_connection_does_not_have_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
