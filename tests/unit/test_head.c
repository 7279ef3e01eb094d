#include "storage/memory/head.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/thread.h"
#include "tests/lib/rng.h"
#include "tests/lib/test.h"

enum { GROUPS = 50, ROWS = 20000 };

static struct batch_entry random_row(struct rng *rng)
{
    struct batch_entry row = {.kind = BATCH_ROW};
    row.row.group = rng_below(rng, GROUPS) * rng_below(rng, 200);
    row.row.time_ns = (int64_t)(rng_next(rng) >> 2) * (rng_below(rng, 10) > 0);
    row.row.columns = UINT64_C(1) << row.row.group % 3; /* A third of groups have one shape. */
    if (row.row.group % 3 != 0) {
        row.row.columns |= rng_next(rng) & rng_next(rng) & rng_next(rng);
        row.row.columns |= UINT64_C(1) << rng_below(rng, 64);
    }
    row.row.count = (unsigned)__builtin_popcountll(row.row.columns);
    for (unsigned i = 0; i < row.row.count; i++) {
        row.row.values[i] = (double)rng_next(rng);
    }
    return row;
}

/* Every seventh row has one. */
static int64_t arrival_of(size_t row)
{
    return row % 7 == 0 ? (int64_t)row : 0;
}

static void rows_of_a_group_come_back_in_order(void **state)
{
    (void)state;
    struct rng rng = {3};
    struct head *h = NULL;
    struct batch_entry *rows = calloc(ROWS, sizeof *rows);
    assert_non_null(rows);
    assert_ok(head_create(&h));
    for (size_t i = 0; i < ROWS; i++) {
        rows[i] = random_row(&rng);
        assert_ok(head_append(h, &rows[i], arrival_of(i)));
    }
    assert_int_equal(head_rows(h), ROWS);
    assert_true(head_bytes(h) > 16 * ROWS);
    size_t seen = 0;
    for (uint32_t group = 0; group < head_group_end(h) + 2000; group++) {
        struct head_cursor cursor;
        struct head_row row;
        int64_t first = INT64_MAX, last = INT64_MIN, span_first, span_last;
        head_cursor_init(&cursor, h, group);
        for (size_t i = 0; i < ROWS; i++) {
            if (rows[i].row.group != group) {
                continue;
            }
            assert_true(head_cursor_next(&cursor, &row));
            assert_int_equal(row.time_ns, rows[i].row.time_ns);
            assert_int_equal(row.arrival_s, arrival_of(i));
            assert_int_equal(row.columns, rows[i].row.columns);
            assert_memory_equal(row.values, rows[i].row.values, 8 * rows[i].row.count);
            first = row.time_ns < first ? row.time_ns : first;
            last = row.time_ns > last ? row.time_ns : last;
            seen++;
        }
        assert_false(head_cursor_next(&cursor, &row));
        bool any = head_group_span(h, group, &span_first, &span_last);
        assert_int_equal(any, first <= last);
        assert_true(!any || (span_first == first && span_last == last));
    }
    assert_int_equal(seen, ROWS);
    head_destroy(h);
    free(rows);
}

static void many_small_groups_stay_small(void **state)
{
    (void)state;
    struct head *h = NULL;
    struct batch_entry row = {.kind = BATCH_ROW};
    row.row.columns = 1;
    row.row.count = 1;
    assert_ok(head_create(&h));
    for (uint32_t i = 0; i < 200000; i++) {
        row.row.group = i / 2;
        row.row.time_ns = i;
        assert_ok(head_append(h, &row, 0));
    }
    assert_true(head_bytes(h) < 100000 * 170);
    head_destroy(h);
}

/* Sixteen bytes of a row, and a seventh of them for what is not used yet. */
static void rows_of_one_column_take_little_more_than_they_say(void **state)
{
    (void)state;
    for (uint32_t groups = 10; groups <= 100000; groups *= 100) {
        struct head *h = NULL;
        struct batch_entry row = {.kind = BATCH_ROW};
        row.row.columns = 1;
        row.row.count = 1;
        assert_ok(head_create(&h));
        for (uint32_t i = 0; i < 10000000; i++) {
            row.row.group = i % groups;
            row.row.time_ns = i;
            assert_ok(head_append(h, &row, 0));
        }
        assert_in_range(head_bytes(h) - 200 * groups, 16 * 10000000, 16 * 10000000 / 100 * 116);
        head_destroy(h);
    }
}

struct race {
    struct head *head;
    atomic_bool done;
};

/* Row i of the race has time i, and its value says so too. */
static void read_on(void *argument)
{
    struct race *race = argument;
    bool done;
    do {
        done = atomic_load(&race->done);
        for (uint32_t group = 0; group < 4; group++) {
            struct head_cursor cursor;
            struct head_row row;
            int64_t before = -1;
            head_cursor_init(&cursor, race->head, group);
            while (head_cursor_next(&cursor, &row)) {
                assert_true(row.time_ns > before && row.time_ns % 4 == group);
                assert_true(row.values[0] == (double)row.time_ns);
                before = row.time_ns;
            }
        }
    } while (!done);
}

static void readers_run_beside_the_writer(void **state)
{
    (void)state;
    struct race race = {0};
    struct thread reader;
    assert_ok(head_create(&race.head));
    assert_ok(thread_start(&reader, "reader", read_on, &race));
    struct batch_entry row = {.kind = BATCH_ROW};
    for (int64_t i = 0; i < 20000; i++) {
        row.row.group = (uint32_t)(i % 4);
        row.row.time_ns = i;
        row.row.columns = i % 3 == 0 ? 3 : 1;
        row.row.count = i % 3 == 0 ? 2 : 1;
        row.row.values[0] = (double)i;
        assert_ok(head_append(race.head, &row, 0));
    }
    atomic_store(&race.done, true);
    thread_join(&reader);
    head_destroy(race.head);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_a_group_come_back_in_order),
        cmocka_unit_test(many_small_groups_stay_small),
        cmocka_unit_test(rows_of_one_column_take_little_more_than_they_say),
        cmocka_unit_test(readers_run_beside_the_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
