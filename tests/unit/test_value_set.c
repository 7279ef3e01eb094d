#include "storage/read/value_set.h"

#include <math.h>
#include <stdlib.h>

#include "storage/read/sketch.h"
#include "tests/lib/rng.h"
#include "tests/lib/test.h"

enum { MANY = 100000 };

static double values[MANY];

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* By sorting: between the two neighbours of the place, in proportion. */
static double exact(size_t count, double percent)
{
    const double place = percent / 100 * (double)(count - 1);
    const size_t rank = (size_t)place;
    const double above = rank + 1 < count ? values[rank + 1] : values[rank];
    return values[rank] + (place - (double)rank) * (above - values[rank]);
}

static double pick(struct rng *r, uint32_t kind)
{
    switch (kind) {
    case 0:
        return rng_below(r, 5);
    case 1:
        return (double)rng_below(r, 2000000) / 1000 - 1000;
    case 2:
        return pow(10, (double)rng_below(r, 170) / 10 - 8) * (rng_below(r, 2) == 0 ? 1 : -1);
    default:
        return rng_below(r, 1000);
    }
}

static void percentiles_of_few_values_are_exact(void **state)
{
    static const double percents[] = {0, 1, 25, 50, 95, 99.9, 100};
    struct rng r = {3};
    struct value_set v;
    (void)state;
    value_set_init(&v);
    for (int round = 0; round < 300; round++) {
        const size_t count = 1 + rng_below(&r, round % 50 == 0 ? VALUE_SET_EXACT_MAX : 200);
        const uint32_t kind = rng_below(&r, 4);
        for (size_t i = 0; i < count; i++) {
            values[i] = kind == 3 ? (double)i : pick(&r, kind);
        }
        for (size_t i = 0; i < count; i += 7) {
            const double with_nan[] = {(double)NAN};
            assert_ok(value_set_add(&v, values + i, count - i < 7 ? count - i : 7));
            assert_ok(value_set_add(&v, with_nan, count < VALUE_SET_EXACT_MAX / 2));
        }
        qsort(values, count, sizeof values[0], compare);
        for (unsigned i = 0; i < sizeof percents / sizeof percents[0]; i++) {
            const double want = exact(count, percents[i]);
            assert_true(fabs(value_set_percentile(&v, percents[i]) - want) <=
                        1e-12 * (fabs(want) + 1));
        }
        value_set_clear(&v);
    }
    assert_true(isnan(value_set_percentile(&v, 50)));
    value_set_fini(&v);
}

/* The value at the nearest place, or one within the error of it. */
static void assert_near(struct value_set *v, size_t count, double percent)
{
    const size_t rank = (size_t)rint(percent / 100 * (double)(count - 1));
    const double want = values[rank], got = value_set_percentile(v, percent);
    if (fabs(got - want) > SKETCH_ERROR * 1.000001 * fabs(want)) {
        fail_msg("%g%% of %zu: %.17g is not near %.17g", percent, count, got, want);
    }
}

static void percentiles_of_many_values_are_within_a_hundredth(void **state)
{
    struct rng r = {4};
    (void)state;
    for (uint32_t kind = 0; kind < 4; kind++) {
        struct value_set parts[3], all;
        value_set_init(&all);
        for (int i = 0; i < 3; i++) {
            value_set_init(&parts[i]);
        }
        for (size_t i = 0; i < MANY; i++) {
            values[i] = pick(&r, kind);
            /* Of unequal size: one stays exact. */
            assert_ok(value_set_add(&parts[i % 10 == 0 ? 0 : 1 + i % 2], &values[i], 1));
        }
        for (int i = 0; i < 3; i++) {
            assert_ok(value_set_merge(&all, &parts[i]));
            value_set_fini(&parts[i]);
        }
        assert_true(value_set_bytes(&all) <= sketch_bytes());
        qsort(values, MANY, sizeof values[0], compare);
        for (int half = 0; half <= 200; half++) {
            assert_near(&all, MANY, half * 0.5);
        }
        value_set_fini(&all);
    }
}

static void infinities_and_the_widest_values_have_their_places(void **state)
{
    struct value_set v;
    (void)state;
    value_set_init(&v);
    const double some[] = {HUGE_VAL, -HUGE_VAL, 0, 1e300, -1e300, 5e-324, 1e-300, (double)NAN};
    for (int i = 0; i < VALUE_SET_EXACT_MAX; i++) {
        assert_ok(value_set_add(&v, some, 8));
    }
    assert_true(isinf(value_set_percentile(&v, 0)) && value_set_percentile(&v, 0) < 0);
    assert_true(isinf(value_set_percentile(&v, 100)) && value_set_percentile(&v, 100) > 0);
    assert_true(fabs(value_set_percentile(&v, 80) - 1e300) < 1e298);
    assert_true(fabs(value_set_percentile(&v, 20) + 1e300) < 1e298);
    assert_true(value_set_percentile(&v, 35) == 0);
    value_set_fini(&v);
}

static void no_number_among_many_has_no_percentile(void **state)
{
    static double numbers[2 * VALUE_SET_EXACT_MAX];
    struct value_set v;
    (void)state;
    for (size_t i = 0; i < 2 * VALUE_SET_EXACT_MAX; i++) {
        numbers[i] = (double)NAN;
    }
    value_set_init(&v);
    assert_ok(value_set_add(&v, numbers, 2 * VALUE_SET_EXACT_MAX));
    assert_true(isnan(value_set_percentile(&v, 50)));
    numbers[0] = 3;
    assert_ok(value_set_add(&v, numbers, 2));
    assert_true(fabs(value_set_percentile(&v, 50) - 3) < 0.1);
    value_set_fini(&v);
}

static void an_order_made_to_be_slow_takes_no_longer(void **state)
{
    struct value_set v;
    (void)state;
    value_set_init(&v);
    for (size_t i = 0; i < VALUE_SET_EXACT_MAX; i++) { /* Organ pipes. */
        values[i] = (double)(i < VALUE_SET_EXACT_MAX / 2 ? i : VALUE_SET_EXACT_MAX - i);
    }
    assert_ok(value_set_add(&v, values, VALUE_SET_EXACT_MAX));
    qsort(values, VALUE_SET_EXACT_MAX, sizeof values[0], compare);
    for (int percent = 0; percent <= 100; percent++) {
        assert_true(fabs(value_set_percentile(&v, percent) - exact(VALUE_SET_EXACT_MAX, percent)) <
                    1e-6);
    }
    value_set_fini(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percentiles_of_few_values_are_exact),
        cmocka_unit_test(percentiles_of_many_values_are_within_a_hundredth),
        cmocka_unit_test(infinities_and_the_widest_values_have_their_places),
        cmocka_unit_test(no_number_among_many_has_no_percentile),
        cmocka_unit_test(an_order_made_to_be_slow_takes_no_longer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
