#include "broker/query/query_check.h"

#include <math.h>

#include "base/text.h"
#include "base/timestamp.h"
#include "tests/lib/test.h"

static struct query_fault fault;

static uint32_t position_of(const char *filter)
{
    assert_int_equal(query_check_filter(filter, &fault), E_MALFORMED);
    assert_int_equal(fault.code, HEJNAL__V1__ERROR__CODE__INVALID);
    assert_string_equal(fault.field, "filter");
    assert_true(fault.text[0] != 0);
    return fault.position;
}

static void a_bad_filter_is_told_by_its_first_wrong_byte(void **state)
{
    (void)state;
    assert_int_equal(position_of(""), 0);
    assert_int_equal(position_of("a+"), 2);
    assert_int_equal(position_of("krakow/#/air"), 8);
    assert_int_equal(position_of("a/b+/c"), 4);
    assert_int_equal(position_of("a/\xff"), 3);
    assert_int_equal(position_of("krak\xc3"), 5);
    assert_ok(query_check_filter("krakow/+/pm25", &fault));
    assert_ok(query_check_filter("#", &fault));
}

static void filters_have_limits(void **state)
{
    char text[1200];
    (void)state;
    memset(text, 'a', sizeof text);
    text[1100] = 0;
    assert_int_equal(position_of(text), 1025);
    memset(text, '/', 200);
    text[200] = 0;
    assert_int_equal(position_of(text), 128);
}

static Hejnal__V1__Query query(int64_t from, int64_t to, int64_t bucket)
{
    static char filter[] = "#";
    Hejnal__V1__Query q = HEJNAL__V1__QUERY__INIT;
    q.filter = filter;
    q.from_ns = from;
    q.to_ns = to;
    q.bucket_ns = bucket;
    return q;
}

static void a_query_needs_a_window_and_buckets_with_aggregates(void **state)
{
    Hejnal__V1__Aggregate aggregates[] = {HEJNAL__V1__AGGREGATE__MEAN, HEJNAL__V1__AGGREGATE__MAX};
    (void)state;
    Hejnal__V1__Query q = query(0, 10, 0);
    assert_ok(query_check_query(&q, &fault));
    q = query(10, 10, 0);
    assert_int_equal(query_check_query(&q, &fault), E_MALFORMED);
    assert_string_equal(fault.field, "from_ns");
    q = query(0, 10, -1);
    assert_int_equal(query_check_query(&q, &fault), E_MALFORMED);
    assert_string_equal(fault.field, "bucket_ns");
    q = query(0, 10, 5);
    assert_int_equal(query_check_query(&q, &fault), E_MALFORMED);
    assert_string_equal(fault.field, "aggregates");
    q.n_aggregates = 2;
    q.aggregates = aggregates;
    assert_ok(query_check_query(&q, &fault));
    q.bucket_ns = 0;
    assert_int_equal(query_check_query(&q, &fault), E_MALFORMED);
    aggregates[1] = (Hejnal__V1__Aggregate)40;
    q.bucket_ns = 5;
    assert_int_equal(query_check_query(&q, &fault), E_MALFORMED);
}

/* A write of one section with one column; the parts are static, tests change them. */
static struct {
    char path[16], column_name[16];
    char *columns[1];
    int64_t deltas[3];
    double values[3];
    uint32_t runs[4], word_runs[6];
    ProtobufCBinaryData words[2];
    Hejnal__V1__WriteColumn column, *column_list[1];
    Hejnal__V1__WriteRows rows, *row_list[1];
    Hejnal__V1__Write write;
} w;

static void make_write(void)
{
    hejnal__v1__write__init(&w.write);
    hejnal__v1__write_rows__init(&w.rows);
    hejnal__v1__write_column__init(&w.column);
    memcpy(w.path, "krakow/air", 11);
    memcpy(w.column_name, "pm25", 5);
    w.columns[0] = w.column_name;
    w.deltas[0] = 1000;
    w.deltas[1] = 10;
    w.deltas[2] = -5;
    w.column.n_value = 3;
    w.column.value = w.values;
    w.column.present_runs = w.runs;
    w.column.word_runs = w.word_runs;
    w.write.words = w.words;
    w.column_list[0] = &w.column;
    w.rows.path = w.path;
    w.rows.n_columns = 1;
    w.rows.columns = w.columns;
    w.rows.n_time_delta = 3;
    w.rows.time_delta = w.deltas;
    w.rows.n_values = 1;
    w.rows.values = w.column_list;
    w.row_list[0] = &w.rows;
    w.write.n_rows = 1;
    w.write.rows = w.row_list;
}

static void refused_for(const char *field)
{
    assert_int_equal(query_check_write(&w.write, 0, &fault), E_MALFORMED);
    assert_string_equal(fault.field, field);
}

static void a_write_names_what_is_wrong_with_it(void **state)
{
    (void)state;
    make_write();
    assert_ok(query_check_write(&w.write, 0, &fault));
    w.path[3] = '+';
    refused_for("rows[0].path");
    assert_int_equal(fault.position, 4);
    w.path[0] = '$';
    refused_for("rows[0].path");
    assert_int_equal(fault.position, 1);
    make_write();
    w.column_name[0] = 0;
    refused_for("rows[0].columns[0]");
    make_write();
    w.rows.n_values = 0;
    refused_for("rows[0].values");
    make_write();
    w.rows.n_columns = 65;
    refused_for("rows[0].columns");
}

static void times_must_stay_between_1970_and_2200(void **state)
{
    (void)state;
    make_write();
    w.deltas[0] = 0;
    w.deltas[2] = -11;
    refused_for("rows[0].time_delta");
    w.deltas[0] = TIMESTAMP_MAX_NS;
    refused_for("rows[0].time_delta");
    w.deltas[0] = 1;
    w.deltas[1] = INT64_MAX;
    refused_for("rows[0].time_delta");
}

static void values_must_fit_rows_and_runs(void **state)
{
    (void)state;
    make_write();
    w.column.n_value = 2;
    refused_for("rows[0].values[0]");
    w.column.n_present_runs = 3; /* one there, one not, one there */
    w.runs[0] = w.runs[1] = w.runs[2] = 1;
    assert_ok(query_check_write(&w.write, 0, &fault));
    w.runs[2] = 2;
    refused_for("rows[0].values[0]");
    w.runs[2] = 1;
    w.column.n_value = 3;
    refused_for("rows[0].values[0]");
    w.column.n_present_runs = 2; /* runs that overflow 32 bits together */
    w.runs[0] = w.runs[1] = UINT32_MAX;
    refused_for("rows[0].values[0]");
}

static void a_nan_that_would_be_a_text_is_refused(void **state)
{
    (void)state;
    make_write();
    w.values[0] = (double)NAN;
    assert_ok(query_check_write(&w.write, 0, &fault));
    w.values[2] = text_value(0);
    refused_for("rows[0].values[0]");
    assert_int_equal(fault.position, 17);
    w.values[2] = text_value(UINT32_MAX);
    refused_for("rows[0].values[0]");
}

static void put_word(unsigned index, const char *word, size_t size)
{
    static uint8_t room[2][TEXT_BYTES_MAX + 1];
    memcpy(room[index], word, size);
    w.words[index] = (ProtobufCBinaryData){size, room[index]};
}

/* Rows: a number, OPEN twice. */
static void make_write_of_texts(void)
{
    make_write();
    put_word(0, "OPEN", 4);
    put_word(1, "", 0);
    w.write.n_words = 2;
    w.column.n_value = 1;
    w.column.n_word_runs = 4;
    w.word_runs[0] = 0;
    w.word_runs[1] = 1;
    w.word_runs[2] = 1;
    w.word_runs[3] = 2;
}

static void runs_of_words_must_fit_rows_and_numbers(void **state)
{
    (void)state;
    make_write_of_texts();
    assert_ok(query_check_write(&w.write, 0, &fault));
    w.word_runs[2] = 2;
    assert_ok(query_check_write(&w.write, 0, &fault));
    w.word_runs[2] = 3; /* No such word. */
    refused_for("rows[0].values[0]");
    w.word_runs[2] = 0; /* More numbers than there are, */
    refused_for("rows[0].values[0]");
    make_write_of_texts();
    w.word_runs[3] = 1; /* fewer texts, */
    refused_for("rows[0].values[0]");
    w.word_runs[3] = 3; /* and more. */
    refused_for("rows[0].values[0]");
    make_write_of_texts();
    w.column.n_word_runs = 3;
    refused_for("rows[0].values[0]");
    make_write_of_texts();
    w.column.n_present_runs = 2; /* Two of three rows present. */
    w.runs[0] = 2;
    w.runs[1] = 1;
    refused_for("rows[0].values[0]");
    w.word_runs[3] = 1;
    assert_ok(query_check_write(&w.write, 0, &fault));
}

static void words_must_be_texts(void **state)
{
    (void)state;
    static char longest[TEXT_BYTES_MAX + 1];
    memset(longest, 'x', sizeof longest);
    make_write_of_texts();
    put_word(1, "ab\xff", 3);
    refused_for("words[1]");
    assert_int_equal(fault.position, 3);
    put_word(1, "a\0b", 3);
    refused_for("words[1]");
    assert_int_equal(fault.position, 2);
    put_word(1, longest, sizeof longest);
    refused_for("words[1]");
    assert_int_equal(fault.position, TEXT_BYTES_MAX + 1);
    put_word(1, longest, sizeof longest - 1);
    assert_ok(query_check_write(&w.write, 0, &fault));
    w.write.n_words = QUERY_WORDS_MAX + 1;
    refused_for("words");
    assert_int_equal(fault.code, HEJNAL__V1__ERROR__CODE__LIMIT);
}

static void an_unknown_request_is_refused(void **state)
{
    frame_request r = HEJNAL__V1__REQUEST__INIT;
    (void)state;
    assert_int_equal(query_check_request(&r, 0, &fault), E_MALFORMED);
}

static void a_write_by_number_names_what_is_wrong_with_it(void **state)
{
    Hejnal__V1__WritePoints points = HEJNAL__V1__WRITE_POINTS__INIT;
    uint32_t numbers[3] = {3, 1, 3};
    int64_t deltas[3] = {1000, 10, -5};
    double values[3] = {1, 2, 3};
    (void)state;
    make_write();
    w.write.points = &points;
    points.number = numbers;
    points.time_delta = deltas;
    points.value = values;
    points.n_number = points.n_time_delta = points.n_value = 3;
    assert_ok(query_check_write(&w.write, 3, &fault));
    assert_int_equal(query_check_write(&w.write, 2, &fault), E_MALFORMED);
    assert_string_equal(fault.field, "points.number");
    points.n_value = 2;
    assert_int_equal(query_check_write(&w.write, 3, &fault), E_MALFORMED);
    assert_string_equal(fault.field, "points");
    points.n_value = 3;
    deltas[2] = -2000;
    assert_int_equal(query_check_write(&w.write, 3, &fault), E_MALFORMED);
    assert_string_equal(fault.field, "points.time_delta");
    deltas[2] = 0;
    values[1] = text_value(5);
    assert_int_equal(query_check_write(&w.write, 3, &fault), E_MALFORMED);
    assert_string_equal(fault.field, "points.value");
    w.write.points = NULL;
    w.rows.number = 1;
    assert_ok(query_check_write(&w.write, 0, &fault)); /* One column, a number. */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_write_by_number_names_what_is_wrong_with_it),
        cmocka_unit_test(a_bad_filter_is_told_by_its_first_wrong_byte),
        cmocka_unit_test(filters_have_limits),
        cmocka_unit_test(a_query_needs_a_window_and_buckets_with_aggregates),
        cmocka_unit_test(a_write_names_what_is_wrong_with_it),
        cmocka_unit_test(times_must_stay_between_1970_and_2200),
        cmocka_unit_test(values_must_fit_rows_and_runs),
        cmocka_unit_test(a_nan_that_would_be_a_text_is_refused),
        cmocka_unit_test(runs_of_words_must_fit_rows_and_numbers),
        cmocka_unit_test(words_must_be_texts),
        cmocka_unit_test(an_unknown_request_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
