/* Texts in the whole engine: whatever mix of numbers, texts and NaN is written, whatever restarts,
 * crashes and failures come between, each series reads back as a trivial model says. */

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "storage/engine.h"
#include "storage/read/scan.h"
#include "tests/lib/model.h"
#include "tests/lib/rng.h"
#include "tests/lib/store.h"

enum { SERIES = 5, WORDS = 300, TEXTS_MAX = 150, STEPS = 300, ROWS_A_STEP = 40 };
#define T0        (INT64_C(1479877011) * 1000000000)
#define MINUTE_NS (INT64_C(60) * 1000000000)

static struct store s;
static struct model models[SERIES]; /* A text stands in them as the number of its word. */

static int setup(void **state)
{
    (void)state;
    store_make(&s);
    store_close(&s);
    s.options.texts_max = TEXTS_MAX;
    store_open(&s);
    memset(models, 0, sizeof models);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (unsigned i = 0; i < SERIES; i++) {
        model_free(&models[i]);
    }
    store_remove(&s);
    return 0;
}

static struct series_ref ref_of(unsigned series)
{
    char topic[32];
    snprintf(topic, sizeof topic, "k/gate/%u", series);
    return store_series(&s, topic, "state");
}

static const char *word(uint32_t number, char to[32])
{
    snprintf(to, 32, "word %u", number);
    return number == 0 ? "" : to;
}

/* E_LIMIT: the dictionary is full. */
static enum err intern(uint32_t number, double *value)
{
    char text[32];
    uint32_t id;
    TRY(texts_intern(engine_texts(s.engine), bytes_of(word(number, text)), &id));
    *value = text_value(id);
    return OK;
}

static double nan_of(uint64_t payload)
{
    const uint64_t bits = UINT64_C(0x7ff8000000000000) | payload;
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void put_one(unsigned series, int64_t time_ns, double model, double value)
{
    assert_ok(store_put(&s, ref_of(series), time_ns, value));
    model_put(&models[series], time_ns, model);
}

static void put_text(unsigned series, int64_t time_ns, uint32_t number)
{
    double value = 0;
    assert_ok(intern(number, &value));
    put_one(series, time_ns, text_value(number), value);
}

/* Some series are nearly all texts, some hardly. */
static void put_any(struct rng *rng, int64_t time_ns)
{
    const unsigned series = rng_below(rng, SERIES);
    const uint32_t number = rng_below(rng, rng_below(rng, 10) == 0 ? WORDS : 3);
    double value = (double)rng_below(rng, 1000) / 10;
    if (rng_below(rng, SERIES + 1) <= series) {
        enum err e = intern(number, &value);
        if (e == OK) {
            put_one(series, time_ns, text_value(number), value);
        } else {
            assert_int_equal(e, E_LIMIT);
            assert_int_equal(texts_end(engine_texts(s.engine)), TEXTS_MAX);
        }
        return;
    }
    value = rng_below(rng, 20) == 0 ? nan_of(rng_below(rng, 3)) : value;
    put_one(series, time_ns, value, value);
}

static void expect_point(double found, double model)
{
    char text[32];
    struct bytes known = {NULL, 0};
    if (!text_is_value(model)) {
        assert_memory_equal(&found, &model, sizeof found);
        return;
    }
    assert_true(text_is_value(found));
    assert_true(texts_get(engine_texts(s.engine), text_id(found), &known));
    assert_true(bytes_equal(known, bytes_of(word(text_id(model), text))));
}

static void expect_series(struct scan *scan, unsigned series)
{
    struct model *m = &models[series];
    struct span span;
    size_t at = 0;
    int64_t last_ns;
    double last;
    enum err e;
    model_settle(m);
    scan_start(scan, ref_of(series), 0, INT64_MAX);
    while ((e = scan_next(scan, &span)) == OK) {
        for (size_t i = 0; i < span.count; i++, at++) {
            assert_true(at < m->count);
            assert_int_equal(span.times[i], m->points[at].time_ns);
            expect_point(span.values[i], m->points[at].value);
        }
    }
    assert_int_equal(e, E_END);
    assert_int_equal(at, m->count);
    if (m->count > 0) {
        assert_ok(engine_last(s.engine, ref_of(series), &last_ns, &last));
        assert_int_equal(last_ns, m->points[m->count - 1].time_ns);
        expect_point(last, m->points[m->count - 1].value);
    }
}

static void expect_all(void)
{
    struct scan *scan = NULL;
    assert_ok(scan_create(s.engine, &scan));
    for (unsigned series = 0; series < SERIES; series++) {
        expect_series(scan, series);
    }
    scan_destroy(scan);
}

/* A crash, as far as the store can tell: nothing is written at the end. */
static void restart(void)
{
    store_close(&s);
    store_verify(&s);
    store_open(&s);
}

static void do_anything(struct rng *rng)
{
    switch (rng_below(rng, 14)) {
    case 4:
        (void)!store_seal(&s, true);
        break;
    case 5:
        store_go_on_with_a_snapshot(&s);
        break;
    case 0:
        (void)!store_checkpoint(&s); /* E_END when there is nothing. */
        break;
    case 1:
        restart();
        break;
    case 2: /* Dies when names and texts are in the catalogue, chunks too, and nothing is trimmed.
             */
        if (engine_checkpoint_begin(s.engine) == OK) {
            assert_ok(engine_checkpoint_run(s.engine));
        }
        restart();
        break;
    case 3:
        if (engine_checkpoint_begin(s.engine) == OK) {
            assert_int_equal(engine_checkpoint_end(s.engine, E_NO_SPACE), E_NO_SPACE);
        }
        break;
    default:
        break;
    }
}

static void any_mix_of_numbers_texts_and_nan_reads_back(void **state)
{
    (void)state;
    struct rng rng = {11};
    for (int64_t step = 0; step < STEPS; step++) {
        for (unsigned i = rng_below(&rng, ROWS_A_STEP); i > 0; i--) {
            const bool is_late = rng_below(&rng, 8) == 0;
            put_any(&rng,
                    T0 + step * 15 * MINUTE_NS - MINUTE_NS * rng_below(&rng, is_late ? 30000 : 20));
        }
        assert_ok(store_write(&s));
        do_anything(&rng);
        if (rng_below(&rng, 20) == 0) {
            expect_all();
        }
    }
    expect_all();
    assert_int_equal(texts_end(engine_texts(s.engine)), TEXTS_MAX); /* It did fill up. */
}

static void a_definition_is_in_the_journal_before_its_first_row(void **state)
{
    (void)state;
    put_text(0, T0, 1);
    put_text(0, T0 + 1, 2);
    assert_ok(store_write(&s));
    put_text(0, T0 + 2, 1);
    put_text(1, T0 + 2, 3);
    assert_ok(store_write(&s));
    for (int round = 0; round < 2; round++) {
        restart();
        expect_all();
        assert_int_equal(texts_end(engine_texts(s.engine)), 3);
        assert_ok(round == 0 ? store_checkpoint(&s) : OK); /* Then from the catalogue. */
    }
}

static void a_text_nobody_stored_in_the_end_does_no_harm(void **state)
{
    (void)state;
    double value = 0;
    assert_ok(intern(7, &value));
    put_text(0, T0, 8);
    assert_ok(store_write(&s));
    assert_ok(intern(9, &value)); /* Lost: no row was written since. */
    restart();
    put_text(0, T0 + 1, 10);
    assert_ok(store_write(&s));
    restart();
    expect_all();
}

static char last_fault[256];

static void on_fault(void *context, const struct verify_fault *f)
{
    (void)context;
    snprintf(last_fault, sizeof last_fault, "%s: %s", f->file, f->what);
}

static void expect_fault(const char *what)
{
    struct verify_totals totals;
    store_close(&s);
    assert_int_equal(verify_store(s.dir.path, on_fault, NULL, &totals), E_CORRUPT);
    assert_string_equal(last_fault, what);
    store_open(&s);
}

static void a_text_that_is_not_there_is_found_and_its_id_is_given_to_nobody(void **state)
{
    (void)state;
    uint32_t id;
    assert_ok(store_put(&s, ref_of(0), T0, text_value(5)));
    assert_ok(store_write(&s));
    expect_fault("journal.mdb: a row of a text that is not there");
    assert_ok(texts_intern(engine_texts(s.engine), bytes_of("new"), &id));
    assert_int_equal(id, 6);
    assert_ok(store_checkpoint(&s));
    expect_fault("parts/20161121-604800.1.act.mdb: a value of a text that is not there");
}

/* The limit on file sizes stands in for a full disk. */
static void a_definition_that_failed_is_written_again(void **state)
{
    (void)state;
    struct rlimit before, tight;
    double value = 0;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, SIG_IGN);
    tight = before;
    tight.rlim_cur = 1;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    assert_ok(intern(1, &value));
    assert_ok(store_put(&s, ref_of(0), T0, value));
    const enum err e = store_write(&s);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_true(e == E_NO_SPACE || e == E_IO);
    put_text(0, T0, 1);
    assert_ok(store_write(&s));
    restart();
    expect_all();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(any_mix_of_numbers_texts_and_nan_reads_back, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_definition_is_in_the_journal_before_its_first_row, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_text_nobody_stored_in_the_end_does_no_harm, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            a_text_that_is_not_there_is_found_and_its_id_is_given_to_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(a_definition_that_failed_is_written_again, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
