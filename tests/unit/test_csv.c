#include "cli/csv.h"

#include <stdio.h>
#include <string.h>

#include "tests/lib/test.h"

static void cells_come_apart(void **state)
{
    char line[] = "a,\"b,\"\"c\"\"\",,d";
    static const char *const want[] = {"a", "b,\"c\"", "", "d"};
    char *rest = line, *cell;
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        assert_ok(csv_cell(&rest, &cell));
        assert_string_equal(cell, want[i]);
    }
    assert_int_equal(csv_cell(&rest, &cell), E_END);
}

static void bad_quotes_are_refused(void **state)
{
    static const char *const bad[] = {"\"", "\"a", "\"a\"b", "\"a\"\"", "\"\"\""};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char line[16], *rest = line, *cell;
        (void)snprintf(line, sizeof line, "%s", bad[i]);
        assert_int_equal(csv_cell(&rest, &cell), E_MALFORMED);
    }
}

static void a_quoted_cell_may_go_on_in_the_next_line(void **state)
{
    static const char *const open[] = {"\"", "a,\"b", "a,\"b\"\"", "\"a,b\nc", "\"a\",\"\"\""};
    static const char *const closed[] = {"",     "a,b",       "a,\"b\"", "a\",b",
                                         "\"\"", "\"a\"\"\"", "a\"b",    "\"a,\nb\",c"};
    (void)state;
    for (size_t i = 0; i < sizeof open / sizeof open[0]; i++) {
        assert_true(csv_is_open(open[i]));
    }
    for (size_t i = 0; i < sizeof closed / sizeof closed[0]; i++) {
        assert_false(csv_is_open(closed[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_come_apart),
        cmocka_unit_test(bad_quotes_are_refused),
        cmocka_unit_test(a_quoted_cell_may_go_on_in_the_next_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
