#include "tests/lib/test.h"

#include <stdlib.h>

#include "cli/visible.h"

static void is_shown(struct bytes text, const char *wanted)
{
    char *shown = visible_text(text);
    assert_non_null(shown);
    assert_string_equal(shown, wanted);
    free(shown);
}

static void plain_text_stays_as_it_is(void **state)
{
    (void)state;
    is_shown(bytes_of("krakow/żółw 31.5"), "krakow/żółw 31.5");
    is_shown(bytes_of(""), "");
}

static void escape_sequences_lose_their_power(void **state)
{
    (void)state;
    is_shown(bytes_of("\033[2J\r\n\x7f"), "\\x1b[2J\\x0d\\x0a\\x7f");
    is_shown(bytes_of("a\xc2\x9b"
                      "31mb"),
             "a\\xc2\\x9b31mb");
}

static void bytes_that_are_no_text_are_told_as_numbers(void **state)
{
    (void)state;
    is_shown((struct bytes){(const uint8_t *)"a\0\xff\xc2", 4}, "a\\x00\\xff\\xc2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_text_stays_as_it_is),
        cmocka_unit_test(escape_sequences_lose_their_power),
        cmocka_unit_test(bytes_that_are_no_text_are_told_as_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
