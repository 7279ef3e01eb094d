#include "codec/ints.h"

#include "codec/bits.h"
#include "tests/lib/rng.h"
#include "tests/lib/streams.h"
#include "tests/lib/test.h"

enum { BUFFER = 12 * CHUNK_ROWS_MAX + 4096 };

static uint8_t buffer[BUFFER];
static int64_t values[CHUNK_ROWS_MAX], back[CHUNK_ROWS_MAX];
static struct chunk_scratch *scratch;

static int set_up(void **state)
{
    (void)state;
    return chunk_scratch_create(&scratch) == OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    chunk_scratch_destroy(scratch);
    return 0;
}

static size_t round_trip(uint32_t count)
{
    scratch->is_dense = !scratch->is_dense; /* Both ways, again and again. */
    struct writer out = {buffer, 0, BUFFER - BITS_SLACK_BYTES};

    assert_ok(ints_write(values, count, scratch, &out));
    memset(buffer + out.size, 0xee, BITS_SLACK_BYTES);
    struct bytes in = {buffer, out.size};
    assert_ok(ints_read(&in, count, scratch, back));
    assert_int_equal(in.size, 0);
    assert_memory_equal(values, back, count * sizeof values[0]);
    return out.size;
}

static void packed_bits_come_back_for_every_width(void **state)
{
    struct rng r = {1};
    uint64_t from[70], to[70];
    (void)state;
    for (unsigned width = 0; width <= BITS_WIDTH_MAX; width++) {
        for (uint32_t count = 0; count <= 70; count++) {
            for (uint32_t i = 0; i < count; i++) {
                from[i] = rng_next(&r) & bits_mask(width);
            }
            memset(buffer, 0xee, sizeof from + 64);
            bits_pack(from, count, width, buffer);
            assert_int_equal(buffer[bits_size(count, width)], 0xee);
            bits_unpack(buffer, count, width, to);
            assert_memory_equal(from, to, count * sizeof from[0]);
        }
    }
}

static void streams_of_every_kind_come_back(void **state)
{
    struct rng r = {2};
    (void)state;
    for (uint32_t turn = 0; turn < 3000; turn++) {
        uint32_t count = 1 + rng_below(&r, turn % 10 == 0 ? 2000 : 200);
        streams_ints(&r, turn % STREAMS_INT_KINDS, values, count);
        round_trip(count);
    }
    for (uint32_t kind = 0; kind < STREAMS_INT_KINDS; kind++) {
        streams_ints(&r, kind, values, CHUNK_ROWS_MAX);
        round_trip(CHUNK_ROWS_MAX);
    }
}

static void regular_streams_take_a_few_bytes(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < CHUNK_ROWS_MAX; i++) {
        values[i] = 42;
    }
    assert_true(round_trip(CHUNK_ROWS_MAX) <= 2);
    for (uint32_t i = 0; i < CHUNK_ROWS_MAX; i++) {
        values[i] = 60 * (int64_t)i;
    }
    assert_true(round_trip(CHUNK_ROWS_MAX) <= 4);
    for (uint32_t i = 0; i < CHUNK_ROWS_MAX; i++) {
        values[i] = i % 1000 < 500;
    }
    assert_true(round_trip(CHUNK_ROWS_MAX) <= 64);
}

static void jitter_around_a_beat_costs_only_its_own_bits(void **state)
{
    struct rng r = {3};
    (void)state;
    for (uint32_t i = 0; i < 4096; i++) {
        values[i] = 60007 * (int64_t)i + rng_below(&r, 16);
    }
    assert_true(round_trip(4096) <= 4096 * 4 / 8 + 16);
}

static void a_full_buffer_is_a_limit(void **state)
{
    struct rng r = {4};
    (void)state;
    for (uint32_t kind = 0; kind < STREAMS_INT_KINDS; kind++) {
        streams_ints(&r, kind, values, 100);
        size_t size = round_trip(100);
        for (size_t limit = 0; limit < size; limit++) {
            struct writer out = {buffer, 0, limit};
            buffer[limit] = 0x55;
            assert_int_equal(ints_write(values, 100, scratch, &out), E_LIMIT);
            assert_int_equal(buffer[limit], 0x55);
        }
    }
}

static void cut_and_damaged_streams_are_refused_or_read_safely(void **state)
{
    struct rng r = {5};
    uint8_t copy[2048];
    (void)state;
    for (uint32_t kind = 0; kind < STREAMS_INT_KINDS; kind++) {
        streams_ints(&r, kind, values, 60);
        size_t size = round_trip(60);
        memcpy(copy, buffer, size + BITS_SLACK_BYTES);
        for (size_t cut = 0; cut < size; cut++) {
            struct bytes in = {copy, cut};
            assert_int_equal(ints_read(&in, 60, scratch, back), E_CORRUPT);
        }
        for (size_t bit = 0; bit < size * 8; bit++) {
            struct bytes in = {copy, size};
            copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
            enum err e = ints_read(&in, 60, scratch, back);
            assert_true(e == OK || e == E_CORRUPT);
            copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packed_bits_come_back_for_every_width),
        cmocka_unit_test(streams_of_every_kind_come_back),
        cmocka_unit_test(regular_streams_take_a_few_bytes),
        cmocka_unit_test(jitter_around_a_beat_costs_only_its_own_bits),
        cmocka_unit_test(a_full_buffer_is_a_limit),
        cmocka_unit_test(cut_and_damaged_streams_are_refused_or_read_safely),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
