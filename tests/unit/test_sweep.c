/* Whether a sealed part is worth writing anew: only where it has what was taken away. */

#include "storage/part/sweep.h"

#include "base/clock.h"
#include "storage/view.h"
#include "tests/lib/store.h"

#define T0      (INT64_C(1479877011) * NS_PER_S)
#define STEP_NS (INT64_C(10) * NS_PER_S)
enum { MANY = 3000 };

static struct store s;
static const struct view *view;
static struct part *part;

/* A sealed part with a small group, which is bundled, and one of chunks, every ten seconds. */
static int setup(void **state)
{
    (void)state;
    store_make(&s);
    for (int i = 0; i < MANY; i++) {
        const double value = i * 7 % 1000 / 3.0;
        assert_ok(store_put(&s, store_series(&s, "large", "a"), T0 + i * STEP_NS, value));
        assert_ok(store_put(&s, store_series(&s, "large", "b"), T0 + i * STEP_NS, value));
        if (i % 500 == 0) {
            assert_ok(store_write(&s));
        }
    }
    assert_ok(store_put(&s, store_series(&s, "small", ""), T0, 1));
    assert_ok(store_put(&s, store_series(&s, "small", ""), T0 + STEP_NS, 1));
    (void)store_series(&s, "none", "");
    assert_ok(store_write(&s));
    assert_ok(store_checkpoint(&s));
    assert_ok(store_seal(&s, true));
    view = view_hold(s.engine);
    assert_int_equal(view->layer[VIEW_SEALED].count, 1);
    part = view->layer[VIEW_SEALED].at[0];
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    view_drop(s.engine, view);
    store_remove(&s);
    return 0;
}

static bool look(const char *filter, uint64_t position, int64_t from_ns, int64_t to_ns)
{
    static const struct series_list nothing = {0, NULL};
    static const atomic_bool stop = false;
    const struct tomb_scene scene = {NULL, 0, &nothing};
    const struct tomb_order order = {position, from_ns, to_ns, bytes_of(filter)};
    struct tombs *tombs = NULL;
    bool found = false;
    assert_ok(tombs_with(NULL, &order, &scene, &tombs));
    const struct erasure erasure = {tombs, engine_catalogue(s.engine), NULL};
    const struct sweep sweep = {part, &erasure, catalogue_group_count(erasure.catalogue), &stop};
    assert_ok(sweep_look(&sweep, &found));
    tombs_drop(tombs);
    return found;
}

static void a_delete_is_found_where_it_meets_a_point(void **state)
{
    const uint64_t later = part_applied(part) + 1;
    (void)state;
    assert_true(look("large/a", later, T0 + NS_PER_S, T0 + (STEP_NS + NS_PER_S)));
    assert_true(look("large/#", later, 0, INT64_MAX));
    assert_true(look("+", later, T0 + STEP_NS, T0 + STEP_NS + 1)); /* In the bundle. */
    const int64_t last_ns = T0 + (MANY - 1) * STEP_NS;
    assert_true(look("large/b", later, last_ns, last_ns + 1));
    assert_true(look("large/b", later, INT64_MIN, T0 + 1));
}

static void it_is_not_where_it_meets_none(void **state)
{
    const uint64_t later = part_applied(part) + 1;
    (void)state;
    assert_false(look("large/#", later, T0 + NS_PER_S, T0 + STEP_NS)); /* Between two. */
    assert_false(look("small", later, T0 + 1, T0 + STEP_NS));
    assert_false(look("small", later, T0 + (STEP_NS + NS_PER_S), INT64_MAX));
    assert_false(look("large/#", later, T0 + MANY * STEP_NS, INT64_MAX));
    assert_false(look("large/#", later, 0, T0));
    assert_false(look("none", later, 0, INT64_MAX));
    assert_false(look("large/c", later, 0, INT64_MAX));
    assert_false(look("#", part_applied(part), 0, INT64_MAX)); /* All of it was written later. */
}

static void it_ends_when_it_is_told_to(void **state)
{
    static const atomic_bool stop = true;
    const struct erasure erasure = {NULL, engine_catalogue(s.engine), NULL};
    const struct sweep sweep = {part, &erasure, catalogue_group_count(erasure.catalogue), &stop};
    bool found = true;
    (void)state;
    assert_int_equal(sweep_look(&sweep, &found), E_BUSY);
    assert_true(found); /* As it was. */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_delete_is_found_where_it_meets_a_point),
        TEST(it_is_not_where_it_meets_none),
        TEST(it_ends_when_it_is_told_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
