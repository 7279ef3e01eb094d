#include "broker/mqtt/alias_book.h"

#include "base/hash.h"
#include "tests/lib/test.h"

static uint16_t take(struct alias_book *b, const char *topic, bool expected)
{
    bool known = !expected;
    uint16_t alias = alias_book_take(b, bytes_of(topic), hash_bytes(bytes_of(topic)), &known);
    assert_int_equal(known, expected);
    return alias;
}

static void the_first_topics_get_an_alias_each(void **state)
{
    (void)state;
    struct alias_book b = {.limit = 2};
    assert_int_equal(take(&b, "a", false), 1);
    assert_int_equal(take(&b, "a", true), 1);
    assert_int_equal(take(&b, "b", false), 2);
    assert_int_equal(take(&b, "c", false), 0);
    assert_int_equal(take(&b, "b", true), 2);
    alias_book_clear(&b);
    assert_int_equal(take(&b, "a", false), 0);
}

static void an_alias_that_was_not_sent_is_given_again(void **state)
{
    (void)state;
    struct alias_book b = {.limit = 5};
    assert_int_equal(take(&b, "a", false), 1);
    assert_int_equal(take(&b, "b", false), 2);
    alias_book_drop(&b);
    assert_int_equal(take(&b, "c", false), 2);
    assert_int_equal(take(&b, "b", false), 3);
    alias_book_clear(&b);
}

static void equal_hashes_are_told_apart(void **state)
{
    (void)state;
    struct alias_book b = {.limit = 5};
    bool known;
    assert_int_equal(alias_book_take(&b, bytes_of("a"), 7, &known), 1);
    assert_int_equal(alias_book_take(&b, bytes_of("b"), 7, &known), 2);
    assert_false(known);
    alias_book_clear(&b);
}

static void long_topics_and_a_closed_book_get_none(void **state)
{
    (void)state;
    struct alias_book b = {.limit = 5};
    char topic[ALIAS_TOPIC_BYTES_MAX + 2];
    memset(topic, 'x', sizeof topic - 1);
    topic[sizeof topic - 1] = 0;
    assert_int_equal(take(&b, topic, false), 0);
    topic[sizeof topic - 2] = 0;
    assert_int_equal(take(&b, topic, false), 1);
    alias_book_clear(&b);
    assert_int_equal(take(&b, "a", false), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_topics_get_an_alias_each),
        cmocka_unit_test(an_alias_that_was_not_sent_is_given_again),
        cmocka_unit_test(equal_hashes_are_told_apart),
        cmocka_unit_test(long_topics_and_a_closed_book_get_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
