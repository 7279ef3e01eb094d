#include "base/number.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/lib/rng.h"
#include "tests/lib/test.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static double double_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The promise of number.h about value, mantissa and scale. */
static void assert_number_holds(struct number n)
{
    if (n.scale != NUMBER_RAW) {
        assert_true(n.scale <= NUMBER_SCALE_MAX);
        assert_true(n.mantissa >= -(INT64_C(1) << 53) && n.mantissa <= INT64_C(1) << 53);
        assert_true(bits_of((double)n.mantissa / number_power(n.scale)) == bits_of(n.value));
    }
}

static void decimals_keep_their_mantissa_and_scale(void **state)
{
    static const struct {
        const char *text;
        int64_t mantissa;
        uint8_t scale;
    } cases[] = {
        {"0", 0, 0},
        {"0.00", 0, 2},
        {"0e5", 0, 0},
        {"0e-400", 0, 22},
        {"21.5", 215, 1},
        {"21.50", 2150, 2},
        {"-21.50", -2150, 2},
        {"1e3", 1000, 0},
        {"1.25E+2", 125, 0},
        {"1.25e1", 125, 1},
        {"125e-2", 125, 2},
        {"0.000001", 1, 6},
        {"1e-22", 1, 22},
        {"9007199254740992", INT64_C(9007199254740992), 0},
        {"-9007199254740992", INT64_C(-9007199254740992), 0},
        {"90071992547409920", NUMBER_RAW, NUMBER_RAW},
        {"900719925474099.20", INT64_C(90071992547409920) / 10, 1},
        {"1.0000000000000000000000000000000", 1000000000000000, 15},
        {"1e-23", 0, NUMBER_RAW},
        {"10e-23", 1, 22},
        {"-0", 0, NUMBER_RAW},
        {"-0.0", 0, NUMBER_RAW},
        {"0.30000000000000004", 0, NUMBER_RAW},
        {"9007199254740993", INT64_C(9007199254740992), 0},
        {"1e22", 0, NUMBER_RAW},
        {"1e300", 0, NUMBER_RAW},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct number n;
        assert_ok(number_read(bytes_of(cases[i].text), &n));
        assert_int_equal(n.scale, cases[i].scale);
        assert_true(bits_of(n.value) == bits_of(strtod(cases[i].text, NULL)));
        assert_true(n.scale == NUMBER_RAW || n.mantissa == cases[i].mantissa);
        assert_number_holds(n);
    }
}

static void what_json_does_not_call_a_number_is_none(void **state)
{
    static const char *const bad[] = {
        "",     " ",     "+1",   "01",     "-01",  ".5",       "-.5", "1.",   "1.e3", "1e",
        "1e+",  "1e1.5", "-",    "--1",    "1 ",   " 1",       "1,5", "0x10", "NaN",  "Infinity",
        "-inf", "1_000", "1.2.", "1e5e10", "1\n2", "\x31\xff", "1L",  "00",   "2.e",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct number n;
        assert_int_equal(number_read(bytes_of(bad[i]), &n), E_MALFORMED);
    }
}

static void numbers_beyond_a_double_are_over_the_limit(void **state)
{
    struct number n = {1, 2, 3};
    struct bytes text = bytes_of("1e400,");
    (void)state;
    assert_int_equal(number_read(bytes_of("1e309"), &n), E_LIMIT);
    assert_int_equal(number_read(bytes_of("-1.8e308"), &n), E_LIMIT);
    assert_int_equal(number_read(bytes_of("1e99999999999999999999"), &n), E_LIMIT);
    assert_int_equal(number_read(text, &n), E_MALFORMED);
    assert_int_equal(number_read(bytes_of("21.8e308.50"), &n), E_MALFORMED);
    assert_int_equal(number_take(&text, &n), E_LIMIT);
    assert_int_equal(text.size, 6);
    assert_true(n.value == 1 && n.mantissa == 2 && n.scale == 3);
    assert_ok(number_read(bytes_of("1e-99999999999999999999"), &n));
    assert_true(n.value == 0);
}

static void long_texts_are_rounded_correctly(void **state)
{
    /* 1 + 2^-53 lies in the middle between two doubles; a digit far behind decides. */
    static const char middle[] = "1.00000000000000011102230246251565404236316680908203125";
    char text[2000];
    struct number n;
    (void)state;

    int size = snprintf(text, sizeof text, "%s%01200d", middle, 0);
    assert_ok(number_read((struct bytes){(uint8_t *)text, (size_t)size}, &n));
    assert_true(n.value == 1);
    text[size - 1] = '1';
    assert_ok(number_read((struct bytes){(uint8_t *)text, (size_t)size}, &n));
    assert_true(n.value == nextafter(1, 2));

    size = snprintf(text, sizeof text, "-1%01200de-1200", 0);
    assert_ok(number_read((struct bytes){(uint8_t *)text, (size_t)size}, &n));
    assert_true(n.value == -1);
    size = snprintf(text, sizeof text, "0.%01200d12345678901234567890125e1210", 0);
    assert_ok(number_read((struct bytes){(uint8_t *)text, (size_t)size}, &n));
    assert_true(n.value == 1234567890.1234567890125);
}

static void a_number_ends_where_its_grammar_ends(void **state)
{
    struct bytes in = bytes_of("-12.5e1]rest");
    struct number n;
    (void)state;
    assert_ok(number_take(&in, &n));
    assert_true(n.value == -125 && n.mantissa == -125 && n.scale == 0);
    assert_true(bytes_equal(in, bytes_of("]rest")));
}

static void doubles_are_written_as_the_header_says(void **state)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {31.5, "31.5"},
        {0, "0"},
        {-0.0, "-0"},
        {-1, "-1"},
        {0.1, "0.1"},
        {0.30000000000000004, "0.30000000000000004"},
        {1e15, "1000000000000000"},
        {123456789012345680.0, "1.2345678901234568e17"},
        {99999999999999984.0, "99999999999999984"},
        {1e17, "1e17"},
        {1.5e20, "1.5e20"},
        {1e300, "1e300"},
        {0.000001, "0.000001"},
        {-0.00000123, "-0.00000123"},
        {9.5e-7, "9.5e-7"},
        {5e-324, "5e-324"},
        {-2.2250738585072014e-308, "-2.2250738585072014e-308"},
        {1.7976931348623157e308, "1.7976931348623157e308"},
        {9007199254740992, "9007199254740992"},
        {1234.56789, "1234.56789"},
        {9007199254740.993, "9007199254740.992"},
        {1.0 / 3, "0.3333333333333333"},
        {-0.0000012345678901234567, "-0.0000012345678901234567"},
        {5.684341886080802e-14, "5.684341886080802e-14"},
        {(double)INFINITY, "Infinity"},
        {-(double)INFINITY, "-Infinity"},
        {(double)NAN, "NaN"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char to[NUMBER_TEXT_BYTES_MAX];
        size_t size = number_write(cases[i].value, to);
        assert_true(size <= sizeof to);
        assert_int_equal(size, strlen(cases[i].text));
        assert_memory_equal(to, cases[i].text, size);
    }
}

static size_t significant_digits(const char *text, size_t size)
{
    size_t count = 0, zeros = 0;
    for (size_t i = 0; i < size && text[i] != 'e'; i++) {
        if (text[i] >= '0' && text[i] <= '9' && (count > 0 || text[i] != '0')) {
            count++;
            zeros = text[i] == '0' ? zeros + 1 : 0;
        }
    }
    return count - zeros;
}

static void assert_round_trip(double value)
{
    char to[NUMBER_TEXT_BYTES_MAX], fewer[40];
    size_t size = number_write(value, to);
    struct number n;

    assert_true(size <= sizeof to);
    assert_ok(number_read((struct bytes){(uint8_t *)to, size}, &n));
    assert_true(bits_of(n.value) == bits_of(value));
    assert_number_holds(n);
    size_t digits = significant_digits(to, size);
    bool is_plain_whole = fabs(value) < 1e17 && memchr(to, '.', size) == NULL;
    if (digits > 1 && !is_plain_whole) {
        snprintf(fewer, sizeof fewer, "%.*e", (int)digits - 2, value);
        assert_true(strtod(fewer, NULL) != value);
    }
}

static void every_double_reads_back_from_its_shortest_text(void **state)
{
    struct rng r = {1};
    (void)state;
    for (int i = 0; i < 100000; i++) {
        double value = double_of(rng_next(&r));
        if (isfinite(value)) {
            assert_round_trip(value);
        }
    }
    for (int i = 0; i < 200000; i++) {
        double mantissa = (double)(rng_next(&r) >> (11 + rng_below(&r, 50)));
        double value = mantissa / number_power((uint8_t)rng_below(&r, 23));
        assert_round_trip(i % 2 ? value : -value);
    }
    for (int exponent = -1074; exponent < 1024; exponent++) {
        assert_round_trip(ldexp(1, exponent));
    }
}

static void every_decimal_text_reads_as_strtod_reads_it(void **state)
{
    struct rng r = {2};
    (void)state;
    for (int i = 0; i < 200000; i++) {
        char text[64];
        uint64_t whole = rng_next(&r) >> rng_below(&r, 64);
        uint64_t part = rng_next(&r) >> rng_below(&r, 64);
        int exponent = (int)rng_below(&r, 60) - 30;
        int size =
            snprintf(text, sizeof text, "%s%" PRIu64 ".%" PRIu64, i % 2 ? "-" : "", whole, part);
        if (i % 3 == 0) {
            snprintf(text + size, sizeof text - (size_t)size, "e%d", exponent);
        }
        struct number n;
        assert_ok(number_read(bytes_of(text), &n));
        assert_true(bits_of(n.value) == bits_of(strtod(text, NULL)));
        assert_number_holds(n);
    }
}

static void whole_doubles_have_a_decimal_form(void **state)
{
    (void)state;
    assert_true(number_of(25).mantissa == 25 && number_of(25).scale == 0);
    assert_true(number_of(-9007199254740992).scale == 0);
    assert_int_equal(number_of(9007199254740994).scale, NUMBER_RAW);
    assert_int_equal(number_of(0.5).scale, NUMBER_RAW);
    assert_int_equal(number_of(-0.0).scale, NUMBER_RAW);
    assert_int_equal(number_of((double)NAN).scale, NUMBER_RAW);
    assert_int_equal(number_of((double)INFINITY).scale, NUMBER_RAW);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decimals_keep_their_mantissa_and_scale),
        cmocka_unit_test(what_json_does_not_call_a_number_is_none),
        cmocka_unit_test(numbers_beyond_a_double_are_over_the_limit),
        cmocka_unit_test(long_texts_are_rounded_correctly),
        cmocka_unit_test(a_number_ends_where_its_grammar_ends),
        cmocka_unit_test(doubles_are_written_as_the_header_says),
        cmocka_unit_test(every_double_reads_back_from_its_shortest_text),
        cmocka_unit_test(every_decimal_text_reads_as_strtod_reads_it),
        cmocka_unit_test(whole_doubles_have_a_decimal_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
