#include "storage/journal/batch.h"

#include <math.h>
#include <string.h>

#include "base/text.h"
#include "base/timestamp.h"
#include "tests/lib/rng.h"
#include "tests/lib/test.h"

enum { ROWS = 4000 };

struct model_row {
    uint32_t group;
    int64_t time_ns;
    unsigned count;
    struct batch_value values[BATCH_COLUMNS_MAX];
};

static struct batch *fresh(void)
{
    struct batch *b = NULL;
    assert_ok(batch_create(&b));
    return b;
}

static struct bytes entries_of(const struct batch *b)
{
    return (struct bytes){b->record + BATCH_HEADER_BYTES, b->record_bytes - BATCH_HEADER_BYTES};
}

static struct number raw(double value)
{
    return (struct number){.value = value, .scale = NUMBER_RAW};
}

static struct number decimal(int64_t mantissa, uint8_t scale)
{
    return (struct number){(double)mantissa / number_power(scale), mantissa, scale};
}

static struct number random_number(struct rng *rng)
{
    uint64_t bits = rng_next(rng);
    double value;
    switch (rng_below(rng, 5)) {
    case 0:
        memcpy(&value, &bits, sizeof value);
        return raw(value);
    case 4:
        return raw(text_value((uint32_t)bits >> rng_below(rng, 32)));
    case 1:
        return raw(rng_below(rng, 2) == 0 ? -0.0 : (double)INFINITY);
    default:
        return decimal((int64_t)(bits >> 11) * (rng_below(rng, 2) == 0 ? 1 : -1) >>
                           rng_below(rng, 53),
                       (uint8_t)rng_below(rng, NUMBER_SCALE_MAX + 1));
    }
}

static struct model_row random_row(struct rng *rng)
{
    static const int64_t units[] = {1, 1000, 1000000, 1000000000};
    int64_t unit = units[rng_below(rng, 4)];
    struct model_row row = {.group = (uint32_t)rng_next(rng) >> rng_below(rng, 32)};
    row.time_ns = (int64_t)(rng_next(rng) % (uint64_t)TIMESTAMP_MAX_NS) / unit * unit;
    unsigned wanted = 1 + rng_below(rng, BATCH_COLUMNS_MAX);
    bool dense = rng_below(rng, 2) == 0;
    for (unsigned c = 0; c < BATCH_COLUMNS_MAX && row.count < wanted; c++) {
        if (dense || rng_below(rng, 3) == 0) {
            row.values[row.count].column = (uint8_t)c;
            row.values[row.count++].number = random_number(rng);
        }
    }
    row.count = row.count == 0 ? 1 : row.count;
    return row;
}

static void expect_row(struct batch_reader *reader, const struct model_row *row)
{
    struct batch_entry entry;
    uint64_t columns = 0;
    assert_ok(batch_reader_next(reader, &entry));
    assert_int_equal(entry.kind, BATCH_ROW);
    assert_int_equal(entry.row.group, row->group);
    assert_int_equal(entry.row.time_ns, row->time_ns);
    assert_int_equal(entry.row.count, row->count);
    for (unsigned i = 0; i < row->count; i++) {
        columns |= UINT64_C(1) << row->values[i].column;
        assert_memory_equal(&entry.row.values[i], &row->values[i].number.value, sizeof(double));
    }
    assert_int_equal(entry.row.columns, columns);
}

static void any_rows_come_back_bit_for_bit(void **state)
{
    (void)state;
    static struct model_row rows[ROWS];
    struct rng rng = {1};
    struct batch *b = fresh();
    for (unsigned round = 0; round < 20; round++) {
        size_t count = 0;
        enum err e = OK;
        batch_reset(b);
        while (e == OK) {
            rows[count] = random_row(&rng);
            uint32_t before = b->record_bytes;
            e = batch_put_row(b, rows[count].group, rows[count].time_ns, rows[count].values,
                              rows[count].count);
            count += e == OK;
            assert_true(e == OK || b->record_bytes == before);
        }
        assert_int_equal(e, E_LIMIT);
        assert_int_equal(b->rows, count);
        struct batch_reader reader;
        struct batch_entry entry;
        batch_reader_init(&reader, entries_of(b));
        for (size_t i = 0; i < count; i++) {
            expect_row(&reader, &rows[i]);
        }
        assert_int_equal(batch_reader_next(&reader, &entry), E_END);
    }
    batch_destroy(b);
}

static void a_point_of_a_plain_sensor_takes_ten_bytes(void **state)
{
    (void)state;
    struct batch *b = fresh();
    int64_t t = INT64_C(1700000000000) * 1000000;
    for (uint32_t i = 0; i < 5000; i++) {
        struct batch_value v = {0, decimal(2000 + (int64_t)(i * 37 % 900), 2)};
        assert_ok(batch_put_row(b, i * 7919 % 10000, t, &v, 1));
        t += (int64_t)(i % 7) * 1000000;
    }
    assert_true(b->record_bytes < 5000 * 10);
    batch_destroy(b);
}

static void receipts_and_series_ride_between_rows(void **state)
{
    (void)state;
    struct batch *b = fresh();
    struct batch_value v = {63, decimal(5, 1)};
    struct receipt receipt = {UINT64_MAX, 7, 1234567891, UINT16_MAX};
    assert_ok(batch_put_series(b, 9, 63, bytes_of("a/b"), bytes_of("")));
    assert_ok(batch_put_row(b, 9, 1234567890, &v, 1));
    assert_ok(batch_put_receipt(b, &receipt));
    struct batch_reader reader;
    struct batch_entry entry;
    batch_reader_init(&reader, entries_of(b));
    assert_ok(batch_reader_next(&reader, &entry));
    assert_int_equal(entry.kind, BATCH_SERIES);
    assert_int_equal(entry.series.group, 9);
    assert_int_equal(entry.series.column, 63);
    assert_true(bytes_equal(entry.series.topic, bytes_of("a/b")));
    assert_int_equal(entry.series.name.size, 0);
    assert_ok(batch_reader_next(&reader, &entry));
    assert_int_equal(entry.row.columns, UINT64_C(1) << 63);
    assert_ok(batch_reader_next(&reader, &entry));
    assert_int_equal(entry.kind, BATCH_RECEIPT);
    assert_int_equal(entry.receipt.client_hash, UINT64_MAX);
    assert_int_equal(entry.receipt.content_hash, 7);
    assert_int_equal(entry.receipt.time_ns, 1234567891);
    assert_int_equal(entry.receipt.packet_id, UINT16_MAX);
    assert_int_equal(batch_reader_next(&reader, &entry), E_END);
    batch_destroy(b);
}

static void a_tag_comes_back_as_it_was_put(void **state)
{
    (void)state;
    static const uint8_t no_tag[] = {BATCH_TAG, 7, 0, 3, 'a', '=', 'b', 1, 'v'};
    struct batch *b = fresh();
    struct batch_reader reader;
    struct batch_entry entry;
    assert_ok(batch_put_tag(b, 70000, 63, bytes_of("unit"), bytes_of("kW")));
    assert_ok(batch_put_tag(b, 1, 0, bytes_of("site"), bytes_of("")));
    batch_reader_init(&reader, entries_of(b));
    assert_ok(batch_reader_next(&reader, &entry));
    assert_int_equal(entry.kind, BATCH_TAG);
    assert_int_equal(entry.tag.group, 70000);
    assert_int_equal(entry.tag.column, 63);
    assert_true(bytes_equal(entry.tag.key, bytes_of("unit")));
    assert_true(bytes_equal(entry.tag.value, bytes_of("kW")));
    assert_ok(batch_reader_next(&reader, &entry));
    assert_true(bytes_equal(entry.tag.key, bytes_of("site")) && entry.tag.value.size == 0);
    assert_int_equal(batch_reader_next(&reader, &entry), E_END);
    batch_reader_init(&reader, (struct bytes){no_tag, sizeof no_tag});
    assert_int_equal(batch_reader_next(&reader, &entry), E_CORRUPT);
    batch_destroy(b);
}

static void texts_are_defined_once_and_named_in_two_bytes(void **state)
{
    (void)state;
    static const uint8_t longest[TEXT_BYTES_MAX + 1] = {'x'};
    struct batch *b = fresh();
    const struct batch_value v = {0, raw(text_value(7))};
    struct batch_reader reader;
    struct batch_entry entry;
    assert_ok(batch_put_text(b, 7, bytes_of("OPEN")));
    assert_ok(batch_put_text(b, UINT32_MAX, (struct bytes){longest, TEXT_BYTES_MAX}));
    assert_ok(batch_put_row(b, 9, 1234567890, &v, 1));
    const uint32_t before = b->record_bytes;
    assert_ok(batch_put_row(b, 9, 1234567890, &v, 1));
    assert_int_equal(b->record_bytes - before, 5); /* Kind, group, time; and the text in two. */
    batch_reader_init(&reader, entries_of(b));
    assert_ok(batch_reader_next(&reader, &entry));
    assert_int_equal(entry.kind, BATCH_TEXT);
    assert_int_equal(entry.text.id, 7);
    assert_true(bytes_equal(entry.text.at, bytes_of("OPEN")));
    assert_ok(batch_reader_next(&reader, &entry));
    assert_int_equal(entry.text.id, UINT32_MAX);
    assert_int_equal(entry.text.at.size, TEXT_BYTES_MAX);
    assert_ok(batch_reader_next(&reader, &entry));
    assert_int_equal(entry.kind, BATCH_ROW);
    assert_true(text_is_value(entry.row.values[0]) && text_id(entry.row.values[0]) == 7);
    batch_destroy(b);

    uint8_t too_long[TEXT_BYTES_MAX + 8] = {BATCH_TEXT, 7, 0x81, 0x08};
    batch_reader_init(&reader, (struct bytes){too_long, sizeof too_long});
    assert_int_equal(batch_reader_next(&reader, &entry), E_CORRUPT);
}

static void times_outside_the_store_are_refused(void **state)
{
    (void)state;
    struct batch *b = fresh();
    struct batch_value v = {0, decimal(5, 1)};
    assert_int_equal(batch_put_row(b, 0, -1, &v, 1), E_MALFORMED);
    assert_int_equal(batch_put_row(b, 0, TIMESTAMP_MAX_NS, &v, 1), E_MALFORMED);
    assert_int_equal(b->record_bytes, BATCH_HEADER_BYTES);
    batch_destroy(b);
}

static void state_puts_come_back_in_order(void **state)
{
    (void)state;
    static const uint8_t big[100000] = {1};
    struct batch *b = fresh();
    assert_ok(batch_put_state(b, 1, 5, bytes_of("k"), bytes_of("v")));
    assert_ok(batch_put_state(b, 2, UINT64_MAX, bytes_of("key"), (struct bytes){big, sizeof big}));
    assert_ok(batch_put_state(b, 1, 6, bytes_of("k"), (struct bytes){NULL, 0}));
    struct bytes in = {b->state.at, b->state.size};
    struct batch_state s;
    assert_ok(batch_state_next(&in, &s));
    assert_int_equal(s.space, 1);
    assert_int_equal(s.stamp, 5);
    assert_true(bytes_equal(s.value, bytes_of("v")));
    assert_ok(batch_state_next(&in, &s));
    assert_int_equal(s.stamp, UINT64_MAX);
    assert_int_equal(s.value.size, sizeof big);
    assert_ok(batch_state_next(&in, &s));
    assert_int_equal(s.value.size, 0);
    assert_int_equal(batch_state_next(&in, &s), E_END);
    in = (struct bytes){b->state.at, 3};
    assert_int_equal(batch_state_next(&in, &s), E_CORRUPT);
    batch_destroy(b);
}

static void damaged_entries_are_corrupt_and_no_crash(void **state)
{
    (void)state;
    struct rng rng = {2};
    struct batch *b = fresh();
    for (int i = 0; i < 20; i++) {
        struct model_row row = random_row(&rng);
        assert_ok(batch_put_row(b, row.group, row.time_ns, row.values, row.count));
    }
    uint8_t copy[BATCH_RECORD_BYTES_MAX];
    size_t size = entries_of(b).size;
    for (int round = 0; round < 2000; round++) {
        struct batch_reader reader;
        struct batch_entry entry;
        enum err e;
        memcpy(copy, entries_of(b).at, size);
        copy[rng_below(&rng, (uint32_t)size)] ^= (uint8_t)(1u << rng_below(&rng, 8));
        batch_reader_init(&reader, (struct bytes){copy, rng_below(&rng, (uint32_t)size)});
        while ((e = batch_reader_next(&reader, &entry)) == OK) {
        }
        assert_true(e == E_END || e == E_CORRUPT);
    }
    batch_destroy(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_rows_come_back_bit_for_bit),
        cmocka_unit_test(a_point_of_a_plain_sensor_takes_ten_bytes),
        cmocka_unit_test(receipts_and_series_ride_between_rows),
        cmocka_unit_test(a_tag_comes_back_as_it_was_put),
        cmocka_unit_test(texts_are_defined_once_and_named_in_two_bytes),
        cmocka_unit_test(times_outside_the_store_are_refused),
        cmocka_unit_test(state_puts_come_back_in_order),
        cmocka_unit_test(damaged_entries_are_corrupt_and_no_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
