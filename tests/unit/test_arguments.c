#include "cli/arguments.h"

#include <string.h>

#include "tests/lib/test.h"

static bool flag;
static const char *text;
static int64_t number, length_ns;
static int choice;

static const struct option_row rows[] = {
    {"--flag", OPTION_FLAG, &flag, 0, 0, NULL, NULL, ""},
    {"--text", OPTION_TEXT, &text, 0, 0, NULL, "T", ""},
    {"--number", OPTION_NUMBER, &number, 1, 10, NULL, "N", ""},
    {"--every", OPTION_LENGTH, &length_ns, 0, 0, NULL, "L", ""},
    {"--format", OPTION_CHOICE, &choice, 0, 0, "csv|jsonl", NULL, ""},
};

static enum err read_words(struct arguments *o, const char *line)
{
    static char words[256];
    char *argv[16] = {(char[]){"cmd"}}, *rest = words;
    int argc = 1;
    (void)strncpy(words, line, sizeof words - 1);
    while (rest != NULL && argc < 16) {
        argv[argc++] = strsep(&rest, " ");
    }
    *o = (struct arguments){"test", "A", "", "", rows, 5, 1, 2, 0, {NULL}};
    return arguments_read(o, argc, argv);
}

static void options_stand_anywhere(void **state)
{
    struct arguments o;
    (void)state;
    assert_ok(read_words(&o, "one --number 7 --flag two --text=x=y --format jsonl --every 5m"));
    assert_int_equal(o.positional_count, 2);
    assert_string_equal(o.positional[1], "two");
    assert_int_equal(number, 7);
    assert_true(flag);
    assert_string_equal(text, "x=y");
    assert_int_equal(choice, 1);
    assert_int_equal(length_ns, INT64_C(300000000000));
}

static void a_negative_time_is_no_option(void **state)
{
    struct arguments o;
    (void)state;
    assert_ok(read_words(&o, "a -6h"));
    assert_string_equal(o.positional[1], "-6h");
    assert_ok(read_words(&o, "-- --flag"));
    assert_string_equal(o.positional[0], "--flag");
}

static void wrong_words_are_refused(void **state)
{
    static const char *const bad[] = {"a --number 11", "a --number x",   "a --nope",
                                      "a --text",      "a --format xml", "a --every 5",
                                      "a b c",         "--flag",         "a --flag=1"};
    struct arguments o;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(read_words(&o, bad[i]), E_MALFORMED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_stand_anywhere),
        cmocka_unit_test(a_negative_time_is_no_option),
        cmocka_unit_test(wrong_words_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
