#include "storage/part/rollup.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "tests/lib/rng.h"
#include "tests/lib/test.h"

enum { GOLDEN_ROWS = 30, BYTES_MAX = 1 << 17 };
#define HOUR_NS (INT64_C(3600) * NS_PER_S)

static struct chunk_scratch *scratch;
static struct rollup_row rows[ROLLUP_ROWS_MAX], back[ROLLUP_ROWS_MAX];
static uint8_t raw_key[ROLLUP_KEY_BYTES], buffer[BYTES_MAX], golden[BYTES_MAX];
static const struct bytes key = {raw_key, sizeof raw_key};

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

/* Any hours, some with NaN only, some not there. */
static void fill(struct rng *rng, uint32_t count)
{
    int64_t start_ns = 412000 * HOUR_NS;
    for (uint32_t i = 0; i < count; i++) {
        struct chunk_stats *st = &rows[i].stats;
        start_ns += HOUR_NS * (1 + (rng_below(rng, 10) == 0 ? rng_below(rng, 50) : 0));
        rows[i].start_ns = start_ns;
        *st = (struct chunk_stats){.count = rng_below(rng, 20) == 0 ? 0 : 3600,
                                   .nan_count = rng_below(rng, 5) == 0,
                                   .first_ns = start_ns + rng_below(rng, 10) * NS_PER_S,
                                   .last_ns = start_ns + HOUR_NS - 1 - rng_below(rng, 1000)};
        st->nan_count = st->count == 0 ? 1 + rng_below(rng, 9) : st->nan_count;
        st->min = (double)rng_below(rng, 100) / 10;
        st->max = st->min + (double)rng_below(rng, 200) / 10;
        st->sum = rng_below(rng, 30) == 0 ? (double)INFINITY : (double)rng_below(rng, 99999) / 7;
        st->first = st->min;
        st->last = st->max;
    }
}

static void write_key(uint32_t count)
{
    rollup_key_write((struct rollup_key){7, ROLLUP_HOUR, 3, rows[count - 1].start_ns}, raw_key);
}

static void assert_same_row(const struct rollup_row *a, const struct rollup_row *b)
{
    assert_int_equal(a->start_ns, b->start_ns);
    assert_int_equal(a->stats.count, b->stats.count);
    assert_int_equal(a->stats.nan_count, b->stats.nan_count);
    assert_int_equal(a->stats.first_ns, b->stats.first_ns);
    assert_int_equal(a->stats.last_ns, b->stats.last_ns);
    if (a->stats.count > 0) {
        assert_memory_equal(&a->stats.min, &b->stats.min, sizeof(double));
        assert_memory_equal(&a->stats.max, &b->stats.max, sizeof(double));
        assert_memory_equal(&a->stats.sum, &b->stats.sum, sizeof(double));
        assert_memory_equal(&a->stats.first, &b->stats.first, sizeof(double));
        assert_memory_equal(&a->stats.last, &b->stats.last, sizeof(double));
    } else {
        assert_true(isnan(b->stats.min) && isnan(b->stats.last));
    }
}

static struct bytes write(uint32_t count)
{
    struct writer out = {buffer, 0, sizeof buffer};
    write_key(count);
    assert_ok(rollup_write(rows, count, key, scratch, &out));
    return (struct bytes){buffer, out.size};
}

static void rows_come_back_bit_for_bit(void **state)
{
    struct rng rng = {5};
    uint32_t count = 0;
    (void)state;
    for (int i = 0; i < 200; i++) {
        const uint32_t wanted = i == 0 ? ROLLUP_ROWS_MAX : 1 + rng_below(&rng, 200);
        fill(&rng, wanted);
        assert_ok(rollup_read(key, write(wanted), scratch, back, &count));
        assert_int_equal(count, wanted);
        for (uint32_t k = 0; k < count; k++) {
            assert_same_row(&rows[k], &back[k]);
        }
    }
}

static void keys_sort_by_group_level_column_and_time(void **state)
{
    static const struct rollup_key ascending[] = {
        {1, ROLLUP_HOUR, 0, INT64_MIN}, {1, ROLLUP_HOUR, 0, -HOUR_NS}, {1, ROLLUP_HOUR, 0, 0},
        {1, ROLLUP_HOUR, 2, 0},         {1, ROLLUP_DAY, 0, 0},         {256, ROLLUP_HOUR, 0, 0}};
    uint8_t before[ROLLUP_KEY_BYTES] = {0}, raw[ROLLUP_KEY_BYTES];
    struct rollup_key found;
    (void)state;
    for (size_t i = 0; i < sizeof ascending / sizeof ascending[0]; i++) {
        rollup_key_write(ascending[i], raw);
        assert_true(i == 0 || memcmp(before, raw, sizeof raw) < 0);
        assert_ok(rollup_key_read((struct bytes){raw, sizeof raw}, &found));
        assert_true(found.group == ascending[i].group && found.level == ascending[i].level);
        assert_true(found.column == ascending[i].column && found.last_ns == ascending[i].last_ns);
        memcpy(before, raw, sizeof raw);
    }
    raw[4] = ROLLUP_LEVELS;
    assert_int_equal(rollup_key_read((struct bytes){raw, sizeof raw}, &found), E_CORRUPT);
    assert_int_equal(rollup_key_read((struct bytes){raw, sizeof raw - 1}, &found), E_CORRUPT);
}

static void a_value_under_another_key_or_with_a_bit_turned_is_refused(void **state)
{
    struct rng rng = {6};
    uint32_t count;
    (void)state;
    fill(&rng, 50);
    const struct bytes value = write(50);
    for (size_t i = 0; i < sizeof raw_key; i++) {
        raw_key[i] ^= 1;
        assert_int_equal(rollup_read(key, value, scratch, back, &count), E_CORRUPT);
        raw_key[i] ^= 1;
    }
    for (int i = 0; i < 300; i++) {
        uint8_t *at = &buffer[rng_below(&rng, (uint32_t)value.size)];
        const uint8_t bit = (uint8_t)(1U << rng_below(&rng, 8));
        *at ^= bit;
        assert_int_not_equal(rollup_read(key, value, scratch, back, &count), OK);
        *at ^= bit;
    }
    assert_ok(rollup_read(key, value, scratch, back, &count));
}

static void rows_between_hours_or_without_values_are_refused(void **state)
{
    struct rng rng = {8};
    uint32_t count;
    (void)state;
    fill(&rng, 50);
    rows[20].start_ns += NS_PER_S;
    assert_int_equal(rollup_read(key, write(50), scratch, back, &count), E_CORRUPT);
    fill(&rng, 50);
    rows[20].stats.count = rows[20].stats.nan_count = 0;
    assert_int_equal(rollup_read(key, write(50), scratch, back, &count), E_CORRUPT);
    fill(&rng, 50);
    rows[20].stats.last_ns = rows[20].start_ns + HOUR_NS;
    assert_int_equal(rollup_read(key, write(50), scratch, back, &count), E_CORRUPT);
    fill(&rng, 50);
    rows[20].stats.last_ns = rows[20].stats.first_ns - 1;
    assert_int_equal(rollup_read(key, write(50), scratch, back, &count), E_CORRUPT);
}

/* As it stands on disks; HEJNAL_GOLDEN=write writes the file when it is missing. */
static void a_value_on_disk_can_be_read_for_ever(void **state)
{
    static const char path[] = TESTS_DIR "/golden/rollups_v1.bin";
    const char *wanted = getenv("HEJNAL_GOLDEN");
    struct rng rng = {9};
    uint32_t count;
    (void)state;
    fill(&rng, GOLDEN_ROWS);
    const struct bytes value = write(GOLDEN_ROWS);
    FILE *file = fopen(path, "rb");
    if (file == NULL && wanted != NULL && strcmp(wanted, "write") == 0) {
        file = fopen(path, "w+b");
        assert_non_null(file);
        assert_int_equal(fwrite(raw_key, 1, sizeof raw_key, file), sizeof raw_key);
        assert_int_equal(fwrite(value.at, 1, value.size, file), value.size);
        rewind(file);
    }
    assert_non_null(file);
    const size_t size = fread(golden, 1, sizeof golden, file);
    fclose(file);
    assert_int_equal(size, sizeof raw_key + value.size);
    assert_memory_equal(golden, raw_key, sizeof raw_key);
    assert_memory_equal(golden + sizeof raw_key, value.at, value.size);
    assert_ok(rollup_read((struct bytes){golden, sizeof raw_key},
                          (struct bytes){golden + sizeof raw_key, value.size}, scratch, back,
                          &count));
    assert_int_equal(count, GOLDEN_ROWS);
    for (uint32_t i = 0; i < count; i++) {
        assert_same_row(&rows[i], &back[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_back_bit_for_bit),
        cmocka_unit_test(keys_sort_by_group_level_column_and_time),
        cmocka_unit_test(a_value_under_another_key_or_with_a_bit_turned_is_refused),
        cmocka_unit_test(rows_between_hours_or_without_values_are_refused),
        cmocka_unit_test(a_value_on_disk_can_be_read_for_ever),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
