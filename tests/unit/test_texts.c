#include "storage/catalogue/texts.h"

#include <stdio.h>
#include <string.h>

#include "base/thread.h"
#include "storage/kv.h"
#include "tests/lib/directory.h"
#include "tests/lib/rng.h"
#include "tests/lib/test.h"

enum { MANY = 5000, THREADS = 4 };

static struct directory dir;
static struct kv *kv;

static int setup(void **state)
{
    (void)state;
    const struct kv_options options = {.map_bytes = 1 << 28, .tables = 4};
    char path[512];
    directory_make(&dir);
    snprintf(path, sizeof path, "%s/catalog.mdb", dir.path);
    assert_ok(kv_open(path, &options, &kv));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    kv_close(kv);
    directory_remove(&dir);
    return 0;
}

static struct texts *fresh(uint32_t texts_max)
{
    struct texts *t = NULL;
    assert_ok(texts_create(texts_max, &t));
    return t;
}

static uint32_t intern(struct texts *t, const char *text)
{
    uint32_t id = UINT32_MAX;
    assert_ok(texts_intern(t, bytes_of(text), &id));
    return id;
}

static void expect_text(const struct texts *t, uint32_t id, const char *text)
{
    struct bytes found = {NULL, 0};
    assert_true(texts_get(t, id, &found));
    assert_true(bytes_equal(found, bytes_of(text)));
    assert_int_equal(found.at[found.size], 0);
}

static void a_text_gets_one_id_and_keeps_it(void **state)
{
    (void)state;
    struct texts *t = fresh(10);
    struct bytes text;
    uint32_t id;
    assert_int_equal(intern(t, "OPEN"), 0);
    assert_int_equal(intern(t, ""), 1);
    assert_int_equal(intern(t, "fault 17"), 2);
    assert_int_equal(intern(t, "OPEN"), 0);
    assert_int_equal(texts_end(t), 3);
    expect_text(t, 0, "OPEN");
    expect_text(t, 1, "");
    assert_ok(texts_find(t, bytes_of("fault 17"), &id));
    assert_int_equal(id, 2);
    assert_int_equal(texts_find(t, bytes_of("open"), &id), E_NOT_FOUND);
    assert_false(texts_get(t, 3, &text));
    assert_false(texts_get(t, UINT32_MAX, &text));
    texts_destroy(t);
}

static void what_is_no_text_or_one_too_many_is_refused(void **state)
{
    (void)state;
    static uint8_t longest[TEXT_BYTES_MAX + 1];
    struct texts *t = fresh(2);
    uint32_t id = 77;
    memset(longest, 'x', sizeof longest);
    assert_int_equal(texts_intern(t, (struct bytes){longest, sizeof longest}, &id), E_MALFORMED);
    assert_int_equal(texts_intern(t, bytes_of("\xff"), &id), E_MALFORMED);
    assert_int_equal(texts_intern(t, (struct bytes){(const uint8_t *)"a\0b", 3}, &id), E_MALFORMED);
    assert_int_equal(id, 77);
    assert_ok(texts_intern(t, (struct bytes){longest, TEXT_BYTES_MAX}, &id));
    assert_int_equal(intern(t, "b"), 1);
    assert_int_equal(texts_intern(t, bytes_of("c"), &id), E_LIMIT);
    assert_int_equal(intern(t, "b"), 1); /* Those that are known go on. */
    texts_destroy(t);
}

static void recovery_puts_texts_where_they_were(void **state)
{
    (void)state;
    struct texts *t = fresh(100);
    struct bytes text;
    assert_ok(texts_define(t, 5, bytes_of("five")));
    assert_ok(texts_define(t, 5, bytes_of("five")));
    assert_int_equal(texts_define(t, 5, bytes_of("six")), E_CORRUPT);
    assert_int_equal(texts_define(t, 6, bytes_of("\xff")), E_CORRUPT);
    assert_int_equal(texts_define(t, UINT32_MAX, bytes_of("far")), E_CORRUPT);
    assert_false(texts_get(t, 4, &text));  /* Its definition was lost, */
    assert_int_equal(intern(t, "new"), 6); /* and nobody gets its id. */
    texts_skip(t, 9);
    texts_skip(t, UINT32_MAX);
    assert_int_equal(intern(t, "newer"), 10);
    /* A text that stands twice is found once, and both ids have it. */
    assert_ok(texts_define(t, 11, bytes_of("five")));
    assert_int_equal(intern(t, "five"), 5);
    expect_text(t, 11, "five");
    texts_destroy(t);
}

static void expect_many(const struct texts *t, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char text[32];
        snprintf(text, sizeof text, "state %u", i);
        expect_text(t, i, text);
    }
}

static void what_is_saved_is_loaded_whenever_it_was_saved(void **state)
{
    (void)state;
    struct rng rng = {7};
    struct texts *t = fresh(MANY);
    for (unsigned i = 0; i < MANY; i++) {
        char text[32];
        snprintf(text, sizeof text, "state %u", i);
        assert_int_equal(intern(t, text), i);
        if (rng_below(&rng, 300) == 0) {
            assert_ok(texts_save(t, kv));
        }
        if (rng_below(&rng, 1500) == 0) {
            assert_ok(texts_save(t, kv));
            texts_destroy(t);
            t = fresh(MANY);
            assert_ok(texts_load(t, kv));
            assert_int_equal(texts_end(t), i + 1);
        }
    }
    assert_ok(texts_save(t, kv));
    assert_ok(texts_save(t, kv));
    texts_destroy(t);
    t = fresh(MANY);
    assert_ok(texts_load(t, kv));
    assert_int_equal(texts_end(t), MANY);
    expect_many(t, MANY);
    texts_destroy(t);
}

static void lost_texts_stay_lost_over_a_save(void **state)
{
    (void)state;
    struct texts *t = fresh(100);
    struct bytes text;
    assert_ok(texts_define(t, 70, bytes_of("seventy")));
    assert_ok(texts_save(t, kv));
    texts_destroy(t);
    t = fresh(100);
    assert_ok(texts_load(t, kv));
    assert_int_equal(texts_end(t), 71);
    assert_false(texts_get(t, 69, &text));
    expect_text(t, 70, "seventy");
    texts_destroy(t);
}

static enum err flip_pair(struct kv_txn *txn, struct kv_table table, uint8_t pack)
{
    const uint8_t raw[4] = {0, 0, 0, pack};
    uint8_t copy[4096];
    struct bytes value;
    TRY(kv_get(txn, table, (struct bytes){raw, sizeof raw}, &value));
    assert_true(value.size <= sizeof copy);
    memcpy(copy, value.at, value.size);
    copy[value.size / 2] ^= 1;
    return kv_put(txn, table, (struct bytes){raw, sizeof raw}, (struct bytes){copy, value.size},
                  KV_UPSERT);
}

static void a_damaged_pack_costs_its_texts_and_no_id_twice(void **state)
{
    (void)state;
    struct texts *t = fresh(1000);
    struct kv_table table;
    struct kv_txn *txn;
    struct bytes text;
    for (unsigned i = 0; i < 3 * TEXTS_PACK - 10; i++) {
        char name[32];
        snprintf(name, sizeof name, "state %u", i);
        assert_int_equal(intern(t, name), i);
    }
    assert_ok(texts_save(t, kv));
    texts_destroy(t);
    assert_ok(kv_table_share(kv, "texts", &table));
    assert_ok(kv_write_begin(kv, &txn));
    assert_ok(flip_pair(txn, table, 1));
    assert_ok(flip_pair(txn, table, 2));
    assert_ok(kv_commit(txn));
    t = fresh(1000);
    assert_ok(texts_load(t, kv));
    expect_many(t, TEXTS_PACK);
    assert_false(texts_get(t, TEXTS_PACK, &text));
    assert_int_equal(intern(t, "state 64"), 3 * TEXTS_PACK);
    texts_destroy(t);
}

struct shared {
    struct texts *texts;
    uint64_t seed;
};

/* Each interns the same texts in its own order; whatever it finds reads back and is below the end.
 */
static void intern_all(void *raw)
{
    const struct shared *shared = raw;
    struct rng rng = {shared->seed};
    for (unsigned i = 0; i < 4 * MANY; i++) {
        char name[32];
        struct bytes text = {NULL, 0};
        uint32_t id = UINT32_MAX;
        snprintf(name, sizeof name, "state %u", rng_below(&rng, MANY));
        if (texts_intern(shared->texts, bytes_of(name), &id) != OK ||
            id >= texts_end(shared->texts) || !texts_get(shared->texts, id, &text) ||
            !bytes_equal(text, bytes_of(name))) {
            fail_msg("%s", name);
        }
    }
}

static void any_thread_may_add_and_read(void **state)
{
    (void)state;
    struct thread threads[THREADS];
    struct shared shared[THREADS];
    struct texts *t = fresh(MANY);
    for (unsigned i = 0; i < THREADS; i++) {
        shared[i] = (struct shared){t, i};
        assert_ok(thread_start(&threads[i], "interns", intern_all, &shared[i]));
    }
    for (unsigned i = 0; i < THREADS; i++) {
        thread_join(&threads[i]);
    }
    assert_true(texts_end(t) <= MANY);
    for (uint32_t id = 0; id < texts_end(t); id++) {
        struct bytes text = {NULL, 0};
        uint32_t found = UINT32_MAX;
        assert_true(texts_get(t, id, &text));
        assert_ok(texts_find(t, text, &found));
        assert_int_equal(found, id);
    }
    texts_destroy(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_gets_one_id_and_keeps_it),
        cmocka_unit_test(what_is_no_text_or_one_too_many_is_refused),
        cmocka_unit_test(recovery_puts_texts_where_they_were),
        cmocka_unit_test_setup_teardown(what_is_saved_is_loaded_whenever_it_was_saved, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(lost_texts_stay_lost_over_a_save, setup, teardown),
        cmocka_unit_test_setup_teardown(a_damaged_pack_costs_its_texts_and_no_id_twice, setup,
                                        teardown),
        cmocka_unit_test(any_thread_may_add_and_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
