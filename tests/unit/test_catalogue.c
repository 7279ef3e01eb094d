#include "storage/catalogue/catalogue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/thread.h"
#include "storage/kv.h"
#include "tests/lib/directory.h"
#include "tests/lib/rng.h"
#include "tests/lib/test.h"

static struct catalogue *fresh(uint32_t series_max)
{
    struct catalogue *c = NULL;
    const struct catalogue_limits limits = {series_max};
    assert_ok(catalogue_create(&limits, &c));
    return c;
}

static struct series_ref intern(struct catalogue *c, const char *topic, const char *name)
{
    struct series_ref ref = {0};
    assert_ok(catalogue_intern(c, bytes_of(topic), bytes_of(name), &ref));
    return ref;
}

static void expect_path(const struct catalogue *c, struct series_ref ref, const char *path)
{
    uint8_t room[SERIES_PATH_BYTES_MAX];
    size_t size = catalogue_path(c, ref, room);
    assert_true(bytes_equal((struct bytes){room, size}, bytes_of(path)));
}

static void fields_of_a_topic_share_a_group(void **state)
{
    (void)state;
    struct catalogue *c = fresh(100);
    struct series_ref a = intern(c, "k/air/1", "pm25"), b = intern(c, "k/air/1", "wind/dir");
    struct series_ref own = intern(c, "k/air/1", ""), other = intern(c, "k/air/2", "pm25");
    assert_int_equal(a.group, b.group);
    assert_int_equal(own.column, 2);
    assert_int_equal(other.group, 1);
    expect_path(c, b, "k/air/1/wind/dir");
    expect_path(c, own, "k/air/1");
    struct series_ref again = intern(c, "k/air/1", "wind/dir"), found;
    assert_int_equal(again.column, b.column);
    /* The path is owned by who came first, whatever the topic. */
    again = intern(c, "k/air/1/wind", "dir");
    assert_int_equal(again.group, b.group);
    assert_ok(catalogue_find(c, bytes_of("k/air/2/pm25"), &found));
    assert_int_equal(found.group, 1);
    assert_int_equal(catalogue_find(c, bytes_of("k/air/2"), &found), E_NOT_FOUND);
    assert_int_equal(catalogue_series_count(c), 4);
    catalogue_destroy(c);
}

static void a_full_group_opens_a_sibling(void **state)
{
    (void)state;
    struct catalogue *c = fresh(1000);
    char name[16];
    for (unsigned i = 0; i < 200; i++) {
        snprintf(name, sizeof name, "f%u", i);
        struct series_ref ref = intern(c, "big", name);
        assert_int_equal(ref.group, i / 64);
        assert_int_equal(ref.column, i % 64);
    }
    assert_int_equal(catalogue_group_count(c), 4);
    assert_true(bytes_equal(catalogue_group(c, 3)->topic, bytes_of("big")));
    assert_null(catalogue_group(c, 4));
    catalogue_destroy(c);
}

static void limits_and_bad_names_are_refused(void **state)
{
    (void)state;
    struct catalogue *c = fresh(2);
    struct series_ref ref;
    static uint8_t big[SERIES_PATH_BYTES_MAX];
    memset(big, 'x', sizeof big);
    assert_int_equal(catalogue_intern(c, bytes_of("a"), (struct bytes){big, sizeof big}, &ref),
                     E_LIMIT);
    assert_int_equal(catalogue_intern(c, bytes_of("a"), bytes_of("b/+"), &ref), E_LIMIT);
    (void)intern(c, "a", "");
    (void)intern(c, "b", "");
    assert_int_equal(catalogue_intern(c, bytes_of("c"), bytes_of(""), &ref), E_LIMIT);
    (void)intern(c, "a", "");
    catalogue_destroy(c);
}

static void expect_selection(struct catalogue *c, const char *filter, const char *expected)
{
    char text[1000] = "";
    struct series_list list;
    assert_ok(catalogue_select(c, bytes_of(filter), 100, &list));
    for (size_t i = 0; i < list.count; i++) {
        uint8_t room[SERIES_PATH_BYTES_MAX];
        size_t size = catalogue_path(c, list.refs[i], room);
        (void)snprintf(text + strlen(text), 100, "%.*s ", (int)size, (const char *)room);
    }
    assert_string_equal(text, expected);
    series_list_fini(&list);
}

static void filters_select_in_order_of_paths(void **state)
{
    (void)state;
    struct catalogue *c = fresh(100);
    expect_selection(c, "#", "");
    (void)intern(c, "k/water/b", "level");
    (void)intern(c, "k/air/2", "pm25");
    (void)intern(c, "k/air/10", "pm25");
    (void)intern(c, "k/air", "");
    expect_selection(c, "#", "k/air k/air/10/pm25 k/air/2/pm25 k/water/b/level ");
    (void)intern(c, "k/air-2", "");
    (void)intern(c, "k/air/10", "no2");
    (void)intern(c, "$SYS/x", "");
    expect_selection(c, "k/air/#", "k/air k/air/10/no2 k/air/10/pm25 k/air/2/pm25 ");
    expect_selection(c, "k/+/+/pm25", "k/air/10/pm25 k/air/2/pm25 ");
    expect_selection(c, "+/air-2", "k/air-2 ");
    expect_selection(c, "k/air/2/pm25", "k/air/2/pm25 ");
    expect_selection(c, "k/air/3", "");
    expect_selection(c, "$SYS/#", "$SYS/x ");
    struct series_list list;
    assert_int_equal(catalogue_select(c, bytes_of("#"), 3, &list), E_LIMIT);
    catalogue_destroy(c);
}

static struct kv *open_kv(const struct directory *dir)
{
    struct kv *kv = NULL;
    const struct kv_options options = {.map_bytes = 1 << 30, .tables = 4};
    assert_ok(kv_open(directory_file(dir, "catalog.mdb"), &options, &kv));
    return kv;
}

static void what_was_saved_is_loaded_at_its_place(void **state)
{
    (void)state;
    struct directory dir;
    directory_make(&dir);
    struct catalogue *c = fresh(100000), *copy = fresh(1);
    struct kv *kv = open_kv(&dir);
    char topic[32];
    for (unsigned i = 0; i < 20000; i++) {
        snprintf(topic, sizeof topic, "city/%u", i * 7919 % 20011);
        (void)intern(c, topic, i % 3 == 0 ? "a" : "");
        if (i == 300) {
            assert_ok(catalogue_save(c, kv));
        }
    }
    assert_ok(catalogue_save(c, kv));
    assert_ok(catalogue_load(copy, kv));
    assert_int_equal(catalogue_series_count(copy), 20000);
    assert_int_equal(catalogue_group_count(copy), catalogue_group_count(c));
    for (uint32_t i = 0; i < 20000; i++) {
        uint8_t a[SERIES_PATH_BYTES_MAX], b[SERIES_PATH_BYTES_MAX];
        struct series_ref ref = catalogue_series(c, i);
        size_t size = catalogue_path(c, ref, a);
        assert_int_equal(catalogue_path(copy, ref, b), size);
        assert_memory_equal(a, b, size);
    }
    kv_close(kv);
    catalogue_destroy(c);
    catalogue_destroy(copy);
    directory_remove(&dir);
}

/* Flip a bit of one pack of names; -1: the last. */
static void damage_pack(struct kv *kv, int number)
{
    struct kv_table table = {0};
    struct kv_txn *txn = NULL;
    struct kv_cursor *c = NULL;
    struct bytes key = {NULL, 0}, value = {NULL, 0};
    uint8_t copy[4096], key_copy[4];
    assert_ok(kv_table_share(kv, "names", &table));
    assert_ok(kv_write_begin(kv, &txn));
    assert_ok(kv_cursor_open(txn, table, &c));
    const uint8_t from[4] = {0, 0, 0, number < 0 ? 0 : (uint8_t)number};
    enum err e = kv_cursor_seek(c, (struct bytes){from, sizeof from}, &key, &value);
    assert_ok(e);
    for (struct bytes k, v; number < 0 && (e = kv_cursor_next(c, &k, &v)) == OK;) {
        key = k;
        value = v;
    }
    assert_true(e == OK || e == E_END);
    memcpy(copy, value.at, value.size);
    memcpy(key_copy, key.at, sizeof key_copy);
    copy[value.size / 3] ^= 1;
    kv_cursor_close(c);
    assert_ok(kv_put(txn, table, (struct bytes){key_copy, sizeof key_copy},
                     (struct bytes){copy, value.size}, KV_UPSERT));
    assert_ok(kv_commit(txn));
}

enum { DAMAGE_SERIES = 3000 };

static void intern_devices(struct catalogue *c, struct series_ref refs[DAMAGE_SERIES])
{
    for (unsigned i = 0; i < DAMAGE_SERIES; i++) {
        char topic[32], name[8];
        snprintf(topic, sizeof topic, "device/%u", i / 3);
        snprintf(name, sizeof name, "f%u", i % 3);
        refs[i] = intern(c, topic, name);
    }
}

/* What stayed is where it was; what was lost gets new places, and nobody gets the old ones. */
static void expect_places(struct catalogue *c, const struct series_ref before[DAMAGE_SERIES])
{
    static struct series_ref after[DAMAGE_SERIES];
    const uint32_t groups = catalogue_group_count(c);
    unsigned moved = 0;
    for (unsigned i = 0; i < DAMAGE_SERIES; i++) {
        char path[48];
        struct series_ref found;
        snprintf(path, sizeof path, "device/%u/f%u", i / 3, i % 3);
        if (catalogue_find(c, bytes_of(path), &found) == OK) {
            assert_int_equal(found.group, before[i].group);
            assert_int_equal(found.column, before[i].column);
        }
    }
    intern_devices(c, after);
    for (unsigned i = 0; i < DAMAGE_SERIES; i++) {
        const bool is_same =
            after[i].group == before[i].group && after[i].column == before[i].column;
        assert_true(is_same || after[i].group >= groups);
        moved += !is_same;
    }
    assert_true(groups >= DAMAGE_SERIES / 3);
    assert_true(moved > 0 && moved < DAMAGE_SERIES);
    assert_true(intern(c, "device/0", "new").group >= groups);
}

static void a_damaged_pack_costs_its_own_names_only(void **state)
{
    static struct series_ref refs[DAMAGE_SERIES];
    (void)state;
    for (int number = -1; number < 2; number++) {
        struct directory dir;
        directory_make(&dir);
        struct catalogue *c = fresh(100000), *again = fresh(100000), *third = fresh(100000);
        struct kv *kv = open_kv(&dir);
        intern_devices(c, refs);
        assert_ok(catalogue_save(c, kv));
        damage_pack(kv, number);
        assert_ok(catalogue_load(again, kv));
        assert_int_equal(catalogue_damaged(again), 1);
        expect_places(again, refs);
        const uint32_t count = catalogue_series_count(again);
        assert_ok(catalogue_save(again, kv));
        assert_ok(catalogue_load(third, kv)); /* It is as damaged as before, and no more. */
        assert_int_equal(catalogue_damaged(third), 1);
        assert_int_equal(catalogue_series_count(third), count);
        kv_close(kv);
        catalogue_destroy(c);
        catalogue_destroy(again);
        catalogue_destroy(third);
        directory_remove(&dir);
    }
}

/* Names of every kind, saved and loaded at any moment: all have the place they had. */
static void restarts_between_saves_keep_every_place(void **state)
{
    enum { NAMES = 4000 };
    static struct series_ref refs[NAMES];
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct directory dir;
        struct rng rng = {seed};
        directory_make(&dir);
        struct kv *kv = open_kv(&dir);
        struct catalogue *c = fresh(100000);
        for (unsigned i = 0; i < NAMES; i++) {
            char topic[64], name[32];
            snprintf(topic, sizeof topic, "%c/%u/%u", 'a' + (int)rng_below(&rng, 3),
                     rng_below(&rng, 50), i / 7);
            snprintf(name, sizeof name, rng_below(&rng, 2) == 0 ? "n/%u" : "%u", i);
            refs[i] = intern(c, topic, rng_below(&rng, 4) == 0 ? "" : name);
            if (rng_below(&rng, 300) == 0) {
                assert_ok(catalogue_save(c, kv));
            }
            if (rng_below(&rng, 600) == 0) { /* Those not saved come from the journal. */
                struct catalogue *next = fresh(100000);
                assert_ok(catalogue_load(next, kv));
                for (uint32_t k = 0; k < catalogue_series_count(c); k++) {
                    struct series_ref ref = catalogue_series(c, k);
                    const struct group *g = catalogue_group(c, ref.group);
                    const struct series_name *n = group_name(g, ref.column);
                    assert_ok(
                        catalogue_define(next, ref, g->topic, (struct bytes){n->at, n->size}));
                }
                assert_int_equal(catalogue_series_count(next), catalogue_series_count(c));
                catalogue_destroy(c);
                c = next;
            }
        }
        assert_ok(catalogue_save(c, kv));
        struct catalogue *last = fresh(100000);
        assert_ok(catalogue_load(last, kv));
        assert_int_equal(catalogue_series_count(last), catalogue_series_count(c));
        for (unsigned i = 0; i < NAMES; i++) {
            uint8_t a[SERIES_PATH_BYTES_MAX], b[SERIES_PATH_BYTES_MAX];
            const size_t size = catalogue_path(c, refs[i], a);
            assert_int_equal(catalogue_path(last, refs[i], b), size);
            assert_memory_equal(a, b, size);
        }
        catalogue_destroy(c);
        catalogue_destroy(last);
        kv_close(kv);
        directory_remove(&dir);
    }
}

static void a_place_taken_by_another_is_corrupt(void **state)
{
    (void)state;
    struct catalogue *c = fresh(100);
    const struct series_ref at = {5, 2}, elsewhere = {6, 0}, lost = {5, 0}, far = {1u << 30, 0};
    assert_ok(catalogue_define(c, at, bytes_of("t"), bytes_of("a")));
    assert_ok(catalogue_define(c, at, bytes_of("t"), bytes_of("a")));
    assert_int_equal(catalogue_define(c, at, bytes_of("t"), bytes_of("b")), E_CORRUPT);
    assert_int_equal(catalogue_define(c, elsewhere, bytes_of("t"), bytes_of("a")), E_CORRUPT);
    assert_int_equal(catalogue_define(c, lost, bytes_of("u"), bytes_of("a")), E_CORRUPT);
    assert_int_equal(catalogue_define(c, far, bytes_of("u"), bytes_of("a")), E_CORRUPT);
    assert_null(catalogue_group(c, 3));
    assert_int_equal(atomic_load(&catalogue_group(c, 5)->columns), 3);
    assert_ok(catalogue_define(c, lost, bytes_of("t"), bytes_of("")));
    assert_int_equal(catalogue_define(c, lost, bytes_of("t"), bytes_of("c")), E_CORRUPT);
    struct series_ref next = intern(c, "t", "d");
    assert_int_equal(next.column, 3);
    next = intern(c, "v", "");
    assert_int_equal(next.group, 6);
    catalogue_destroy(c);
}

enum { RACERS = 3, RACE_SERIES = 3000 };

static struct series_ref seen[RACERS][RACE_SERIES];
static struct catalogue *shared;

static void race(void *argument)
{
    struct series_ref *mine = argument;
    struct rng rng = {(uint64_t)(mine - seen[0])};
    for (unsigned k = 0; k < RACE_SERIES; k++) {
        unsigned i = (k * 1009 + rng_below(&rng, 1)) % RACE_SERIES;
        char topic[32], name[32];
        snprintf(topic, sizeof topic, "t/%u", i / 100);
        snprintf(name, sizeof name, "n%u", i);
        mine[i] = intern(shared, topic, name);
        uint8_t room[SERIES_PATH_BYTES_MAX];
        assert_true(catalogue_path(shared, mine[i], room) > 0);
        if (k % 500 == 0) {
            struct series_list list;
            assert_ok(catalogue_select(shared, bytes_of("t/+/#"), RACE_SERIES, &list));
            series_list_fini(&list);
        }
    }
}

static void threads_agree_on_the_places(void **state)
{
    (void)state;
    struct thread threads[RACERS];
    shared = fresh(RACE_SERIES);
    for (unsigned i = 0; i < RACERS; i++) {
        assert_ok(thread_start(&threads[i], "racer", race, seen[i]));
    }
    for (unsigned i = 0; i < RACERS; i++) {
        thread_join(&threads[i]);
    }
    for (unsigned i = 0; i < RACE_SERIES; i++) {
        assert_memory_equal(&seen[0][i].group, &seen[1][i].group, sizeof seen[0][i].group);
        assert_int_equal(seen[0][i].column, seen[2][i].column);
    }
    assert_int_equal(catalogue_series_count(shared), RACE_SERIES);
    catalogue_destroy(shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_of_a_topic_share_a_group),
        cmocka_unit_test(a_full_group_opens_a_sibling),
        cmocka_unit_test(limits_and_bad_names_are_refused),
        cmocka_unit_test(filters_select_in_order_of_paths),
        cmocka_unit_test(what_was_saved_is_loaded_at_its_place),
        cmocka_unit_test(a_damaged_pack_costs_its_own_names_only),
        cmocka_unit_test(restarts_between_saves_keep_every_place),
        cmocka_unit_test(a_place_taken_by_another_is_corrupt),
        cmocka_unit_test(threads_agree_on_the_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
