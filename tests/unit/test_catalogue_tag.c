#include "storage/catalogue/catalogue_tag.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/thread.h"
#include "tests/lib/rng.h"
#include "tests/lib/test.h"

static struct catalogue *fresh(void)
{
    struct catalogue *c = NULL;
    const struct catalogue_limits limits = {100000};
    assert_ok(catalogue_create(&limits, &c));
    return c;
}

static struct series_ref intern(struct catalogue *c, const char *topic, const char *name)
{
    struct series_ref ref = {0};
    assert_ok(catalogue_intern(c, bytes_of(topic), bytes_of(name), &ref));
    return ref;
}

static void put(struct catalogue *c, struct series_ref ref, const char *key, const char *value)
{
    assert_ok(catalogue_tag_put(c, ref, &(struct tag){bytes_of(key), bytes_of(value)}));
}

/* "key=value ..." as they are listed. */
static void expect_tags(const struct catalogue *c, struct series_ref ref, const char *expected)
{
    char text[4096] = "";
    size_t size = 0;
    const struct tag_set *set = catalogue_tags(c, ref);
    for (unsigned i = 0; set != NULL && i < tag_set_count(set); i++) {
        struct tag t = tag_set_at(c, set, i);
        size +=
            (size_t)snprintf(text + size, sizeof text - size, "%.*s=%.*s ", (int)t.key.size,
                             (const char *)t.key.at, (int)t.value.size, (const char *)t.value.at);
    }
    assert_string_equal(text, expected);
}

static void tags_are_set_replaced_and_removed(void **state)
{
    (void)state;
    struct catalogue *c = fresh();
    struct series_ref a = intern(c, "k/air/1", "pm25"), b = intern(c, "k/air/1", "no2");
    struct bytes value;
    expect_tags(c, a, "");
    put(c, a, "unit", "ug/m3");
    put(c, a, "site", "Rynek");
    put(c, b, "unit", "ppb");
    expect_tags(c, a, "site=Rynek unit=ug/m3 ");
    expect_tags(c, b, "unit=ppb ");
    put(c, a, "unit", "mg/m3");
    assert_ok(catalogue_tag_find(c, a, bytes_of("unit"), &value));
    assert_true(bytes_equal(value, bytes_of("mg/m3")));
    put(c, a, "site", "");
    put(c, a, "nothing", "");
    expect_tags(c, a, "unit=mg/m3 ");
    put(c, a, "unit", "");
    assert_null(catalogue_tags(c, a));
    assert_int_equal(catalogue_tag_find(c, a, bytes_of("unit"), &value), E_NOT_FOUND);
    expect_tags(c, b, "unit=ppb ");
    catalogue_destroy(c);
}

static void values_read_before_stay_readable(void **state)
{
    (void)state;
    struct catalogue *c = fresh();
    struct series_ref a = intern(c, "a", "");
    struct bytes value;
    put(c, a, "unit", "V");
    const struct tag_set *before = catalogue_tags(c, a);
    assert_ok(catalogue_tag_find(c, a, bytes_of("unit"), &value));
    put(c, a, "unit", "mV");
    assert_true(bytes_equal(value, bytes_of("V")));
    assert_true(bytes_equal(tag_set_at(c, before, 0).value, bytes_of("V")));
    catalogue_destroy(c);
}

static void what_many_series_say_is_kept_once(void **state)
{
    (void)state;
    struct catalogue *c = fresh();
    uint64_t before = 0;
    for (int i = 0; i < 20000; i++) {
        char topic[32];
        snprintf(topic, sizeof topic, "k/%d", i);
        struct series_ref ref = intern(c, topic, "");
        put(c, ref, "unit", i % 2 == 0 ? "kW" : "V");
        put(c, ref, "district", "Stare Miasto");
    }
    before = catalogue_tag_bytes(c);
    assert_true(before <= 2 << 20);
    for (int i = 0; i < 20000; i++) { /* To and fro costs nothing either. */
        put(c, (struct series_ref){0, 0}, "unit", i % 2 == 0 ? "kW" : "V");
    }
    assert_true(catalogue_tag_bytes(c) == before);
    catalogue_destroy(c);
}

static void limits_are_kept(void **state)
{
    (void)state;
    static uint8_t big[TAG_VALUE_BYTES_MAX + 1];
    struct catalogue *c = fresh();
    struct series_ref a = intern(c, "a", "");
    char key[8];
    memset(big, 'x', sizeof big);
    const struct bytes v = bytes_of("v");
    assert_null(catalogue_tag_fault((struct bytes){big, TAG_KEY_BYTES_MAX},
                                    (struct bytes){big, TAG_VALUE_BYTES_MAX}));
    assert_null(catalogue_tag_fault(bytes_of("k"), bytes_of("")));
    assert_non_null(catalogue_tag_fault((struct bytes){big, TAG_KEY_BYTES_MAX + 1}, v));
    assert_non_null(catalogue_tag_fault(v, (struct bytes){big, sizeof big}));
    assert_non_null(catalogue_tag_fault(bytes_of(""), v));
    assert_non_null(catalogue_tag_fault(bytes_of("$k"), v));
    assert_non_null(catalogue_tag_fault(bytes_of("a=b"), v));
    assert_non_null(catalogue_tag_fault(bytes_of("\xff"), v));
    for (unsigned i = 0; i <= TAG_SET_MAX; i++) {
        snprintf(key, sizeof key, "k%u", i);
        enum err e = catalogue_tag_put(c, a, &(struct tag){bytes_of(key), v});
        assert_int_equal(e, i < TAG_SET_MAX ? OK : E_LIMIT);
    }
    assert_int_equal(tag_set_count(catalogue_tags(c, a)), TAG_SET_MAX);
    catalogue_destroy(c);
}

enum { SERIES = 100, KEYS = 5, VALUES = 4, CHANGES = 50000 };

static void any_changes_leave_what_was_put_last(void **state)
{
    (void)state;
    static char model[SERIES][KEYS]; /* 0: none. */
    struct catalogue *c = fresh();
    struct series_ref refs[SERIES];
    struct rng rng = {7};
    for (int i = 0; i < SERIES; i++) {
        char topic[16], name[16];
        snprintf(topic, sizeof topic, "t%d", i / 10);
        snprintf(name, sizeof name, "n%d", i);
        refs[i] = intern(c, topic, name);
    }
    for (int i = 0; i < CHANGES; i++) {
        uint32_t s = rng_below(&rng, SERIES), k = rng_below(&rng, KEYS);
        char key[2] = {(char)('a' + k), 0}, value[2] = {(char)rng_below(&rng, VALUES), 0};
        value[0] = value[0] == 0 ? 0 : (char)('0' + value[0]);
        put(c, refs[s], key, value);
        model[s][k] = value[0];
    }
    for (int s = 0; s < SERIES; s++) {
        char expected[64] = "";
        for (int k = 0; k < KEYS; k++) {
            char one[8];
            snprintf(one, sizeof one, "%c=%c ", 'a' + k, model[s][k]);
            strncat(expected, model[s][k] == 0 ? "" : one, 8);
        }
        expect_tags(c, refs[s], expected);
    }
    catalogue_destroy(c);
}

/* Two tags that always change together, one after the other; a set read once is never torn. */
static struct catalogue *shared;
static struct series_ref raced[64];
static atomic_bool done;

static void read_on(void *argument)
{
    (void)argument;
    for (unsigned i = 0; !atomic_load(&done); i++) {
        const struct tag_set *set = catalogue_tags(shared, raced[i % 64]);
        for (unsigned k = 0; set != NULL && k < tag_set_count(set); k++) {
            struct tag t = tag_set_at(shared, set, k);
            assert_true(t.value.size == 2 && t.value.at[0] == t.value.at[1]);
        }
    }
}

static void readers_meet_whole_sets_only(void **state)
{
    (void)state;
    struct thread threads[2];
    struct rng rng = {1};
    shared = fresh();
    atomic_store(&done, false);
    for (int i = 0; i < 64; i++) {
        char name[8];
        snprintf(name, sizeof name, "n%d", i);
        raced[i] = intern(shared, "race", name);
    }
    for (int i = 0; i < 2; i++) {
        assert_ok(thread_start(&threads[i], "reader", read_on, NULL));
    }
    for (int i = 0; i < 20000; i++) {
        char letter = (char)('a' + rng_below(&rng, 26)), value[3] = {letter, letter, 0};
        put(shared, raced[rng_below(&rng, 64)], rng_below(&rng, 2) == 0 ? "x" : "y", value);
    }
    atomic_store(&done, true);
    for (int i = 0; i < 2; i++) {
        thread_join(&threads[i]);
    }
    catalogue_destroy(shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tags_are_set_replaced_and_removed),
        cmocka_unit_test(values_read_before_stay_readable),
        cmocka_unit_test(what_many_series_say_is_kept_once),
        cmocka_unit_test(limits_are_kept),
        cmocka_unit_test(any_changes_leave_what_was_put_last),
        cmocka_unit_test(readers_meet_whole_sets_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
