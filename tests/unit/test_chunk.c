#include "codec/chunk.h"

#include <math.h>
#include <stdlib.h>

#include "base/hash.h"
#include "codec/bits.h"
#include "tests/lib/rng.h"
#include "tests/lib/streams.h"
#include "tests/lib/test.h"

enum { COLUMNS = 6, BUFFER = COLUMNS * CHUNK_ROWS_MAX * 10 + 8192 };

static uint8_t buffer[BUFFER];
static int64_t times[CHUNK_ROWS_MAX], all_times[CHUNK_ROWS_MAX], times_back[CHUNK_ROWS_MAX];
static double values[COLUMNS][CHUNK_ROWS_MAX], values_back[CHUNK_ROWS_MAX];
static uint64_t maps[COLUMNS][CHUNK_PRESENT_WORDS];
static struct chunk_input_column column[COLUMNS];
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

static bool has_value(const struct chunk_input_column *c, uint32_t row)
{
    return c->present == NULL || (c->present[row / 64] >> row % 64 & 1) != 0;
}

/* Presence of the sorts that happen: all, at random, in long gaps, almost none, as another's. */
static const uint64_t *random_map(struct rng *r, unsigned index, uint32_t rows)
{
    uint32_t kind = rng_below(r, 6), share = 1 + rng_below(r, 20);
    bool now = true;

    if (kind < 2) {
        return NULL;
    }
    if (kind == 2 && index > 0) {
        return column[index - 1].present;
    }
    memset(maps[index], 0xff, sizeof maps[index]); /* Bits behind the rows must not matter. */
    for (uint32_t row = 0; row < rows; row++) {
        now = kind == 3   ? rng_below(r, share) > 0
              : kind == 4 ? now ^ (rng_below(r, 40) == 0)
                          : row == rows / 2;
        maps[index][row / 64] &= ~((uint64_t)!now << row % 64);
    }
    return maps[index];
}

static struct chunk_input random_input(struct rng *r, uint32_t rows)
{
    struct chunk_input in = {.rows = rows,
                             .times = times,
                             .columns = 1 + rng_below(r, COLUMNS),
                             .column = column,
                             .dense = rng_below(r, 2) > 0};
    uint8_t id = (uint8_t)rng_below(r, 50);

    streams_times(r, rng_below(r, STREAMS_TIME_KINDS), times, rows);
    for (unsigned i = 0; i < in.columns; i++) {
        uint32_t kind = rng_below(r, STREAMS_DOUBLE_KINDS + 1);
        if (kind == STREAMS_DOUBLE_KINDS) {
            for (uint32_t row = 0; row < rows; row++) { /* A follower of the column before it. */
                values[i][row] = i == 0 ? 1.5 : values[i - 1][row] + rng_below(r, 3);
            }
        } else {
            streams_doubles(r, kind, values[i], rows);
        }
        column[i] = (struct chunk_input_column){
            .id = id++, .values = values[i], .present = random_map(r, i, rows)};
    }
    return in;
}

static const struct bytes key = {(const uint8_t *)"\0\0\0\7\x80\0\0\0\0\0\0\1", 12};

/* Write at an odd address with something before it, as stored values have. */
static struct bytes write_chunk(const struct chunk_input *in)
{
    struct writer out = {buffer + 1, 1, BUFFER - 1};
    assert_ok(chunk_write(in, key, scratch, &out));
    return (struct bytes){buffer + 2, out.size - 1};
}

static bool same_number(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

/* Compare with sums in long double. */
static void check_stats(const struct chunk_stats *stats, const struct chunk_input *in,
                        const struct chunk_input_column *c)
{
    uint32_t count = 0, nan_count = 0, first = 0, last = 0;
    double min = (double)INFINITY, max = -(double)INFINITY;
    long double sum = 0, magnitude = 0;

    for (uint32_t row = 0; row < in->rows; row++) {
        double value = c->values[row];
        if (!has_value(c, row)) {
            continue;
        }
        if (isnan(value)) {
            nan_count++;
            continue;
        }
        first = count++ == 0 ? row : first;
        last = row;
        min = value < min ? value : min;
        max = value > max ? value : max;
        sum += (long double)value;
        magnitude += fabsl((long double)value);
    }
    assert_int_equal(stats->count, count);
    assert_int_equal(stats->nan_count, nan_count);
    if (count > 0) {
        assert_true(stats->min == min && stats->max == max);
        assert_true(stats->first == c->values[first] && stats->last == c->values[last]);
        assert_true(stats->first_ns == in->times[first] && stats->last_ns == in->times[last]);
        assert_true(!isfinite((double)magnitude) || same_number(stats->sum, (double)sum) ||
                    fabsl((long double)stats->sum - sum) <= magnitude * 1e-15L);
    }
}

static void check_points(const struct chunk *c, unsigned index, const struct chunk_input *in,
                         const struct chunk_input_column *expected)
{
    uint32_t count, at = 0;

    assert_ok(chunk_points(c, index, all_times, scratch, times_back, values_back, &count));
    for (uint32_t row = 0; row < in->rows; row++) {
        if (has_value(expected, row)) {
            assert_true(times_back[at] == in->times[row]);
            assert_memory_equal(&values_back[at], &expected->values[row], sizeof(double));
            at++;
        }
    }
    assert_int_equal(count, at);
}

static size_t round_trip(const struct chunk_input *in)
{
    struct chunk c;
    struct bytes value = write_chunk(in);

    assert_ok(chunk_read(key, value, &c));
    assert_int_equal(c.rows, in->rows);
    assert_true(c.first_ns == in->times[0] && c.last_ns == in->times[in->rows - 1]);
    assert_ok(chunk_times(&c, scratch, all_times));
    assert_memory_equal(all_times, in->times, in->rows * sizeof all_times[0]);
    for (unsigned i = 0; i < in->columns; i++) {
        int index = chunk_column_find(&c, in->column[i].id);
        if (index < 0) {
            for (uint32_t row = 0; row < in->rows; row++) {
                assert_false(has_value(&in->column[i], row));
            }
            continue;
        }
        check_stats(&c.column[index].stats, in, &in->column[i]);
        check_points(&c, (unsigned)index, in, &in->column[i]);
    }
    return value.size;
}

static void chunks_of_every_kind_come_back_bit_for_bit(void **state)
{
    struct rng r = {11};
    (void)state;
    for (uint32_t turn = 0; turn < 1500; turn++) {
        struct chunk_input in = random_input(&r, 1 + rng_below(&r, turn % 10 == 0 ? 1500 : 150));
        round_trip(&in);
    }
    for (uint32_t turn = 0; turn < 10; turn++) {
        struct chunk_input in = random_input(&r, CHUNK_ROWS_MAX);
        round_trip(&in);
    }
}

static void times_at_both_ends_of_the_calendar_come_back(void **state)
{
    const int64_t wide[] = {INT64_MIN, -1, 0, INT64_MAX};
    const double four[] = {1, 2, 3, 4};
    struct chunk_input_column one = {.id = 63, .values = four};
    struct chunk_input in = {.rows = 4, .times = wide, .columns = 1, .column = &one};
    (void)state;
    round_trip(&in);
    in.rows = 1;
    round_trip(&in);
}

static void a_column_without_values_is_left_out(void **state)
{
    const int64_t two[] = {5, 9};
    const double none[] = {1, 2};
    const uint64_t empty = ~UINT64_C(3); /* Bits behind the rows do not count. */
    struct chunk_input_column one = {.id = 3, .values = none, .present = &empty};
    struct chunk_input in = {.rows = 2, .times = two, .columns = 1, .column = &one};
    struct chunk c;
    (void)state;
    round_trip(&in);
    assert_ok(chunk_read(key, write_chunk(&in), &c));
    assert_int_equal(c.columns, 0);
}

static void sums_of_decimals_are_exact(void **state)
{
    double tenths[1000];
    struct chunk_input_column one = {.id = 0, .values = tenths};
    struct chunk_input in = {.rows = 1000, .times = times, .columns = 1, .column = &one};
    struct rng r = {12};
    struct chunk c;
    (void)state;
    streams_times(&r, 0, times, 1000);
    for (size_t i = 0; i < 1000; i++) {
        tenths[i] = 0.1;
    }
    assert_ok(chunk_read(key, write_chunk(&in), &c));
    assert_true(c.column[0].stats.sum == 100.0);
}

static void a_follower_is_stored_as_differences(void **state)
{
    struct rng r = {13};
    static double first[1024], second[1024];
    struct chunk_input_column two[] = {{.id = 0, .values = first}, {.id = 1, .values = second}};
    struct chunk_input in = {.rows = 1024, .times = times, .columns = 1, .column = two};
    (void)state;
    streams_times(&r, 0, times, 1024);
    for (size_t i = 0; i < 1024; i++) {
        first[i] = rng_below(&r, 10000) / 10.0;
        second[i] = (first[i] * 10 + rng_below(&r, 4)) / 10;
    }
    size_t alone = round_trip(&in);
    in.columns = 2;
    assert_true(round_trip(&in) - alone < 1024 / 3);
}

static void a_misplaced_chunk_is_corrupt(void **state)
{
    struct rng r = {14};
    struct chunk_input in = random_input(&r, 20);
    struct bytes value = write_chunk(&in), other = {(const uint8_t *)"\0\0\0\10", 4};
    struct chunk c;
    (void)state;
    assert_int_equal(chunk_read(other, value, &c), E_CORRUPT);
}

static void a_chunk_of_another_version_is_named_so(void **state)
{
    struct rng r = {15};
    struct chunk_input in = random_input(&r, 20);
    struct bytes value = write_chunk(&in);
    struct chunk c;
    (void)state;
    buffer[2 + 2] = 2;
    assert_int_equal(chunk_read(key, value, &c), E_VERSION);
}

static void a_full_buffer_leaves_the_writer_as_it_was(void **state)
{
    struct rng r = {16};
    (void)state;
    for (int turn = 0; turn < 20; turn++) {
        struct chunk_input in = random_input(&r, 40);
        size_t size = write_chunk(&in).size;
        for (size_t limit = 0; limit < size; limit++) {
            struct writer out = {buffer, 3, limit + 3};
            buffer[limit + 3] = 0x55;
            assert_int_equal(chunk_write(&in, key, scratch, &out), E_LIMIT);
            assert_int_equal(out.size, 3);
            assert_int_equal(buffer[limit + 3], 0x55);
        }
    }
}

/* Everything a reader may ask of a chunk, whatever its bytes; counts what was refused. */
static bool read_all(struct bytes value)
{
    struct chunk c;
    uint32_t count;
    enum err e = chunk_read(key, value, &c);

    assert_true(e == OK || e == E_CORRUPT || e == E_VERSION);
    if (e != OK || chunk_times(&c, scratch, all_times) != OK) {
        return false;
    }
    bool is_good = true;
    for (unsigned i = 0; i < c.columns; i++) {
        e = chunk_points(&c, i, all_times, scratch, times_back, values_back, &count);
        assert_true(e == OK || e == E_CORRUPT);
        is_good &= e == OK;
    }
    return is_good;
}

/* The value in a block of its own size, so that sanitizers see every step outside. */
static uint8_t *copy_of(struct bytes value)
{
    uint8_t *copy = malloc(value.size + 1);
    assert_non_null(copy);
    memcpy(copy, value.at, value.size);
    return copy;
}

static void mend(uint8_t *at, size_t size)
{
    uint64_t sum = hash_seeded(hash_bytes(key), (struct bytes){at, size - 8});
    memcpy(at + size - 8, &sum, sizeof sum);
}

static void every_flipped_bit_is_refused_or_with_a_mended_checksum_read_safely(void **state)
{
    struct rng r = {17};
    (void)state;
    for (int turn = 0; turn < 60; turn++) {
        struct chunk_input in = random_input(&r, 1 + rng_below(&r, 60));
        struct bytes value = write_chunk(&in);
        uint8_t *copy = copy_of(value);
        for (size_t bit = 0; bit < value.size * 8; bit++) {
            uint8_t mask = (uint8_t)(1 << bit % 8);
            copy[bit / 8] ^= mask;
            assert_false(read_all((struct bytes){copy, value.size}));
            mend(copy, value.size);
            read_all((struct bytes){copy, value.size});
            copy[bit / 8] = value.at[bit / 8];
            mend(copy, value.size);
        }
        free(copy);
    }
}

static void every_cut_is_refused(void **state)
{
    struct rng r = {18};
    (void)state;
    for (int turn = 0; turn < 20; turn++) {
        struct chunk_input in = random_input(&r, 1 + rng_below(&r, 60));
        struct bytes value = write_chunk(&in);
        for (size_t size = 0; size < value.size; size++) {
            struct bytes cut = {value.at, size};
            assert_false(read_all(cut));
            if (size >= 8) {
                uint8_t *copy = copy_of(cut);
                mend(copy, size);
                assert_false(read_all((struct bytes){copy, size}));
                free(copy);
            }
        }
    }
}

static size_t size_of_column(uint32_t rows, bool is_dense)
{
    const struct chunk_input in = {
        .rows = rows, .times = times, .columns = 1, .column = column, .dense = is_dense};
    column[0] = (struct chunk_input_column){.id = 0, .values = values[0]};
    return write_chunk(&in).size;
}

/* Of a day and more of seconds; see tests/lib/streams.h for what else comes. */
static void texts_take_little_room(void **state)
{
    struct rng r = {9};
    const uint32_t rows = CHUNK_ROWS_MAX;
    double level = 200;
    (void)state;
    for (uint32_t i = 0; i < rows; i++) {
        times[i] = INT64_C(1700000000000000000) + i * INT64_C(1000000000);
        values[0][i] = text_value(7);
    }
    assert_true(size_of_column(rows, false) < 64);
    for (uint32_t i = 0; i < rows; i++) {
        values[0][i] = text_value(rng_below(&r, 2) * 90000);
    }
    assert_true(size_of_column(rows, false) < rows / 8 + 96);
    for (uint32_t i = 0; i < rows; i++) {
        values[0][i] = text_value(rng_below(&r, 33) == 0 ? 5 : 3); /* 0.2 bits of information. */
    }
    assert_true(size_of_column(rows, true) < rows / 8 * 3 / 10);
    for (uint32_t i = 0; i < rows; i++) {
        level += (double)rng_below(&r, 5) - 2;
        values[0][i] = level / 10;
    }
    const size_t numbers = size_of_column(rows, true);
    for (uint32_t i = 0; i < rows; i++) {
        values[0][i] = rng_below(&r, 10) == 0 ? text_value(3) : values[0][i];
    }
    assert_true(size_of_column(rows, true) < numbers + rows / 8); /* Less than a bit a row more. */
}

static void steps_of_an_analogue_input_take_the_room_of_their_number(void **state)
{
    struct rng r = {10};
    const uint32_t rows = CHUNK_ROWS_MAX;
    (void)state;
    for (uint32_t i = 0; i < rows; i++) {
        times[i] = INT64_C(1700000000000000000) + i * INT64_C(1000000000);
    }
    streams_doubles(&r, 12, values[0], rows);
    assert_true(size_of_column(rows, true) < rows * 34 / 80 + 256); /* log2 10 is 3.32. */
    for (uint32_t i = 0; i < rows; i++) {
        values[0][i] = rng_below(&r, 10) / 10.0; /* As many, but decimals: no table is needed. */
    }
    assert_true(size_of_column(rows, true) < rows * 34 / 80 + 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_of_every_kind_come_back_bit_for_bit),
        cmocka_unit_test(times_at_both_ends_of_the_calendar_come_back),
        cmocka_unit_test(a_column_without_values_is_left_out),
        cmocka_unit_test(sums_of_decimals_are_exact),
        cmocka_unit_test(a_follower_is_stored_as_differences),
        cmocka_unit_test(a_misplaced_chunk_is_corrupt),
        cmocka_unit_test(a_chunk_of_another_version_is_named_so),
        cmocka_unit_test(a_full_buffer_leaves_the_writer_as_it_was),
        cmocka_unit_test(every_flipped_bit_is_refused_or_with_a_mended_checksum_read_safely),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(texts_take_little_room),
        cmocka_unit_test(steps_of_an_analogue_input_take_the_room_of_their_number),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
