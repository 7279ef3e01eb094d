/* Newest values that were read before: right while the token is the same, and never another's. */

#include "storage/memory/found.h"

#include "tests/lib/test.h"

static void what_was_put_is_found_under_its_token_alone(void **state)
{
    struct found *f = NULL;
    struct found_value got = {.is_none = true};
    const struct series_ref a = {7, 3}, b = {7, 4};
    (void)state;
    assert_ok(found_create(&f));
    assert_false(found_get(f, a, 1, &got)); /* Nothing was put yet. */
    found_put(f, a, 5, (struct found_value){false, 10, 2.5});
    assert_false(found_get(f, a, 4, &got));
    assert_false(found_get(f, b, 5, &got));
    assert_true(found_get(f, a, 5, &got));
    assert_true(!got.is_none && got.time_ns == 10 && got.value == 2.5);
    found_put(f, a, 6, (struct found_value){.is_none = true});
    assert_false(found_get(f, a, 5, &got));
    assert_true(found_get(f, a, 6, &got));
    assert_true(got.is_none);
    found_destroy(f);
    found_destroy(NULL);
}

/* More series than places: some are forgotten, none is taken for another. */
static void of_very_many_some_are_forgotten_and_none_is_mistaken(void **state)
{
    enum { SERIES = 200000 };
    struct found *f = NULL;
    struct found_value got;
    unsigned known = 0;
    (void)state;
    assert_ok(found_create(&f));
    for (uint32_t i = 0; i < SERIES; i++) {
        const struct series_ref ref = {i / 3, (uint8_t)(i % 3)};
        found_put(f, ref, 1, (struct found_value){false, i, i});
    }
    for (uint32_t i = 0; i < SERIES; i++) {
        const struct series_ref ref = {i / 3, (uint8_t)(i % 3)};
        if (found_get(f, ref, 1, &got)) {
            assert_int_equal(got.time_ns, i);
            known++;
        }
    }
    assert_true(known > 30000 && known <= 1 << 16);
    found_destroy(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_is_found_under_its_token_alone),
        cmocka_unit_test(of_very_many_some_are_forgotten_and_none_is_mistaken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
