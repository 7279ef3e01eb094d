#include "base/zone.h"

#include <stdio.h>

#include "base/zone_rule.h"
#include "tests/lib/test.h"

static void names_that_leave_the_directory_are_no_zones(void **state)
{
    static const char *const names[] = {"",
                                        "../../../etc/passwd",
                                        "/etc/passwd",
                                        "Europe",
                                        "Europe/",
                                        "Europe//Warsaw",
                                        "zone.tab",
                                        "Nowhere",
                                        "Europe/Warsaw/x",
                                        "Europe\\Warsaw"};
    char longer[ZONE_NAME_BYTES_MAX + 2];
    struct zone *z = NULL;
    (void)state;
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(zone_open(bytes_of(names[i]), &z), E_NOT_FOUND);
    }
    memset(longer, 'a', sizeof longer);
    assert_int_equal(zone_open((struct bytes){(uint8_t *)longer, sizeof longer}, &z), E_NOT_FOUND);
    assert_null(z);
}

static void utc_is_always_there_and_nothing_ahead(void **state)
{
    struct zone *z;
    (void)state;
    assert_ok(zone_open(bytes_of("UTC"), &z));
    assert_int_equal(zone_ahead(z, 1700000000), 0);
    assert_int_equal(zone_first(z, 1700000000), 1700000000);
    zone_close(z);
}

static void rules_are_read_strictly(void **state)
{
    static const char *const good[] = {"UTC0",
                                       "<+0330>-3:30",
                                       "CET-1CEST,M3.5.0,M10.5.0/3",
                                       "XXX3EDT4,0/0,J365/23",
                                       "IST-2IDT,M3.4.4/26,M10.5.0",
                                       "<-02>2<-01>,M3.5.0/-1,M10.5.0/0"};
    static const char *const bad[] = {"",
                                      "C0",
                                      "CET",
                                      "CET-25",
                                      "CET-1CEST",
                                      "CET-1 ",
                                      "<CET-1",
                                      "CET-1CEST,M13.5.0,M10.5.0",
                                      "CET-1CEST,M3.6.0,M10.5.0",
                                      "CET-1CEST,M3.5.0",
                                      "CET-1CEST,M3.5.0,M10.5.0/168",
                                      "CET-1CEST,J0,J5",
                                      "CET-1CEST,M3.5.0,M10.5.0/3x"};
    struct zone_rule rule;
    (void)state;
    for (unsigned i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_ok(zone_rule_read(bytes_of(good[i]), &rule));
    }
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(zone_rule_read(bytes_of(bad[i]), &rule), E_MALFORMED);
    }
}

static void a_file_cut_anywhere_is_refused(void **state)
{
    static uint8_t raw[ZONE_FILE_BYTES_MAX];
    struct zone *z = NULL;
    (void)state;
    FILE *file = fopen("/usr/share/zoneinfo/Europe/Warsaw", "rbe");
    assert_non_null(file);
    const size_t size = fread(raw, 1, sizeof raw, file);
    fclose(file);
    for (size_t i = 0; i < size; i++) {
        assert_int_equal(zone_read((struct bytes){raw, i}, &z), E_MALFORMED);
    }
    assert_ok(zone_read((struct bytes){raw, size}, &z));
    zone_close(z);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_that_leave_the_directory_are_no_zones),
        cmocka_unit_test(utc_is_always_there_and_nothing_ahead),
        cmocka_unit_test(rules_are_read_strictly),
        cmocka_unit_test(a_file_cut_anywhere_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
