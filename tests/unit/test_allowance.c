#include "broker/ingest/allowance.h"

#include "tests/lib/test.h"

static unsigned take_all(struct allowance *a, const struct allowance_limits *limits, int64_t now_ms)
{
    unsigned count = 0;
    while (count < 1000000 && allowance_take(a, limits, now_ms)) {
        count++;
    }
    return count;
}

static void so_many_at_once_and_so_many_a_second(void **state)
{
    struct allowance a = {0};
    const struct allowance_limits limits = {100, 10};
    (void)state;
    assert_int_equal(take_all(&a, &limits, 5000), 100);
    assert_int_equal(take_all(&a, &limits, 5050), 0);
    assert_int_equal(take_all(&a, &limits, 5100), 1);
    assert_int_equal(take_all(&a, &limits, 7100), 20);
    assert_int_equal(take_all(&a, &limits, 7000), 0); /* A clock that goes back gives nothing. */
    assert_int_equal(take_all(&a, &limits, INT64_MAX / 2), 100);
}

static void zero_is_any_number(void **state)
{
    struct allowance a = {0};
    const struct allowance_limits any = {0, 0}, once = {3, 0};
    (void)state;
    assert_int_equal(take_all(&a, &any, 0), 1000000);
    assert_int_equal(take_all(&a, &once, 0), 3);
    assert_int_equal(take_all(&a, &once, 1000000000), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(so_many_at_once_and_so_many_a_second),
        cmocka_unit_test(zero_is_any_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
