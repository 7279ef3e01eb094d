#include "storage/memory/last.h"

#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "storage/catalogue/pack.h"
#include "storage/kv.h"
#include "storage/memory/last_pack.h"
#include "tests/lib/directory.h"
#include "tests/lib/rng.h"
#include "tests/lib/test.h"

#define T0_NS (INT64_C(1767225600) * NS_PER_S)
enum { GROUPS = 2000, COLUMNS = 5 };

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static double value_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Doubles of every kind: decimals, whole numbers, odd ones, texts, any bits at all. */
static uint64_t random_bits(struct rng *rng)
{
    static const double odd[] = {
        -0.0, 0.0,      (double)INFINITY,  -(double)INFINITY, 5e-324, 1e22, 1e-22, 1e300,
        0.1,  -1 / 3.0, 281474976710656.0, 4503599627370497.5};
    switch (rng_below(rng, 6)) {
    case 0:
        return bits_of((double)rng_below(rng, 100000) / 100);
    case 1:
        return bits_of(-(double)rng_below(rng, 1000));
    case 2:
        return bits_of(odd[rng_below(rng, sizeof odd / sizeof odd[0])]);
    case 3:
        return bits_of(text_value(rng_below(rng, 1000)));
    case 4:
        return UINT64_C(0x7ff8000000000000) + rng_below(rng, 100); /* NaN with a payload. */
    default:
        return (uint64_t)rng_below(rng, UINT32_MAX) << 32 | rng_below(rng, UINT32_MAX);
    }
}

static int64_t random_time(struct rng *rng)
{
    static const int64_t units[] = {1, NS_PER_US, NS_PER_MS, NS_PER_S};
    return T0_NS + units[rng_below(rng, 4)] * (int64_t)rng_below(rng, 100000);
}

static void any_values_come_back_bit_for_bit(void **state)
{
    enum { ENTRIES = 500 };
    static struct last_entry in[ENTRIES];
    static uint8_t room[ENTRIES * LAST_ENTRY_BYTES_MAX];
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct rng rng = {seed};
        struct last_pack_state writing = {.has_entries = false}, reading = writing;
        struct writer w = {room, 0, sizeof room};
        struct last_entry out;
        uint64_t place = rng_below(&rng, 3);
        for (unsigned i = 0; i < ENTRIES; i++) {
            in[i] = (struct last_entry){{(uint32_t)(place / 64), (uint8_t)(place % 64)},
                                        rng_below(&rng, 2) == 0 || i == 0 ? random_time(&rng)
                                                                          : in[i - 1].time_ns,
                                        random_bits(&rng)};
            const size_t before = w.size;
            last_pack_put(&writing, &w, &in[i]);
            assert_true(w.size - before <= LAST_ENTRY_BYTES_MAX);
            place += rng_below(&rng, 2) == 0 ? 1 : 1 + rng_below(&rng, 1000);
        }
        struct bytes body = {room, w.size};
        for (unsigned i = 0; i < ENTRIES; i++) {
            assert_ok(last_pack_take(&reading, &body, &out));
            assert_int_equal(out.ref.group, in[i].ref.group);
            assert_int_equal(out.ref.column, in[i].ref.column);
            assert_true(out.time_ns == in[i].time_ns);
            assert_true(out.bits == in[i].bits);
        }
        assert_int_equal(last_pack_take(&reading, &body, &out), E_END);
    }
}

static void values_of_a_city_take_a_few_bytes_each(void **state)
{
    static uint8_t room[GROUPS * LAST_ENTRY_BYTES_MAX];
    struct last_pack_state s = {.has_entries = false};
    struct writer w = {room, 0, sizeof room};
    struct rng rng = {1};
    (void)state;
    for (unsigned i = 0; i < GROUPS; i++) {
        last_pack_put(&s, &w,
                      &(struct last_entry){{i, 0},
                                           T0_NS + (int64_t)rng_below(&rng, 60) * NS_PER_S,
                                           bits_of((double)rng_below(&rng, 100000) / 100)});
    }
    assert_true(w.size <= 5 * GROUPS + GROUPS / 2);
}

/* A store's side of it: values put, saved now and then, loaded. */

struct world {
    struct directory dir;
    struct kv *kv;
    struct catalogue *catalogue;
    struct last *last;
    int64_t time_ns[GROUPS][COLUMNS]; /* 0: none. */
    uint64_t bits[GROUPS][COLUMNS];
};

static void open_file(struct world *w)
{
    const struct kv_options options = {.map_bytes = 1 << 30, .tables = 4};
    assert_ok(kv_open(directory_file(&w->dir, "catalog.mdb"), &options, &w->kv));
}

static struct world *make_world(void)
{
    const struct catalogue_limits limits = {GROUPS * COLUMNS};
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    log_set_level(LOG_ERROR);
    directory_make(&w->dir);
    open_file(w);
    assert_ok(catalogue_create(&limits, &w->catalogue));
    assert_ok(last_create(&w->last));
    for (unsigned i = 0; i < GROUPS * COLUMNS; i++) {
        char topic[16], name[16];
        struct series_ref ref;
        snprintf(topic, sizeof topic, "t%u", i / COLUMNS);
        snprintf(name, sizeof name, "n%u", i % COLUMNS);
        assert_ok(catalogue_intern(w->catalogue, bytes_of(topic), bytes_of(name), &ref));
    }
    return w;
}

static void destroy_world(struct world *w)
{
    kv_close(w->kv);
    last_destroy(w->last);
    catalogue_destroy(w->catalogue);
    directory_remove(&w->dir);
    free(w);
}

static void put(struct world *w, uint32_t group, unsigned column, int64_t time_ns, uint64_t bits)
{
    struct batch_entry row = {.kind = BATCH_ROW};
    row.row.group = group;
    row.row.columns = UINT64_C(1) << column;
    row.row.count = 1;
    row.row.time_ns = time_ns;
    row.row.values[0] = value_of(bits);
    assert_ok(last_put_row(w->last, &row));
    if (time_ns >= w->time_ns[group][column]) {
        w->time_ns[group][column] = time_ns;
        w->bits[group][column] = bits;
    }
}

static void expect_all(const struct world *w, const struct last *l, int64_t horizon_ns)
{
    for (unsigned i = 0; i < GROUPS * COLUMNS; i++) {
        const uint32_t g = i / COLUMNS, c = i % COLUMNS;
        const bool is_there = w->time_ns[g][c] != 0 && w->time_ns[g][c] >= horizon_ns;
        int64_t time_ns = 0;
        double value = 0;
        enum err e = last_find(l, (struct series_ref){g, (uint8_t)c}, &time_ns, &value);
        assert_int_equal(e, is_there ? OK : E_NOT_FOUND);
        if (is_there) {
            assert_true(time_ns == w->time_ns[g][c]);
            assert_true(bits_of(value) == w->bits[g][c]);
        }
    }
}

static void restart(struct world *w)
{
    kv_close(w->kv);
    last_destroy(w->last);
    w->last = NULL;
    open_file(w);
    assert_ok(last_create(&w->last));
    assert_ok(last_load(w->last, w->catalogue, w->kv));
    assert_int_equal(last_damaged(w->last), 0);
}

static void saves_and_restarts_lose_nothing(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct world *w = make_world();
        struct rng rng = {seed};
        for (int round = 0; round < 40; round++) {
            const uint32_t puts = rng_below(&rng, rng_below(&rng, 3) == 0 ? 10000 : 40);
            const uint32_t base = rng_below(&rng, GROUPS), width = 1 + rng_below(&rng, GROUPS);
            for (uint32_t i = 0; i < puts; i++) {
                put(w, (base + rng_below(&rng, width)) % GROUPS, rng_below(&rng, COLUMNS),
                    random_time(&rng), random_bits(&rng));
            }
            assert_ok(last_save(w->last, INT64_MIN, w->kv));
            expect_all(w, w->last, INT64_MIN);
            if (rng_below(&rng, 4) == 0) {
                restart(w);
                expect_all(w, w->last, INT64_MIN);
            }
        }
        destroy_world(w);
    }
}

static void what_retention_took_is_not_kept(void **state)
{
    struct world *w = make_world();
    (void)state;
    for (uint32_t g = 0; g < GROUPS; g++) {
        put(w, g, g % COLUMNS, T0_NS + g, bits_of(g));
    }
    assert_ok(last_save(w->last, T0_NS + 500, w->kv));
    restart(w);
    expect_all(w, w->last, T0_NS + 500);
    destroy_world(w);
}

static void another_file_gets_everything(void **state)
{
    struct world *w = make_world();
    (void)state;
    for (uint32_t g = 0; g < GROUPS; g++) {
        put(w, g, 0, T0_NS + g, bits_of(g));
    }
    assert_ok(last_save(w->last, INT64_MIN, w->kv));
    kv_close(w->kv);
    assert_int_equal(unlink(directory_file(&w->dir, "catalog.mdb")), 0);
    open_file(w);
    last_forget_file(w->last);
    assert_ok(last_save(w->last, INT64_MIN, w->kv));
    restart(w);
    expect_all(w, w->last, INT64_MIN);
    destroy_world(w);
}

/* Of all packs, the one that starts at or before `group`; its place in the file's bytes. */
static uint32_t damage_pack(struct world *w, uint32_t group, uint32_t *end)
{
    struct kv_table table;
    struct kv_txn *txn;
    struct kv_cursor *c;
    struct bytes key, value, found = {NULL, 0};
    uint8_t copy[PACK_BYTES_MAX], key_copy[4];
    uint32_t first = 0;
    assert_ok(kv_table_share(w->kv, "newest", &table));
    assert_ok(kv_write_begin(w->kv, &txn));
    assert_ok(kv_cursor_open(txn, table, &c));
    *end = GROUPS;
    for (enum err e = kv_cursor_seek(c, found, &key, &value); e == OK;
         e = kv_cursor_next(c, &key, &value)) {
        struct bytes in = key;
        uint32_t at = 0;
        assert_ok(bytes_take_u32(&in, &at));
        if (at > group) {
            *end = at;
            break;
        }
        first = at;
        found = value;
        memcpy(key_copy, key.at, sizeof key_copy);
    }
    memcpy(copy, found.at, found.size);
    copy[found.size / 2] ^= 4;
    kv_cursor_close(c);
    assert_ok(kv_put(txn, table, (struct bytes){key_copy, sizeof key_copy},
                     (struct bytes){copy, found.size}, KV_UPSERT));
    assert_ok(kv_commit(txn));
    return first;
}

static void a_damaged_pack_costs_only_its_own(void **state)
{
    struct world *w = make_world();
    uint32_t end;
    (void)state;
    for (uint32_t g = 0; g < GROUPS; g++) {
        put(w, g, 0, T0_NS + g, bits_of(g / 7.0));
    }
    assert_ok(last_save(w->last, INT64_MIN, w->kv));
    const uint32_t first = damage_pack(w, GROUPS / 2, &end);
    assert_true(first > 0 && first < end && end < GROUPS);
    last_destroy(w->last);
    assert_ok(last_create(&w->last));
    assert_ok(last_load(w->last, w->catalogue, w->kv));
    assert_int_equal(last_damaged(w->last), 1);
    for (uint32_t g = first; g < end; g++) {
        w->time_ns[g][0] = 0;
    }
    expect_all(w, w->last, INT64_MIN);
    put(w, first + 1, 2, T0_NS, bits_of(1)); /* It is written anew with what comes. */
    assert_ok(last_save(w->last, INT64_MIN, w->kv));
    restart(w);
    expect_all(w, w->last, INT64_MIN);
    destroy_world(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_values_come_back_bit_for_bit),
        cmocka_unit_test(values_of_a_city_take_a_few_bytes_each),
        cmocka_unit_test(saves_and_restarts_lose_nothing),
        cmocka_unit_test(what_retention_took_is_not_kept),
        cmocka_unit_test(another_file_gets_everything),
        cmocka_unit_test(a_damaged_pack_costs_only_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
