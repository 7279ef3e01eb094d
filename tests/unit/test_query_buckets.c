/* Every aggregate, fill, grouping and kind of bucket against the plain model. */

#include "base/clock.h"
#include "base/zone.h"
#include "storage/catalogue/catalogue_tag.h"
#include "storage/read/query.h"
#include "tests/lib/query_model.h"
#include "tests/lib/rng.h"
#include "tests/lib/store.h"

#define START_NS (INT64_C(1774656000) * NS_PER_S) /* 2026-03-28: clocks go forward on the 29th. */
#define SPAN_S   (6 * 86400)

enum { SITES = 3, SENSORS = 2, SERIES = SITES * SENSORS, ZONES = 3 };

static struct {
    struct store store;
    struct rng rng;
    struct series_ref refs[SERIES];
    struct model models[SERIES];
    struct zone *zones[ZONES];
    struct query_model expected;
} w;

static const char *const sites[SITES] = {"alpha", "beta", "beta=,2"};

static int setup(void **state)
{
    static const char *const names[ZONES] = {"Europe/Warsaw", "Africa/Cairo", "Asia/Kolkata"};
    (void)state;
    store_make(&w.store);
    w.rng.state = 20;
    for (int i = 0; i < ZONES; i++) {
        assert_ok(zone_open(bytes_of(names[i]), &w.zones[i]));
    }
    for (int i = 0; i < SERIES; i++) {
        char topic[64];
        (void)snprintf(topic, sizeof topic, "city/%s/s%d", sites[i / SENSORS], i % SENSORS);
        w.refs[i] = store_series(&w.store, topic, "");
        w.models[i] = (struct model){0};
        if (i != 3) { /* One has no tag. */
            const struct tag tag = {bytes_of("unit"), bytes_of(i % 2 == 0 ? "m" : "kWh")};
            assert_ok(catalogue_tag_put(engine_catalogue(w.store.engine), w.refs[i], &tag));
        }
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < SERIES; i++) {
        model_free(&w.models[i]);
    }
    for (int i = 0; i < ZONES; i++) {
        zone_close(w.zones[i]);
    }
    store_remove(&w.store);
    return 0;
}

static void put(int series, int64_t time_ns, double value)
{
    enum err e = store_put(&w.store, w.refs[series], time_ns, value);
    if (e == E_LIMIT) {
        assert_ok(store_write(&w.store));
        e = store_put(&w.store, w.refs[series], time_ns, value);
    }
    assert_ok(e);
    model_put(&w.models[series], time_ns, value);
}

/* Regular, irregular, sparse or hardly any points; gauges, counters with resets, holes, NaN. */
static void write_series(int series)
{
    const uint32_t steps[] = {60, 300, 900, 7200, 86400};
    const uint32_t step = steps[rng_below(&w.rng, 5)];
    const bool is_counter = rng_below(&w.rng, 2) == 0, is_regular = rng_below(&w.rng, 2) == 0;
    double level = rng_below(&w.rng, 100);
    for (uint32_t t = rng_below(&w.rng, 86400 * 2); t < SPAN_S;) {
        level = is_counter ? level + rng_below(&w.rng, 50) / 8.0
                           : level + (double)rng_below(&w.rng, 21) - 10;
        level = rng_below(&w.rng, 200) == 0 ? 0 : level;
        put(series, START_NS + t * (int64_t)NS_PER_S,
            rng_below(&w.rng, 40) == 0 ? (double)NAN : level);
        t += is_regular ? step : 1 + rng_below(&w.rng, 2 * step);
        t += rng_below(&w.rng, 100) == 0 ? rng_below(&w.rng, 86400) : 0;
    }
}

static void write_more(void)
{
    for (int i = 0; i < SERIES; i++) {
        if (rng_below(&w.rng, 4) > 0) {
            write_series(i);
        }
        if (rng_below(&w.rng, 4) == 0) {
            assert_ok(store_write(&w.store));
            const enum err e = store_checkpoint(&w.store);
            assert_true(e == OK || e == E_END);
        }
    }
    assert_ok(store_write(&w.store));
}

static struct buckets random_buckets(void)
{
    static const int64_t lengths_s[] = {600, 3600, 7200, 86400, 3 * 86400};
    struct buckets b = {.unit = (enum bucket_unit)rng_below(&w.rng, 5)};
    if (rng_below(&w.rng, 2) == 0) {
        b.unit = BUCKET_FIXED;
    }
    b.length = b.unit == BUCKET_FIXED ? lengths_s[rng_below(&w.rng, 5)] * NS_PER_S
                                      : 1 + rng_below(&w.rng, 2);
    b.zone = b.unit == BUCKET_FIXED || rng_below(&w.rng, 4) == 0
                 ? NULL
                 : w.zones[rng_below(&w.rng, ZONES)];
    return b;
}

static struct query_request random_request(void)
{
    static const int64_t lengths_s[] = {0, 1800, 7200, 100000};
    static const double percents[] = {0, 5, 50, 95, 99.9, 100};
    struct query_request r = {.filter = bytes_of("city/#"), .series_max = 100};
    r.from_ns =
        START_NS + rng_below(&w.rng, SPAN_S) * (int64_t)NS_PER_S - 43200 * (int64_t)NS_PER_S;
    r.to_ns = r.from_ns + 1 + rng_below(&w.rng, SPAN_S) * (int64_t)NS_PER_S;
    r.buckets = random_buckets();
    r.aggregates = (uint32_t)rng_next(&w.rng) & ((1U << QUERY_AGGREGATES) - 1);
    r.aggregates &= rng_below(&w.rng, 2) == 0 ? 0x87f : UINT32_MAX; /* By statistics. */
    r.percentile_count = rng_below(&w.rng, 3);
    for (unsigned i = 0; i < r.percentile_count; i++) {
        r.percentiles[i] = percents[rng_below(&w.rng, 6)];
    }
    r.aggregates |= r.aggregates == 0 && r.percentile_count == 0;
    r.fill = (enum query_fill)rng_below(&w.rng, 4);
    r.fill_max_ns = lengths_s[rng_below(&w.rng, 4)] * NS_PER_S;
    r.gap_max_ns = lengths_s[rng_below(&w.rng, 4)] * NS_PER_S;
    return r;
}

/* Rows of query and model are the same, one after another, through `q`'s blocks. */
static void assert_unit(struct query *q, const struct query_model *m, struct query_block *block,
                        size_t *at, unsigned columns, size_t unit)
{
    for (size_t i = 0; i < m->rows; i++) {
        while (*at == block->rows) {
            const enum err e = query_step(q, block);
            assert_true(e == OK || e == E_MORE);
            block->rows = e == OK ? block->rows : 0;
            *at = 0;
        }
        assert_int_equal(block->unit, unit);
        assert_int_equal(block->columns, columns);
        assert_int_equal(block->times[*at], m->row[i].time_ns);
        for (unsigned c = 0; c < columns; c++) {
            const double got = block->column[c][*at], want = m->row[i].value[c];
            const bool same =
                isnan(want) ? isnan(got) : fabs(got - want) <= 1e-9 * m->row[i].scale[c];
            if (!same) {
                fail_msg("row %zu, column %u of aggregates %x: %.17g, not %.17g", i, c,
                         m->request->aggregates, got, want);
            }
        }
        ++*at;
    }
}

static void assert_ended(struct query *q, const struct query_block *block, size_t at)
{
    struct query_block more;
    enum err e;
    assert_int_equal(at, block->rows);
    while ((e = query_step(q, &more)) == E_MORE) {
    }
    assert_int_equal(e, E_END);
}

static unsigned columns_of(const struct query_request *r)
{
    return (unsigned)__builtin_popcount(r->aggregates) + r->percentile_count;
}

static void every_series_equals_the_model(void **state)
{
    (void)state;
    for (int round = 0; round < 6; round++) {
        write_more();
        for (int i = 0; i < 25; i++) {
            const struct query_request r = random_request();
            struct query_block block = {0};
            struct query *q;
            size_t at = 0;
            assert_ok(query_open(w.store.engine, &r, &q));
            assert_int_equal(query_units(q), SERIES);
            for (size_t s = 0; s < SERIES; s++) {
                struct model *one = &w.models[s];
                w.expected.request = &r;
                w.expected.series = &one;
                w.expected.series_count = 1;
                query_model_run(&w.expected, columns_of(&r));
                assert_unit(q, &w.expected, &block, &at, columns_of(&r), s);
            }
            assert_ended(q, &block, at);
            query_close(q);
        }
    }
}

/* Groups by site (level 2), and by tag and last level; each with the series it must hold. */
struct grouping {
    unsigned key_count;
    struct query_key keys[2];
    size_t groups;
    struct {
        const char *name;
        size_t count;
        int series[SERIES];
    } group[5];
};

static const struct grouping groupings[] = {
    {1,
     {{.level = 2}},
     3,
     {{"$2=alpha", 2, {0, 1}}, {"$2=beta", 2, {2, 3}}, {"$2=beta%3D%2C2", 2, {4, 5}}}},
    {1, {{.level = 9}}, 1, {{"$9=", 6, {0, 1, 2, 3, 4, 5}}}},
    {2,
     {{.tag_bytes = 4, .tag = "unit"}, {.level = -1}},
     3,
     {{"unit=,$-1=s1", 1, {3}}, {"unit=kWh,$-1=s1", 2, {1, 5}}, {"unit=m,$-1=s0", 3, {0, 2, 4}}}},
};

static void assert_grouping(const struct grouping *g, struct query_request *r)
{
    struct query_block block = {0};
    struct query *q;
    size_t at = 0;
    r->key_count = g->key_count;
    memcpy(r->keys, g->keys, sizeof g->keys);
    assert_ok(query_open(w.store.engine, r, &q));
    assert_int_equal(query_units(q), g->groups);
    assert_int_equal(query_series(q), SERIES);
    for (size_t i = 0; i < g->groups; i++) {
        static uint8_t name[QUERY_NAME_BYTES_MAX];
        struct model *members[SERIES];
        assert_true(
            bytes_equal((struct bytes){name, query_name(q, i, name)}, bytes_of(g->group[i].name)));
        for (size_t k = 0; k < g->group[i].count; k++) {
            members[k] = &w.models[g->group[i].series[k]];
        }
        w.expected.request = r;
        w.expected.series = members;
        w.expected.series_count = g->group[i].count;
        query_model_run(&w.expected, columns_of(r));
        assert_unit(q, &w.expected, &block, &at, columns_of(r), i);
    }
    assert_ended(q, &block, at);
    query_close(q);
}

static void every_group_equals_the_model(void **state)
{
    (void)state;
    for (int round = 0; round < 6; round++) {
        write_more();
        for (int i = 0; i < 25; i++) {
            struct query_request r = random_request();
            assert_grouping(&groupings[rng_below(&w.rng, 3)], &r);
        }
    }
}

static void cursors_over_parts_of_the_units_give_the_same(void **state)
{
    (void)state;
    write_more();
    struct query_request r = random_request();
    r.from_ns = 0;
    r.to_ns = START_NS * 2;
    r.fill = QUERY_FILL_NONE;
    struct query *q;
    struct query_block block, part;
    struct query_cursor *c;
    assert_ok(query_open(w.store.engine, &r, &q));
    assert_ok(query_cursor_create(q, &c));
    for (size_t unit = 0; unit < query_units(q); unit++) {
        enum err e, wanted = OK;
        query_cursor_start(c, unit, unit + 1);
        while ((e = query_cursor_next(c, &part)) != E_END) {
            while (e == OK && (wanted = query_step(q, &block)) == E_MORE) {
            }
            assert_ok(wanted);
            assert_true(e == E_MORE ||
                        (part.unit == unit && block.unit == unit && part.rows == block.rows &&
                         part.times[0] == block.times[0]));
        }
    }
    query_cursor_destroy(c);
    query_close(q);
}

static void a_group_of_too_many_buckets_and_a_fill_too_long_are_refused(void **state)
{
    struct query_request r = {.filter = bytes_of("#"),
                              .to_ns = START_NS,
                              .series_max = 10,
                              .aggregates = 1,
                              .buckets = {.length = NS_PER_S},
                              .fill = QUERY_FILL_NULL};
    struct query *q;
    struct query_block block;
    enum err e;
    (void)state;
    assert_int_equal(query_open(w.store.engine, &r, &q), E_LIMIT);
    assert_true(query_fill_is_long(&r));
    r.fill = QUERY_FILL_NONE;
    r.key_count = 1;
    r.keys[0].level = 1;
    for (int i = 0; i < 600000; i++) {
        put(0, (1 + i) * (int64_t)NS_PER_S, i);
    }
    assert_ok(store_write(&w.store));
    assert_ok(query_open(w.store.engine, &r, &q));
    while ((e = query_step(q, &block)) == E_MORE) {
    }
    assert_int_equal(e, E_LIMIT);
    query_close(q);
}

#define IN_A_CITY(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_CITY(every_series_equals_the_model),
        IN_A_CITY(every_group_equals_the_model),
        IN_A_CITY(cursors_over_parts_of_the_units_give_the_same),
        IN_A_CITY(a_group_of_too_many_buckets_and_a_fill_too_long_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
