/* Values that leave columns in memory: what stays is what would be there without them, value by
 * value, with all that each was before and when it came. */

#include <string.h>

#include "storage/part/columns.h"
#include "tests/lib/rng.h"
#include "tests/lib/test.h"

enum { COLUMNS = 5, ROWS = 200, TIMES = 60, ROUNDS = 400 };

struct history {
    struct head_row rows[ROWS];
    double values[ROWS][COLUMNS];
    uint32_t count;
};

/* Rows in order of time, some of one time, late ones among them. */
static void make(struct rng *rng, struct history *h)
{
    int64_t time_ns = 0;
    h->count = 1 + rng_below(rng, ROWS);
    for (uint32_t i = 0; i < h->count; i++) {
        const uint64_t columns = 1 + rng_below(rng, (1 << COLUMNS) - 1);
        for (unsigned k = 0; k < COLUMNS; k++) {
            h->values[i][k] = rng_below(rng, 3);
        }
        h->rows[i] =
            (struct head_row){.time_ns = time_ns,
                              .arrival_s = rng_below(rng, 2) == 0 ? 0 : 1000 + rng_below(rng, 50),
                              .columns = columns,
                              .values = h->values[i]};
        time_ns += rng_below(rng, 3);
    }
}

/* `gone` at from <= t < to are not put. */
static void put(struct columns *c, const struct history *h, uint64_t gone, int64_t from, int64_t to)
{
    columns_clear(c);
    for (uint32_t i = 0; i < h->count; i++) {
        struct head_row row = h->rows[i];
        row.gone = row.time_ns >= from && row.time_ns < to ? gone : 0;
        if ((row.columns & ~row.gone) != 0) {
            assert_ok(columns_put_row(c, &row));
        }
    }
}

/* All versions of one value, the oldest first, each with its arrival. */
struct versions {
    unsigned count;
    struct {
        double value;
        uint32_t arrival_s;
    } at[COLUMNS_VERSIONS_MAX + 2];
};

static bool has(const struct columns *c, unsigned id, uint32_t row)
{
    return (c->used >> id & 1) != 0 && (c->present[id][row / 64] >> (row % 64) & 1) != 0;
}

static struct versions versions_of(const struct columns *c, unsigned id, uint32_t row)
{
    struct versions v = {.count = 0};
    uint32_t current_s = c->arrivals[row];
    for (uint32_t i = 0; i < c->revision_count; i++) {
        const struct chunk_revision *r = &c->revisions[i];
        if (r->row != row || r->column != id) {
            continue;
        }
        if (r->is_current) {
            current_s = r->arrival_s;
        } else {
            v.at[v.count].value = r->value;
            v.at[v.count++].arrival_s = r->arrival_s;
        }
    }
    v.at[v.count].value = c->values[id][row];
    v.at[v.count++].arrival_s = current_s;
    return v;
}

static void expect_same_value(const struct columns *a, const struct columns *b, unsigned id,
                              uint32_t row)
{
    assert_int_equal(has(a, id, row), has(b, id, row));
    if (!has(a, id, row)) {
        return;
    }
    const struct versions x = versions_of(a, id, row), y = versions_of(b, id, row);
    assert_int_equal(x.count, y.count);
    for (unsigned i = 0; i < x.count; i++) {
        assert_true(x.at[i].value == y.at[i].value && x.at[i].arrival_s == y.at[i].arrival_s);
    }
}

static void expect_same(const struct columns *a, const struct columns *b)
{
    assert_int_equal(a->rows, b->rows);
    assert_int_equal(a->used, b->used);
    for (uint32_t row = 0; row < a->rows; row++) {
        assert_int_equal(a->times[row], b->times[row]);
        for (unsigned id = 0; id < COLUMNS; id++) {
            expect_same_value(a, b, id, row);
        }
    }
    for (uint32_t i = 0; i < a->revision_count; i++) { /* Of values that are there, in order. */
        const struct chunk_revision *r = &a->revisions[i];
        assert_true(r->row < a->rows && has(a, r->column, r->row));
        assert_true(i == 0 || r[-1].row < r->row ||
                    (r[-1].row == r->row && r[-1].column <= r->column));
    }
    for (unsigned id = 0; id < COLUMNS; id++) { /* As columns.h wants the bits behind the rows. */
        for (uint32_t row = a->rows; (a->used >> id & 1) != 0 && row < ROWS; row++) {
            assert_false(has(a, id, row));
        }
    }
}

static void what_stays_is_what_would_be_there_without(void **state)
{
    static struct history h;
    struct columns *erased = NULL, *without = NULL;
    struct rng rng = {4};
    (void)state;
    assert_ok(columns_create(&erased));
    assert_ok(columns_create(&without));
    for (int round = 0; round < ROUNDS; round++) {
        make(&rng, &h);
        const uint64_t gone = rng_below(&rng, 1 << COLUMNS);
        const int64_t from = (int64_t)rng_below(&rng, 2 * TIMES) - 10;
        const int64_t to = from + rng_below(&rng, TIMES);
        put(erased, &h, 0, 0, 0);
        columns_erase(erased, gone, from, to);
        put(without, &h, gone, from, to);
        expect_same(erased, without);
        columns_erase(erased, UINT64_MAX, INT64_MIN, from); /* And once more, as retention does. */
        columns_erase(without, UINT64_MAX, INT64_MIN, from);
        expect_same(erased, without);
        columns_erase(erased, UINT64_MAX, INT64_MIN, INT64_MAX);
        assert_int_equal(erased->rows, 0);
        assert_int_equal(erased->used, 0);
        assert_int_equal(erased->revision_count, 0);
    }
    columns_destroy(erased);
    columns_destroy(without);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_stays_is_what_would_be_there_without)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
