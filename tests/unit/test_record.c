#include "storage/journal/record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tests/lib/test.h"

static const struct journal_record header = {
    .position = 5, .producer = 2, .counter = 77, .arrival_ns = INT64_C(1479877012000000000)};

static struct batch *example(void)
{
    struct batch *b = NULL;
    const int64_t t = INT64_C(1479877011) * 1000000000;
    struct batch_value values[3] = {{0, {31.5, 315, 1}}, {1, {270, 270, 0}}, {2, {-0.0, 0, 0}}};
    struct receipt receipt = {0x1122334455667788, 0x99aabbccddeeff00, t + 1000, 7};
    assert_ok(batch_create(&b));
    assert_ok(batch_put_series(b, 300, 0, bytes_of("krakow/air/171"), bytes_of("pm25")));
    assert_ok(batch_put_row(b, 300, t, values, 3));
    values[1].column = 40;
    assert_ok(batch_put_row(b, 300, t + 60000000000, values, 2));
    assert_ok(batch_put_row(b, 2, t + 60500000000, values, 1));
    assert_ok(batch_put_receipt(b, &receipt));
    return b;
}

/* Texts and a row that has one of them. */
static struct batch *example_of_texts(void)
{
    struct batch *b = NULL;
    const int64_t t = INT64_C(1479877011) * 1000000000;
    const struct batch_value values[2] = {{0, {text_value(1), 0, NUMBER_RAW}}, {1, {4, 4, 0}}};
    assert_ok(batch_create(&b));
    assert_ok(batch_put_text(b, 0, bytes_of("OPEN")));
    assert_ok(batch_put_text(b, 1,
                             bytes_of("B\xc5\x82\xc4\x85"
                                      "d 17")));
    assert_ok(batch_put_text(b, 300, bytes_of("")));
    assert_ok(batch_put_series(b, 3, 0, bytes_of("krakow/gate/4"), bytes_of("state")));
    assert_ok(batch_put_row(b, 3, t, values, 2));
    return b;
}

static struct batch *example_of_deletes(void)
{
    struct batch *b = NULL;
    const int64_t t = INT64_C(1479877011) * 1000000000;
    assert_ok(batch_create(&b));
    assert_ok(batch_put_delete(b, &(struct batch_delete){bytes_of("krakow/air/+/pm25"), t, t + 1}));
    assert_ok(batch_put_delete(b, &(struct batch_delete){bytes_of("#"), 0, INT64_MAX}));
    return b;
}

/* HEJNAL_GOLDEN_WRITE=1 makes the file anew: only when docs/FORMAT.md changes with it. */
static void expect_golden(struct batch *b, const char *path)
{
    uint8_t golden[1024];
    record_seal(b->record, b->record_bytes, &header);
    if (getenv("HEJNAL_GOLDEN_WRITE") != NULL) {
        FILE *file = fopen(path, "wb");
        assert_non_null(file);
        assert_int_equal(fwrite(b->record, 1, b->record_bytes, file), b->record_bytes);
        assert_int_equal(fclose(file), 0);
    }
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(golden, 1, sizeof golden, file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(size, b->record_bytes);
    assert_memory_equal(golden, b->record, size);
    batch_destroy(b);
}

static void a_record_is_what_the_golden_file_says(void **state)
{
    (void)state;
    expect_golden(example(), TESTS_DIR "/golden/journal_record.bin");
    expect_golden(example_of_texts(), TESTS_DIR "/golden/journal_record_texts.bin");
    expect_golden(example_of_deletes(), TESTS_DIR "/golden/journal_record_deletes.bin");
}

static void the_header_comes_back(void **state)
{
    (void)state;
    struct batch *b = example();
    struct journal_record out = {0};
    record_seal(b->record, b->record_bytes, &header);
    assert_ok(record_open(5, (struct bytes){b->record, b->record_bytes}, &out));
    assert_int_equal(out.position, 5);
    assert_int_equal(out.producer, 2);
    assert_int_equal(out.counter, 77);
    assert_int_equal(out.arrival_ns, header.arrival_ns);
    assert_int_equal(out.entries.size, b->record_bytes - BATCH_HEADER_BYTES);
    batch_destroy(b);
}

static void every_flipped_bit_and_a_wrong_place_are_found(void **state)
{
    (void)state;
    struct batch *b = example();
    struct journal_record out;
    record_seal(b->record, b->record_bytes, &header);
    struct bytes record = {b->record, b->record_bytes};
    assert_int_equal(record_open(6, record, &out), E_CORRUPT);
    for (size_t bit = 0; bit < 8 * (size_t)b->record_bytes; bit++) {
        b->record[bit / 8] ^= (uint8_t)(1u << bit % 8);
        enum err e = record_open(5, record, &out);
        assert_true(e == E_CORRUPT || (bit / 8 == 2 && e == E_VERSION));
        b->record[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t size = 0; size < record.size; size++) {
        assert_int_equal(record_open(5, (struct bytes){b->record, size}, &out), E_CORRUPT);
    }
    assert_ok(record_open(5, record, &out));
    batch_destroy(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_is_what_the_golden_file_says),
        cmocka_unit_test(the_header_comes_back),
        cmocka_unit_test(every_flipped_bit_and_a_wrong_place_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
