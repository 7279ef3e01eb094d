/* A store of an older version is opened, and is one of this version after its first save; killed
 * at any moment it is one or the other, with all that was in it. */

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/hash.h"
#include "storage/kv.h"
#include "tests/lib/golden_store.h"
#include "tests/lib/rng.h"

enum { KILLS = 25, FILE_BYTES_MAX = 1 << 20, VERSION = 3 };

static struct store s;

static int setup(void **state)
{
    (void)state;
    golden_store_copy(&s, "store_v1");
    return 0;
}

static int setup_v2(void **state)
{
    (void)state;
    golden_store_copy(&s, "store_v2");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    store_remove(&s);
    return 0;
}

static uint32_t version(void)
{
    const struct kv_options options = {.map_bytes = 1 << 30, .tables = 8, .read_only = true};
    struct kv *kv = NULL;
    struct kv_table meta = {0};
    struct kv_txn *txn = NULL;
    struct bytes raw = {NULL, 0};
    uint32_t found = 0;
    assert_ok(kv_open(directory_file(&s.dir, "catalog.mdb"), &options, &kv));
    assert_ok(kv_table_open(kv, "meta", &meta));
    assert_ok(kv_read_begin(kv, &txn));
    assert_ok(kv_get(txn, meta, bytes_of("store"), &raw));
    assert_ok(bytes_take_le32(&raw, &found));
    kv_abort(txn);
    kv_close(kv);
    return found;
}

/* Names, places and newest values of all series, as one number. */
static uint64_t digest(void)
{
    struct series_list list = {0, NULL};
    struct catalogue *c = engine_catalogue(s.engine);
    uint64_t sum = 0;
    assert_ok(catalogue_select(c, bytes_of("#"), SIZE_MAX, &list));
    assert_true(list.count > 10);
    for (size_t i = 0; i < list.count; i++) {
        uint8_t path[SERIES_PATH_BYTES_MAX];
        struct {
            uint32_t group, column;
            int64_t time_ns;
            double value;
        } at = {list.refs[i].group, list.refs[i].column, 0, 0};
        const size_t size = catalogue_path(c, list.refs[i], path);
        assert_ok(engine_last(s.engine, list.refs[i], &at.time_ns, &at.value));
        sum = hash_seeded(sum, (struct bytes){path, size});
        sum = hash_seeded(sum, (struct bytes){(const uint8_t *)&at, sizeof at});
    }
    series_list_fini(&list);
    return sum;
}

static void the_first_save_makes_it_one_of_this_version(void **state)
{
    (void)state;
    struct stat old, new;
    store_verify(&s);
    assert_int_equal(stat(directory_file(&s.dir, "catalog.mdb"), &old), 0);
    store_open(&s);
    const uint64_t before = digest();
    assert_int_equal(version(), 1);
    assert_ok(store_checkpoint(&s));
    assert_int_equal(version(), VERSION);
    assert_true(digest() == before);
    store_close(&s);
    store_verify(&s);
    assert_int_equal(stat(directory_file(&s.dir, "catalog.mdb"), &new), 0);
    assert_true(new.st_size < old.st_size);
    assert_int_not_equal(access(directory_file(&s.dir, "catalog.mdb.v1"), F_OK), 0);
    store_open(&s);
    assert_true(digest() == before);
    (void)store_series(&s, "krakow/new", "");
    assert_ok(store_put(&s, store_series(&s, "krakow/new", ""), 1000, 1.5));
    assert_ok(store_write(&s));
    assert_ok(store_checkpoint(&s));
    store_close(&s);
    store_verify(&s);
}

static void one_of_the_second_version_is_made_anew(void **state)
{
    (void)state;
    store_verify(&s);
    store_open(&s);
    const uint64_t before = digest();
    const uint32_t texts = texts_end(engine_texts(s.engine));
    assert_true(texts > 0);
    assert_int_equal(version(), 2);
    assert_ok(store_checkpoint(&s));
    assert_int_equal(version(), VERSION);
    assert_true(digest() == before);
    store_close(&s);
    store_verify(&s);
    store_open(&s);
    assert_true(digest() == before);
    assert_int_equal(texts_end(engine_texts(s.engine)), texts);
    store_close(&s);
}

static void what_was_damaged_stays_beside(void **state)
{
    (void)state;
    struct stat old, kept;
    store_open(&s);
    const uint32_t all = catalogue_series_count(engine_catalogue(s.engine));
    store_close(&s);
    int file = open(directory_file(&s.dir, "catalog.mdb"), O_RDWR);
    static uint8_t raw[FILE_BYTES_MAX];
    assert_true(file >= 0);
    const ssize_t size = read(file, raw, sizeof raw);
    assert_true(size > 0);
    for (const uint8_t *at = raw; /* Pages not in use have it, too. */
         (at = memmem(at, (size_t)(raw + size - at), "krakow/phase/0", 14)) != NULL; at++) {
        assert_int_equal(pwrite(file, "K", 1, at - raw), 1);
    }
    close(file);
    assert_int_equal(stat(directory_file(&s.dir, "catalog.mdb"), &old), 0);
    store_open(&s);
    assert_true(catalogue_damaged(engine_catalogue(s.engine)) > 0);
    assert_true(catalogue_series_count(engine_catalogue(s.engine)) < all);
    assert_ok(store_checkpoint(&s));
    assert_int_equal(version(), VERSION);
    assert_int_equal(stat(directory_file(&s.dir, "catalog.mdb.v1"), &kept), 0);
    assert_true(kept.st_size == old.st_size);
    /* Its topic gets a group of its own: the old one may have points. */
    struct series_ref again = store_series(&s, "krakow/phase/0", "");
    assert_true(again.group + 1 == catalogue_group_count(engine_catalogue(s.engine)));
    store_close(&s);
}

static void upgrade_and_die(void)
{
    store_open(&s);
    _exit(store_checkpoint(&s) == OK ? 0 : 1);
}

/* How long it takes when nobody kills it. */
static int64_t upgrade_ms(void)
{
    const int64_t start_ms = clock_now_ms();
    pid_t child = fork();
    int status = 0;
    assert_true(child >= 0);
    if (child == 0) {
        upgrade_and_die();
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    return clock_now_ms() - start_ms;
}

static void killed_at_any_moment_it_is_one_or_the_other(void **state)
{
    unsigned old = 0;
    struct rng rng = {11};
    (void)state;
    store_open(&s);
    const uint64_t before = digest();
    store_close(&s);
    const uint32_t most_us = (uint32_t)upgrade_ms() * 1200 + 1000;
    for (int i = 0; i < KILLS; i++) {
        teardown(NULL);
        setup(NULL);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            upgrade_and_die();
        }
        usleep(rng_below(&rng, most_us));
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
        const uint32_t found = version();
        assert_true(found == 1 || found == VERSION);
        old += found == 1;
        store_open(&s);
        assert_true(digest() == before);
        enum err e = store_checkpoint(&s);
        assert_true(e == OK || (e == E_END && found == VERSION)); /* The child had finished. */
        assert_int_equal(version(), VERSION);
        assert_true(digest() == before);
        store_close(&s);
        store_verify(&s);
    }
    print_message("%u of %d were killed before they had another version\n", old, KILLS);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STORE(the_first_save_makes_it_one_of_this_version),
        cmocka_unit_test_setup_teardown(one_of_the_second_version_is_made_anew, setup_v2, teardown),
        WITH_STORE(what_was_damaged_stays_beside),
        WITH_STORE(killed_at_any_moment_it_is_one_or_the_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
