#include "storage/kv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/lib/directory.h"
#include "tests/lib/test.h"

static const struct kv_options small = {.map_bytes = 1 << 20, .tables = 4};

static struct directory dir;

static int setup(void **state)
{
    (void)state;
    directory_make(&dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    directory_remove(&dir);
    return 0;
}

static struct kv *open_kv(void)
{
    struct kv *kv = NULL;
    assert_ok(kv_open(directory_file(&dir, "t.mdb"), &small, &kv));
    return kv;
}

static void put_ten(struct kv *kv, struct kv_table table)
{
    struct kv_txn *txn;
    assert_ok(kv_write_begin(kv, &txn));
    for (uint8_t i = 0; i < 10; i++) {
        assert_ok(kv_put(txn, table, (struct bytes){&i, 1}, bytes_of("value"), KV_APPEND));
    }
    assert_ok(kv_commit(txn));
}

static void committed_pairs_are_there_after_reopening(void **state)
{
    (void)state;
    struct kv *kv = open_kv();
    struct kv_table table;
    struct kv_txn *txn;
    struct bytes value;
    assert_ok(kv_table_open(kv, "a", &table));
    put_ten(kv, table);
    kv_close(kv);

    struct kv_options look = small;
    look.read_only = true;
    assert_ok(kv_open(directory_file(&dir, "t.mdb"), &look, &kv));
    assert_ok(kv_table_open(kv, "a", &table));
    assert_int_equal(kv_table_open(kv, "b", &table), E_NOT_FOUND);
    assert_ok(kv_read_begin(kv, &txn));
    assert_ok(kv_get(txn, table, (struct bytes){(const uint8_t *)"\x07", 1}, &value));
    assert_true(bytes_equal(value, bytes_of("value")));
    assert_int_equal(kv_get(txn, table, bytes_of("z"), &value), E_NOT_FOUND);
    kv_abort(txn);
    assert_true(kv_file_bytes(kv) >= 4096);
    kv_close(kv);
}

static void an_aborted_transaction_leaves_nothing(void **state)
{
    (void)state;
    struct kv *kv = open_kv();
    struct kv_table table;
    struct kv_txn *txn;
    struct bytes value;
    assert_ok(kv_table_open(kv, "a", &table));
    assert_ok(kv_write_begin(kv, &txn));
    assert_ok(kv_put(txn, table, bytes_of("k"), bytes_of("v"), KV_UPSERT));
    kv_abort(txn);
    assert_ok(kv_read_begin(kv, &txn));
    assert_int_equal(kv_get(txn, table, bytes_of("k"), &value), E_NOT_FOUND);
    kv_abort(txn);
    kv_close(kv);
}

static void a_cursor_walks_and_deletes(void **state)
{
    (void)state;
    struct kv *kv = open_kv();
    struct kv_table table;
    struct kv_txn *txn;
    struct kv_cursor *cursor;
    struct bytes key, value;
    assert_ok(kv_table_open(kv, "a", &table));
    put_ten(kv, table);
    assert_ok(kv_write_begin(kv, &txn));
    assert_ok(kv_cursor_open(txn, table, &cursor));
    assert_ok(kv_cursor_last(cursor, &key, &value));
    assert_int_equal(key.at[0], 9);
    assert_int_equal(kv_cursor_next(cursor, &key, &value), E_END);
    assert_ok(kv_cursor_seek(cursor, (struct bytes){NULL, 0}, &key, &value));
    for (int i = 0; i < 5; i++) {
        assert_int_equal(key.at[0], i);
        assert_ok(kv_cursor_delete(cursor));
        assert_ok(kv_cursor_next(cursor, &key, &value));
    }
    assert_int_equal(key.at[0], 5);
    kv_cursor_close(cursor);
    assert_ok(kv_delete(txn, table, (struct bytes){(const uint8_t *)"\x06", 1}));
    assert_int_equal(kv_delete(txn, table, bytes_of("z")), E_NOT_FOUND);
    assert_ok(kv_commit(txn));
    kv_close(kv);
}

/* KiB of this process that are mapped from files. */
static long mapped_kib(void)
{
    char line[128];
    long kib = -1;
    FILE *file = fopen("/proc/self/status", "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "RssFile:", 8) == 0) {
            kib = strtol(line + 8, NULL, 10);
        }
    }
    fclose(file);
    return kib;
}

static void what_was_read_can_be_let_go_and_is_there_again(void **state)
{
    (void)state;
    enum { VALUES = 200, VALUE_BYTES = 60000 };
    static uint8_t big[VALUE_BYTES];
    const struct kv_options options = {.map_bytes = 1 << 26, .tables = 4};
    struct kv *kv;
    struct kv_table table;
    struct kv_txn *txn;
    struct bytes value;
    assert_ok(kv_open(directory_file(&dir, "t.mdb"), &options, &kv));
    kv_let_go(kv); /* Nothing is in it. */
    assert_ok(kv_table_open(kv, "a", &table));
    assert_ok(kv_write_begin(kv, &txn));
    for (uint8_t i = 0; i < VALUES; i++) {
        memset(big, i, sizeof big);
        assert_ok(
            kv_put(txn, table, (struct bytes){&i, 1}, (struct bytes){big, sizeof big}, KV_APPEND));
    }
    assert_ok(kv_commit(txn));
    for (int turn = 0; turn < 2; turn++) {
        const long before = mapped_kib();
        assert_ok(kv_write_begin(kv, &txn));
        for (uint8_t i = 0; i < VALUES; i++) {
            assert_ok(kv_get(txn, table, (struct bytes){&i, 1}, &value));
            assert_int_equal(value.at[VALUE_BYTES - 1], i);
        }
        assert_true(mapped_kib() > before + VALUES * VALUE_BYTES / 2048);
        kv_let_go(kv); /* Also while something is being written. */
        assert_true(mapped_kib() < before + VALUES * VALUE_BYTES / 8192);
        kv_abort(txn);
    }
    kv_close(kv);
}

/* Keys of a table, one after the other. */
static void expect_keys(struct kv *kv, const char *name, const char *expected)
{
    struct kv_table table;
    struct kv_txn *txn;
    struct kv_cursor *cursor;
    struct bytes key, value;
    char found[64] = "";
    assert_ok(kv_table_share(kv, name, &table));
    assert_ok(kv_read_begin(kv, &txn));
    assert_ok(kv_cursor_open(txn, table, &cursor));
    enum err e = kv_cursor_seek(cursor, (struct bytes){NULL, 0}, &key, &value);
    for (; e == OK; e = kv_cursor_next(cursor, &key, &value)) {
        strncat(found, (const char *)key.at, key.size);
    }
    assert_int_equal(e, E_END);
    assert_string_equal(found, expected);
    kv_cursor_close(cursor);
    kv_abort(txn);
}

static void small_tables_share_a_page_and_nothing_else(void **state)
{
    (void)state;
    static const char *const all[] = {"a", "ab", "b", NULL}, *const some[] = {"a", "b", NULL};
    struct kv *kv = open_kv();
    struct kv_table a, ab, b, none;
    struct kv_txn *txn;
    struct bytes value;
    struct stat file;
    assert_ok(kv_table_share(kv, "a", &a));
    assert_ok(kv_write_begin(kv, &txn));
    assert_ok(kv_table_share_in(txn, "ab", &ab));
    assert_ok(kv_table_make(txn, "b", &b));
    assert_ok(kv_put(txn, ab, bytes_of("x"), bytes_of("1"), KV_UPSERT));
    assert_ok(kv_put(txn, a, bytes_of("y"), bytes_of("2"), KV_APPEND));
    assert_ok(kv_put(txn, a, bytes_of("b"), bytes_of("3"), KV_UPSERT));
    assert_ok(kv_put(txn, a, bytes_of("q"), bytes_of("4"), KV_UPSERT));
    assert_ok(kv_put(txn, b, bytes_of("z"), bytes_of("5"), KV_APPEND));
    assert_ok(kv_get(txn, a, bytes_of("y"), &value));
    assert_memory_equal(value.at, "2", 1);
    assert_int_equal(kv_get(txn, ab, bytes_of("y"), &value), E_NOT_FOUND);
    assert_ok(kv_delete(txn, a, bytes_of("q")));
    assert_ok(kv_commit(txn));
    assert_ok(kv_confirm(kv, a, bytes_of("b")));
    expect_keys(kv, "a", "by");
    expect_keys(kv, "ab", "x");
    expect_keys(kv, "b", "z"); /* It has its own. */
    expect_keys(kv, "c", "");
    assert_int_equal(kv_table_find(kv, "c", &none), E_NOT_FOUND);
    assert_ok(kv_table_find(kv, "ab", &ab));
    assert_int_equal(kv_find_stray(kv, all), E_NOT_FOUND);
    assert_ok(kv_find_stray(kv, some));
    assert_ok(kv_compact(&kv, directory_file(&dir, "t.mdb"), &small));
    expect_keys(kv, "a", "by");
    assert_int_equal(stat(directory_file(&dir, "t.mdb"), &file), 0);
    assert_int_equal(file.st_size, 4 * 4096); /* Two of LMDB's own, and that of "b". */
    kv_close(kv);
}

static void a_full_map_and_a_wrong_order_are_told_apart(void **state)
{
    (void)state;
    static const uint8_t big[60000];
    struct kv *kv = open_kv();
    struct kv_table table;
    struct kv_txn *txn;
    assert_ok(kv_table_open(kv, "a", &table));
    put_ten(kv, table);
    assert_ok(kv_write_begin(kv, &txn));
    assert_int_equal(kv_put(txn, table, (struct bytes){big, 1}, bytes_of("v"), KV_APPEND),
                     E_CORRUPT);
    enum err e = OK;
    for (uint8_t i = 10; e == OK && i < 100; i++) {
        e = kv_put(txn, table, (struct bytes){&i, 1}, (struct bytes){big, sizeof big}, KV_APPEND);
    }
    assert_int_equal(e, E_NO_SPACE);
    kv_abort(txn);
    kv_close(kv);
}

static void files_that_are_not_ours_are_refused(void **state)
{
    (void)state;
    struct kv *kv = NULL;
    struct kv_options look = small;
    look.read_only = true;
    assert_int_equal(kv_open(directory_file(&dir, "none.mdb"), &look, &kv), E_NOT_FOUND);
    FILE *file = fopen(directory_file(&dir, "bad.mdb"), "w");
    assert_non_null(file);
    for (int i = 0; i < 10000; i++) {
        (void)fputc(i * 7, file);
    }
    assert_int_equal(fclose(file), 0);
    assert_int_equal(kv_open(directory_file(&dir, "bad.mdb"), &small, &kv), E_CORRUPT);
    assert_int_equal(kv_open(directory_file(&dir, "no/dir.mdb"), &small, &kv), E_IO);
}

static void a_file_cut_short_is_corrupt_and_no_crash(void **state)
{
    (void)state;
    static const uint8_t big[60000];
    struct kv_options options = small;
    options.map_bytes = 4 << 20;
    struct kv *kv = NULL;
    struct kv_table table;
    struct kv_txn *txn;
    assert_ok(kv_open(directory_file(&dir, "t.mdb"), &options, &kv));
    assert_ok(kv_table_open(kv, "a", &table));
    assert_ok(kv_write_begin(kv, &txn));
    for (uint8_t i = 0; i < 20; i++) {
        assert_ok(
            kv_put(txn, table, (struct bytes){&i, 1}, (struct bytes){big, sizeof big}, KV_APPEND));
    }
    assert_ok(kv_commit(txn));
    kv_close(kv);
    assert_int_equal(truncate(directory_file(&dir, "t.mdb"), 100000), 0);
    assert_int_equal(kv_open(directory_file(&dir, "t.mdb"), &options, &kv), E_CORRUPT);
}

static void fill_and_empty(struct kv *kv, struct kv_table table)
{
    static const uint8_t big[60000];
    struct kv_txn *txn;
    for (uint8_t i = 0; i < 60; i++) {
        const struct bytes key = {&i, 1};
        assert_ok(kv_write_begin(kv, &txn));
        assert_ok(kv_put(txn, table, key, (struct bytes){big, sizeof big}, KV_APPEND));
        assert_ok(kv_commit(txn));
    }
    for (uint8_t i = 1; i < 60; i++) {
        assert_ok(kv_write_begin(kv, &txn));
        assert_ok(kv_delete(txn, table, (struct bytes){&i, 1}));
        assert_ok(kv_commit(txn));
    }
}

static void a_compact_file_holds_the_same_in_less_space(void **state)
{
    (void)state;
    struct kv_options options = small;
    options.map_bytes = 16 << 20;
    struct kv *kv = NULL;
    struct kv_table a, b;
    struct kv_txn *txn;
    struct bytes value;
    uint64_t used = 0;
    assert_ok(kv_open(directory_file(&dir, "t.mdb"), &options, &kv));
    assert_ok(kv_table_open(kv, "a", &a));
    fill_and_empty(kv, a);
    assert_ok(kv_table_open(kv, "b", &b));
    assert_ok(kv_write_begin(kv, &txn));
    assert_ok(kv_put(txn, b, bytes_of("x"), bytes_of("y"), KV_UPSERT));
    assert_ok(kv_commit(txn));
    assert_ok(kv_used_bytes(kv, &used));
    assert_in_range(used, 60000, 120000);
    assert_true(kv_file_bytes(kv) > 3 * used);
    assert_ok(kv_compact(&kv, directory_file(&dir, "t.mdb"), &options));
    assert_true(kv_file_bytes(kv) <= used + 8192);
    for (int opened = 0; opened < 2; opened++) {
        assert_ok(kv_table_open(kv, "a", &a));
        assert_ok(kv_table_open(kv, "b", &b));
        assert_ok(kv_write_begin(kv, &txn));
        assert_ok(kv_get(txn, a, (struct bytes){(const uint8_t *)"\0", 1}, &value));
        assert_int_equal(value.size, 60000);
        assert_ok(kv_get(txn, b, bytes_of("x"), &value));
        assert_true(bytes_equal(value, bytes_of("y")));
        assert_ok(kv_put(txn, b, bytes_of("z"), bytes_of("more"), KV_UPSERT));
        assert_ok(kv_commit(txn));
        kv_close(kv);
        assert_ok(kv_open(directory_file(&dir, "t.mdb"), &options, &kv));
    }
    kv_close(kv);
}

/* What a power cut while a file was made may leave: the beginning of one, not yet named. */
static void a_file_half_made_is_made_again(void **state)
{
    (void)state;
    static const uint8_t zeros[8192];
    struct kv *kv = NULL;
    FILE *file = fopen(directory_file(&dir, "t.mdb.new"), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(zeros, sizeof zeros, 1, file), 1);
    assert_int_equal(fclose(file), 0);
    assert_ok(kv_open(directory_file(&dir, "t.mdb"), &small, &kv));
    kv_close(kv);
    assert_int_not_equal(access(directory_file(&dir, "t.mdb.new"), F_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_file_half_made_is_made_again, setup, teardown),
        cmocka_unit_test_setup_teardown(committed_pairs_are_there_after_reopening, setup, teardown),
        cmocka_unit_test_setup_teardown(an_aborted_transaction_leaves_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_cursor_walks_and_deletes, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_read_can_be_let_go_and_is_there_again, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(small_tables_share_a_page_and_nothing_else, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_full_map_and_a_wrong_order_are_told_apart, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_compact_file_holds_the_same_in_less_space, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(files_that_are_not_ours_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_cut_short_is_corrupt_and_no_crash, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
