/* Bundles inside sealed files: found, passed over, damaged, sealed again. */

#include "storage/part/part_bundle.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "storage/kv.h"
#include "storage/part/seal.h"
#include "tests/lib/directory.h"
#include "tests/lib/test.h"

#define START_NS (INT64_C(1483228800) * NS_PER_S) /* 2017-01-01 */
enum { GROUPS = 300, ROWS = 100, LARGE = 150, LARGE_ROWS = 5000, DAY_S = 86400 };

static struct directory directory;
static struct chunk_scratch *scratch;
static struct part_bundle known;
static int64_t shift_ns; /* Of all times. */

/* Groups of two in three; one of them has many rows. */
static bool is_there(uint32_t group)
{
    return group % 3 != 1;
}

static uint32_t rows_of(uint32_t group)
{
    return group == LARGE ? LARGE_ROWS : ROWS;
}

static double value_of(uint32_t group, uint32_t row)
{
    return (double)(group * 7 + row * (row % 5) % 31) / 10;
}

static int64_t time_of(uint32_t group, uint32_t row)
{
    return shift_ns + START_NS + (int64_t)row * 10 * NS_PER_S + (int64_t)(group % 50) * NS_PER_MS;
}

static void put_group(struct part_flush *f, uint32_t group)
{
    static int64_t times[LARGE_ROWS];
    static double values[LARGE_ROWS];
    static uint8_t raw[65536];
    const struct chunk_input_column column = {.values = values};
    struct chunk_input in = {
        .rows = rows_of(group), .times = times, .columns = 1, .column = &column};
    struct writer out = {raw, 0, sizeof raw};
    uint8_t key[16];
    for (uint32_t i = 0; i < in.rows; i++) {
        times[i] = time_of(group, i);
        values[i] = value_of(group, i);
    }
    assert_ok(part_flush_key(f, group, times[0], key));
    assert_ok(chunk_write(&in, (struct bytes){key, sizeof key}, scratch, &out));
    assert_ok(part_flush_put(f, (struct bytes){key, sizeof key}, (struct bytes){raw, out.size}));
}

static struct part_name name_of(enum part_kind kind, uint32_t number)
{
    return (struct part_name){part_period_of(START_NS, DAY_S), kind, number};
}

static struct part *seal(struct part *from, uint32_t number, struct seal_result *result)
{
    static const atomic_bool stop = false;
    static const struct erasure nothing = {NULL, NULL, NULL};
    const struct seal work = {.erasure = &nothing,
                              .directory = directory.path,
                              .name = name_of(PART_SEALED, number),
                              .parts = &from,
                              .part_count = 1,
                              .group_end = GROUPS,
                              .stop = &stop};
    struct part *fresh;
    assert_ok(seal_write(&work, result, &fresh));
    return fresh;
}

static struct part *make_sealed(void)
{
    struct part *active, *sealed;
    struct part_flush *f;
    struct seal_result result;
    assert_ok(part_open(directory.path, name_of(PART_ACTIVE, 0), &active));
    assert_ok(part_flush_begin(active, &f));
    for (uint32_t group = 0; group < GROUPS; group++) {
        if (is_there(group)) {
            put_group(f, group);
        }
    }
    assert_ok(part_flush_end(f, 9));
    sealed = seal(active, 1, &result);
    assert_int_equal(result.damaged, 0);
    assert_int_equal(result.rows, (GROUPS / 3 * 2 - 1) * ROWS + LARGE_ROWS);
    part_drop(active);
    return sealed;
}

static void assert_group(struct part *p, uint32_t group)
{
    static int64_t times[CHUNK_ROWS_MAX];
    static double values[CHUNK_ROWS_MAX];
    struct chunk c;
    uint32_t count;
    assert_ok(part_bundle_find(&known, p, group, &c));
    assert_ok(chunk_times(&c, scratch, times));
    assert_ok(chunk_points(&c, 0, times, scratch, times, values, &count));
    assert_int_equal(count, ROWS);
    for (uint32_t i = 0; i < ROWS; i++) {
        assert_true(times[i] == time_of(group, i) && values[i] == value_of(group, i));
    }
}

static uint32_t chunks_of(struct part *p, uint32_t group)
{
    struct part_cursor *cursor;
    struct bytes key, value;
    uint32_t flush, count = 0;
    assert_ok(part_cursor_open(p, group, &cursor));
    while (part_cursor_next(cursor, &flush, &key, &value) == OK) {
        count++;
    }
    part_cursor_close(cursor);
    return count;
}

static void small_groups_are_bundled_and_found_in_any_order(void **state)
{
    struct part *p = make_sealed();
    struct chunk c;
    (void)state;
    for (uint32_t i = 0; i < 3 * GROUPS; i++) {
        const uint32_t group = i < GROUPS ? i : i * 71 % GROUPS;
        if (is_there(group) && group != LARGE) {
            assert_group(p, group);
            assert_int_equal(chunks_of(p, group), 0);
        } else {
            assert_int_equal(part_bundle_find(&known, p, group, &c), E_NOT_FOUND);
            assert_true((chunks_of(p, group) > 0) == (group == LARGE));
        }
    }
    assert_int_equal(part_bundle_find(&known, p, UINT32_MAX, &c), E_NOT_FOUND);
    part_drop(p);
}

/* Flip a bit in the middle of the second bundle of the file. */
static void damage(const struct part *p)
{
    static uint8_t bytes[1 << 20];
    char name[PART_NAME_BYTES_MAX];
    part_name_write(part_name(p), name);
    const int file = open(directory_file(&directory, name), O_RDWR);
    const ssize_t size = pread(file, bytes, sizeof bytes, 0);
    int found = 0;
    for (ssize_t at = 0; at + 4 < size && found < 2; at++) {
        if (memcmp(bytes + at, "Hb\1", 4) == 0 && ++found == 2) {
            bytes[at + 4000] ^= 1;
            assert_int_equal(pwrite(file, bytes + at + 4000, 1, at + 4000), 1);
        }
    }
    assert_int_equal(found, 2);
    close(file);
}

static uint32_t kept_of(struct part_name file, size_t *bytes)
{
    const struct kv_options options = {.map_bytes = 1, .tables = 8, .read_only = true};
    char name[PART_NAME_BYTES_MAX];
    struct kv *kv;
    struct kv_table table;
    struct kv_txn *txn;
    struct kv_cursor *cursor;
    struct bytes key, value;
    uint32_t count = 0;
    part_name_write(file, name);
    assert_ok(kv_open(directory_file(&directory, name), &options, &kv));
    if (kv_table_find(kv, "damaged", &table) == OK) {
        assert_ok(kv_read_begin(kv, &txn));
        assert_ok(kv_cursor_open(txn, table, &cursor));
        enum err e = kv_cursor_seek(cursor, (struct bytes){NULL, 0}, &key, &value);
        for (; e == OK; e = kv_cursor_next(cursor, &key, &value)) {
            assert_int_equal(key.size, 8 + 4 + PART_BUNDLE_KEY_BYTES);
            *bytes = value.size;
            count++;
        }
        kv_cursor_close(cursor);
        kv_abort(txn);
    }
    kv_close(kv);
    return count;
}

static void a_damaged_bundle_costs_its_groups_and_is_kept_aside_once(void **state)
{
    struct part *p = make_sealed(), *again;
    const struct part_name name = part_name(p);
    struct seal_result result;
    struct chunk c;
    uint32_t lost = 0;
    size_t bytes = 0;
    (void)state;
    damage(p);
    part_drop(p);
    assert_ok(part_open(directory.path, name, &p));
    for (uint32_t group = 0; group < GROUPS; group++) {
        const enum err e = part_bundle_find(&known, p, group, &c);
        assert_true(e == OK || e == E_CORRUPT || !is_there(group) || group == LARGE);
        lost += is_there(group) && group != LARGE && e == E_CORRUPT;
    }
    assert_true(lost > 10 && lost < GROUPS / 2);
    again = seal(p, 2, &result);
    assert_int_equal(result.damaged, 1);
    assert_int_equal(result.rows, (GROUPS / 3 * 2 - 1 - lost) * ROWS + LARGE_ROWS);
    part_drop(p);
    const struct part_name name_again = part_name(again);
    for (uint32_t group = 0; group < GROUPS; group++) {
        const enum err e = part_bundle_find(&known, again, group, &c);
        assert_true(e == OK || e == E_NOT_FOUND);
        if (e == OK) {
            assert_group(again, group);
            lost++;
        }
    }
    assert_int_equal(lost, GROUPS / 3 * 2 - 1);
    part_drop(again); /* LMDB forbids two openings of one file in a process. */
    assert_int_equal(kept_of(name_again, &bytes), 1);
    assert_true(bytes > 4000 && bytes <= BUNDLE_BYTES_MAX);
}

/* Its checksum is right, but no build of ours has written it. */
static void a_chunk_beyond_the_period_of_its_part_is_kept_aside(void **state)
{
    struct part *active, *sealed;
    struct part_flush *f;
    struct seal_result result;
    (void)state;
    shift_ns = INT64_C(12) * 3600 * NS_PER_S; /* So the large group goes on after midnight. */
    assert_ok(part_open(directory.path, name_of(PART_ACTIVE, 0), &active));
    assert_ok(part_flush_begin(active, &f));
    put_group(f, 0);
    put_group(f, LARGE);
    assert_ok(part_flush_end(f, 9));
    sealed = seal(active, 1, &result);
    assert_int_equal(result.damaged, 1);
    assert_int_equal(result.rows, ROWS);
    assert_group(sealed, 0);
    part_drop(sealed);
    part_drop(active);
}

static int set_up(void **state)
{
    (void)state;
    shift_ns = 0;
    directory_make(&directory);
    part_bundle_init(&known);
    return chunk_scratch_create(&scratch) == OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    part_bundle_fini(&known);
    chunk_scratch_destroy(scratch);
    directory_remove(&directory);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(small_groups_are_bundled_and_found_in_any_order, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_bundle_costs_its_groups_and_is_kept_aside_once,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_chunk_beyond_the_period_of_its_part_is_kept_aside, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
