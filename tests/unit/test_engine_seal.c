/* Sealing and snapshots where something goes wrong: a kill, files that cannot be read, more late
 * data than one sealing takes. That every history comes out right is for test_engine_model.c. */

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "storage/part/part_meta.h"
#include "storage/part/seal_choice.h"
#include "storage/read/scan.h"
#include "storage/view.h"
#include "tests/lib/rng.h"
#include "tests/lib/store_fixture.h"

#define T0     (INT64_C(1479877011) * NS_PER_S)
#define DAY_NS (INT64_C(86400) * NS_PER_S)

static void put(const char *path, int64_t time_ns, double value)
{
    assert_ok(store_put(&s, store_series(&s, path, ""), time_ns, value));
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

/* In a process of its own, which ends as if it were killed. */
static void in_a_process_that_dies(void (*work)(void))
{
    int status;
    store_close(&s);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        CHECK(engine_open(&s.options, &s.engine) == OK);
        work();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    store_open(&s);
}

static void seal_what_is_deleted(const char *filter)
{
    const struct engine_delete d = {bytes_of(filter), 0, INT64_MAX, T0};
    uint64_t series;
    CHECK(engine_delete(s.engine, &d, &series) == OK && series == 1);
    CHECK(store_seal(&s, false) == OK);
}

/* The snapshot holds the first file, which two others follow. */
static void seal_twice_beside_a_snapshot(void)
{
    CHECK(engine_snapshot_begin(s.engine, "held") == OK);
    seal_what_is_deleted("a");
    seal_what_is_deleted("b");
}

/* Promise P2, and that a store opens. */
static void a_kill_beside_a_snapshot_leaves_no_file_that_was_sealed_twice_since(void **state)
{
    (void)state;
    put("a", T0, 1);
    put("b", T0, 2);
    put("c", T0, 3);
    assert_ok(store_write(&s));
    assert_ok(store_checkpoint(&s));
    assert_ok(store_seal(&s, true));
    in_a_process_that_dies(seal_twice_beside_a_snapshot);
    assert_int_equal(stats().partitions, 1);
    assert_int_equal(count("a") + count("b"), 0);
    assert_int_equal(count("c"), 1);
}

static void begin_a_snapshot(void)
{
    CHECK(engine_snapshot_begin(s.engine, "never") == OK);
    CHECK(engine_snapshot_run(s.engine) == OK);
    CHECK(engine_snapshot_begin(s.engine, "more") == E_BUSY);
    CHECK(engine_snapshot_end(s.engine, OK) == OK);
    CHECK(engine_snapshot_begin(s.engine, "unfinished") == OK);
}

/* Its links would keep the bytes of files that retention has let go. */
static void what_a_kill_left_of_a_snapshot_goes_at_the_next_start(void **state)
{
    (void)state;
    put("a", T0, 1);
    assert_ok(store_write(&s));
    assert_ok(store_checkpoint(&s));
    in_a_process_that_dies(begin_a_snapshot);
    assert_int_equal(access(directory_file(&s.dir, "snapshots/.unfinished.unfinished"), F_OK), -1);
    assert_int_equal(access(directory_file(&s.dir, "snapshots/never/catalog.mdb"), F_OK), 0);
    assert_ok(engine_snapshot_remove(s.engine, "never"));
    assert_int_equal(access(directory_file(&s.dir, "snapshots/never"), F_OK), -1);
    assert_int_equal(access(directory_file(&s.dir, "snapshots/.never.unfinished"), F_OK), -1);
    assert_int_equal(engine_snapshot_remove(s.engine, "never"), E_NOT_FOUND);
}

enum { DAYS = SEAL_PARTS_MAX + 40 };

static void put_every_day(int64_t offset_ns)
{
    for (int day = 0; day < DAYS; day++) {
        put("a", T0 + day * DAY_NS + offset_ns, day);
    }
    assert_ok(store_write(&s));
    assert_ok(store_checkpoint(&s));
}

static void late_data_of_many_periods_is_sealed_however_far_a_part_spans(void **state)
{
    (void)state;
    store_close(&s);
    directory_remove(&s.dir);
    directory_make(&s.dir);
    s.options.partition_s = 86400;
    store_open(&s);
    put_every_day(0);
    assert_ok(store_seal(&s, true));
    assert_int_equal(stats().partitions, 2);
    put_every_day(1);
    assert_int_equal(stats().partitions, 2 + DAYS);
    assert_ok(store_seal(&s, true));
    assert_int_equal(stats().partitions, 2);
    assert_int_equal(stats().sealed, 2);
    assert_int_equal(count("a"), 2 * DAYS);
    store_close(&s);
    store_verify(&s);
    store_open(&s);
    assert_int_equal(count("a"), 2 * DAYS);
}

/* -- Files that cannot be read ---------------------------------------------------------------- */

static void path_of_the_part(enum view_layer layer, char to[256], struct part_key *first)
{
    char name[PART_NAME_BYTES_MAX];
    const struct view *v = view_hold(s.engine);
    struct part_cursor *cursor;
    struct bytes key, value;
    uint32_t flush;
    assert_int_equal(v->layer[layer].count, 1);
    part_name_write(part_name(v->layer[layer].at[0]), name);
    assert_ok(part_cursor_open(v->layer[layer].at[0], 0, &cursor));
    assert_ok(part_cursor_next(cursor, &flush, &key, &value));
    assert_ok(part_key_read(key, first));
    part_cursor_close(cursor);
    view_drop(s.engine, v);
    snprintf(to, 256, "%s/parts/%s", s.dir.path, name);
}

enum { PAGE_BYTES = 4096, LAST_PAGE_AT = 136 /* In the first two pages of LMDB. */, MISSING = 9 };

static void put_number(uint8_t *at, uint64_t number)
{
    memcpy(at, &number, sizeof number);
}

/* The page of the first chunk becomes one behind the end of the file: the number of the page stands
 * behind the key, and the file says it has some more. To touch it is a SIGBUS, as on a disk that
 * does not give it. */
static void lose_the_first_chunk(const char *path, struct part_key first)
{
    static uint8_t bytes[4 << 20];
    uint8_t key[PART_KEY_BYTES];
    unsigned found = 0;
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    const size_t size = fread(bytes, 1, sizeof bytes, file), pages = size / PAGE_BYTES;
    put_number(bytes + LAST_PAGE_AT, pages + MISSING);
    put_number(bytes + PAGE_BYTES + LAST_PAGE_AT, pages + MISSING);
    part_key_write(first, key);
    for (size_t i = 0; i + sizeof key + sizeof(uint64_t) <= size; i++) {
        if (memcmp(bytes + i, key, sizeof key) == 0) {
            put_number(bytes + i + sizeof key, pages + 1);
            found++;
        }
    }
    assert_true(found > 0);
    rewind(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void put_noise(void)
{
    struct rng rng = {3};
    for (int i = 0; i < 3000; i++) {
        put("noise", T0 + i * (int64_t)NS_PER_S, (double)rng_next(&rng));
    }
    assert_ok(store_write(&s));
    assert_ok(store_checkpoint(&s));
}

static void seal_and_die(void)
{
    const struct engine_seal_request request = {INT64_MAX, true};
    CHECK(engine_seal_begin(s.engine, &request) == OK);
    CHECK(engine_seal_run(s.engine) == OK);
}

/* Promises P2, P8: the damaged file is not named as a source of the new one. */
static void a_kill_before_a_damaged_file_stood_aside_is_made_good(void **state)
{
    char path[256], bad[300];
    struct part_key first;
    (void)state;
    put_noise();
    assert_ok(store_seal(&s, true));
    path_of_the_part(VIEW_SEALED, path, &first);
    put("noise", T0 + NS_PER_S / 2, 1);
    assert_ok(store_write(&s));
    assert_ok(store_checkpoint(&s));
    store_close(&s);
    lose_the_first_chunk(path, first);
    store_open(&s);
    in_a_process_that_dies(seal_and_die);
    assert_int_equal(stats().partitions, 1);
    assert_int_equal(stats().partitions_quarantined, 1);
    snprintf(bad, sizeof bad, "%s.bad", path);
    assert_int_equal(access(bad, F_OK), 0);
    assert_true(count("noise") > 0); /* The rest is there. */
}

static void a_sweep_of_what_the_disk_does_not_give_sets_it_aside(void **state)
{
#ifdef __SANITIZE_THREAD__ /* Its runtime takes the fault for its own. */
    skip();
#endif
    const struct engine_delete d = {bytes_of("noise"), T0 + NS_PER_S, T0 + 2 * NS_PER_S, T0};
    char path[256], bad[300];
    struct part_key first;
    uint64_t series;
    (void)state;
    put_noise();
    assert_ok(store_seal(&s, true));
    path_of_the_part(VIEW_SEALED, path, &first);
    store_close(&s);
    lose_the_first_chunk(path, first);
    store_open(&s);
    assert_ok(engine_delete(s.engine, &d, &series));
    assert_ok(store_seal(&s, false));
    assert_int_equal(stats().deletes_waiting, 0);
    snprintf(bad, sizeof bad, "%s.bad", path);
    assert_int_equal(access(bad, F_OK), 0);
    assert_true(count("noise") > 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_kill_beside_a_snapshot_leaves_no_file_that_was_sealed_twice_since),
        TEST(what_a_kill_left_of_a_snapshot_goes_at_the_next_start),
        TEST(late_data_of_many_periods_is_sealed_however_far_a_part_spans),
        TEST(a_kill_before_a_damaged_file_stood_aside_is_made_good),
        TEST(a_sweep_of_what_the_disk_does_not_give_sets_it_aside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
