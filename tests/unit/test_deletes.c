/* Deletes and retention by filter, as the engine carries them out. That every history comes out
 * right is for test_engine_model.c; this is what it does not see. */

#include <glob.h>
#include <unistd.h>

#include "base/clock.h"
#include "storage/erase/tombs.h"
#include "storage/read/newest.h"
#include "storage/read/scan.h"
#include "storage/view.h"
#include "tests/lib/store_fixture.h"

#define T0     (INT64_C(1479877011) * NS_PER_S)
#define DAY_NS (INT64_C(86400) * NS_PER_S)

static void put(const char *path, int64_t time_ns, double value)
{
    assert_ok(store_put(&s, store_series(&s, path, ""), time_ns, value));
}

static uint64_t erase(const char *filter, int64_t from_ns, int64_t to_ns)
{
    const struct engine_delete d = {bytes_of(filter), from_ns, to_ns, T0};
    uint64_t series = 0;
    assert_ok(engine_delete(s.engine, &d, &series));
    return series;
}

static size_t count(const char *path)
{
    struct scan *scan = NULL;
    struct span span;
    size_t points = 0;
    assert_ok(scan_create(s.engine, &scan));
    scan_start(scan, store_series(&s, path, ""), 0, INT64_MAX);
    while (scan_next(scan, &span) == OK) {
        points += span.count;
    }
    scan_destroy(scan);
    return points;
}

static struct engine_stats stats(void)
{
    struct engine_stats now;
    engine_stats(s.engine, &now);
    return now;
}

static int64_t newest(const char *path)
{
    struct newest n = {NULL};
    int64_t time_ns = -1;
    double value;
    const enum err e = newest_find(&n, s.engine, store_series(&s, path, ""), &time_ns, &value);
    newest_fini(&n);
    assert_true(e == OK || e == E_NOT_FOUND);
    return e == OK ? time_ns : -1;
}

static void a_delete_of_nothing_writes_nothing(void **state)
{
    (void)state;
    put("a", T0, 1);
    assert_ok(store_write(&s));
    const uint64_t position = stats().journal_position;
    assert_int_equal(erase("b/#", 0, INT64_MAX), 0);
    assert_int_equal(stats().journal_position, position);
    assert_int_equal(erase("+", 0, INT64_MAX), 1);
    assert_int_equal(count("a"), 0);
    assert_int_equal(stats().deletes, 1);
}

static void a_tomb_goes_when_nothing_needs_it(void **state)
{
    (void)state;
    put("a", T0, 1);
    put("b", T0, 1);
    assert_ok(store_write(&s));
    erase("a", 0, INT64_MAX);
    assert_int_equal(stats().deletes_waiting, 1);
    assert_ok(store_checkpoint(&s)); /* Leaves it out. */
    assert_int_equal(stats().deletes_waiting, 0);
    erase("b", 0, INT64_MAX); /* It is in a flush now. */
    assert_int_equal(stats().deletes_waiting, 1);
    store_close(&s);
    store_verify(&s);
    store_open(&s);
    assert_int_equal(stats().deletes_waiting, 1);
    assert_int_equal(count("b"), 0);
    (void)!store_checkpoint(&s);
    assert_ok(store_seal(&s, true));
    assert_int_equal(stats().deletes_waiting, 0);
    assert_int_equal(count("b"), 0);
}

static void a_sealed_part_a_delete_does_not_concern_stays_as_it_is(void **state)
{
    (void)state;
    put("a", T0, 1);
    put("b", T0 + 60 * DAY_NS, 1);
    assert_ok(store_write(&s));
    assert_ok(store_checkpoint(&s));
    assert_ok(store_seal(&s, true));
    const uint64_t seals = stats().seals;
    erase("b", 0, T0 + DAY_NS); /* Where it has nothing. */
    assert_int_equal(stats().deletes_waiting, 1);
    assert_ok(store_seal(&s, false));
    assert_int_equal(stats().seals, seals);
    assert_int_equal(stats().sweeps, 1);
    assert_int_equal(stats().deletes_waiting, 0);
    erase("a", 0, T0 + DAY_NS);
    assert_ok(store_seal(&s, false));
    assert_int_equal(stats().seals, seals + 1);
    assert_int_equal(count("a"), 0);
    assert_int_equal(count("b"), 1);
}

static void too_many_deletes_are_refused_until_files_are_sealed(void **state)
{
    const struct engine_delete d = {bytes_of("a"), 0, INT64_MAX, T0};
    uint64_t series;
    (void)state;
    put("a", T0, 1);
    assert_ok(store_write(&s));
    assert_ok(store_checkpoint(&s));
    for (int i = 0; i < TOMBS_MAX; i++) {
        assert_ok(engine_delete(s.engine, &d, &series));
    }
    assert_int_equal(engine_delete(s.engine, &d, &series), E_LIMIT);
    (void)!store_checkpoint(&s);
    assert_ok(store_seal(&s, true));
    assert_ok(engine_delete(s.engine, &d, &series));
}

static void the_newest_value_left_is_found_and_remembered(void **state)
{
    (void)state;
    put("a", T0, 1);
    put("a", T0 + 100 * DAY_NS, 2);
    put("a", T0 + 200 * DAY_NS, 3);
    assert_ok(store_write(&s));
    assert_ok(store_checkpoint(&s));
    erase("a", T0 + 150 * DAY_NS, INT64_MAX);
    assert_int_equal(newest("a"), T0 + 100 * DAY_NS);
    assert_int_equal(newest("a"), T0 + 100 * DAY_NS);
    put("a", T0 + 120 * DAY_NS, 4); /* Before the window: it is looked for again. */
    assert_ok(store_write(&s));
    assert_int_equal(newest("a"), T0 + 120 * DAY_NS);
    erase("a", T0 + 110 * DAY_NS, T0 + 130 * DAY_NS);
    assert_int_equal(newest("a"), T0 + 100 * DAY_NS);
    assert_ok(store_checkpoint(&s)); /* What is to be looked for is kept as that. */
    store_close(&s);
    store_open(&s);
    assert_int_equal(newest("a"), T0 + 100 * DAY_NS);
    put("a", T0 + 160 * DAY_NS, 5);
    assert_ok(store_write(&s));
    assert_int_equal(newest("a"), T0 + 160 * DAY_NS);
    erase("a", 0, INT64_MAX);
    assert_int_equal(newest("a"), -1);
}

static void each_series_is_kept_as_long_as_its_rule_says(void **state)
{
    static const struct retention_rule rules[] = {{{(const uint8_t *)"short/#", 7}, 30 * 86400}};
    (void)state;
    store_close(&s);
    s.options.retention = rules;
    s.options.retention_count = 1;
    s.options.keep_s = 365 * 86400;
    store_open(&s);
    for (int day = 0; day < 100; day++) {
        put("short/a", T0 + day * DAY_NS, day);
        put("long/a", T0 + day * DAY_NS, day);
    }
    assert_ok(store_write(&s));
    assert_ok(store_checkpoint(&s));
    assert_ok(store_seal(&s, true));
    engine_keep(s.engine, T0 + 100 * DAY_NS);
    assert_int_equal(count("short/a"), 30); /* At once. */
    assert_int_equal(count("long/a"), 100);
    const uint64_t bytes = stats().disk_bytes;
    assert_ok(store_seal(&s, false)); /* And its bytes. */
    assert_true(stats().sweeps > 0 && stats().disk_bytes <= bytes);
    assert_int_equal(store_seal(&s, false), E_END);
    assert_int_equal(count("short/a"), 30);
    engine_keep(s.engine, T0 + 200 * DAY_NS);
    assert_int_equal(newest("short/a"), -1);
    assert_int_equal(newest("long/a"), T0 + 99 * DAY_NS);
    assert_ok(store_seal(&s, false));
    engine_keep(s.engine, T0 + 1000 * DAY_NS);
    assert_int_equal(stats().partitions, 0);
    s.options.retention_count = 0;
}

/* Files in parts/. */
static unsigned count_files(void)
{
    char pattern[256];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/parts/*.mdb", s.dir.path);
    const int e = glob(pattern, 0, NULL, &found); // NOLINT(concurrency-mt-unsafe): one thread
    const unsigned count = e == 0 ? (unsigned)found.gl_pathc : 0;
    globfree(&found);
    return count;
}

/* Spoil what journal.mdb has of a delete. */
static void damage_journal(const char *filter)
{
    static uint8_t bytes[1 << 20];
    char path[256];
    unsigned found = 0;
    snprintf(path, sizeof path, "%s/journal.mdb", s.dir.path);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    const size_t size = fread(bytes, 1, sizeof bytes, file), length = strlen(filter);
    assert_in_range(size, 8192, sizeof bytes - 1);
    for (size_t i = 0; i + length <= size; i++) {
        if (memcmp(bytes + i, filter, length) == 0) {
            bytes[i] ^= 1;
            found++;
        }
    }
    assert_true(found > 0);
    rewind(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void write_two(void)
{
    put("damaged/x", T0, 1);
    put("other", T0, 1);
    assert_ok(store_write(&s));
}

static void a_damaged_record_takes_no_delete_with_it(void **state)
{
    (void)state;
    write_two();
    assert_int_equal(erase("damaged/+", 0, INT64_MAX), 1);
    put("damaged/x", T0 + 1, 2);
    assert_ok(store_write(&s));
    store_close(&s);
    damage_journal("damaged/+");
    store_open(&s);
    assert_int_equal(stats().corrupt_records, 1);
    assert_int_equal(count("damaged/x"), 1);
    assert_int_equal(newest("damaged/x"), T0 + 1);
    assert_int_equal(count("other"), 1);
    assert_ok(store_checkpoint(&s));
    store_close(&s);
    store_open(&s);
    assert_int_equal(count("damaged/x"), 1);
    assert_int_equal(stats().deletes_waiting, 0);
}

/* A checkpoint is writing where it would be saved: then only the journal has it. */
static void a_delete_that_is_lost_is_counted(void **state)
{
    (void)state;
    write_two();
    assert_ok(engine_checkpoint_begin(s.engine));
    assert_int_equal(erase("damaged/+", 0, INT64_MAX), 1);
    assert_int_equal(count("damaged/x"), 0);
    assert_int_equal(engine_checkpoint_end(s.engine, E_IO), E_IO);
    store_close(&s);
    damage_journal("damaged/+");
    store_open(&s);
    assert_int_equal(stats().corrupt_records, 1);
    assert_int_equal(count("damaged/x"), 1);
}

static void seal_two_weeks(void)
{
    put("a", T0, 1);
    put("b", T0 + 60 * DAY_NS, 1);
    assert_ok(store_write(&s));
    assert_ok(store_checkpoint(&s));
    s.options.span_s = 7 * 86400;
    store_close(&s);
    store_open(&s);
    assert_ok(store_seal(&s, true));
    assert_int_equal(stats().partitions, 2);
}

static void a_sealed_part_with_nothing_left_goes(void **state)
{
    (void)state;
    seal_two_weeks();
    erase("a", 0, INT64_MAX);
    assert_ok(store_seal(&s, false));
    assert_int_equal(stats().partitions, 1);
    assert_int_equal(stats().deletes_waiting, 0);
    assert_int_equal(count_files(), 1);
    assert_int_equal(count("a"), 0);
    put("a", T0 + 5, 2); /* Its period goes on. */
    assert_ok(store_write(&s));
    assert_ok(store_checkpoint(&s));
    store_close(&s);
    store_verify(&s);
    store_open(&s);
    assert_int_equal(count("a"), 1);
    assert_int_equal(count("b"), 1);
}

/* As long as a reader has the old file there must be one that says what became of it. */
static void an_empty_part_stays_until_its_sources_are_gone(void **state)
{
    char path[256], saved[256], name[PART_NAME_BYTES_MAX];
    (void)state;
    seal_two_weeks();
    const struct view *held = view_hold(s.engine);
    erase("a", 0, INT64_MAX);
    assert_ok(store_seal(&s, false));
    assert_int_equal(count_files(), 3);
    assert_int_equal(stats().partitions, 2);
    part_name_write(part_name(held->layer[VIEW_SEALED].at[0]), name);
    snprintf(path, sizeof path, "%s/parts/%s", s.dir.path, name);
    snprintf(saved, sizeof saved, "%s/saved", s.dir.path);
    assert_int_equal(link(path, saved), 0);
    view_drop(s.engine, held);
    assert_int_equal(count_files(), 2);
    assert_int_equal(link(saved, path), 0); /* A power cut, and it was never unlinked. */
    (void)!store_checkpoint(&s);
    store_close(&s);
    store_open(&s);
    assert_int_equal(count("a"), 0);
    assert_int_equal(count_files(), 2);
    engine_keep(s.engine, T0);
    assert_int_equal(count_files(), 1);
    assert_int_equal(stats().partitions, 1);
    store_close(&s);
    assert_int_equal(unlink(saved), 0);
    store_open(&s);
    assert_int_equal(count("b"), 1);
}

static void what_no_series_keeps_leaves_no_file(void **state)
{
    static const struct retention_rule rules[] = {{{(const uint8_t *)"#", 1}, 30 * 86400}};
    (void)state;
    seal_two_weeks();
    store_close(&s);
    s.options.retention = rules; /* All else would be kept for ever, but there is nothing else. */
    s.options.retention_count = 1;
    store_open(&s);
    engine_keep(s.engine, T0 + 80 * DAY_NS);
    assert_int_equal(count("a"), 0);
    assert_ok(store_seal(&s, false));
    assert_int_equal(stats().partitions, 1);
    assert_int_equal(count_files(), 1);
    assert_int_equal(count("b"), 1);
    s.options.retention_count = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_delete_of_nothing_writes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_tomb_goes_when_nothing_needs_it, setup, teardown),
        cmocka_unit_test_setup_teardown(a_sealed_part_a_delete_does_not_concern_stays_as_it_is,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(too_many_deletes_are_refused_until_files_are_sealed, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_newest_value_left_is_found_and_remembered, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_damaged_record_takes_no_delete_with_it, setup, teardown),
        cmocka_unit_test_setup_teardown(a_delete_that_is_lost_is_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(a_sealed_part_with_nothing_left_goes, setup, teardown),
        cmocka_unit_test_setup_teardown(an_empty_part_stays_until_its_sources_are_gone, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_no_series_keeps_leaves_no_file, setup, teardown),
        cmocka_unit_test_setup_teardown(each_series_is_kept_as_long_as_its_rule_says, setup,
                                        teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
