/* Tags through the journal: acknowledged ones are there after any restart, with or without a
 * checkpoint between, and never stand in the way of points. */

#include "storage/catalogue/catalogue_tag.h"

#include "base/clock.h"
#include "storage/kv.h"
#include "tests/lib/rng.h"
#include "tests/lib/store_fixture.h"

enum { SERIES = 400, KEYS = 4, STEPS = 60 };

static void restart(void)
{
    store_close(&s);
    store_verify(&s);
    store_open(&s);
}

static void put_tag(struct series_ref ref, const char *key, const char *value)
{
    assert_ok(batch_put_tag(s.batch, ref.group, ref.column, bytes_of(key), bytes_of(value)));
}

static void expect_tag(const char *path, const char *key, const char *expected)
{
    struct series_ref ref = {0};
    struct bytes value = {NULL, 0};
    assert_ok(catalogue_find(engine_catalogue(s.engine), bytes_of(path), &ref));
    enum err e = catalogue_tag_find(engine_catalogue(s.engine), ref, bytes_of(key), &value);
    if (expected == NULL) {
        assert_int_equal(e, E_NOT_FOUND);
    } else {
        assert_ok(e);
        assert_true(bytes_equal(value, bytes_of(expected)));
    }
}

static void a_tag_is_there_after_a_restart(void **state)
{
    (void)state;
    put_tag(store_series(&s, "krakow/air/1", "pm25"), "unit", "ug/m3");
    assert_ok(store_write(&s));
    expect_tag("krakow/air/1/pm25", "unit", "ug/m3");
    restart(); /* From the journal, which also tells the series: it has no point. */
    expect_tag("krakow/air/1/pm25", "unit", "ug/m3");
    assert_ok(store_checkpoint(&s));
    restart(); /* From the catalogue. */
    expect_tag("krakow/air/1/pm25", "unit", "ug/m3");
    put_tag(store_series(&s, "krakow/air/1", "pm25"), "unit", "");
    assert_ok(store_write(&s));
    restart();
    expect_tag("krakow/air/1/pm25", "unit", NULL);
    assert_ok(store_checkpoint(&s));
    restart();
    expect_tag("krakow/air/1/pm25", "unit", NULL);
}

static void what_was_not_written_is_not_there(void **state)
{
    (void)state;
    const struct series_ref ref = store_series(&s, "a", "");
    put_tag(ref, "unit", "V");
    expect_tag("a", "unit", NULL);
    batch_reset(s.batch);
    assert_ok(store_put(&s, ref, NS_PER_S, 1));
    assert_ok(store_write(&s));
    restart();
    expect_tag("a", "unit", NULL);
}

/* 0: none; else the number of the value. */
static unsigned model[SERIES][KEYS];
static const char *const keys[KEYS] = {"unit", "site", "latitude", "kind"};

static void expect_model(void)
{
    for (unsigned i = 0; i < SERIES; i++) {
        for (unsigned k = 0; k < KEYS; k++) {
            char path[32], value[32];
            struct series_ref ref;
            snprintf(path, sizeof path, "t/%u/n%u", i / 5, i % 5);
            snprintf(value, sizeof value, "value %u", model[i][k]);
            if (catalogue_find(engine_catalogue(s.engine), bytes_of(path), &ref) == OK) {
                expect_tag(path, keys[k], model[i][k] == 0 ? NULL : value);
            } else {
                assert_int_equal(model[i][k], 0);
            }
        }
    }
}

static void change_some(struct rng *rng)
{
    const unsigned changes = rng_below(rng, 300);
    for (unsigned n = 0; n < changes; n++) {
        const unsigned i = rng_below(rng, SERIES), k = rng_below(rng, KEYS);
        const unsigned value = rng_below(rng, 3) == 0 ? 0 : 1 + rng_below(rng, k == 2 ? 500 : 3);
        char topic[16], name[16], text[32] = "";
        snprintf(topic, sizeof topic, "t/%u", i / 5);
        snprintf(name, sizeof name, "n%u", i % 5);
        if (value > 0) {
            snprintf(text, sizeof text, "value %u", value);
        }
        const struct series_ref ref = store_series(&s, topic, name);
        put_tag(ref, keys[k], text);
        if (rng_below(rng, 3) == 0) {
            assert_ok(store_put(&s, ref, NS_PER_S * (1 + n), n));
        }
        model[i][k] = value;
    }
    assert_ok(store_write(&s));
}

static void any_changes_and_restarts_leave_what_was_put_last(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct rng rng = {seed};
        teardown(NULL);
        setup(NULL);
        memset(model, 0, sizeof model);
        for (int step = 0; step < STEPS; step++) {
            change_some(&rng);
            if (rng_below(&rng, 4) == 0) {
                enum err e = store_checkpoint(&s);
                assert_true(e == OK || e == E_END);
            }
            if (rng_below(&rng, 4) == 0) {
                restart();
            }
            expect_model();
        }
    }
}

/* A checkpoint that is under way keeps what comes meanwhile, or leaves it to the journal. */
static void tags_put_during_a_checkpoint_are_kept(void **state)
{
    (void)state;
    const struct series_ref ref = store_series(&s, "a", "");
    put_tag(ref, "unit", "V");
    assert_ok(store_write(&s));
    assert_ok(engine_checkpoint_begin(s.engine));
    put_tag(ref, "unit", "mV");
    assert_ok(store_write(&s));
    enum err run = engine_checkpoint_run(s.engine);
    put_tag(ref, "site", "x");
    assert_ok(store_write(&s));
    assert_ok(engine_checkpoint_end(s.engine, run));
    restart();
    expect_tag("a", "unit", "mV");
    expect_tag("a", "site", "x");
}

static void a_city_of_tags_takes_little_room(void **state)
{
    struct stat before, after;
    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        char topic[32];
        snprintf(topic, sizeof topic, "krakow/site%u/dev%u", i / 40, i / 4 % 10);
        const char *const names[4] = {"power_kw", "voltage", "current_a", "energy_kwh"};
        assert_ok(store_put(&s, store_series(&s, topic, names[i % 4]), NS_PER_S, 1));
        assert_ok(i % 1000 == 999 ? store_write(&s) : OK);
    }
    assert_ok(store_checkpoint(&s));
    assert_int_equal(stat(directory_file(&s.dir, "catalog.mdb"), &before), 0);
    for (unsigned i = 0; i < 20000; i++) {
        static const char *const units[4] = {"kW", "V", "A", "kWh"};
        const struct series_ref ref = {i / 4, (uint8_t)(i % 4)};
        char place[2][32];
        snprintf(place[0], sizeof place[0], "50.%05u", i / 4 * 7919 % 100000);
        snprintf(place[1], sizeof place[1], "19.%05u", i / 4 * 104729 % 100000);
        put_tag(ref, "unit", units[i % 4]);
        put_tag(ref, "domain", "energy");
        put_tag(ref, "district", i % 3 == 0 ? "Stare Miasto" : "Nowa Huta");
        put_tag(ref, "latitude", place[0]);
        put_tag(ref, "longitude", place[1]);
        assert_ok(i % 200 == 199 ? store_write(&s) : OK);
    }
    assert_ok(store_checkpoint(&s));
    assert_int_equal(stat(directory_file(&s.dir, "catalog.mdb"), &after), 0);
    print_message("%.1f bytes a series on disk, %.1f in memory\n",
                  (double)(after.st_size - before.st_size) / 20000,
                  (double)catalogue_tag_bytes(engine_catalogue(s.engine)) / 20000);
    assert_true(after.st_size - before.st_size <= 24 * 20000);
    store_close(&s);
    store_verify(&s);
    store_open(&s);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STORE(a_tag_is_there_after_a_restart),
        WITH_STORE(what_was_not_written_is_not_there),
        WITH_STORE(any_changes_and_restarts_leave_what_was_put_last),
        WITH_STORE(tags_put_during_a_checkpoint_are_kept),
        WITH_STORE(a_city_of_tags_takes_little_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
