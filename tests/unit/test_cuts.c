/* What is left out of a group, against a look at each point. */

#include "storage/erase/cuts.h"

#include "storage/erase/tombs.h"
#include "tests/lib/rng.h"
#include "tests/lib/test.h"

enum { TIMES = 40, POSITIONS = 6, ROUNDS = 3000 };

static bool is_left_out(const struct cuts *c, uint64_t position, int64_t time_ns)
{
    for (size_t i = 0; i < c->count; i++) {
        if (position < c->at[i].position && c->at[i].from_ns <= time_ns &&
            time_ns < c->at[i].to_ns) {
            return true;
        }
    }
    return false;
}

static void make(struct rng *rng, struct cuts *c)
{
    c->count = 0;
    for (uint32_t i = rng_below(rng, 4); i > 0; i--) {
        struct cut cut = {.position = rng_below(rng, POSITIONS), .from_ns = rng_below(rng, TIMES)};
        cut.to_ns = cut.from_ns + 1 + rng_below(rng, 10);
        if (rng_below(rng, 5) == 0) { /* As retention says it. */
            cut.position = UINT64_MAX;
            cut.from_ns = INT64_MIN;
        }
        cut.columns = 1 + rng_below(rng, 7);
        cut.rows = rng_below(rng, 20);
        assert_ok(cuts_add(c, &cut));
    }
}

static void spans_are_touched_and_covered_as_their_points_are(void **state)
{
    struct rng rng = {1};
    struct cuts c;
    unsigned touched = 0, covered = 0;
    (void)state;
    cuts_init(&c);
    for (int round = 0; round < ROUNDS; round++) {
        make(&rng, &c);
        const uint64_t position = rng_below(&rng, POSITIONS);
        const int64_t first = rng_below(&rng, TIMES), last = first + rng_below(&rng, 8);
        bool any = false, all = true;
        for (int64_t t = first; t <= last; t++) {
            any |= is_left_out(&c, position, t);
            all &= is_left_out(&c, position, t);
        }
        assert_int_equal(cuts_touch(&c, position, first, last), any);
        /* By one cut: it may not see that several do it together. */
        assert_true(all || !cuts_cover(&c, position, first, last));
        touched += any;
        covered += cuts_cover(&c, position, first, last);
    }
    assert_true(touched > ROUNDS / 10 && covered > ROUNDS / 100);
    cuts_fini(&c);
}

static void points_that_stay_are_those_no_cut_says(void **state)
{
    struct rng rng = {2};
    struct cuts c;
    (void)state;
    cuts_init(&c);
    assert_int_equal(cuts_keep(&c, 0, NULL, NULL, 0), 0);
    for (int round = 0; round < ROUNDS; round++) {
        int64_t times[TIMES];
        double values[TIMES];
        uint32_t count = 0, want = 0;
        make(&rng, &c);
        const uint64_t position = rng_below(&rng, POSITIONS);
        for (int64_t t = 0; t < TIMES; t++) {
            if (rng_below(&rng, 3) > 0) {
                times[count] = t;
                values[count++] = (double)t / 2;
                want += !is_left_out(&c, position, t);
            }
        }
        assert_int_equal(cuts_keep(&c, position, times, values, count), want);
        for (uint32_t i = 0; i < want; i++) {
            assert_true(values[i] == (double)times[i] / 2);
            assert_false(is_left_out(&c, position, times[i]));
            assert_true(i == 0 || times[i - 1] < times[i]);
        }
    }
    cuts_fini(&c);
}

static void of_a_head_a_cut_takes_the_rows_that_were_there(void **state)
{
    struct cuts c;
    const struct cut early = {.position = 5, .from_ns = 10, .to_ns = 20, .columns = 3, .rows = 2};
    const struct cut other = {.position = 6, .from_ns = 15, .to_ns = 30, .columns = 4, .rows = 4};
    (void)state;
    cuts_init(&c);
    assert_ok(cuts_add(&c, &early));
    assert_ok(cuts_add(&c, &other));
    assert_int_equal(cuts_of_row(&c, 1, 9), 0);
    assert_int_equal(cuts_of_row(&c, 1, 10), 3);
    assert_int_equal(cuts_of_row(&c, 1, 15), 7);
    assert_int_equal(cuts_of_row(&c, 2, 15), 4); /* The third row came after the first delete. */
    assert_int_equal(cuts_of_row(&c, 3, 29), 4);
    assert_int_equal(cuts_of_row(&c, 3, 30), 0);
    assert_int_equal(cuts_of_row(&c, 4, 29), 0);
    cuts_fini(&c);
}

static void aimed_at_a_head_tombs_say_how_many_rows_and_retention_all(void **state)
{
    static const struct series_list nothing = {0, NULL};
    struct head *h = NULL;
    const struct batch_entry row = {.kind = BATCH_ROW,
                                    .row = {.group = 3, .columns = 1, .count = 1, .values = {1}}};
    struct series_ref ref = {3, 0};
    const struct series_list series = {1, &ref};
    struct tombs *t = NULL, *without = NULL;
    struct cuts c;
    (void)state;
    assert_ok(head_create(&h));
    assert_ok(head_append(h, &row, 0));
    const struct tomb_scene scene = {&h, 1, &series}, empty = {NULL, 0, &nothing};
    const struct tomb_order order = {9, 0, 10, bytes_of("a")};
    assert_ok(tombs_with(NULL, &order, &scene, &t));
    assert_ok(tombs_with(NULL, &order, &empty, &without));
    cuts_init(&c);
    assert_ok(cuts_add(&c, &(struct cut){.tomb = &t->at[0], .to_ns = 10, .columns = 1}));
    assert_ok(cuts_add(&c, &(struct cut){.tomb = &without->at[0], .to_ns = 10, .columns = 2}));
    assert_ok(cuts_add(&c, &(struct cut){.tomb = NULL, .to_ns = 10, .columns = 4}));
    assert_ok(head_append(h, &row, 0));
    cuts_aim(&c, h, 3);
    assert_int_equal(cuts_of_row(&c, 0, 0), 5);
    assert_int_equal(cuts_of_row(&c, 1, 0), 4);
    cuts_aim(&c, h, 4);
    assert_int_equal(cuts_of_row(&c, 0, 0), 4);
    cuts_fini(&c);
    tombs_drop(t);
    tombs_drop(without);
    head_destroy(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_are_touched_and_covered_as_their_points_are),
        cmocka_unit_test(points_that_stay_are_those_no_cut_says),
        cmocka_unit_test(of_a_head_a_cut_takes_the_rows_that_were_there),
        cmocka_unit_test(aimed_at_a_head_tombs_say_how_many_rows_and_retention_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
