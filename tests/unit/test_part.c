#include "storage/part/part.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/thread.h"
#include "storage/kv.h"
#include "storage/part/part_grave.h"
#include "tests/lib/directory.h"
#include "tests/lib/rng.h"
#include "tests/lib/test.h"

#define MONDAY_2017_NS (INT64_C(1483315200) * NS_PER_S) /* 2017-01-02 */
enum { WEEK_S = 604800 };

static struct directory scratch;

static struct part_period week(void)
{
    return part_period_of(MONDAY_2017_NS + 12345, WEEK_S);
}

static void put(struct part_flush *f, uint32_t group, int64_t offset_ns, const char *value)
{
    uint8_t key[16];
    assert_ok(part_flush_key(f, group, MONDAY_2017_NS + offset_ns, key));
    assert_ok(part_flush_put(f, (struct bytes){key, sizeof key}, bytes_of(value)));
}

/* All chunks of a group, "flush:value " each. */
static void read_group(struct part *p, uint32_t group, char *text, size_t limit)
{
    struct part_cursor *c;
    struct bytes key, value, again;
    uint32_t flush;
    enum err e;
    size_t size = 0;
    text[0] = 0;
    assert_ok(part_cursor_open(p, group, &c));
    while ((e = part_cursor_next(c, &flush, &key, &value)) == OK) {
        assert_ok(part_cursor_get(c, key, &again));
        assert_true(bytes_equal(again, value));
        size += (size_t)snprintf(text + size, limit - size, "%u:%.*s ", flush, (int)value.size,
                                 (const char *)value.at);
    }
    assert_int_equal(e, E_END);
    part_cursor_close(c);
}

static void assert_group(struct part *p, uint32_t group, const char *want)
{
    char text[256];
    read_group(p, group, text, sizeof text);
    assert_string_equal(text, want);
}

static void periods_tile_time_and_weeks_start_on_monday(void **state)
{
    (void)state;
    assert_int_equal(week().start_ns, MONDAY_2017_NS);
    assert_int_equal(week().end_ns, MONDAY_2017_NS + (int64_t)WEEK_S * NS_PER_S);
    struct part_period last = part_period_of(week().end_ns - 1, WEEK_S);
    assert_int_equal(last.start_ns, MONDAY_2017_NS);
    assert_int_equal(part_period_of(week().end_ns, WEEK_S).start_ns, week().end_ns);
    assert_true(part_period_of(0, WEEK_S).start_ns == -(INT64_C(3) * 86400 * NS_PER_S));
    assert_int_equal(part_period_of(0, 86400).start_ns, 0);
    assert_int_equal(part_period_of(3599999999999, 3600).end_ns, 3600 * INT64_C(1000000000));
}

static struct part_name week_file(void)
{
    return (struct part_name){week(), PART_ACTIVE, 0};
}

static void names_carry_the_period_and_nothing_else_reads_as_one(void **state)
{
    static const char *const bad[] = {"",
                                      "20170102-604800",
                                      "20170102-604800.act.mdb-lock",
                                      "20170102-0.act.mdb",
                                      "20170230-604800.act.mdb",
                                      "2017010-604800.act.mdb",
                                      "20170102-0604800.act.mdb",
                                      "20170102T000000-3600.act.mdb",
                                      "20170102-9999999999.act.mdb",
                                      "99990102-604800.act.mdb",
                                      "20170102-604800.0.act.mdb",
                                      "20170102-604800.01.act.mdb",
                                      "20170102-604800.4294967296.seal.mdb",
                                      "20170102-604800..seal.mdb",
                                      "20170102-604800.1.seal.mdb.unfinished",
                                      "journal.mdb"};
    static const int64_t lengths[] = {3600, 21600, 86400, WEEK_S, 100};
    char name[PART_NAME_BYTES_MAX];
    struct part_name found;
    struct rng rng = {1};
    (void)state;
    part_name_write(week_file(), name);
    assert_string_equal(name, "20170102-604800.act.mdb");
    part_name_write((struct part_name){week(), PART_SEALED, 17}, name);
    assert_string_equal(name, "20170102-604800.17.seal.mdb");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(part_name_read(bad[i], &found), E_MALFORMED);
    }
    for (int i = 0; i < 1000; i++) {
        int64_t time_ns = (int64_t)(rng_next(&rng) % 7258118400000000000);
        struct part_period want = part_period_of(time_ns, lengths[i % 5]);
        assert_true(want.start_ns <= time_ns && time_ns < want.end_ns);
        struct part_name file = {want, i % 2 == 0 ? PART_ACTIVE : PART_SEALED, (uint32_t)(i / 2)};
        part_name_write(file, name);
        assert_ok(part_name_read(name, &found));
        assert_memory_equal(&found, &file, sizeof file);
    }
}

static void groups_are_read_flush_by_flush(void **state)
{
    struct part *p;
    struct part_flush *f;
    assert_ok(part_open(*state, week_file(), &p));
    assert_group(p, 1, "");
    assert_ok(part_flush_begin(p, &f));
    put(f, 1, 10, "a");
    put(f, 1, 20, "b");
    put(f, 3, 10, "c");
    assert_group(p, 1, "");
    assert_ok(part_flush_end(f, 77));
    assert_ok(part_flush_begin(p, &f));
    put(f, 2, 0, "d");
    assert_ok(part_flush_end(f, 78));
    assert_ok(part_flush_begin(p, &f));
    put(f, 1, 5, "e");
    put(f, 7, 5, "f");
    assert_ok(part_flush_end(f, 80));
    for (int round = 0; round < 2; round++) {
        assert_int_equal(part_flush_count(p), 3);
        assert_int_equal(part_applied(p), 80);
        assert_group(p, 0, "");
        assert_group(p, 1, "1:a 1:b 3:e ");
        assert_group(p, 2, "2:d ");
        assert_group(p, 3, "1:c ");
        assert_group(p, 7, "3:f ");
        assert_group(p, 8, "");
        part_drop(p);
        assert_ok(part_open(*state, week_file(), &p)); /* The second round reads what was kept. */
    }
    assert_true(part_file_bytes(p) > 0);
    part_drop(p);
}

static void an_aborted_flush_leaves_nothing(void **state)
{
    struct part *p;
    struct part_flush *f;
    char *big = calloc(1, 4081);
    assert_non_null(big);
    memset(big, 'x', 4080);
    assert_ok(part_open(*state, week_file(), &p));
    assert_ok(part_flush_begin(p, &f));
    for (int i = 0; i < 1000; i++) { /* Several transactions. */
        put(f, 5, i, big);
    }
    part_flush_abort(f);
    assert_group(p, 5, "");
    assert_ok(part_flush_begin(p, &f));
    put(f, 5, 1, "ok");
    assert_ok(part_flush_end(f, 9));
    assert_group(p, 5, "1:ok ");
    part_drop(p);
    free(big);
}

static void dooming_unlinks_at_the_last_drop(void **state)
{
    struct part *p;
    char path[256];
    assert_ok(part_open(*state, week_file(), &p));
    snprintf(path, sizeof path, "%s/20170102-604800.act.mdb", (const char *)*state);
    part_hold(p);
    part_doom(p);
    part_drop(p);
    assert_int_equal(access(path, F_OK), 0);
    part_drop(p);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(part_open_read_only(*state, week_file(), &p), E_NOT_FOUND);
}

static unsigned open_files(void)
{
    unsigned count = 0;
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    while (readdir(dir) != NULL) {
        count++;
    }
    closedir(dir);
    return count;
}

/* The space of a large one comes back when a worker sees to it; of very many, at once. */
static void the_space_of_a_large_file_waits_for_a_worker(void **state)
{
    (void)state;
    const unsigned before = open_files();
    for (unsigned i = 0; i < PART_GRAVES_MAX + 2; i++) {
        const char *path = directory_file(&scratch, "large");
        FILE *file = fopen(path, "wb");
        assert_non_null(file);
        assert_int_equal(ftruncate(fileno(file), PART_GRAVE_BYTES_MIN - (i == 0)), 0);
        assert_int_equal(fclose(file), 0);
        part_grave_unlink(path);
        assert_int_not_equal(access(path, F_OK), 0);
        assert_int_equal(part_grave_is_any(), i > 0); /* The first is small. */
    }
    assert_int_equal(open_files(), before + PART_GRAVES_MAX);
    part_grave_clear();
    assert_false(part_grave_is_any());
    assert_int_equal(open_files(), before);
    part_grave_unlink(directory_file(&scratch, "absent"));
    assert_false(part_grave_is_any());
}

static void a_file_of_another_period_is_refused(void **state)
{
    struct part *p;
    char from[256], to[256];
    assert_ok(part_open(*state, week_file(), &p));
    part_drop(p);
    snprintf(from, sizeof from, "%s/20170102-604800.act.mdb", (const char *)*state);
    snprintf(to, sizeof to, "%s/20170109-604800.act.mdb", (const char *)*state);
    assert_int_equal(rename(from, to), 0);
    struct part_name next = {part_period_of(week().end_ns, WEEK_S), PART_ACTIVE, 0};
    assert_int_equal(part_open(*state, next, &p), E_CORRUPT);
}

/* Child: flush after flush of 600 chunks in several transactions, until killed. */
static void flush_for_ever(const char *directory, int ready)
{
    static char value[4081];
    struct part *p;
    struct part_flush *f;
    memset(value, 'x', 4080);
    assert_ok(part_open(directory, week_file(), &p));
    for (uint64_t applied = part_flush_count(p) + 1;; applied++) {
        assert_ok(part_flush_begin(p, &f));
        for (int i = 0; i < 600; i++) {
            put(f, (uint32_t)i / 10, i, value);
        }
        assert_ok(part_flush_end(f, applied));
        (void)!write(ready, "x", 1);
    }
}

static void a_kill_in_the_middle_of_a_flush_leaves_whole_flushes(void **state)
{
    struct rng rng = {7};
    for (int round = 0; round < 10; round++) {
        int pipes[2];
        char c;
        assert_int_equal(pipe(pipes), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            flush_for_ever(*state, pipes[1]);
        }
        assert_int_equal(read(pipes[0], &c, 1), 1);
        usleep(rng_below(&rng, 20000));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        close(pipes[0]);
        close(pipes[1]);

        struct part *p;
        struct part_cursor *walk;
        struct bytes key, value;
        uint32_t flush, group;
        uint64_t chunks = 0;
        assert_ok(part_open(*state, week_file(), &p));
        assert_true(part_flush_count(p) > 0);
        assert_int_equal(part_applied(p), part_flush_count(p));
        assert_ok(part_walk_open(p, &walk));
        while (part_walk_next(walk, &flush, &group, &key, &value) == OK) {
            assert_int_equal(value.size, 4080);
            chunks++;
        }
        part_cursor_close(walk);
        assert_int_equal(chunks, 600 * (uint64_t)part_flush_count(p));
        part_drop(p);
    }
}

struct race {
    struct part *part;
    atomic_bool stop;
};

static void read_until_stopped(void *raw)
{
    struct race *race = raw;
    struct part_cursor *c;
    struct bytes key, value;
    uint32_t flush, last = 0;
    while (!atomic_load(&race->stop)) {
        uint32_t seen = 0;
        assert_ok(part_cursor_open(race->part, 4, &c));
        while (part_cursor_next(c, &flush, &key, &value) == OK) {
            assert_int_equal(flush, ++seen);
        }
        part_cursor_close(c);
        assert_true(seen >= last);
        last = seen;
    }
}

static void readers_and_a_writer_share_a_part(void **state)
{
    struct race race = {.stop = false};
    struct thread readers[2];
    struct part_flush *f;
    struct part *p;
    assert_ok(part_open(*state, week_file(), &p));
    part_drop(p);
    assert_ok(part_open(*state, week_file(), &p)); /* Now it is open for reading only. */
    race.part = p;
    for (int i = 0; i < 2; i++) {
        assert_ok(thread_start(&readers[i], "reader", read_until_stopped, &race));
    }
    for (uint64_t i = 1; i <= 20; i++) {
        assert_ok(part_flush_begin(p, &f));
        put(f, 4, (int64_t)i, "value");
        assert_ok(part_flush_end(f, i));
    }
    atomic_store(&race.stop, true);
    for (int i = 0; i < 2; i++) {
        thread_join(&readers[i]);
    }
    part_drop(p);
}

static void hundreds_of_parts_need_few_descriptors(void **state)
{
    enum { PARTS = PART_OPEN_MAX + 40 };
    static struct part *parts[PARTS];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < PARTS; i++) {
            struct part_period hour = part_period_of(i * INT64_C(3600) * NS_PER_S, 3600);
            assert_ok(part_open(*state, (struct part_name){hour, PART_ACTIVE, 0}, &parts[i]));
        }
        for (int i = 0; i < PARTS; i++) {
            assert_group(parts[i], 1, "");
        }
        int descriptor = dup(0);
        assert_true(descriptor >= 0 && descriptor < PART_OPEN_MAX + 50);
        close(descriptor);
        for (int i = 0; i < PARTS; i++) {
            part_drop(parts[i]);
        }
    }
}

static int scratch_make(void **state)
{
    directory_make(&scratch);
    *state = scratch.path;
    return 0;
}

static int scratch_remove(void **state)
{
    (void)state;
    directory_remove(&scratch);
    return 0;
}

#define WITH_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(periods_tile_time_and_weeks_start_on_monday),
        cmocka_unit_test(names_carry_the_period_and_nothing_else_reads_as_one),
        WITH_DIRECTORY(groups_are_read_flush_by_flush),
        WITH_DIRECTORY(an_aborted_flush_leaves_nothing),
        WITH_DIRECTORY(dooming_unlinks_at_the_last_drop),
        WITH_DIRECTORY(the_space_of_a_large_file_waits_for_a_worker),
        WITH_DIRECTORY(a_file_of_another_period_is_refused),
        WITH_DIRECTORY(a_kill_in_the_middle_of_a_flush_leaves_whole_flushes),
        WITH_DIRECTORY(readers_and_a_writer_share_a_part),
        WITH_DIRECTORY(hundreds_of_parts_need_few_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
