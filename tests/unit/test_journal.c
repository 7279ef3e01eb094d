#include "storage/journal/journal.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "storage/kv.h"
#include "tests/lib/directory.h"
#include "tests/lib/test.h"

enum { MAP_BYTES = 16 << 20 };

static struct directory dir;
static struct journal *j;
static struct batch *batch;

static void open_journal(void)
{
    j = NULL;
    assert_ok(journal_lmdb_open(dir.path, MAP_BYTES, &j));
}

static int setup(void **state)
{
    (void)state;
    directory_make(&dir);
    open_journal();
    return (int)batch_create(&batch);
}

static int teardown(void **state)
{
    (void)state;
    if (j != NULL) {
        j->calls->destroy(j);
    }
    batch_destroy(batch);
    directory_remove(&dir);
    return 0;
}

static enum err append(uint64_t counter, uint32_t bytes, uint64_t *position)
{
    const struct journal_record header = {.producer = 3, .counter = counter, .arrival_ns = 9};
    memset(batch->record + BATCH_HEADER_BYTES, (int)counter, bytes);
    return j->calls->append(j, batch->record, BATCH_HEADER_BYTES + bytes, &header, position);
}

static uint64_t append_synced(uint64_t counter, uint32_t bytes)
{
    uint64_t position = 0, durable = 0;
    assert_ok(append(counter, bytes, &position));
    assert_ok(j->calls->sync(j, &durable));
    assert_int_equal(position, durable);
    return position;
}

static void put(uint8_t space, uint64_t stamp, const char *key, const char *value)
{
    const struct batch_state s = {space, stamp, bytes_of(key), bytes_of(value)};
    assert_ok(j->calls->put_state(j, &s));
}

static enum err gather(void *context, const struct batch_state *s)
{
    char *text = context;
    (void)snprintf(text + strlen(text), 100, "%.*s=%.*s@%u ", (int)s->key.size,
                   (const char *)s->key.at, (int)s->value.size, (const char *)s->value.at,
                   (unsigned)s->stamp);
    return OK;
}

static void expect_state(uint8_t space, const char *expected)
{
    char text[1000] = "";
    assert_ok(j->calls->each_state(j, space, gather, text));
    assert_string_equal(text, expected);
}

static void records_come_back_in_order_after_reopening(void **state)
{
    (void)state;
    struct journal_record r;
    for (uint64_t i = 1; i <= 20; i++) {
        assert_int_equal(append_synced(i, 1000), i);
    }
    uint64_t live = j->calls->live_bytes(j);
    j->calls->destroy(j);
    open_journal();
    assert_int_equal(j->calls->live_bytes(j), live);
    for (uint64_t i = 1; i <= 20; i++) {
        assert_ok(j->calls->read(j, i, &r));
        assert_int_equal(r.position, i);
        assert_int_equal(r.counter, i);
        assert_int_equal(r.producer, 3);
        assert_int_equal(r.epoch, 1);
        assert_int_equal(r.entries.size, 1000);
        assert_int_equal(r.entries.at[999], i);
    }
    assert_int_equal(j->calls->read(j, 21, &r), E_END);
    assert_int_equal(append_synced(21, 10), 21);
}

/* What is read ahead must not show what was there before. */
static void reading_goes_on_beside_appends_and_trims(void **state)
{
    (void)state;
    struct journal_record r;
    uint64_t durable;
    for (uint64_t i = 1; i <= 300; i++) {
        (void)append_synced(i, 30000);
    }
    for (uint64_t i = 1; i <= 300; i++) {
        assert_ok(j->calls->read(j, i, &r));
        assert_int_equal(r.position, i);
        assert_int_equal(r.entries.at[29999], i % 256);
        if (i % 50 == 0) {
            assert_ok(j->calls->trim(j, i - 10));
            (void)append_synced(300 + i / 50, 30000);
        }
    }
    for (uint64_t i = 301; i <= 306; i++) {
        assert_ok(j->calls->read(j, i, &r));
        assert_int_equal(r.position, i);
    }
    assert_int_equal(j->calls->read(j, 307, &r), E_END);
    assert_ok(j->calls->trim(j, 304));
    assert_ok(j->calls->sync(j, &durable));
    assert_ok(j->calls->read(j, 1, &r));
    assert_int_equal(r.position, 304);
    assert_ok(j->calls->read(j, 305, &r));
    assert_int_equal(r.counter, 305);
}

static void trimmed_records_are_gone_and_positions_go_on(void **state)
{
    (void)state;
    struct journal_record r;
    uint64_t durable;
    for (uint64_t i = 1; i <= 10; i++) {
        (void)append_synced(i, 5000);
    }
    assert_ok(j->calls->trim(j, 8));
    assert_ok(j->calls->sync(j, &durable));
    assert_int_equal(durable, 10);
    assert_int_equal(j->calls->live_bytes(j), 3 * (5000 + BATCH_HEADER_BYTES));
    assert_ok(j->calls->read(j, 1, &r));
    assert_int_equal(r.position, 8);
    assert_ok(j->calls->trim(j, 11));
    assert_ok(j->calls->sync(j, &durable));
    j->calls->destroy(j);
    open_journal();
    assert_int_equal(j->calls->live_bytes(j), 0);
    assert_int_equal(j->calls->read(j, 1, &r), E_END);
    assert_int_equal(append_synced(11, 10), 11);
}

static void state_and_records_commit_together(void **state)
{
    (void)state;
    uint64_t position, durable;
    put(1, 1, "a", "x");
    assert_ok(append(1, 10, &position));
    put(1, 2, "b", "y");
    put(64, 3, "a", "z");
    assert_ok(j->calls->sync(j, &durable));
    put(1, 4, "a", "lost");
    assert_ok(append(2, 10, &position));
    assert_int_equal(position, 2);
    assert_ok(j->calls->reopen(j)); /* Nobody synced. */
    struct journal_record r;
    assert_int_equal(j->calls->read(j, 2, &r), E_END);
    char text[1000] = "";
    assert_ok(j->calls->each_state(j, 1, gather, text));
    assert_non_null(strstr(text, "a=x@1 "));
    assert_non_null(strstr(text, "b=y@2 "));
    expect_state(64, "a=z@3 ");
    expect_state(65, "");
}

static void of_owned_state_the_last_put_stays_and_nothing_of_what_is_deleted(void **state)
{
    (void)state;
    uint64_t durable;
    put(2, 0, "b", "2");
    put(2, 0, "a", "1");
    put(63, 0, "a", "other");
    put(2, 0, "aa", "3");
    assert_ok(j->calls->sync(j, &durable));
    expect_state(2, "a=1@0 aa=3@0 b=2@0 ");
    put(2, 9, "a", "nine");
    put(2, 1, "a", "one");
    put(2, 0, "b", "");
    put(2, 0, "never", "");
    put(2, 0, "aa", "");
    put(2, 0, "aa", "again");
    (void)append_synced(1, 10);
    j->calls->destroy(j);
    open_journal();
    expect_state(2, "a=one@0 aa=again@0 ");
    expect_state(63, "a=other@0 ");
}

static void the_higher_stamp_stays_even_against_a_grave(void **state)
{
    (void)state;
    uint64_t durable;
    (void)append_synced(1, 10);
    put(1, 5, "a", "five");
    put(1, 4, "a", "four");
    assert_ok(j->calls->sync(j, &durable));
    expect_state(1, "a=five@5 ");
    put(1, 7, "a", "");
    put(1, 6, "a", "six");
    assert_ok(j->calls->sync(j, &durable));
    expect_state(1, "a=@7 "); /* Whoever gives stamps must know. */
    put(1, 7, "a", "same stamp, came later");
    assert_ok(j->calls->sync(j, &durable));
    expect_state(1, "a=same stamp, came later@7 ");
    put(1, 8, "a", "");
    (void)append_synced(2, 10);
    assert_ok(j->calls->trim(j, 2)); /* The grave was dug at position 1. */
    put(1, 1, "a", "new life");
    assert_ok(j->calls->sync(j, &durable));
    expect_state(1, "a=new life@1 ");
}

static void a_long_key_and_a_big_value_are_kept(void **state)
{
    (void)state;
    uint64_t durable;
    uint8_t *big = calloc(1, 500000);
    assert_non_null(big);
    const struct batch_state s = {64, 1, {big, 65535}, {big, 500000}};
    assert_ok(j->calls->put_state(j, &s));
    assert_ok(j->calls->sync(j, &durable));
    char text[1000] = "";
    assert_ok(j->calls->each_state(j, 64, gather, text));
    assert_true(strlen(text) > 0);
    free(big);
}

static void a_full_map_leaves_what_was_synced_and_trimming_heals(void **state)
{
    (void)state;
    uint64_t position, durable, last = 0;
    struct journal_record r;
    enum err e = OK;
    for (uint64_t i = 1; e == OK && i < 500; i++) {
        e = append(i, 60000, &position);
        e = e != OK ? e : j->calls->sync(j, &durable);
        last = e == OK ? i : last;
    }
    assert_int_equal(e, E_NO_SPACE);
    assert_ok(j->calls->read(j, last, &r));
    assert_int_equal(j->calls->read(j, last + 1, &r), E_END);
    /* Little by little: a long list of free pages needs pages in a row. */
    assert_ok(j->calls->trim(j, last / 16));
    assert_ok(j->calls->sync(j, &durable));
    (void)append_synced(last + 1, 10); /* LMDB takes freed pages up from the commit after next. */
    assert_int_equal(append_synced(last + 2, 60000), last + 2);
}

static size_t file_bytes(void)
{
    struct stat file;
    assert_int_equal(stat(directory_file(&dir, "journal.mdb"), &file), 0);
    return (size_t)file.st_size;
}

static void a_file_in_which_little_lives_is_made_small(void **state)
{
    (void)state;
    uint64_t durable;
    struct journal_record r;
    for (uint64_t i = 1; i <= 100; i++) {
        (void)append_synced(i, 60000);
    }
    put(1, 5, "a", "kept");
    put(1, 6, "b", "gone");
    put(1, 7, "b", "");
    assert_ok(j->calls->sync(j, &durable));
    assert_ok(j->calls->compact(j)); /* All of it lives. */
    assert_true(file_bytes() > 100 * 60000);
    assert_ok(j->calls->trim(j, 100));
    assert_ok(j->calls->sync(j, &durable));
    assert_ok(j->calls->compact(j));
    assert_true(file_bytes() < 120000);
    assert_int_equal(j->calls->live_bytes(j), 60000 + BATCH_HEADER_BYTES);
    assert_ok(j->calls->read(j, 1, &r));
    assert_int_equal(r.position, 100);
    assert_int_equal(r.entries.at[59999], 100);
    put(1, 6, "b", "older than the grave");
    assert_int_equal(append_synced(101, 10), 101);
    expect_state(1, "b=@7 a=kept@5 ");
    assert_ok(j->calls->trim(j, 102));
    assert_ok(j->calls->sync(j, &durable));
    assert_ok(j->calls->compact(j));
    assert_true(file_bytes() <= 65536);
    j->calls->destroy(j);
    open_journal();
    expect_state(1, "a=kept@5 ");
    assert_int_equal(append_synced(102, 10), 102);
    assert_ok(j->calls->compact(j)); /* Nothing to gain. */
}

static void a_damaged_record_is_named_and_can_be_skipped(void **state)
{
    (void)state;
    struct journal_record r;
    (void)append_synced(1, 100);
    (void)append_synced(2, 100);
    j->calls->destroy(j);
    j = NULL;

    const struct kv_options options = {.map_bytes = MAP_BYTES, .tables = 4};
    struct kv *kv = NULL;
    struct kv_table table;
    struct kv_txn *txn;
    assert_ok(kv_open(directory_file(&dir, "journal.mdb"), &options, &kv));
    assert_ok(kv_table_open(kv, "records", &table));
    assert_ok(kv_write_begin(kv, &txn));
    assert_ok(kv_put(txn, table, (struct bytes){(const uint8_t *)"\0\0\0\0\0\0\0\1", 8},
                     bytes_of("rubbish"), KV_UPSERT));
    assert_ok(kv_commit(txn));
    kv_close(kv);

    open_journal();
    assert_int_equal(j->calls->read(j, 1, &r), E_CORRUPT);
    assert_int_equal(r.position, 1);
    assert_ok(j->calls->read(j, 2, &r));
    assert_int_equal(r.position, 2);
}

/* The child dies without closing anything; what it synced is there. */
static void a_killed_process_loses_nothing_synced(void **state)
{
    (void)state;
    j->calls->destroy(j);
    j = NULL;
    for (uint64_t round = 1; round <= 5; round++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            uint64_t position;
            open_journal();
            (void)append_synced(round, 2000);
            (void)!append(99, 2000, &position);
            (void)kill(getpid(), SIGKILL);
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
    }
    struct journal_record r;
    open_journal();
    for (uint64_t i = 1; i <= 5; i++) {
        assert_ok(j->calls->read(j, i, &r));
        assert_int_equal(r.counter, i);
    }
    assert_int_equal(j->calls->read(j, 6, &r), E_END);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(records_come_back_in_order_after_reopening, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(reading_goes_on_beside_appends_and_trims, setup, teardown),
        cmocka_unit_test_setup_teardown(trimmed_records_are_gone_and_positions_go_on, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(state_and_records_commit_together, setup, teardown),
        cmocka_unit_test_setup_teardown(
            of_owned_state_the_last_put_stays_and_nothing_of_what_is_deleted, setup, teardown),
        cmocka_unit_test_setup_teardown(the_higher_stamp_stays_even_against_a_grave, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_long_key_and_a_big_value_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_map_leaves_what_was_synced_and_trimming_heals, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_file_in_which_little_lives_is_made_small, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_damaged_record_is_named_and_can_be_skipped, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_killed_process_loses_nothing_synced, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
