#include "codec/bundle.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "tests/lib/groups.h"
#include "tests/lib/test.h"

enum { GROUPS = 60, START_S = 1700000000 };

static const struct bytes key = {(const uint8_t *)"\0\0\1\7", 4};
static struct chunk_scratch *scratch;
static struct bundle *bundle;
static struct group_rows groups[GROUPS];
static uint32_t numbers[GROUPS];
static int64_t times[CHUNK_ROWS_MAX], own[CHUNK_ROWS_MAX];
static double values[CHUNK_ROWS_MAX];
static struct chunk_arrivals arrivals;
static struct chunk chunk;
static uint8_t copy[BUNDLE_BYTES_MAX];

static int set_up(void **state)
{
    (void)state;
    return chunk_scratch_create(&scratch) == OK && bundle_create(&bundle) == OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    chunk_scratch_destroy(scratch);
    bundle_destroy(bundle);
    return 0;
}

static void assert_column(const struct group_rows *g, const struct chunk_input_column *want)
{
    uint32_t count, at = 0;
    int index = chunk_column_find(&chunk, want->id);
    assert_true(index >= 0);
    assert_ok(chunk_points(&chunk, (unsigned)index, times, scratch, own, values, &count));
    for (uint32_t row = 0; row < g->in.rows; row++) {
        if (want->present == NULL || (want->present[row / 64] >> row % 64 & 1) != 0) {
            assert_true(at < count && own[at] == g->times[row]);
            assert_memory_equal(&values[at], &want->values[row], sizeof values[0]);
            at++;
        }
    }
    assert_int_equal(at, count);
    assert_int_equal(chunk.column[index].stats.count + chunk.column[index].stats.nan_count, count);
}

static void assert_group(const struct group_rows *g, const struct brief_base *base,
                         struct bytes body)
{
    assert_ok(brief_read(body, base, &chunk));
    assert_int_equal(chunk.rows, g->in.rows);
    assert_int_equal(chunk.columns, g->in.columns);
    assert_true(chunk.first_ns == g->times[0] && chunk.last_ns == g->times[g->in.rows - 1]);
    assert_ok(chunk_times(&chunk, scratch, times));
    assert_memory_equal(times, g->times, g->in.rows * sizeof times[0]);
    for (unsigned i = 0; i < g->in.columns; i++) {
        assert_column(g, &g->column[i]);
    }
    assert_ok(chunk_arrivals(&chunk, times, scratch, &arrivals));
    for (uint32_t i = 0; i < g->in.rows; i++) {
        assert_int_equal(arrivals.arrivals[i], g->in.arrivals == NULL ? 0 : g->arrivals[i]);
    }
}

/* As many groups as fit; returns how many. */
static uint32_t fill(struct rng *r)
{
    enum bundle_fit fit = BUNDLE_FITS;
    uint32_t count = 0, number = rng_below(r, 1000);
    while (count < GROUPS) {
        group_fill(r, &groups[count], (int64_t)(START_S + rng_below(r, 5000)) * 1000000000);
        number += 1 + (rng_below(r, 4) == 0 ? rng_below(r, 100000) : 0);
        assert_ok(bundle_put(bundle, number, &groups[count].in, scratch, &fit));
        if (fit == BUNDLE_FULL) {
            break;
        }
        numbers[count] = number;
        count += fit == BUNDLE_FITS;
    }
    assert_true(bundle_is_empty(bundle) == (count == 0));
    return count;
}

static void bundled_groups_come_back_bit_for_bit(void **state)
{
    struct rng r = {7};
    (void)state;
    for (int round = 0; round < 200; round++) {
        struct bundle_view view, walk;
        struct bytes body, found;
        uint32_t group, count = fill(&r);
        const struct bytes value = bundle_finish(bundle, key);
        assert_true(value.size <= BUNDLE_BYTES_MAX && bundle_is_empty(bundle));
        assert_ok(bundle_open(key, value, &view));
        assert_int_equal(view.first, numbers[0]);
        assert_int_equal(view.last, numbers[count - 1]);
        walk = view;
        for (uint32_t i = 0; i < count; i++) {
            assert_ok(bundle_next(&walk, &group, &body));
            assert_int_equal(group, numbers[i]);
            assert_group(&groups[i], &view.base, body);
            assert_ok(bundle_find(&view, group, &found));
            assert_true(found.at == body.at && found.size == body.size);
            if (i + 1 < count && numbers[i + 1] > group + 1) {
                assert_int_equal(bundle_find(&view, group + 1, &found), E_NOT_FOUND);
            }
        }
        assert_int_equal(bundle_next(&walk, &group, &body), E_END);
        assert_int_equal(bundle_find(&view, view.last + 1, &found), E_NOT_FOUND);
    }
}

static void a_hundred_readings_take_little_more_than_they_tell(void **state)
{
    static struct group_rows g;
    struct rng r = {3};
    enum bundle_fit fit = BUNDLE_FITS;
    uint32_t count = 0;
    (void)state;
    g.in = (struct chunk_input){.rows = 100, .times = g.times, .columns = 1, .column = g.column};
    g.column[0].values = g.values[0];
    for (; fit == BUNDLE_FITS; count++) { /* A beat of seconds, and steps of 3.3 bits each. */
        int64_t walk = 2300;
        for (int i = 0; i < 100; i++) {
            walk += (int64_t)rng_below(&r, 10) - 5;
            g.times[i] = (START_S + INT64_C(10) * i) * 1000000000;
            g.values[0][i] = (double)walk / 10;
        }
        assert_ok(bundle_put(bundle, count, &g.in, scratch, &fit));
    }
    assert_true(count > BUNDLE_BYTES_MAX / 80);
    (void)bundle_finish(bundle, key);
}

static void a_large_group_is_left_to_chunks(void **state)
{
    static struct group_rows g;
    struct rng r = {5};
    enum bundle_fit fit;
    (void)state;
    g.in = (struct chunk_input){
        .rows = GROUPS_ROWS_MAX, .times = g.times, .columns = 1, .column = g.column};
    g.column[0].values = g.values[0];
    for (int i = 0; i < GROUPS_ROWS_MAX; i++) {
        const uint64_t bits = rng_next(&r);
        g.times[i] = i;
        memcpy(&g.values[0][i], &bits, sizeof bits);
    }
    assert_ok(bundle_put(bundle, 1, &g.in, scratch, &fit));
    assert_int_equal(fit, BUNDLE_LARGE);
    assert_true(bundle_is_empty(bundle));
    g.in.rows = 2;
    g.times[0] = INT64_MIN;
    g.times[1] = INT64_MAX; /* Further apart than what a bundle reckons with. */
    assert_ok(bundle_put(bundle, 1, &g.in, scratch, &fit));
    assert_int_equal(fit, BUNDLE_LARGE);
}

static struct bytes any_bundle(uint64_t seed)
{
    struct rng r = {seed};
    (void)fill(&r);
    const struct bytes value = bundle_finish(bundle, key);
    memcpy(copy, value.at, value.size);
    return (struct bytes){copy, value.size};
}

static void a_misplaced_or_later_bundle_is_named_so(void **state)
{
    const struct bytes other = {(const uint8_t *)"\0\0\1\10", 4}, value = any_bundle(11);
    struct bundle_view view;
    (void)state;
    assert_int_equal(bundle_open(other, value, &view), E_CORRUPT);
    assert_int_equal(bundle_open(key, (struct bytes){value.at, value.size - 1}, &view), E_CORRUPT);
    copy[2] = 2;
    assert_int_equal(bundle_open(key, value, &view), E_VERSION);
}

/* Everything there is to read; whatever it says, it stays inside. */
static void read_all(struct bytes value)
{
    struct bundle_view view;
    struct bytes body;
    uint32_t group, count;
    if (bundle_open(key, value, &view) != OK) {
        return;
    }
    while (bundle_next(&view, &group, &body) == OK) {
        if (brief_read(body, &view.base, &chunk) != OK ||
            chunk_times(&chunk, scratch, times) != OK) {
            continue;
        }
        (void)!chunk_arrivals(&chunk, times, scratch, &arrivals);
        for (unsigned i = 0; i < chunk.columns; i++) {
            (void)!chunk_points(&chunk, i, times, scratch, own, values, &count);
        }
    }
}

static void flipped_bits_are_refused_or_with_a_mended_checksum_read_safely(void **state)
{
    const struct bytes value = any_bundle(13);
    struct bundle_view view;
    struct rng r = {17};
    (void)state;
    for (int i = 0; i < 3000; i++) {
        const size_t at = rng_below(&r, (uint32_t)value.size - 8);
        const uint8_t before = copy[at];
        copy[at] ^= (uint8_t)(1U << rng_below(&r, 8));
        assert_true(bundle_open(key, value, &view) != OK);
        const uint64_t sum =
            hash_seeded(hash_bytes(key), (struct bytes){copy, value.size - sizeof sum});
        memcpy(copy + value.size - sizeof sum, &sum, sizeof sum);
        read_all(value);
        copy[at] = before;
    }
}

/* As it stands on disks already: readable for ever. HEJNAL_GOLDEN=write writes it if missing. */
static void the_golden_bundle_is_read_and_still_written(void **state)
{
    static const char path[] = TESTS_DIR "/golden/bundle_v1.bin";
    static uint8_t golden[BUNDLE_BYTES_MAX];
    struct rng r = {42};
    struct bundle_view view;
    struct bytes body;
    uint32_t group;
    const uint32_t count = fill(&r);
    const struct bytes value = bundle_finish(bundle, key);
    FILE *file = fopen(path, "rb");
    (void)state;
    if (file == NULL && getenv("HEJNAL_GOLDEN") != NULL) {
        FILE *fresh = fopen(path, "wb");
        assert_non_null(fresh);
        assert_int_equal(fwrite(value.at, 1, value.size, fresh), value.size);
        assert_int_equal(fclose(fresh), 0);
        file = fopen(path, "rb");
    }
    assert_non_null(file);
    const size_t size = fread(golden, 1, sizeof golden, file);
    fclose(file);
    assert_ok(bundle_open(key, (struct bytes){golden, size}, &view));
    for (uint32_t i = 0; i < count; i++) {
        assert_ok(bundle_next(&view, &group, &body));
        assert_int_equal(group, numbers[i]);
        assert_group(&groups[i], &view.base, body);
    }
    assert_int_equal(size, value.size);
    assert_memory_equal(golden, value.at, size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bundled_groups_come_back_bit_for_bit),
        cmocka_unit_test(a_hundred_readings_take_little_more_than_they_tell),
        cmocka_unit_test(a_large_group_is_left_to_chunks),
        cmocka_unit_test(a_misplaced_or_later_bundle_is_named_so),
        cmocka_unit_test(flipped_bits_are_refused_or_with_a_mended_checksum_read_safely),
        cmocka_unit_test(the_golden_bundle_is_read_and_still_written),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
