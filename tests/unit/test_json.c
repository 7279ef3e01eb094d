#include "proto/json.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/lib/test.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* How the walk over all of the text ends. */
static enum err walk(struct bytes text)
{
    /* A copy of just this size, so that a sanitizer sees one byte too many. */
    uint8_t *copy = malloc(text.size + 1);
    struct json j;
    struct json_item item;
    enum err error;
    memcpy(copy + 1, text.at, text.size);
    json_init(&j, (struct bytes){copy + 1, text.size});
    do {
        error = json_next(&j, &item);
    } while (error == OK);
    free(copy);
    return error;
}

static const char *const good[] = {
    "0",
    "-0",
    "-1",
    " 1 ",
    "\t\r\n 1\n",
    "20e1",
    "1E22",
    "1E-2",
    "1E+2",
    "123e45",
    "123.456e78",
    "0e+1",
    "0e1",
    "-0.1",
    "-123",
    "-0.000000000000000000000000000000000000000000000000000000000000000000000001",
    "123.456789",
    "true",
    "false",
    "null",
    "\"\"",
    "\"asd\"",
    "\" \"",
    "[]",
    "{}",
    "[ ]",
    "{ }",
    "[[]   ]",
    "[\"\"]",
    "[\"a\"]",
    "[false]",
    "[null, 1, \"1\", {}]",
    "[1\n]",
    " [1]",
    "[1,null,null,null,2]",
    "[2] ",
    "{\"asd\":\"sdf\", \"dfg\":\"fgh\"}",
    "{\"asd\":\"sdf\"}",
    "{\"a\":\"b\",\"a\":\"c\"}",
    "{\"a\":\"b\",\"a\":\"b\"}",
    "{\"\":0}",
    "{\"foo\\u0000bar\": 42}",
    "{ \"min\": -1.0e+28, \"max\": 1.0e+28 }",
    "{\"x\":[{\"id\": \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}], \"id\": \"xx\"}",
    "{\"a\":[]}",
    "{\"title\":\"\\u041f\\u043e\\u043b\\u0442\\u043e\\u0440\\u0430\" }",
    "{\n\"a\": \"b\"\n}",
    "[\"\\u0060\\u012a\\u12AB\"]",
    "[\"\\uD801\\udc37\"]",
    "[\"\\ud83d\\ude39\\ud83d\\udc8d\"]",
    "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]",
    "[\"\\\\u0000\"]",
    "[\"\\\\a\"]",
    "[\"\\\"\"]",
    "[\"a/*b*/c/*d//e\"]",
    "[\"\\u0012\"]",
    "[\"\\uFFFF\"]",
    "[\"\x7f\"]",
    "[\"a\177a\"]",
    "[\"\\u0000\"]",
    "[\"\xe2\x82\xac\xf0\x9d\x84\x9e\"]",
    "[\"\xf4\x8f\xbf\xbf\"]",
    "[\"\xef\xbf\xbf\"]",
    "[\"\xe2\x80\xa8\xe2\x80\xa9\"]",
    "[\"\xcf\x80\"]",
    "[\"\xe2\x8d\x82\xe3\x88\xb4\xe2\x8d\x82\"]",
    "[\"\\uDBFF\\uDFFE\"]",
    "[\"\\u005C\\u0022\"]",
    /* Up to the reader: half a surrogate pair in a text nobody stores. */
    "[\"\\uDADA\"]",
    "[\"\\ud800abc\"]",
    "{\"a\":\"\\uDd1ea\"}",
    "[123123e-10000000]",
};

static void what_the_grammar_allows_is_walked(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_int_equal(walk(bytes_of(good[i])), E_END);
    }
}

static const char *const bad[] = {
    "",
    " ",
    "\xef\xbb\xbf{}",
    "\xef\xbb\xbf",
    "[1 true]",
    "[a\xe5]",
    "[\"\": 1]",
    "[\"\"],",
    "[,1]",
    "[1,,2]",
    "[\"x\",,]",
    "[\"x\"]]",
    "[\"\",]",
    "[\"x\"",
    "[x",
    "[3[4]]",
    "[\xff]",
    "[1:2]",
    "[,]",
    "[-]",
    "[   , \"\"]",
    "[\"a\",\n4\n,1,",
    "[1,]",
    "[1,\n1\n,1",
    "[\"\va\"\\f]",
    "[*]",
    "[1,",
    "[{}",
    "[",
    "[fals]",
    "[nul]",
    "[tru]",
    "[True]",
    "[++1234]",
    "[+1]",
    "[+Inf]",
    "[-01]",
    "[-1.0.]",
    "[-2.]",
    "[-NaN]",
    "[.-1]",
    "[.2e-3]",
    "[0.1.2]",
    "[0.3e+]",
    "[0.3e]",
    "[0.e1]",
    "[0E]",
    "[0E+]",
    "[1.0e+]",
    "[1.0e-]",
    "[1.0e]",
    "[1 000.0]",
    "[1eE2]",
    "[2.e+3]",
    "[2.e3]",
    "[9.e+]",
    "[Inf]",
    "[NaN]",
    "[\xef\xbc\x91]",
    "[1+2]",
    "[0x1]",
    "[0x42]",
    "[Infinity]",
    "[0e+-1]",
    "[-123.123foo]",
    "[123\xe5]",
    "[1e1\xe5]",
    "[0\xe5]",
    "[-Infinity]",
    "[-foo]",
    "[- 1]",
    "[-012]",
    "[-.123]",
    "[-1x]",
    "[1ea]",
    "[1.]",
    "[.123]",
    "[1.2a-3]",
    "[1.8011670033376514H-308]",
    "[012]",
    "[\"x\", truth]",
    "{[: \"x\"}",
    "{\"x\", null}",
    "{\"x\"::\"b\"}",
    "{\"a\":\"a\" 123}",
    "{key: 'value'}",
    "{\"\xb9\":\"0\",}",
    "{\"a\" b}",
    "{:\"b\"}",
    "{\"a\" \"b\"}",
    "{\"a\":",
    "{\"a\"",
    "{1:1}",
    "{9999E9999:1}",
    "{null:null,null:null}",
    "{\"id\":0,,,,,}",
    "{'a':0}",
    "{\"id\":0,}",
    "{\"a\":\"b\"}/**/",
    "{\"a\":\"b\"}/**//",
    "{\"a\":\"b\"}//",
    "{\"a\":\"b\",,\"c\":\"d\"}",
    "{a: \"b\"}",
    "{\"a\":\"a",
    "{ \"foo\" : \"bar\", \"a\" }",
    "{\"a\":\"b\"}#",
    "[\"\\uD800\\\"]",
    "[\"\\uD800\\u\"]",
    "[\"\\uD800\\u1\"]",
    "[\"\\uD800\\u1x\"]",
    "[\xc3\xa9]",
    "[\"\\x00\"]",
    "[\"\\\\\\\"]",
    "[\"\\\t\"]",
    "[\"\\\xf0\x9f\x8c\x80\"]",
    "[\"\\\"]",
    "[\"\\u00A\"]",
    "[\"\\uD834\\uDd\"]",
    "[\"\\uD800\\uD800\\x\"]",
    "[\"\\u\xe5\"]",
    "[\"\\a\"]",
    "[\"\\uqqqq\"]",
    "[\"\\\xe5\"]",
    "[\\u0020\"asd\"]",
    "[\\n]",
    "\"",
    "['single quote']",
    "abc",
    "[\"\\",
    "[\"new\nline\"]",
    "[\"\t\"]",
    "\"\\UA66D\"",
    "\"\"x",
    "<.>",
    "[<null>]",
    "[1]x",
    "[1]]",
    "[\"asd]",
    "a\xc3\xa5",
    "[True]",
    "1]",
    "{\"x\": true,",
    "[][]",
    "]",
    "\xef\xbb{}",
    "\xe5",
    "{\"\":",
    "2@",
    "{}}",
    "{\"a\": true} \"x\"",
    "[\"a\",\n4\n,",
    "[\f]",
    "\xe2\x81\xa0",
    "[\"\xed\xa0\x80\"]",
    "[\"\xc0\xaf\"]",
    "[\"\xf4\xbf\xbf\xbf\"]",
    "[\"\x81\"]",
    "[\"\xe0\xff\"]",
    "[\"\xfc\x80\x80\x80\x80\x80\"]",
    "{\"\\uD800\":1}",
    "{\"\\uDC00\\uD800\":1}",
    "{\"\\uD800\\u0041\":1}",
    "{\"a\":1]",
    "[1}",
    "{]",
    "[}",
    "{,}",
    "nullnull",
    "1 2",
};

static void what_the_grammar_forbids_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_int_equal(walk(bytes_of(bad[i])), E_MALFORMED);
    }
    assert_int_equal(walk((struct bytes){(const uint8_t *)"[\"a\0a\"]", 7}), E_MALFORMED);
    assert_int_equal(walk((struct bytes){(const uint8_t *)"123\0", 4}), E_MALFORMED);
    assert_int_equal(walk((struct bytes){(const uint8_t *)"[\0]", 3}), E_MALFORMED);
}

static void every_prefix_of_a_document_is_refused(void **state)
{
    static const char whole[] =
        " {\"a\\u00e9\\n\" : [1.5e1 , true,false, null,\"\xe2\x82\xac\"],\"b\":{\"c\":{}}}";
    (void)state;
    assert_int_equal(walk(bytes_of(whole)), E_END);
    for (size_t size = 0; size + 1 < sizeof whole; size++) {
        assert_int_equal(walk((struct bytes){(const uint8_t *)whole, size}), E_MALFORMED);
    }
}

static void nesting_and_numbers_have_their_limits(void **state)
{
    char text[200];
    struct json j;
    struct json_item item;
    enum err error;
    (void)state;

    for (unsigned depth = 1; depth <= 2 * JSON_DEPTH_MAX; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        struct bytes nested = {(uint8_t *)text, (size_t)2 * depth};
        assert_int_equal(walk(nested), depth <= JSON_DEPTH_MAX ? E_END : E_LIMIT);
    }
    json_init(&j, bytes_of("[1e999]"));
    while ((error = json_next(&j, &item)) == OK) {
    }
    assert_int_equal(error, E_LIMIT);
    assert_false(j.is_too_deep);
}

static void items_come_with_key_and_kind(void **state)
{
    struct json j;
    struct json_item item;
    (void)state;
    json_init(&j, bytes_of("{\"pm25\" : 31.50,\"a/b\":\"\\t\",\"\\u0061\":[null]}"));

    assert_ok(json_next(&j, &item));
    assert_int_equal(item.kind, JSON_OBJECT);
    assert_ok(json_next(&j, &item));
    assert_int_equal(item.kind, JSON_NUMBER);
    assert_true(bytes_equal(item.key.raw, bytes_of("pm25")) && item.key.is_level);
    assert_true(bytes_equal(item.text, bytes_of("31.50")));
    assert_true(item.number.mantissa == 3150 && item.number.scale == 2);
    assert_ok(json_next(&j, &item));
    assert_int_equal(item.kind, JSON_STRING);
    assert_true(!item.key.is_level && !item.key.has_escape);
    assert_true(item.string.has_escape && bytes_equal(item.string.raw, bytes_of("\\t")));
    assert_ok(json_next(&j, &item));
    assert_int_equal(item.kind, JSON_ARRAY);
    assert_true(!item.key.is_level && item.key.has_escape);
    assert_ok(json_next(&j, &item));
    assert_int_equal(item.kind, JSON_NULL);
    assert_ok(json_next(&j, &item));
    assert_int_equal(item.kind, JSON_CLOSE);
    assert_ok(json_next(&j, &item));
    assert_int_equal(item.kind, JSON_CLOSE);
    assert_int_equal(json_next(&j, &item), E_END);
    assert_int_equal(json_next(&j, &item), E_END);
}

static void escapes_become_characters(void **state)
{
    static const uint32_t want[] = {'a',  '"', '\\', '/',     '\b', '\f',   '\n',    '\r',
                                    '\t', 0x0, 0xe9, 0x1f600, 0xe9, 0x20ac, 0x1d11e, '!'};
    struct bytes raw = bytes_of("a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\u00E9\\ud83D\\uDE00"
                                "\xc3\xa9\xe2\x82\xac\xf0\x9d\x84\x9e!");
    uint32_t character;
    (void)state;
    for (size_t i = 0; i < COUNT(want); i++) {
        assert_ok(json_take_character(&raw, &character));
        assert_int_equal(character, want[i]);
    }
    assert_int_equal(json_take_character(&raw, &character), E_END);
    raw = bytes_of("\\ud83dxu1234");
    assert_int_equal(json_take_character(&raw, &character), E_MALFORMED);
    raw = bytes_of("\\ude00\\ud83d");
    assert_int_equal(json_take_character(&raw, &character), E_MALFORMED);
}

static void a_string_is_written_with_its_escapes_resolved(void **state)
{
    static const struct json_string plain = {{(const uint8_t *)"OPEN", 4}, false, true};
    static const struct json_string odd = {{(const uint8_t *)"a\\u20ac\\n", 9}, true, false};
    static const struct json_string half = {{(const uint8_t *)"a\\ud83d", 7}, true, false};
    uint8_t room[8];
    size_t size = 0;
    (void)state;
    assert_ok(json_string_write(&plain, room, 4, &size));
    assert_int_equal(size, 4);
    assert_int_equal(json_string_write(&plain, room, 3, &size), E_LIMIT);
    assert_ok(json_string_write(&odd, room, 5, &size));
    assert_int_equal(size, 5);
    assert_memory_equal(room, "a\xe2\x82\xac\n", 5);
    assert_int_equal(json_string_write(&odd, room, 4, &size), E_LIMIT);
    assert_int_equal(json_string_write(&half, room, 8, &size), E_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_grammar_allows_is_walked),
        cmocka_unit_test(what_the_grammar_forbids_is_refused),
        cmocka_unit_test(every_prefix_of_a_document_is_refused),
        cmocka_unit_test(nesting_and_numbers_have_their_limits),
        cmocka_unit_test(items_come_with_key_and_kind),
        cmocka_unit_test(escapes_become_characters),
        cmocka_unit_test(a_string_is_written_with_its_escapes_resolved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
