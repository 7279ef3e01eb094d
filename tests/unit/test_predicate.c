#include "storage/read/predicate.h"

#include <stdio.h>

#include "storage/catalogue/catalogue_tag.h"
#include "tests/lib/test.h"

static struct catalogue *catalogue;
static struct series_ref ref;

static int setup(void **state)
{
    static const struct catalogue_limits limits = {.series_max = 10};
    static const char *const tags[][2] = {{"unit", "ug/m3"},
                                          {"district", "Old \"Town\""},
                                          {"lat", "50.06"},
                                          {"odd key", "a\\b"},
                                          {"dzielnica", "Podgórze"}};
    (void)state;
    assert_ok(catalogue_create(&limits, &catalogue));
    assert_ok(catalogue_intern(catalogue, bytes_of("krakow/air/171"), bytes_of("pm25"), &ref));
    for (unsigned i = 0; i < sizeof tags / sizeof tags[0]; i++) {
        const struct tag tag = {bytes_of(tags[i][0]), bytes_of(tags[i][1])};
        assert_ok(catalogue_tag_put(catalogue, ref, &tag));
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    catalogue_destroy(catalogue);
    return 0;
}

static bool holds(const char *text)
{
    struct predicate *p;
    struct predicate_fault fault = {0, NULL};
    if (predicate_read(bytes_of(text), &p, &fault) != OK) {
        fail_msg("%s: at %zu %s", text, fault.position, fault.text);
    }
    const bool result = predicate_holds(p, catalogue, ref);
    predicate_destroy(p);
    return result;
}

static void refused(const char *text, size_t position)
{
    struct predicate *p = NULL;
    struct predicate_fault fault = {0, NULL};
    assert_int_equal(predicate_read(bytes_of(text), &p, &fault), E_MALFORMED);
    assert_null(p);
    assert_int_equal(fault.position, position);
    assert_true(fault.text[0] != 0);
}

static void tests_compare_tags_and_levels(void **state)
{
    (void)state;
    assert_true(holds("unit==\"ug/m3\""));
    assert_false(holds("unit != \"ug/m3\""));
    assert_true(holds(" district == \"Old \\\"Town\\\"\" "));
    assert_true(holds("\"odd key\"==\"a\\\\b\""));
    assert_true(holds("dzielnica==\"Podgórze\""));
    assert_true(holds("$2==\"air\" && $-1==\"pm25\""));
    assert_true(holds("$9==\"\""));
    assert_true(holds("absent==\"\""));
    assert_true(holds("absent!=\"x\""));
}

static void numbers_compare_with_numbers_only(void **state)
{
    (void)state;
    assert_true(holds("lat>50 && lat<50.1"));
    assert_true(holds("lat>=50.06 && lat<=5006e-2"));
    assert_false(holds("lat<-1"));
    assert_false(holds("unit>1 || unit<=1"));
    assert_false(holds("absent<5"));
}

static void and_binds_closer_than_or_and_not_closest(void **state)
{
    static const char *const t = "unit==\"ug/m3\"", *const f = "unit==\"\"";
    char text[200];
    (void)state;
    for (int i = 0; i < 8; i++) {
        const char *a = (i & 4) != 0 ? t : f, *b = (i & 2) != 0 ? t : f, *c = (i & 1) != 0 ? t : f;
        const bool x = (i & 4) != 0, y = (i & 2) != 0, z = (i & 1) != 0;
        (void)snprintf(text, sizeof text, "%s || %s && %s", a, b, c);
        assert_int_equal(holds(text), x || (y && z));
        (void)snprintf(text, sizeof text, "(%s||%s)&&%s", a, b, c);
        assert_int_equal(holds(text), (x || y) && z);
        (void)snprintf(text, sizeof text, "!%s && !(%s || !%s)", a, b, c);
        assert_int_equal(holds(text), !x && !(y || !z));
    }
}

static void what_is_wrong_is_told_by_its_byte(void **state)
{
    char text[2000];
    (void)state;
    refused("", 1);
    refused("unit", 5);
    refused("unit=\"x\"", 5);
    refused("unit==x", 7);
    refused("unit==\"x", 9);
    refused("unit==\"x\\n\"", 9);
    refused("unit==\"x\" and", 11);
    refused("unit==\"x\" && ", 14);
    refused("(unit==\"x\"", 11);
    refused("unit==\"x\")", 10);
    refused("unit<\"5\"", 6);
    refused("$0==\"x\"", 3);
    refused("$==\"x\"", 2);
    refused("$129==\"x\"", 5);
    refused("1a==\"x\"", 1);
    memset(text, '!', sizeof text);
    text[100] = 0;
    refused(text, 17);
    text[100] = '!';
    text[1999] = 0;
    refused(text, 1025);
    text[0] = 0;
    for (int i = 0; i < 65; i++) {
        (void)strncat(text, i == 0 ? "a<1" : "||a<1", sizeof text - strlen(text) - 1);
    }
    refused(text, 64 * 5 + 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tests_compare_tags_and_levels),
        cmocka_unit_test(numbers_compare_with_numbers_only),
        cmocka_unit_test(and_binds_closer_than_or_and_not_closest),
        cmocka_unit_test(what_is_wrong_is_told_by_its_byte),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
