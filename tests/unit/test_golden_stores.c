/* Stores that earlier builds left on disks show their points, and still do when all of it is
 * written anew. What is in them docs/FORMAT.md and tests/integration/test_format.py tell. */

#include "base/hash.h"
#include "storage/read/scan.h"
#include "tests/lib/golden_store.h"

static struct store s;

struct content {
    uint64_t points, digest;
};

static struct content add_series(struct content before, struct scan *scan, struct series_ref ref)
{
    struct content now = before;
    struct span span;
    enum err e;
    scan_start(scan, ref, 0, INT64_MAX);
    while ((e = scan_next(scan, &span)) == OK) {
        for (size_t i = 0; i < span.count; i++) { /* Not span by span: they may be cut otherwise. */
            now.digest =
                hash_seeded(now.digest, (struct bytes){(const uint8_t *)&span.times[i], 8});
            now.digest =
                hash_seeded(now.digest, (struct bytes){(const uint8_t *)&span.values[i], 8});
        }
        now.points += span.count;
    }
    assert_int_equal(e, E_END);
    return now;
}

static struct content content(void)
{
    const struct catalogue *c = engine_catalogue(s.engine);
    struct content all = {0, 0};
    struct scan *scan = NULL;
    assert_ok(scan_create(s.engine, &scan));
    for (uint32_t i = 0; i < catalogue_series_count(c); i++) {
        all = add_series(all, scan, catalogue_series(c, i));
    }
    scan_destroy(scan);
    return all;
}

static void expect_and_write_anew(const char *name, uint64_t points)
{
    golden_store_copy(&s, name);
    store_verify(&s);
    store_open(&s);
    const struct content before = content();
    assert_int_equal(before.points, points);
    assert_ok(store_checkpoint(&s));
    assert_ok(store_seal(&s, true));
    struct engine_stats stats;
    engine_stats(s.engine, &stats);
    assert_int_equal(stats.deletes_waiting, 0);
    assert_int_equal(stats.sealed, stats.partitions);
    for (int opened = 0; opened < 2; opened++) {
        const struct content after = content();
        assert_int_equal(after.points, points);
        assert_true(after.digest == before.digest);
        store_close(&s);
        store_verify(&s);
        store_open(&s);
    }
    store_remove(&s);
}

/* One less each than the lines of its points.csv. */
static void each_has_the_points_it_had(void **state)
{
    (void)state;
    expect_and_write_anew("store_v1", 829);
    expect_and_write_anew("store_v2", 980);
    expect_and_write_anew("store_v2_sealed", 34386);
    expect_and_write_anew("store_v3", 980);
    expect_and_write_anew("store_v3_sealed", 34386);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_has_the_points_it_had)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
