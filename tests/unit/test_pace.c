#include "broker/mqtt/pace.h"
#include "tests/lib/test.h"

/* One stretch in which each of `clients` was heard `times` times, `bytes` at a time. */
static bool after_a_stretch(struct pace *p, unsigned clients, unsigned times, size_t bytes)
{
    const int64_t start_ms = p->start_ms;
    for (unsigned i = 0; i < clients * times; i++) {
        pace_on_read(p, bytes, i < clients ? start_ms - 1 : start_ms + 1);
    }
    return pace_on_turn(p, start_ms + PACE_STRETCH_MS);
}

static void many_clients_that_say_little_are_gathered(void **state)
{
    struct pace p = {.start_ms = 1000};
    (void)state;
    assert_true(after_a_stretch(&p, 200, 1, 100));
    assert_true(pace_on_turn(&p, p.start_ms + 1));
    assert_true(after_a_stretch(&p, 200, 1, 100));
}

static void few_clients_are_answered_at_once_however_often_they_talk(void **state)
{
    struct pace p = {.start_ms = 1000};
    (void)state;
    assert_false(after_a_stretch(&p, PACE_CLIENTS_MIN - 1, 100, 100));
}

static void clients_that_say_much_at_a_time_are_not_gathered(void **state)
{
    struct pace p = {.start_ms = 1000};
    (void)state;
    assert_false(after_a_stretch(&p, 1000, 1, PACE_READ_BYTES_MAX + 1));
}

static void when_it_grows_quiet_gathering_ends(void **state)
{
    struct pace p = {.start_ms = 1000};
    (void)state;
    assert_true(after_a_stretch(&p, 200, 1, 100));
    assert_false(after_a_stretch(&p, 100, 1, 100));
    assert_true(after_a_stretch(&p, 200, 1, 100));
    assert_false(pace_on_turn(&p, p.start_ms + 1000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_clients_that_say_little_are_gathered),
        cmocka_unit_test(few_clients_are_answered_at_once_however_often_they_talk),
        cmocka_unit_test(clients_that_say_much_at_a_time_are_not_gathered),
        cmocka_unit_test(when_it_grows_quiet_gathering_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
