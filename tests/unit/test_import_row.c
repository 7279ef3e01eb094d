#include "cli/import_row.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/csv.h"
#include "cli/value_cell.h"
#include "tests/lib/directory.h"
#include "tests/lib/rng.h"
#include "tests/lib/test.h"

static struct import_row row;
static unsigned column;

static const char *csv(const char *record, bool bare_texts)
{
    static char room[4096];
    (void)snprintf(room, sizeof room, "%s", record);
    return import_row_csv(room, bare_texts, &row, &column);
}

static const char *json(const char *line)
{
    return import_row_json(bytes_of(line), &row, &column);
}

static void expect_text(const char *text)
{
    assert_non_null(row.value.text);
    assert_string_equal(row.value.text, text);
}

static void expect_number(double number)
{
    assert_null(row.value.text);
    assert_true(row.value.number == number);
}

static void numbers_are_numbers_and_texts_stand_in_quotes(void **state)
{
    (void)state;
    assert_null(csv("k/a,2026-01-01T00:00:00Z,31.5", false));
    assert_string_equal(row.series, "k/a");
    assert_true(row.time_ns == INT64_C(1767225600000000000));
    expect_number(31.5);
    assert_null(csv("k/a,1767225600123456789,\"31.5\"", false)); /* Whoever quotes everything. */
    assert_true(row.time_ns == INT64_C(1767225600123456789));
    expect_number(31.5);
    assert_null(csv("k/a,1767225600,\"OPEN\"", false));
    expect_text("OPEN");
    assert_null(csv("k/a,1767225600,\"\"", false));
    expect_text("");
    assert_null(csv("k/a,1767225600,\"'31.5\"", false));
    expect_text("31.5");
    assert_null(csv("k/a,1767225600,\"''tis\"", false));
    expect_text("'tis");
    assert_null(csv("k/a,1767225600,Infinity", false));
    expect_number((double)INFINITY);
}

static void without_quotes_a_text_must_be_asked_for(void **state)
{
    (void)state;
    assert_non_null(csv("k/a,1767225600,3l.5", false));
    assert_int_equal(column, 3);
    assert_non_null(csv("k/a,1767225600,", false));
    assert_null(csv("k/a,1767225600,unavailable", true));
    expect_text("unavailable");
    assert_null(csv("k/a,1767225600,7", true));
    expect_number(7);
}

static void bad_rows_are_told_by_their_column(void **state)
{
    (void)state;
    assert_non_null(csv("k/+,1767225600,1", false));
    assert_int_equal(column, 1);
    assert_non_null(csv("k,yesterday,1", false));
    assert_int_equal(column, 2);
    assert_non_null(csv("k,1767225600", false));
    assert_int_equal(column, 3);
    assert_non_null(csv("k,1767225600,\"\xff\"", false));
    assert_int_equal(column, 3);
    assert_non_null(csv("k,1767225600,1,2", false));
    assert_int_equal(column, 4);
}

static void json_lines_are_read_as_exports_write_them(void **state)
{
    (void)state;
    assert_null(json("{\"series\":\"k/a\",\"time\":\"2026-01-01T00:00:00Z\",\"value\":31.5}"));
    assert_string_equal(row.series, "k/a");
    assert_true(row.time_ns == INT64_C(1767225600000000000));
    expect_number(31.5);
    assert_null(json("{\"value\":\"a\\n\\u20ac\",\"time\":1767225600123456789,\"series\":\"k\"}"));
    assert_true(row.time_ns == INT64_C(1767225600123456789));
    expect_text("a\n\xe2\x82\xac");
    assert_null(json("{\"series\":\"k\",\"time\":1767225600,\"value\":\"31.5\"}"));
    expect_text("31.5");
}

static void bad_json_lines_are_told(void **state)
{
    static const char *const bad[] = {
        "",
        "7",
        "[1]",
        "{\"series\":\"k\",\"time\":1767225600}",
        "{\"series\":\"k\",\"time\":1767225600,\"value\":null}",
        "{\"series\":\"k\",\"time\":1767225600,\"value\":true}",
        "{\"series\":\"k\",\"time\":1767225600,\"value\":1,\"value\":1}",
        "{\"series\":\"k\",\"time\":1767225600,\"value\":1,\"more\":1}",
        "{\"series\":\"k\",\"time\":1767225600,\"value\":\"a\\u0000b\"}",
        "{\"series\":\"k\",\"time\":1767225600,\"value\":\"\\ud800\"}",
        "{\"series\":\"k/#\",\"time\":1767225600,\"value\":1}",
        "{\"series\":\"k\",\"time\":\"soon\",\"value\":1}",
        "{\"series\":\"k\",\"time\":1767225600,\"value\":1} {}",
        "{\"series\":\"k\",\"time\":1767225600,\"value\":1",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_non_null(json(bad[i]));
    }
}

static void any_text(struct rng *rng, char to[32])
{
    static const char odd[] = "'\",\n\r;.-0123456789eEaNI ";
    const unsigned size = rng_below(rng, 12);
    for (unsigned i = 0; i < size; i++) {
        to[i] = odd[rng_below(rng, sizeof odd - 1)];
    }
    to[size] = 0;
}

/* Through a file, as an export and an import would have it. */
static void any_text_written_as_a_cell_reads_back(void **state)
{
    (void)state;
    struct rng rng = {3};
    struct directory dir;
    struct out *out = NULL;
    static char texts[2000][32], cell[128];
    directory_make(&dir);
    const char *path = directory_file(&dir, "cells");
    assert_ok(out_open(path, TIMESTAMP_NS, &out));
    for (unsigned i = 0; i < 2000; i++) {
        any_text(&rng, texts[i]);
        value_cell_put(out, 0, texts[i]);
        out_put(out, "\x01", 1);
    }
    assert_ok(out_close(out, true));
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    for (unsigned i = 0; i < 2000; i++) {
        struct hejnal_value value;
        char *rest = cell, *cut;
        size_t size = 0;
        int byte;
        while ((byte = fgetc(file)) != 1) {
            assert_true(byte != EOF && size < sizeof cell - 1);
            cell[size++] = (char)byte;
        }
        cell[size] = 0;
        assert_false(csv_is_open(cell));
        assert_int_equal(cell[0], '"');
        assert_ok(csv_cell(&rest, &cut));
        assert_ok(value_cell_read(cut, true, &value));
        assert_non_null(value.text);
        assert_string_equal(value.text, texts[i]);
    }
    assert_int_equal(fclose(file), 0);
    directory_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_numbers_and_texts_stand_in_quotes),
        cmocka_unit_test(without_quotes_a_text_must_be_asked_for),
        cmocka_unit_test(bad_rows_are_told_by_their_column),
        cmocka_unit_test(json_lines_are_read_as_exports_write_them),
        cmocka_unit_test(bad_json_lines_are_told),
        cmocka_unit_test(any_text_written_as_a_cell_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
