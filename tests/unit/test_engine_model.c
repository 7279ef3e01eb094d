/* The whole engine against the trivial model: any order of writes, checkpoints, crashes in the
 * middle of one, failures and restarts leaves every point where it belongs (promises P2, P3, P4),
 * also while series lose what is too old, each by its rule. */

#include <stdio.h>
#include <string.h>

#include "storage/engine.h"
#include "storage/read/newest.h"
#include "storage/read/scan.h"
#include "tests/lib/model.h"
#include "tests/lib/rng.h"
#include "tests/lib/store.h"

enum { TOPICS = 6, FIELDS = 3, STEPS = 400, ROWS_A_STEP = 60 };
#define T0        (INT64_C(1479877011) * 1000000000)
#define MINUTE_NS (INT64_C(60) * 1000000000)

static struct store s;
static struct model models[TOPICS][FIELDS];
static int64_t step_ns; /* Of time, from step to step. */
static bool has_rules;

/* Everything that was ever put, in order, and when. */
static struct put {
    unsigned topic, field;
    int64_t time_ns, arrival_ns;
    double value;
    bool is_gone; /* Deleted since. */
} * history;
static size_t put_count;

static void note_put(unsigned topic, unsigned field, int64_t time_ns, double value)
{
    enum { PUTS_MAX = STEPS * ROWS_A_STEP * FIELDS };
    if (history == NULL) {
        history = calloc(PUTS_MAX, sizeof *history);
        assert_non_null(history);
    }
    assert_true(put_count < PUTS_MAX);
    history[put_count++] = (struct put){topic, field, time_ns, s.batch->arrival_ns, value, false};
}

static struct series_ref ref_of(unsigned topic, unsigned field)
{
    static const char *const fields[FIELDS] = {"", "pm25", "wind/dir"};
    char name[32];
    snprintf(name, sizeof name, "k/air/%u", topic);
    return store_series(&s, name, fields[field]);
}

/* Mostly on time, now and then late by weeks; times and values repeat. */
static void put_row(struct rng *rng, int64_t now_ns)
{
    unsigned topic = rng_below(rng, TOPICS), count = 0;
    struct batch_value values[FIELDS];
    bool is_late = rng_below(rng, 8) == 0;
    int64_t time_ns = now_ns - MINUTE_NS * rng_below(rng, is_late ? 30000 : 20);
    uint32_t group = 0;
    for (unsigned field = 0; field < FIELDS; field++) {
        if (rng_below(rng, 3) > 0 || (field == FIELDS - 1 && count == 0)) {
            int64_t mantissa = rng_below(rng, 100);
            struct series_ref ref = ref_of(topic, field);
            if (time_ns < engine_horizon(s.engine, ref)) {
                continue; /* As whoever fills batches does. */
            }
            group = ref.group;
            values[count].column = ref.column;
            values[count++].number = (struct number){(double)mantissa / 10, mantissa, 1};
            model_put(&models[topic][field], time_ns, (double)mantissa / 10);
            note_put(topic, field, time_ns, (double)mantissa / 10);
        }
    }
    for (unsigned i = 1; i < count; i++) { /* Columns were given out in order of first sight. */
        for (unsigned k = i; k > 0 && values[k - 1].column > values[k].column; k--) {
            struct batch_value moved = values[k];
            values[k] = values[k - 1];
            values[k - 1] = moved;
        }
    }
    if (count > 0) {
        assert_ok(batch_put_row(s.batch, group, time_ns, values, count));
    }
}

static void expect_points(struct scan *scan, struct series_ref ref, struct model *m)
{
    struct span span;
    size_t at = 0;
    enum err e;
    model_settle(m);
    scan_start(scan, ref, 0, INT64_MAX);
    while ((e = scan_next(scan, &span)) == OK) {
        for (size_t i = 0; i < span.count; i++, at++) {
            assert_true(at < m->count);
            assert_int_equal(span.times[i], m->points[at].time_ns);
            assert_memory_equal(&span.values[i], &m->points[at].value, sizeof(double));
        }
    }
    assert_int_equal(e, E_END);
    assert_int_equal(at, m->count);
}

/* What statistics stand for, and what is decoded, make up the same points. In years, since chunks
 * of sealed files are long. */
static void expect_sums(struct scan *scan, struct series_ref ref, const struct model *m)
{
    const struct buckets years = {BUCKET_FIXED, 366 * 24 * 60 * MINUTE_NS, NULL};
    struct piece piece;
    size_t count = 0;
    double sum = 0, wanted = 0;
    enum err e;
    scan_start(scan, ref, 0, INT64_MAX);
    while ((e = scan_next_piece(scan, &years, &piece)) == OK) {
        count += piece.span.count;
        for (size_t i = 0; i < piece.stats_count; i++) {
            count += piece.stats[i].count;
            sum += piece.stats[i].sum;
        }
        for (size_t i = 0; i < piece.span.count; i++) {
            sum += piece.span.values[i];
        }
    }
    assert_int_equal(e, E_END);
    assert_int_equal(count, m->count);
    for (size_t i = 0; i < m->count; i++) {
        wanted += m->points[i].value;
    }
    assert_true(fabs(sum - wanted) < 1e-6 * (1 + wanted));
}

static void expect_series(struct scan *scan, unsigned topic, unsigned field)
{
    struct model *m = &models[topic][field];
    struct series_ref ref = ref_of(topic, field);
    int64_t last_ns;
    double last;
    expect_points(scan, ref, m);
    expect_sums(scan, ref, m);
    struct newest newest = {NULL};
    enum err e = newest_find(&newest, s.engine, ref, &last_ns, &last);
    newest_fini(&newest);
    assert_int_equal(e, m->count == 0 ? E_NOT_FOUND : OK);
    if (m->count > 0) {
        assert_int_equal(last_ns, m->points[m->count - 1].time_ns);
        assert_true(last == m->points[m->count - 1].value);
    }
}

static void expect_all(void)
{
    struct scan *scan = NULL;
    assert_ok(scan_create(s.engine, &scan));
    for (unsigned topic = 0; topic < TOPICS; topic++) {
        for (unsigned field = 0; field < FIELDS; field++) {
            expect_series(scan, topic, field);
        }
    }
    scan_destroy(scan);
}

/* One series as it was known at `known_ns`: what had come by then. */
static void expect_known(unsigned topic, unsigned field, int64_t known_ns)
{
    struct scan *scan = NULL;
    struct model then = {0};
    for (size_t i = 0; i < put_count && history[i].arrival_ns <= known_ns; i++) {
        if (history[i].topic == topic && history[i].field == field && !history[i].is_gone) {
            model_put(&then, history[i].time_ns, history[i].value);
        }
    }
    assert_ok(scan_create(s.engine, &scan));
    scan_set_known(scan, known_ns);
    expect_points(scan, ref_of(topic, field), &then);
    scan_destroy(scan);
    model_free(&then);
}

static void restart(void)
{
    store_close(&s);
    store_verify(&s);
    store_open(&s);
}

/* Time goes on: what is too old by now is gone, for ever. */
static void keep_young(void)
{
    if (!has_rules) {
        return;
    }
    engine_keep(s.engine, s.batch->arrival_ns);
    for (unsigned i = 0; i < TOPICS * FIELDS; i++) {
        const int64_t horizon_ns = engine_horizon(s.engine, ref_of(i / FIELDS, i % FIELDS));
        model_erase(&models[i / FIELDS][i % FIELDS], INT64_MIN, horizon_ns);
        for (size_t k = 0; k < put_count; k++) {
            struct put *p = &history[k];
            p->is_gone |=
                p->topic == i / FIELDS && p->field == i % FIELDS && p->time_ns < horizon_ns;
        }
    }
}

static void delete_points(const char *filter, int64_t from_ns, int64_t to_ns)
{
    static const char *const fields[FIELDS] = {"", "/pm25", "/wind/dir"};
    const struct engine_delete d = {bytes_of(filter), from_ns, to_ns, s.batch->arrival_ns};
    bool is_hit[TOPICS][FIELDS];
    uint64_t series;
    for (unsigned topic = 0; topic < TOPICS; topic++) {
        for (unsigned field = 0; field < FIELDS; field++) {
            char path[64];
            (void)ref_of(topic, field);
            snprintf(path, sizeof path, "k/air/%u%s", topic, fields[field]);
            is_hit[topic][field] = topic_matches(bytes_of(filter), bytes_of(path));
            if (is_hit[topic][field]) {
                model_erase(&models[topic][field], from_ns, to_ns);
            }
        }
    }
    for (size_t i = 0; i < put_count; i++) {
        struct put *p = &history[i];
        p->is_gone |= is_hit[p->topic][p->field] && p->time_ns >= from_ns && p->time_ns < to_ns;
    }
    enum err e = engine_delete(s.engine, &d, &series);
    while (e == E_LIMIT) { /* So many wait. */
        (void)!store_checkpoint(&s);
        assert_ok(store_seal(&s, true));
        e = engine_delete(s.engine, &d, &series);
    }
    assert_ok(e);
}

/* A field, a device, a kind or everything (N: the number of a device); all time, from or to some
 * time, or a window. */
static void delete_anything(struct rng *rng)
{
    static const char *const filters[] = {
        "k/air/N",    "k/air/N/pm25", "k/air/N/#", "k/air/+",       "k/air/+/wind/dir",
        "k/+/N/pm25", "k/air/N/+",    "#",         "no/such/series"};
    const int64_t now_ns = s.batch->arrival_ns;
    char filter[64];
    int64_t from_ns = now_ns - MINUTE_NS * rng_below(rng, 30000);
    int64_t to_ns = from_ns + 1 + MINUTE_NS * rng_below(rng, rng_below(rng, 2) == 0 ? 60 : 20000);
    snprintf(filter, sizeof filter, "%s", filters[rng_below(rng, 9)]);
    char *number = strchr(filter, 'N');
    if (number != NULL) {
        *number = (char)('0' + rng_below(rng, TOPICS));
    }
    from_ns = rng_below(rng, 6) == 0 ? 0 : from_ns;
    to_ns = rng_below(rng, 6) == 0 ? INT64_MAX : to_ns;
    delete_points(filter, from_ns, to_ns);
}

static void maybe_delete(struct rng *rng)
{
    if (rng_below(rng, 3) == 0) {
        delete_anything(rng);
    }
}

static void seal_anything(struct rng *rng)
{
    const struct engine_seal_request request = {INT64_MAX, rng_below(rng, 2) == 0};
    const uint32_t luck = rng_below(rng, 5);
    if (engine_seal_begin(s.engine, &request) != OK) {
        return;
    }
    if (luck == 0) { /* Dies before it began. */
        restart();
        return;
    }
    if (luck == 1) { /* Fails, is tried again later. */
        assert_int_equal(engine_seal_end(s.engine, E_NO_SPACE), E_NO_SPACE);
        return;
    }
    if (luck == 2) { /* A checkpoint goes on beside it. */
        (void)!store_checkpoint(&s);
    }
    maybe_delete(rng);
    assert_ok(engine_seal_run(s.engine));
    maybe_delete(rng);
    if (luck == 3) { /* Dies before the old files are gone. */
        restart();
        return;
    }
    assert_ok(engine_seal_end(s.engine, OK));
}

static void do_anything(struct rng *rng)
{
    maybe_delete(rng);
    switch (rng_below(rng, 14)) {
    case 7:
        store_go_on_with_a_snapshot(&s);
        break;
    case 0:
        (void)!store_checkpoint(&s); /* E_END when there is nothing. */
        break;
    case 8: /* Something is deleted while it runs. */
        if (engine_checkpoint_begin(s.engine) == OK) {
            maybe_delete(rng);
            const enum err result = engine_checkpoint_run(s.engine);
            maybe_delete(rng);
            assert_ok(engine_checkpoint_end(s.engine, result));
        }
        break;
    case 1:
        restart();
        break;
    case 2: /* Dies between flush and trim. */
        if (engine_checkpoint_begin(s.engine) == OK) {
            maybe_delete(rng);
            assert_ok(engine_checkpoint_run(s.engine));
            maybe_delete(rng);
        }
        restart();
        break;
    case 3: /* Fails after all was flushed, is tried again later. */
        if (engine_checkpoint_begin(s.engine) == OK) {
            maybe_delete(rng);
            assert_ok(engine_checkpoint_run(s.engine));
            maybe_delete(rng);
            assert_int_equal(engine_checkpoint_end(s.engine, E_IO), E_IO);
        }
        break;
    case 5:
        seal_anything(rng);
        break;
    case 6:
        (void)!store_seal(&s, true);
        break;
    case 4: /* Fails before anything was. */
        if (engine_checkpoint_begin(s.engine) == OK) {
            assert_int_equal(engine_checkpoint_end(s.engine, E_NO_SPACE), E_NO_SPACE);
        }
        break;
    default:
        break;
    }
}

/* With the first of them no file goes as a whole. */
static void set_rules(uint64_t seed)
{
    enum { DAY_S = 86400 };
    static const struct retention_rule rules[] = {
        {{(const uint8_t *)"k/air/0/#", 9}, 0},
        {{(const uint8_t *)"k/+/+/pm25", 10}, 4 * DAY_S},
        {{(const uint8_t *)"k/air/1/#", 9}, 2 * DAY_S},
    };
    store_close(&s);
    s.options.retention = rules + seed % 2;
    s.options.retention_count = has_rules ? 3 - seed % 2 : 0;
    s.options.keep_s = has_rules ? 12 * DAY_S : 0;
    store_open(&s);
}

static void run(uint64_t seed)
{
    struct rng rng = {seed};
    step_ns = has_rules ? 90 * MINUTE_NS : 15 * MINUTE_NS;
    store_make(&s);
    set_rules(seed);
    memset(models, 0, sizeof models);
    put_count = 0;
    for (int64_t step = 0; step < STEPS; step++) {
        s.batch->arrival_ns = T0 + step * step_ns;
        keep_young();
        for (unsigned i = rng_below(&rng, ROWS_A_STEP); i > 0; i--) {
            put_row(&rng, s.batch->arrival_ns);
        }
        assert_ok(store_write(&s));
        do_anything(&rng);
        keep_young(); /* It may have been closed and opened. */
        if (rng_below(&rng, 20) == 0) {
            expect_all();
        }
        int64_t known_ns = T0 + (int64_t)rng_below(&rng, (uint32_t)step + 1) * step_ns;
        expect_known(rng_below(&rng, TOPICS), rng_below(&rng, FIELDS), known_ns);
    }
    expect_all();
    restart();
    keep_young();
    expect_all();
    for (unsigned i = 0; i < TOPICS * FIELDS; i++) {
        model_free(&models[i / FIELDS][i % FIELDS]);
    }
    store_remove(&s);
}

static void every_history_equals_the_model(void **state)
{
    (void)state;
    has_rules = false;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        run(seed);
    }
}

static void every_history_equals_the_model_while_time_takes_what_is_old(void **state)
{
    (void)state;
    has_rules = true;
    for (uint64_t seed = 1; seed <= 2; seed++) {
        run(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_history_equals_the_model),
        cmocka_unit_test(every_history_equals_the_model_while_time_takes_what_is_old)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
