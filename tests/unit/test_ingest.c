#include "broker/ingest/ingest.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/topic.h"
#include "broker/ingest/topic_entry.h"
#include "broker/threads/metrics.h"
#include "tests/lib/rng.h"
#include "tests/lib/test.h"

/* An engine that keeps what it is given in a list, so that the way in is tested alone. */
enum { ROWS_KEPT = 70000 };

struct kept_row {
    struct series_ref ref; /* One for each value. */
    int64_t time_ns;
    double value;
    uint64_t batch;
};

struct engine {
    struct catalogue *catalogue;
    enum err result;
    int64_t short_ns, long_ns; /* Horizons. */
    unsigned values, receipts;
    uint64_t receipt_batch; /* Of the last one. */
    struct kept_row kept[ROWS_KEPT];
};

static struct engine engine;

struct catalogue *engine_catalogue(struct engine *e)
{
    return e->catalogue;
}

static void keep(struct engine *e, const struct batch_entry *entry, uint64_t batch)
{
    if (entry->kind == BATCH_RECEIPT) {
        e->receipts++;
        e->receipt_batch = batch;
        return;
    }
    unsigned at = 0;
    for (uint64_t left = entry->row.columns; left != 0; left &= left - 1) {
        assert_true(e->values < ROWS_KEPT);
        e->kept[e->values++] = (struct kept_row){{entry->row.group, (uint8_t)__builtin_ctzll(left)},
                                                 entry->row.time_ns,
                                                 entry->row.values[at++],
                                                 batch};
    }
}

enum err engine_write(struct engine *e, struct batch *const *batches, unsigned count)
{
    struct batch_reader reader;
    struct batch_entry entry;
    for (unsigned i = 0; i < count; i++) {
        const struct batch *b = batches[i];
        batch_reader_init(&reader, (struct bytes){b->record + BATCH_HEADER_BYTES,
                                                  b->record_bytes - BATCH_HEADER_BYTES});
        while (e->result == OK && batch_reader_next(&reader, &entry) == OK) {
            keep(e, &entry, b->counter);
        }
        batches[i]->result = e->result;
    }
    return e->result;
}

bool engine_wants_checkpoint(const struct engine *e)
{
    (void)e;
    return false;
}

enum err engine_checkpoint_begin(struct engine *e)
{
    (void)e;
    return E_END;
}

enum err engine_checkpoint_run(struct engine *e)
{
    (void)e;
    return OK;
}

enum err engine_checkpoint_end(struct engine *e, enum err run)
{
    (void)e;
    return run;
}

enum err engine_delete(struct engine *e, const struct engine_delete *d, uint64_t *series)
{
    (void)e;
    (void)d;
    *series = 0;
    return OK;
}

void engine_keep(struct engine *e, int64_t wall_ns)
{
    (void)e;
    (void)wall_ns;
}

/* What is below a level "short" is kept from `short_ns` on, all else from `long_ns`. */
int64_t engine_horizon_of_path(struct engine *e, struct bytes path)
{
    return topic_matches(bytes_of("short/#"), path) || topic_matches(bytes_of("+/short/#"), path)
               ? e->short_ns
               : e->long_ns;
}

int64_t engine_horizon(struct engine *e, struct series_ref ref)
{
    uint8_t path[SERIES_PATH_BYTES_MAX];
    return engine_horizon_of_path(e, (struct bytes){path, catalogue_path(e->catalogue, ref, path)});
}

int64_t engine_horizon_latest(struct engine *e)
{
    return e->short_ns > e->long_ns ? e->short_ns : e->long_ns;
}

enum err engine_seal_begin(struct engine *e, const struct engine_seal_request *request)
{
    (void)e;
    (void)request;
    return E_END;
}

enum err engine_seal_run(struct engine *e)
{
    (void)e;
    return OK;
}

enum err engine_seal_end(struct engine *e, enum err run)
{
    (void)e;
    return run;
}

bool engine_wants_compact(const struct engine *e)
{
    (void)e;
    return false;
}

void engine_compact(struct engine *e)
{
    (void)e;
}

uint64_t engine_position(const struct engine *e)
{
    (void)e;
    return 0;
}

void engine_seal_stop(struct engine *e)
{
    (void)e;
}

enum err engine_snapshot_begin(struct engine *e, const char *name)
{
    (void)e;
    (void)name;
    return E_BUSY;
}

enum err engine_snapshot_run(struct engine *e)
{
    (void)e;
    return OK;
}

enum err engine_snapshot_end(struct engine *e, enum err run)
{
    (void)e;
    return run;
}

enum err engine_snapshot_remove(struct engine *e, const char *name)
{
    (void)e;
    (void)name;
    return E_NOT_FOUND;
}

bool engine_wants_trim(const struct engine *e)
{
    (void)e;
    return false;
}

enum err engine_trim(struct engine *e)
{
    (void)e;
    return OK;
}

bool engine_wants_burial(const struct engine *e)
{
    (void)e;
    return false;
}

void engine_bury(struct engine *e)
{
    (void)e;
}

struct world {
    struct workers *workers;
    struct store_thread *store;
    struct loop *loop;
    struct ingest *in;
    uint64_t awaited, done;
    enum err last_result;
};

static struct world w;

static void on_done(void *context, uint64_t number, enum err result)
{
    struct world *world = context;
    assert_true(number == world->done + 1);
    assert_true(number == ingest_done(world->in));
    world->done = number;
    world->last_result = result;
    if (number >= world->awaited) {
        loop_stop(world->loop);
    }
}

static void build(const struct ingest_options *options, uint32_t series_max)
{
    const struct catalogue_limits limits = {.series_max = series_max};
    memset(&w, 0, sizeof w);
    memset(&engine, 0, sizeof engine);
    assert_ok(catalogue_create(&limits, &engine.catalogue));
    assert_ok(workers_create(1, &w.workers));
    assert_ok(store_create(&engine, w.workers, &w.store));
    assert_ok(loop_create(0, &w.loop));
    assert_ok(ingest_create(w.loop, &engine, w.store, options, &w.in));
    ingest_on_done(w.in, on_done, &w);
}

static void demolish(void)
{
    store_stop(w.store);
    ingest_destroy(w.in);
    loop_destroy(w.loop);
    workers_destroy(w.workers);
    catalogue_destroy(engine.catalogue);
}

/* Run turns until everything put so far is done. */
static void settle(void)
{
    w.awaited = ingest_filling(w.in);
    if (w.done < w.awaited) {
        loop_run(w.loop);
    }
    assert_true(ingest_done(w.in) >= w.awaited);
}

static struct payload_point point(const char *name, double value)
{
    return (struct payload_point){bytes_of(name), number_of(value)};
}

static enum err put(const char *topic, int64_t time_ns, const struct payload_point *points,
                    unsigned count)
{
    uint64_t number;
    return ingest_put(w.in, bytes_of(topic), time_ns, points, count, &number);
}

static void expect(unsigned at, const char *path, int64_t time_ns, double value)
{
    struct series_ref ref;
    assert_ok(catalogue_find(engine.catalogue, bytes_of(path), &ref));
    assert_int_equal(engine.kept[at].ref.group, ref.group);
    assert_int_equal(engine.kept[at].ref.column, ref.column);
    assert_true(engine.kept[at].time_ns == time_ns);
    assert_true(engine.kept[at].value == value);
}

static const struct ingest_options four = {.parcels = 4, .loops = 1};

static void points_of_a_message_become_one_row(void **state)
{
    const struct payload_point both[] = {point("pm10", 40.5), point("pm25", 31.5)};
    const struct payload_point turned[] = {point("pm25", 1), point("pm10", 2), point("pm25", 3)};
    const struct payload_point own = point("", -7);
    (void)state;
    build(&four, 100);
    assert_ok(store_run(w.store));
    assert_int_equal(ingest_filling(w.in), 0);
    assert_ok(put("krakow/air", 1000, both, 2));
    assert_ok(put("krakow/air", 2000, turned, 3));
    assert_ok(put("krakow/level", 3000, &own, 1));
    assert_int_equal(ingest_filling(w.in), 1);
    settle();
    assert_int_equal(w.last_result, OK);
    assert_int_equal(engine.values, 5);
    expect(0, "krakow/air/pm10", 1000, 40.5);
    expect(1, "krakow/air/pm25", 1000, 31.5);
    expect(2, "krakow/air/pm10", 2000, 2);
    expect(3, "krakow/air/pm25", 2000, 3);
    expect(4, "krakow/level", 3000, -7);
    demolish();
}

static void a_message_and_its_receipt_share_a_batch(void **state)
{
    static char names[PAYLOAD_POINTS_MAX][8];
    static struct payload_point points[PAYLOAD_POINTS_MAX];
    struct rng rng = {1};
    unsigned values = 0;
    (void)state;
    build(&(struct ingest_options){.parcels = 16, .loops = 1}, 1000);
    assert_ok(store_run(w.store));
    for (int i = 0; i < PAYLOAD_POINTS_MAX; i++) {
        (void)snprintf(names[i], sizeof names[i], "f%d", i);
    }
    for (int message = 0; message < 250; message++) {
        const unsigned count = rng_below(&rng, 4) == 0 ? 1 + rng_below(&rng, 512) : 3;
        const unsigned first = rng_below(&rng, 512);
        struct receipt receipt = {.client_hash = 1, .packet_id = (uint16_t)message};
        struct batch *batch;
        uint64_t number, same;
        for (unsigned i = 0; i < count; i++) {
            points[i] = point(names[(first + i) % PAYLOAD_POINTS_MAX], message + 0.1);
        }
        while (ingest_put(w.in, bytes_of("a/b"), message, points, count, &number) == E_BUSY) {
            w.awaited = w.done + 1;
            loop_run(w.loop);
        }
        assert_ok(ingest_batch(w.in, &batch, &same));
        assert_true(number == same);
        assert_ok(batch_put_receipt(batch, &receipt));
        values += count;
    }
    settle();
    assert_int_equal(engine.values, values);
    assert_int_equal(engine.receipts, 250);
    for (unsigned i = 1; i < values; i++) { /* A message is never split. */
        assert_true(engine.kept[i].time_ns != engine.kept[i - 1].time_ns ||
                    engine.kept[i].batch == engine.kept[i - 1].batch);
    }
    for (unsigned i = 0; i < values; i += 97) {
        assert_true(engine.kept[i].value == (double)engine.kept[i].time_ns + 0.1);
    }
    demolish();
}

static void a_slow_store_pushes_back_and_loses_nothing(void **state)
{
    const struct payload_point value = point("", 1);
    unsigned taken = 0;
    (void)state;
    build(&four, 100);
    while (put("a", taken, &value, 1) == OK) {
        taken++;
    }
    assert_int_equal(put("a", taken, &value, 1), E_BUSY);
    assert_false(ingest_has_room(w.in));
    assert_ok(store_run(w.store));
    settle();
    assert_true(ingest_has_room(w.in));
    assert_int_equal(engine.values, taken);
    assert_int_equal(w.done, 4);
    demolish();
}

static void what_the_store_refuses_is_counted(void **state)
{
    const struct payload_point value = point("", 1);
    (void)state;
    build(&four, 100);
    assert_ok(store_run(w.store));
    const int64_t before = metrics_read(METRIC_STORE_REFUSED);
    engine.result = E_NO_SPACE;
    assert_ok(put("a", 1, &value, 1));
    assert_ok(put("a", 2, &value, 1));
    settle();
    assert_int_equal(w.last_result, E_NO_SPACE);
    assert_int_equal(metrics_read(METRIC_STORE_REFUSED) - before, 2);
    demolish();
}

/* Refused as old, since the last call. */
static int64_t count_old(void)
{
    static int64_t before;
    const int64_t now = metrics_read(METRIC_REFUSED_OLD), since = now - before;
    before = now;
    return since;
}

static void each_series_is_kept_as_long_as_its_own_rule_says(void **state)
{
    const struct payload_point two[] = {point("a", 1), point("short/b", 2)}, one = point("", 1);
    struct series_ref ref;
    uint64_t number;
    (void)state;
    build(&four, 100);
    assert_ok(store_run(w.store));
    engine.short_ns = 1000;
    engine.long_ns = 100;
    (void)count_old();
    assert_ok(put("long/x", 500, &one, 1));
    assert_ok(put("short/x", 1000, &one, 1));
    assert_int_equal(count_old(), 0);
    assert_int_equal(put("short/y", 999, &one, 1), E_DENIED); /* For it no series is made, */
    assert_int_equal(catalogue_find(engine.catalogue, bytes_of("short/y"), &ref), E_NOT_FOUND);
    assert_int_equal(put("short/x", 999, &one, 1), E_DENIED); /* one that is there may be old. */
    assert_int_equal(put("long/x", 99, &one, 1), E_DENIED);
    assert_int_equal(count_old(), 3);
    assert_int_equal(put("short", 500, two, 2), E_DENIED);
    assert_ok(catalogue_find(engine.catalogue, bytes_of("short/x"), &ref));
    assert_int_equal(ingest_put_series(w.in, ref, 999, &one.number, &number), E_DENIED);
    assert_ok(ingest_put_series(w.in, ref, 1001, &one.number, &number));
    assert_int_equal(count_old(), 3);
    settle();
    assert_int_equal(engine.values, 3);
    demolish();
}

static void points_of_a_message_are_refused_one_by_one(void **state)
{
    const struct payload_point two[] = {point("short/a", 1), point("b", 2)};
    (void)state;
    build(&four, 100);
    assert_ok(store_run(w.store));
    engine.short_ns = 1000;
    (void)count_old();
    for (int64_t time_ns = 998; time_ns < 1002; time_ns++) {
        assert_ok(put("k", time_ns, two, 2));
        assert_int_equal(ingest_too_old(w.in), time_ns < 1000);
        assert_int_equal(count_old(), time_ns < 1000);
    }
    settle();
    assert_int_equal(engine.values, 6);
    demolish();
}

static void what_is_old_or_too_many_is_refused(void **state)
{
    const struct payload_point two[] = {point("a", 1), point("b", 2)};
    static uint8_t long_topic[SERIES_PATH_BYTES_MAX + 1];
    uint64_t number;
    const char *why;
    (void)state;
    build(&(struct ingest_options){.parcels = 4, .loops = 1}, 3);
    assert_ok(store_run(w.store));
    const int64_t now_ns = loop_wall_ns(w.loop);
    engine.short_ns = engine.long_ns = now_ns - INT64_C(3600) * NS_PER_S;
    assert_int_equal(put("x", now_ns - INT64_C(3601) * NS_PER_S, two, 2), E_DENIED);
    assert_ok(put("x", now_ns - INT64_C(3500) * NS_PER_S, two, 2));
    assert_ok(put("y", now_ns, two, 2)); /* One of them: three series there may be. */
    assert_int_equal(ingest_left_out(w.in, &why), 1);
    assert_non_null(strstr(why, "series_max"));
    assert_int_equal(put("z", now_ns, two, 2), E_LIMIT);
    assert_int_equal(ingest_left_out(w.in, &why), 2);
    assert_int_equal(put("x", INT64_MAX, two, 2), E_LIMIT);
    memset(long_topic, 'x', sizeof long_topic);
    assert_int_equal(
        ingest_put(w.in, (struct bytes){long_topic, sizeof long_topic}, now_ns, two, 2, &number),
        E_LIMIT);
    settle();
    assert_int_equal(engine.values, 3);
    demolish();
}

static void arrivals_never_repeat_for_a_topic_on_any_loop(void **state)
{
    struct loop *second_loop;
    struct ingest *second;
    const struct ingest_options options = {.parcels = 4, .loops = 2, .topics_max = 4};
    int64_t last[2] = {0, 0};
    (void)state;
    build(&options, 100);
    assert_ok(loop_create(1, &second_loop));
    assert_ok(ingest_create(second_loop, &engine, w.store, &options, &second));
    for (int i = 0; i < 10000; i++) {
        char other[16];
        const int64_t a = ingest_arrival(w.in, bytes_of("t")) / NS_PER_US;
        const int64_t b = ingest_arrival(second, bytes_of("t")) / NS_PER_US;
        assert_true(a % 2 == 0 && b % 2 == 1);
        assert_true(a > last[0] && b > last[1]);
        last[0] = a;
        last[1] = b;
        (void)snprintf(other, sizeof other, "o%d", i % 7); /* So that "t" is forgotten too. */
        (void)ingest_arrival(w.in, bytes_of(other));
    }
    ingest_destroy(second);
    loop_destroy(second_loop);
    demolish();
}

static void few_remembered_topics_serve_many(void **state)
{
    struct topic_table *table;
    struct topic_entry *entry;
    struct rng rng = {7};
    const struct catalogue_limits limits = {.series_max = 100000};
    struct catalogue *catalogue;
    (void)state;
    assert_ok(catalogue_create(&limits, &catalogue));
    assert_ok(topic_table_create(catalogue, 700, 1 << 20, &table));
    for (int i = 0; i < 30000; i++) {
        char topic[32], name[16], path[64];
        struct series_ref got, expected;
        uint32_t cursor = rng_below(&rng, 3);
        (void)snprintf(topic, sizeof topic, "city/%u", rng_below(&rng, 2000));
        (void)snprintf(name, sizeof name, "f%u", rng_below(&rng, 5));
        (void)snprintf(path, sizeof path, "%s/%s", topic, name);
        assert_ok(topic_table_get(table, bytes_of(topic), &entry));
        assert_int_equal(entry->topic_bytes, strlen(topic));
        enum err e = topic_entry_find(table, entry, bytes_of(name), &cursor, &got);
        if (e == E_NOT_FOUND) {
            e = topic_entry_add(table, entry, bytes_of(name), &cursor, &got);
        }
        assert_ok(e);
        assert_ok(catalogue_find(catalogue, bytes_of(path), &expected));
        assert_true(got.group == expected.group && got.column == expected.column);
        assert_true(topic_table_count(table) <= 700);
    }
    assert_int_equal(topic_table_count(table), 700);
    topic_table_destroy(table);
    topic_table_destroy(NULL);
    catalogue_destroy(catalogue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(points_of_a_message_become_one_row),
        cmocka_unit_test(a_message_and_its_receipt_share_a_batch),
        cmocka_unit_test(a_slow_store_pushes_back_and_loses_nothing),
        cmocka_unit_test(what_the_store_refuses_is_counted),
        cmocka_unit_test(each_series_is_kept_as_long_as_its_own_rule_says),
        cmocka_unit_test(points_of_a_message_are_refused_one_by_one),
        cmocka_unit_test(what_is_old_or_too_many_is_refused),
        cmocka_unit_test(arrivals_never_repeat_for_a_topic_on_any_loop),
        cmocka_unit_test(few_remembered_topics_serve_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
