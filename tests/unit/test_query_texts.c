/* Texts through the query server, written and read by the client library over a socket. */

#include <math.h>
#include <stdio.h>

#include "broker/threads/metrics.h"
#include "tests/lib/query_world.h"
#include "tests/lib/rng.h"
#include "tests/lib/test.h"

enum { COLUMNS = 5, ROWS = 20000, WORDS = 900 };

struct cell {
    bool is_present;
    const char *text; /* NULL: a number. */
    double number;
};
static struct cell cells[COLUMNS][ROWS];
static char words[WORDS][16];

static const char *const columns[COLUMNS] = {"constant", "two", "mixed", "numbers", "many"};

static struct cell any_cell(struct rng *rng, unsigned column)
{
    struct cell c = {.is_present = rng_below(rng, 10) > 0,
                     .number = (double)rng_below(rng, 1000) / 10};
    switch (column) {
    case 0:
        c.text = words[0];
        c.is_present = true;
        break;
    case 1:
        c.text = words[rng_below(rng, 2)];
        break;
    case 2:
        c.text = rng_below(rng, 5) == 0 ? words[rng_below(rng, 3)] : NULL;
        break;
    case 4:
        c.text = words[rng_below(rng, WORDS)];
        break;
    default:
        break;
    }
    return c;
}

static void make_cells(void)
{
    struct rng rng = {5};
    for (unsigned i = 0; i < WORDS; i++) {
        (void)snprintf(words[i], sizeof words[i], "word %u", i);
    }
    words[7][0] = 0; /* The empty text is one, too. */
    for (unsigned c = 0; c < COLUMNS; c++) {
        for (size_t i = 0; i < ROWS; i++) {
            cells[c][i] = any_cell(&rng, c);
        }
    }
}

static void write_cells(void)
{
    struct hejnal_batch *b;
    assert_int_equal(hejnal_batch_create(&b), HEJNAL_OK);
    assert_int_equal(hejnal_batch_section(b, "k/gate/1", columns, COLUMNS), HEJNAL_OK);
    for (size_t i = 0; i < ROWS; i++) {
        struct hejnal_value row[COLUMNS];
        uint64_t present = 0;
        for (unsigned c = 0; c < COLUMNS; c++) {
            row[c] = (struct hejnal_value){cells[c][i].number, cells[c][i].text};
            present |= cells[c][i].is_present ? UINT64_C(1) << c : 0;
        }
        assert_int_equal(hejnal_batch_values(b, start_ns + (int64_t)i * second_ns, row, present),
                         HEJNAL_OK);
    }
    assert_int_equal(hejnal_write(w.h, b), HEJNAL_OK);
    hejnal_batch_destroy(b);
}

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

static void expect_point(double number, const char *text, const struct cell *want)
{
    if (want->text == NULL) {
        assert_null(text);
        assert_true(number == want->number);
        return;
    }
    assert_non_null(text);
    assert_string_equal(text, want->text);
    assert_true(isnan(number));
}

static void expect_column(unsigned column)
{
    char filter[32];
    struct hejnal_block block;
    size_t row = 0;
    enum hejnal_result result;
    (void)snprintf(filter, sizeof filter, "k/gate/+/%s", columns[column]);
    struct hejnal_answer *a = ask(filter, 0, 0);
    while ((result = hejnal_next_block(a, &block)) == HEJNAL_OK) {
        for (size_t i = 0; i < block.rows; i++, row++) {
            while (!cells[column][row].is_present) {
                row++;
            }
            assert_true(block.times[i] == start_ns + (int64_t)row * second_ns);
            expect_point(block.column[0][i], block.text == NULL ? NULL : block.text[i],
                         &cells[column][row]);
        }
    }
    assert_int_equal(result, HEJNAL_END);
    hejnal_answer_close(a);
    while (row < ROWS && !cells[column][row].is_present) {
        row++;
    }
    assert_int_equal(row, ROWS);
}

static void numbers_and_texts_come_back_as_they_were_written(void **state)
{
    (void)state;
    make_cells();
    write_cells();
    for (int round = 0; round < 2; round++) {
        for (unsigned column = 0; column < COLUMNS; column++) {
            expect_column(column);
        }
        assert_int_equal(hejnal_checkpoint(w.h), HEJNAL_OK);
    }
}

static void last_values_may_be_texts(void **state)
{
    (void)state;
    static const char *const names[] = {"a", "b", "c"};
    static const struct hejnal_value row[] = {{1.5, NULL}, {0, "fault 17"}, {2.5, NULL}};
    struct hejnal_batch *b;
    struct hejnal_answer *a;
    struct hejnal_last last;
    assert_int_equal(hejnal_batch_create(&b), HEJNAL_OK);
    assert_int_equal(hejnal_batch_section(b, "k", names, 3), HEJNAL_OK);
    assert_int_equal(hejnal_batch_values(b, start_ns, row, UINT64_MAX), HEJNAL_OK);
    assert_int_equal(hejnal_write(w.h, b), HEJNAL_OK);
    hejnal_batch_destroy(b);
    assert_int_equal(hejnal_last(w.h, "k/+", &a), HEJNAL_OK);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(hejnal_next_last(a, &last), HEJNAL_OK);
        expect_point(last.value, last.text, &(struct cell){true, row[i].text, row[i].number});
    }
    assert_int_equal(hejnal_next_last(a, &last), HEJNAL_END);
    hejnal_answer_close(a);
}

static void a_tail_has_texts(void **state)
{
    (void)state;
    static const struct hejnal_value open = {0, "OPEN"}, number = {4, NULL};
    struct hejnal_batch *b;
    struct hejnal_answer *a;
    struct hejnal_block block;
    assert_int_equal(hejnal_tail(w.h, "k/#", &a), HEJNAL_OK);
    assert_int_equal(hejnal_batch_create(&b), HEJNAL_OK);
    for (unsigned round = 0; round < 2; round++) {
        hejnal_batch_clear(b);
        assert_int_equal(hejnal_batch_section(b, "k", NULL, 0), HEJNAL_OK);
        assert_int_equal(hejnal_batch_values(b, start_ns + round * 2, &open, 1), HEJNAL_OK);
        assert_int_equal(hejnal_batch_values(b, start_ns + round * 2 + 1, &number, 1), HEJNAL_OK);
        assert_int_equal(hejnal_write(w.h, b), HEJNAL_OK);
        assert_int_equal(hejnal_next_block(a, &block), HEJNAL_OK);
        assert_int_equal(block.rows, 2);
        assert_string_equal(block.text[0], "OPEN");
        assert_null(block.text[1]);
        assert_true(block.column[0][1] == 4);
    }
    hejnal_batch_destroy(b);
    hejnal_answer_close(a);
}

static void aggregates_leave_texts_out(void **state)
{
    (void)state;
    struct hejnal_block block;
    size_t numbers = 0;
    make_cells();
    write_cells();
    for (size_t i = 0; i < ROWS; i++) {
        numbers += cells[2][i].is_present && cells[2][i].text == NULL;
    }
    struct hejnal_answer *a =
        ask("k/gate/1/mixed", 86400 * 100 * second_ns, HEJNAL_COUNT | HEJNAL_MAX);
    assert_int_equal(hejnal_next_block(a, &block), HEJNAL_OK);
    assert_null(block.text);
    assert_true(block.column[0][0] == (double)numbers);
    assert_true(block.column[1][0] == 99.9);
    assert_int_equal(hejnal_next_block(a, &block), HEJNAL_END);
    hejnal_answer_close(a);
    a = ask("k/gate/1/two", 86400 * 100 * second_ns, HEJNAL_COUNT);
    assert_int_equal(hejnal_next_block(a, &block), HEJNAL_END); /* No number, no row. */
    hejnal_answer_close(a);
}

static enum hejnal_result write_one(const char *text, double number)
{
    const struct hejnal_value value = {number, text};
    struct hejnal_batch *b;
    assert_int_equal(hejnal_batch_create(&b), HEJNAL_OK);
    assert_int_equal(hejnal_batch_section(b, "k", NULL, 0), HEJNAL_OK);
    enum hejnal_result result = hejnal_batch_values(b, start_ns, &value, 1);
    if (result == HEJNAL_OK) {
        result = hejnal_write(w.h, b);
    }
    hejnal_batch_destroy(b);
    return result;
}

static void texts_that_are_none_are_refused_before_they_are_sent(void **state)
{
    (void)state;
    static char longest[HEJNAL_TEXT_BYTES_MAX + 2];
    const uint64_t bits = UINT64_C(0xfffc000000000001);
    double reserved;
    memcpy(&reserved, &bits, sizeof reserved);
    memset(longest, 'x', sizeof longest - 1);
    assert_int_equal(write_one(longest, 0), HEJNAL_MISUSE);
    assert_int_equal(write_one("\xff", 0), HEJNAL_MISUSE);
    assert_int_equal(write_one(NULL, reserved), HEJNAL_MISUSE);
    longest[HEJNAL_TEXT_BYTES_MAX] = 0;
    assert_int_equal(write_one(longest, 0), HEJNAL_OK);
}

static void a_full_dictionary_refuses_new_texts_and_says_so(void **state)
{
    (void)state;
    char text[32];
    const int64_t before = metrics_read(METRIC_REFUSED_TEXTS);
    enum hejnal_result result = HEJNAL_OK;
    for (unsigned i = 0; i < TEXTS_MAX; i++) {
        (void)snprintf(text, sizeof text, "state %u", i);
        assert_int_equal(write_one(text, 0), HEJNAL_OK);
    }
    result = write_one("one more", 0);
    assert_int_equal(result, HEJNAL_LIMIT);
    assert_string_equal(hejnal_error_field(w.h), "words[0]");
    assert_int_equal(metrics_read(METRIC_REFUSED_TEXTS), before + 1);
    assert_int_equal(write_one("state 3", 0), HEJNAL_OK);
    assert_int_equal(write_one(NULL, 3), HEJNAL_OK);
}

/* More bytes of words than a request may have, and than fits a frame of the answer well. */
static void long_texts_are_spread_over_requests_and_frames(void **state)
{
    (void)state;
    static char text[HEJNAL_TEXT_BYTES_MAX + 1];
    struct hejnal_batch *b;
    struct hejnal_block block;
    enum hejnal_result result;
    size_t row = 0;
    assert_int_equal(hejnal_batch_create(&b), HEJNAL_OK);
    assert_int_equal(hejnal_batch_section(b, "k", NULL, 0), HEJNAL_OK);
    memset(text, 'x', HEJNAL_TEXT_BYTES_MAX);
    for (int i = 0; i < TEXTS_MAX; i++) {
        const struct hejnal_value value = {0, text};
        text[0] = (char)('a' + i % 26);
        text[1] = (char)('a' + i / 26 % 26);
        text[2] = (char)('a' + i / 676);
        assert_int_equal(hejnal_batch_values(b, start_ns + i, &value, 1), HEJNAL_OK);
    }
    assert_int_equal(hejnal_write(w.h, b), HEJNAL_OK);
    hejnal_batch_destroy(b);
    struct hejnal_answer *a = ask("k", 0, 0);
    while ((result = hejnal_next_block(a, &block)) == HEJNAL_OK) {
        for (size_t i = 0; i < block.rows; i++, row++) {
            assert_int_equal(strlen(block.text[i]), HEJNAL_TEXT_BYTES_MAX);
            assert_int_equal(block.text[i][0], 'a' + (int)(row % 26));
            assert_int_equal(block.text[i][1], 'a' + (int)(row / 26 % 26));
        }
    }
    assert_int_equal(result, HEJNAL_END);
    assert_int_equal(row, TEXTS_MAX);
    hejnal_answer_close(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(numbers_and_texts_come_back_as_they_were_written),
        TEST(last_values_may_be_texts),
        TEST(a_tail_has_texts),
        TEST(aggregates_leave_texts_out),
        TEST(texts_that_are_none_are_refused_before_they_are_sent),
        TEST(a_full_dictionary_refuses_new_texts_and_says_so),
        TEST(long_texts_are_spread_over_requests_and_frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
