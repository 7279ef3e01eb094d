#include "proto/payload.h"

#include <stdio.h>

#include "base/timestamp.h"
#include "base/topic.h"
#include "tests/lib/test.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct payload decoded;

struct payload_case {
    const char *payload;
    const char *want; /* "name=value name=value @unix time", or the name of the reason. */
};

static const char *reason_name(enum payload_reason reason)
{
#define NAME(code, sentence) [code] = #code,
    static const char *const names[] = {PAYLOAD_REASON_MAP(NAME)};
#undef NAME
    return names[reason];
}

/* What the payload decodes to, as the tables below write it. */
static const char *describe(struct bytes payload)
{
    static char text[4096];
    size_t size = 0;
    enum payload_reason reason = payload_decode(payload, &decoded);

    if (reason != PAYLOAD_OK) {
        return reason_name(reason);
    }
    for (unsigned i = 0; i < decoded.count; i++) {
        const struct payload_point *point = &decoded.points[i];
        char number[NUMBER_TEXT_BYTES_MAX];
        if (point->number.scale == PAYLOAD_TEXT) {
            const struct bytes value = decoded.texts[point->number.mantissa];
            size +=
                (size_t)snprintf(text + size, sizeof text - size, "%s%.*s='%.*s'", i > 0 ? " " : "",
                                 (int)point->name.size, (const char *)point->name.at,
                                 (int)value.size, (const char *)value.at);
            continue;
        }
        size_t number_size = number_write(point->number.value, number);
        size += (size_t)snprintf(text + size, sizeof text - size, "%s%.*s=%.*s", i > 0 ? " " : "",
                                 (int)point->name.size, (const char *)point->name.at,
                                 (int)number_size, number);
    }
    if (decoded.has_time) {
        char time[TIMESTAMP_TEXT_BYTES_MAX];
        size_t time_size = timestamp_write(decoded.time_ns, TIMESTAMP_S, time);
        snprintf(text + size, sizeof text - size, " @%.*s", (int)time_size, time);
    }
    return text;
}

static void assert_cases(const struct payload_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(describe(bytes_of(cases[i].payload)), cases[i].want);
    }
}

static void a_bare_number_or_boolean_is_the_topics_own_value(void **state)
{
    static const struct payload_case cases[] = {
        {"21.5", "=21.5"},
        {" 21.5\r\n", "=21.5"},
        {"-0", "=-0"},
        {"1e3", "=1000"},
        {"true", "=1"},
        {" false", "=0"},
        {"1700000000", "=1700000000"},
        {"{\"value\":21.5}", "=21.5"},
        {"{\"v\":true}", "=1"},
        {"{\"ts\":1700000000,\"value\":21.5}", "=21.5 @1700000000"},
        {"{\"v\":21.5,\"time\":\"2023-11-14T22:13:20Z\"}", "=21.5 @1700000000"},
        {"{\"v\":1,\"v\":2}", "=2"},
        {"{\"ts\":null,\"v\":1}", "=1"},
        {"{\"value\":1,\"v\":2}", "value=1 v=2"},
        {"{\"value\":1,\"unit\":\"C\"}", "value=1"},
        {"{\"value\":1,\"extra\":{}}", "value=1"},
        {"{\"value\":1,\"t\":\"soon\"}", "value=1"},
        {"{\"value\":{\"a\":1}}", "value/a=1"},
        {"{\"value\":[7]}", "value/0=7"},
        {"[{\"value\":1}]", "0/value=1"},
        {"{\"Value\":1}", "Value=1"},
    };
    (void)state;
    assert_cases(cases, COUNT(cases));
}

static void leaves_of_json_are_named_by_their_path(void **state)
{
    static const struct payload_case cases[] = {
        {"{\"pm25\":31.5,\"wind\":{\"dir\":270,\"gust\":{\"max\":12}}}",
         "pm25=31.5 wind/dir=270 wind/gust/max=12"},
        {"{\"phase\":[230.1,229,null,231]}", "phase/0=230.1 phase/1=229 phase/3=231"},
        {"[1,\"x\",true,[4,5]]", "0=1 2=1 3/0=4 3/1=5"},
        {"{\"a\":{\"b\":1},\"c\":{\"b\":2},\"d\":3}", "a/b=1 c/b=2 d=3"},
        {"{\"a\":null,\"b\":\"OPEN\",\"c\":false}", "c=0"},
        {"{\"list\":[{\"x\":1},{\"x\":2},{}]}", "list/0/x=1 list/1/x=2"},
        {"{\"\":1}", "=1"},
        {"{\"a\":{\"\":1}}", "a/=1"},
        {"{\"Time\":\"2018-02-15T17:37:10\",\"ENERGY\":{\"Total\":6.294}}", "ENERGY/Total=6.294"},
    };
    (void)state;
    assert_cases(cases, COUNT(cases));
}

static void keys_are_encoded_where_a_level_cannot_hold_them(void **state)
{
    static const struct payload_case cases[] = {
        {"{\"1-0:1.8.0\":1}", "1-0:1.8.0=1"},
        {"{\"a/b\":1,\"c+d\":2,\"#\":3,\"100%\":4}", "a%2Fb=1 c%2Bd=2 %23=3 100%25=4"},
        {"{\"x\":{\"a/b\":1}}", "x/a%2Fb=1"},
        {"{\"a\\/b\":1}", "a%2Fb=1"},
        {"{\"\\u0000\\u001f\\n\\u007f\":1}", "%00%1F%0A%7F=1"},
        {"{\"\x7f\":1,\"\\u0085\":2}", "%7F=1 %C2%85=2"},
        {"{\"\\u0061\\\"\\\\\":1}", "a\"\\=1"},
        {"{\"ci\xc5\x9bnienie\":1}", "ci\xc5\x9bnienie=1"},
        {"{\"ci\\u015bnienie\":1}", "ci\xc5\x9bnienie=1"},
        {"{\"\\ud83d\\ude00\":1}", "\xf0\x9f\x98\x80=1"},
        {"{\"\\ud83d\":1}", "PAYLOAD_NOT_JSON"},
        {"{\"x\":{\"\\ud83d\":\"text\"}}", "PAYLOAD_NOT_JSON"},
    };
    (void)state;
    assert_cases(cases, COUNT(cases));
}

static void a_repeated_name_has_its_last_value(void **state)
{
    static const struct payload_case cases[] = {
        {"{\"a\":1,\"b\":2,\"a\":3}", "a=3 b=2"},
        {"{\"a\":1,\"\\u0061\":3}", "a=3"},
        {"{\"a\":{\"x\":1},\"b\":2,\"a\":{\"x\":5}}", "a/x=5 b=2"},
        {"{\"a\":{\"b\":1},\"a/b\":2}", "a/b=1 a%2Fb=2"},
        {"{\"ts\":5,\"a\":1,\"ts\":1700000000}", "a=1 @1700000000"},
        {"{\"ts\":1700000000,\"a\":1,\"ts\":5}", "ts=5 a=1"},
    };
    (void)state;
    assert_cases(cases, COUNT(cases));
}

static void the_first_plausible_time_is_the_event_time(void **state)
{
    static const struct payload_case cases[] = {
        {"{\"ts\":1760000000123,\"flow\":112.4}", "flow=112.4 @1760000000.123"},
        {"{\"flow\":112.4,\"t\":1760000000}", "flow=112.4 @1760000000"},
        {"{\"time\":1700000000123456789,\"a\":1}", "a=1 @1700000000.123456789"},
        {"{\"ts\":1700000000.1234567,\"a\":1}", "a=1 @1700000000.1234567"},
        {"{\"timestamp\":\"2023-11-14T23:13:20.5+01:00\",\"a\":1}", "a=1 @1700000000.5"},
        {"{\"time\":\"1700000000\",\"a\":1}", "a=1 @1700000000"},
        {"{\"t\":\"1700000000000\",\"a\":1}", "a=1 @1700000000"},
        {"{\"time\":\"2023-11-14T22:13:20\\u005a\",\"a\":1}", "a=1 @1700000000"},
        {"{\"t\":21.5,\"h\":40}", "t=21.5 h=40"},
        {"{\"t\":21.5,\"ts\":1700000000}", "t=21.5 @1700000000"},
        {"{\"time\":12,\"ts\":1700000000}", "time=12 @1700000000"},
        {"{\"ts\":1700000001,\"time\":1700000000,\"a\":1}", "ts=1700000001 a=1 @1700000000"},
        {"{\"t\":1700000003,\"timestamp\":1700000001,\"ts\":1700000002}",
         "t=1700000003 ts=1700000002 @1700000001"},
        {"{\"t\":\"OPEN\",\"ts\":\"yesterday\",\"a\":1}", "a=1"},
        {"{\"t\":\"21.5\",\"a\":1}", "a=1"},
        {"{\"time\":true,\"a\":1}", "time=1 a=1"},
        {"{\"time\":null,\"a\":1}", "a=1"},
        {"{\"x\":{\"ts\":1700000000},\"a\":1}", "x/ts=1700000000 a=1"},
        {"[{\"ts\":1700000000}]", "0/ts=1700000000"},
        {"{\"tsx\":1700000000}", "tsx=1700000000"},
        {"{\"time\":\"05:16\",\"a\":1}", "PAYLOAD_TIME_INVALID"},
        {"{\"timestamp\":\"\",\"a\":1}", "PAYLOAD_TIME_INVALID"},
        {"{\"time\":\"21.5\",\"a\":1}", "PAYLOAD_TIME_INVALID"},
        {"{\"time\":\"05:16\",\"ts\":1700000000,\"a\":1}", "PAYLOAD_TIME_INVALID"},
        {"{\"ts\":99999999999,\"a\":1}", "PAYLOAD_TIME_RANGE"},
        {"{\"ts\":\"2201-01-01T00:00:00Z\",\"a\":1}", "PAYLOAD_TIME_RANGE"},
        {"{\"time\":\"1969-12-31T23:59:59Z\",\"a\":1}", "PAYLOAD_TIME_RANGE"},
        {"{\"time\":1700000000,\"ts\":99999999999,\"a\":1}", "ts=99999999999 a=1 @1700000000"},
    };
    (void)state;
    assert_cases(cases, COUNT(cases));
}

static void what_is_not_stored_has_a_reason(void **state)
{
    static const struct payload_case cases[] = {
        {"", "PAYLOAD_EMPTY"},
        {" ", "PAYLOAD_NOT_JSON"},
        {"OPEN", "PAYLOAD_NOT_JSON"},
        {"21.5 C", "PAYLOAD_NOT_JSON"},
        {"NaN", "PAYLOAD_NOT_JSON"},
        {"Infinity", "PAYLOAD_NOT_JSON"},
        {"+1", "PAYLOAD_NOT_JSON"},
        {"01", "PAYLOAD_NOT_JSON"},
        {".5", "PAYLOAD_NOT_JSON"},
        {"1.", "PAYLOAD_NOT_JSON"},
        {"{\"a\":1}{\"a\":1}", "PAYLOAD_NOT_JSON"},
        {"{\"a\":1,}", "PAYLOAD_NOT_JSON"},
        {"\xef\xbb\xbf{\"a\":1}", "PAYLOAD_NOT_JSON"},
        {"caf\xe9", "PAYLOAD_NOT_UTF8"},
        {"{\"caf\xe9\":1}", "PAYLOAD_NOT_UTF8"},
        {"\"text\"", "PAYLOAD_NO_NUMBERS"},
        {"null", "PAYLOAD_NO_NUMBERS"},
        {"{}", "PAYLOAD_NO_NUMBERS"},
        {"[]", "PAYLOAD_NO_NUMBERS"},
        {"{\"state\":\"ON\"}", "PAYLOAD_NO_NUMBERS"},
        {"{\"ts\":1700000000}", "PAYLOAD_NO_NUMBERS"},
        {"{\"ts\":1700000000,\"state\":\"ON\"}", "PAYLOAD_NO_NUMBERS"},
        {"1e999", "PAYLOAD_NUMBER_RANGE"},
        {"{\"a\":-1e999}", "PAYLOAD_NUMBER_RANGE"},
        {"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
         "0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0=1"},
        {"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]", "PAYLOAD_TOO_DEEP"},
    };
    (void)state;
    assert_cases(cases, COUNT(cases));
    for (int reason = 0; reason < PAYLOAD_REASONS; reason++) {
        assert_true(strlen(payload_reason_text((enum payload_reason)reason)) > 0);
    }
}

/* {"k0":0,"k1":1,...} with `count` members; then, again, `repeats` of them; then `tail`. */
static struct bytes many(unsigned count, unsigned repeats, const char *tail)
{
    static char text[65536];
    size_t size = 0;
    for (unsigned i = 0; i < count + repeats; i++) {
        size += (size_t)snprintf(text + size, sizeof text - size, "%c\"k%u\":%u", i > 0 ? ',' : '{',
                                 i % count, i);
    }
    size += (size_t)snprintf(text + size, sizeof text - size, "%s}", tail);
    return (struct bytes){(const uint8_t *)text, size};
}

static void a_message_holds_512_values(void **state)
{
    (void)state;
    assert_int_equal(payload_decode(many(512, 0, ""), &decoded), PAYLOAD_OK);
    assert_int_equal(decoded.count, 512);
    assert_int_equal(payload_decode(many(512, 0, ",\"ts\":1700000000"), &decoded), PAYLOAD_OK);
    assert_int_equal(decoded.count, 512);
    assert_true(decoded.has_time);
    assert_int_equal(payload_decode(many(513, 0, ""), &decoded), PAYLOAD_TOO_MANY);
    assert_int_equal(payload_decode(many(514, 0, ""), &decoded), PAYLOAD_TOO_MANY);
    assert_int_equal(payload_decode(many(512, 0, ",\"ts\":5"), &decoded), PAYLOAD_TOO_MANY);
    assert_int_equal(payload_decode(many(513, 0, ",\"ts\":1700000000"), &decoded),
                     PAYLOAD_TOO_MANY);
}

static void repeated_names_are_found_among_many(void **state)
{
    (void)state;
    for (unsigned count = 1; count <= PAYLOAD_POINTS_MAX; count += count < 70 ? 1 : 17) {
        assert_int_equal(payload_decode(many(count, count, ""), &decoded), PAYLOAD_OK);
        assert_int_equal(decoded.count, count);
        for (unsigned i = 0; i < count; i++) {
            char name[8];
            snprintf(name, sizeof name, "k%u", i);
            assert_true(bytes_equal(decoded.points[i].name, bytes_of(name)));
            assert_true(decoded.points[i].number.value == i + count);
        }
    }
}

static void names_have_a_bound(void **state)
{
    static char text[PAYLOAD_NAMES_BYTES_MAX + 64];
    (void)state;
    for (int extra = 0; extra < 2; extra++) {
        /* A borrowed name, and a built one: "/x" after the key. */
        int key_size = PAYLOAD_NAMES_BYTES_MAX + extra;
        int size = snprintf(text, sizeof text, "{\"%0*d\":1}", key_size, 0);
        struct bytes payload = {(const uint8_t *)text, (size_t)size};
        assert_string_equal(reason_name(payload_decode(payload, &decoded)),
                            extra == 0 ? "PAYLOAD_OK" : "PAYLOAD_NAMES_TOO_LONG");
        key_size = PAYLOAD_NAMES_BYTES_MAX - 2 + extra;
        size = snprintf(text, sizeof text, "{\"%0*d\":{\"x\":1}}", key_size, 0);
        payload.size = (size_t)size;
        assert_string_equal(reason_name(payload_decode(payload, &decoded)),
                            extra == 0 ? "PAYLOAD_OK" : "PAYLOAD_NAMES_TOO_LONG");
    }
}

static void numbers_keep_their_decimal_form(void **state)
{
    (void)state;
    assert_int_equal(payload_decode(bytes_of("{\"a\":31.50,\"b\":true}"), &decoded), PAYLOAD_OK);
    assert_int_equal(decoded.points[0].number.mantissa, 3150);
    assert_int_equal(decoded.points[0].number.scale, 2);
    assert_int_equal(decoded.points[1].number.mantissa, 1);
    assert_int_equal(decoded.points[1].number.scale, 0);
    assert_int_equal(payload_decode(bytes_of("-7.25"), &decoded), PAYLOAD_OK);
    assert_int_equal(decoded.points[0].number.mantissa, -725);
}

static int want_texts(void **state)
{
    (void)state;
    decoded.text_bytes_max = 12;
    return 0;
}

static int want_no_texts(void **state)
{
    (void)state;
    decoded.text_bytes_max = 0;
    return 0;
}

static void strings_are_values_where_texts_are_wanted(void **state)
{
    static const struct payload_case cases[] = {
        {"{\"state\":\"OPEN\",\"pm25\":31.5}", "state='OPEN' pm25=31.5"},
        {"{\"state\":\"\"}", "state=''"},
        {"{\"a\":{\"b\":[\"x\",1,\"y\"]}}", "a/b/0='x' a/b/1=1 a/b/2='y'"},
        {"{\"value\":\"OPEN\"}", "='OPEN'"},
        {"{\"ts\":1700000000,\"v\":\"OPEN\"}", "='OPEN' @1700000000"},
        {"{\"value\":5,\"unit\":\"C\"}", "value=5 unit='C'"},
        {"{\"a\":\"B\\u0142\\u0105d\\n\"}", "a='B\xc5\x82\xc4\x85"
                                            "d\n'"},
        {"{\"a\":\"x\",\"b\":1,\"a\":\"y\"}", "a='y' b=1"},
        {"{\"a\":\"x\",\"a\":2}", "a=2"},
        {"{\"a\":\"31.5\"}", "a='31.5'"},
        {"\"OPEN\"", "='OPEN'"},
        {"[\"a\",null]", "0='a'"},
    };
    (void)state;
    assert_cases(cases, COUNT(cases));
}

static void times_are_no_texts(void **state)
{
    static const struct payload_case cases[] = {
        {"{\"time\":\"2023-11-14T22:13:20Z\",\"s\":\"on\"}", "s='on' @1700000000"},
        {"{\"ts\":\"1700000000\",\"s\":\"on\"}", "s='on' @1700000000"},
        {"{\"seen\":\"2023-11-14T22:13:20Z\",\"s\":\"on\"}", "s='on'"},
        {"{\"t\":\"warm\",\"s\":\"on\"}", "t='warm' s='on'"},
        {"{\"time\":\"soon\",\"s\":\"on\"}", "PAYLOAD_TIME_INVALID"},
        {"{\"time\":\"2023-11-14T22:13:20Z\"}", "PAYLOAD_NO_NUMBERS"},
        {"2023-11-14T22:13:20Z", "PAYLOAD_NOT_JSON"},
    };
    (void)state;
    assert_cases(cases, COUNT(cases));
}

static void long_texts_are_left_out_and_counted(void **state)
{
    static const struct payload_case cases[] = {
        {"{\"s\":\"123456789012\",\"n\":1}", "s='123456789012' n=1"},
        {"{\"s\":\"1234567890123\",\"n\":1}", "n=1"},
        {"{\"s\":\"12345678901\\u20ac\",\"n\":1}", "n=1"},
        {"{\"value\":1,\"s\":\"1234567890123\"}", "value=1"},
        {"{\"s\":\"1234567890123\"}", "PAYLOAD_TEXT_TOO_LONG"},
        {"fault 1234567", "PAYLOAD_TEXT_TOO_LONG"},
    };
    (void)state;
    assert_cases(cases, COUNT(cases));
    assert_int_equal(decoded.texts_long, 1);
    assert_string_equal(describe(bytes_of("{\"s\":\"a\\u0000b\",\"n\":1}")), "n=1");
}

static void a_payload_that_is_no_json_is_a_text(void **state)
{
    static const struct payload_case cases[] = {
        {"OPEN", "='OPEN'"},
        {"fault 17", "='fault 17'"},
        {"12abc", "='12abc'"},
        {"true story", "='true story'"},
        {" on ", "=' on '"},
        {"{\"a\":1", "PAYLOAD_NOT_JSON"},
        {" [1,", "PAYLOAD_NOT_JSON"},
        {"\"open", "PAYLOAD_NOT_JSON"},
        {"  ", "PAYLOAD_NOT_JSON"},
        {"1e999", "PAYLOAD_NUMBER_RANGE"},
        {"\xff", "PAYLOAD_NOT_UTF8"},
        {"true", "=1"},
        {"null", "PAYLOAD_NO_NUMBERS"},
    };
    (void)state;
    assert_cases(cases, COUNT(cases));
}

static void a_message_has_no_more_texts_than_values(void **state)
{
    static char text[65536];
    size_t size = 0;
    (void)state;
    for (int i = 0; i < 600; i++) { /* One name, again and again. */
        size +=
            (size_t)snprintf(text + size, sizeof text - size, "%s\"a\":\"b\"", i > 0 ? "," : "{");
    }
    (void)snprintf(text + size, sizeof text - size, "}");
    assert_int_equal(payload_decode(bytes_of(text), &decoded), PAYLOAD_TOO_MANY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bare_number_or_boolean_is_the_topics_own_value),
        cmocka_unit_test(leaves_of_json_are_named_by_their_path),
        cmocka_unit_test(keys_are_encoded_where_a_level_cannot_hold_them),
        cmocka_unit_test(a_repeated_name_has_its_last_value),
        cmocka_unit_test(the_first_plausible_time_is_the_event_time),
        cmocka_unit_test(what_is_not_stored_has_a_reason),
        cmocka_unit_test(a_message_holds_512_values),
        cmocka_unit_test(repeated_names_are_found_among_many),
        cmocka_unit_test(names_have_a_bound),
        cmocka_unit_test(numbers_keep_their_decimal_form),
        cmocka_unit_test_setup_teardown(strings_are_values_where_texts_are_wanted, want_texts,
                                        want_no_texts),
        cmocka_unit_test_setup_teardown(times_are_no_texts, want_texts, want_no_texts),
        cmocka_unit_test_setup_teardown(long_texts_are_left_out_and_counted, want_texts,
                                        want_no_texts),
        cmocka_unit_test_setup_teardown(a_payload_that_is_no_json_is_a_text, want_texts,
                                        want_no_texts),
        cmocka_unit_test_setup_teardown(a_message_has_no_more_texts_than_values, want_texts,
                                        want_no_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
