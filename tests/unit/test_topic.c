#include "base/topic.h"

#include "tests/lib/test.h"

static bool matches(const char *filter, const char *name)
{
    return topic_matches(bytes_of(filter), bytes_of(name));
}

static void filters_select_as_section_4_7_says(void **state)
{
    (void)state;
    assert_true(matches("sport/tennis/player1/#", "sport/tennis/player1"));
    assert_true(matches("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon"));
    assert_true(matches("sport/#", "sport"));
    assert_true(matches("#", "sport/tennis"));
    assert_true(matches("sport/tennis/+", "sport/tennis/player1"));
    assert_false(matches("sport/tennis/+", "sport/tennis/player1/ranking"));
    assert_false(matches("sport/+", "sport"));
    assert_true(matches("sport/+", "sport/"));
    assert_true(matches("+/+", "/finance"));
    assert_true(matches("/+", "/finance"));
    assert_false(matches("+", "/finance"));
    assert_false(matches("a/b", "a"));
    assert_false(matches("a", "a/b"));
    assert_true(matches("a//b", "a//b"));
    assert_true(matches("a/+/b", "a//b"));
}

static void dollar_topics_are_hidden_from_leading_wildcards(void **state)
{
    (void)state;
    assert_false(matches("#", "$SYS/broker"));
    assert_false(matches("+/broker", "$SYS/broker"));
    assert_true(matches("$SYS/#", "$SYS/broker"));
    assert_true(matches("$SYS/+", "$SYS/broker"));
}

static void filters_are_checked(void **state)
{
    static const char *const good[] = {"#", "+", "a/#", "+/a/+", "/", "a//b", "+/#", "Kraków/+"};
    static const char *const bad[] = {"", "a#", "#/a", "a/#/b", "a+", "+a", "a/b+/c", "\xff"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(topic_is_filter(bytes_of(good[i])));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(topic_is_filter(bytes_of(bad[i])));
    }
}

static void names_have_no_wildcards_and_good_utf8(void **state)
{
    (void)state;
    assert_true(topic_is_name(bytes_of("krak\xc3\xb3w/air")));
    assert_false(topic_is_name(bytes_of("a/+")));
    assert_false(topic_is_name(bytes_of("")));
    assert_false(topic_is_name((struct bytes){(const uint8_t *)"a\0b", 3}));
    assert_false(topic_is_name(bytes_of("\xc0\xaf")));         /* over-long */
    assert_false(topic_is_name(bytes_of("\xed\xa0\x80")));     /* surrogate */
    assert_false(topic_is_name(bytes_of("\xf4\x90\x80\x80"))); /* beyond U+10FFFF */
    assert_false(topic_is_name(bytes_of("\xe2\x82")));         /* cut short */
}

/* What is told eight bytes at a time must not depend on where a bad byte stands. */
static void a_bad_byte_is_found_at_every_place_of_every_length(void **state)
{
    static const uint8_t bad[] = {0, '+', '#', 0x80, 0xff};
    uint8_t text[160];
    (void)state;
    for (size_t size = 1; size < sizeof text; size++) {
        memset(text, '"', sizeof text);
        assert_true(topic_is_name((struct bytes){text, size}));
        for (size_t at = 0; at < size; at++) {
            for (size_t b = 0; b < sizeof bad; b++) {
                bool is_wild = bad[b] == '+' || bad[b] == '#';
                text[at] = bad[b];
                assert_false(topic_is_name((struct bytes){text, size}));
                assert_int_equal(topic_is_utf8((struct bytes){text, size}), is_wild);
            }
            text[at] = '"';
        }
    }
}

static void a_name_has_128_levels_at_most(void **state)
{
    uint8_t text[200];
    (void)state;
    memset(text, '/', sizeof text);
    assert_true(topic_is_name((struct bytes){text, TOPIC_LEVELS_MAX - 1}));
    assert_false(topic_is_name((struct bytes){text, TOPIC_LEVELS_MAX}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters_select_as_section_4_7_says),
        cmocka_unit_test(dollar_topics_are_hidden_from_leading_wildcards),
        cmocka_unit_test(filters_are_checked),
        cmocka_unit_test(names_have_no_wildcards_and_good_utf8),
        cmocka_unit_test(a_bad_byte_is_found_at_every_place_of_every_length),
        cmocka_unit_test(a_name_has_128_levels_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
