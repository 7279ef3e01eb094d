#include "storage/catalogue/name_pack.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/rng.h"
#include "tests/lib/test.h"

enum { SERIES = 3000, TEXT_ROOM = 96 };

struct named {
    struct series_ref ref;
    char topic[TEXT_ROOM], name[TEXT_ROOM];
};

static struct named series[SERIES];

static struct name_entry entry_of(const struct named *n)
{
    return (struct name_entry){n->ref, bytes_of(n->topic), bytes_of(n->name)};
}

/* The series from `from` on that one pack takes; they come back as they are. */
static size_t expect_round_trip(size_t from, size_t *bytes)
{
    struct name_pack_writer w = {.count = 0};
    struct name_pack_reader *r = malloc(sizeof *r);
    struct name_entry got;
    size_t count = from;
    enum err e = OK;
    assert_non_null(r);
    for (; count < SERIES && e == OK; count += e == OK) {
        const struct name_entry entry = entry_of(&series[count]);
        e = name_pack_add(&w, &entry);
        assert_true(e == OK || (e == E_LIMIT && count > from));
    }
    assert_true(w.out.size <= PACK_BODY_BYTES_MAX);
    name_pack_open(r, (struct bytes){w.out.at, w.out.size});
    for (size_t i = from; i < count; i++) {
        assert_ok(name_pack_next(r, &got));
        assert_int_equal(got.ref.group, series[i].ref.group);
        assert_int_equal(got.ref.column, series[i].ref.column);
        assert_true(bytes_equal(got.topic, bytes_of(series[i].topic)));
        assert_true(bytes_equal(got.name, bytes_of(series[i].name)));
    }
    assert_int_equal(name_pack_next(r, &got), E_END);
    *bytes += w.out.size;
    name_pack_close(r);
    name_pack_fini(&w);
    free(r);
    return count;
}

static size_t expect_all(void)
{
    size_t bytes = 0;
    for (size_t at = 0; at < SERIES;) {
        at = expect_round_trip(at, &bytes);
    }
    return bytes;
}

static void names_of_a_city_take_a_few_bytes_each(void **state)
{
    static const char *const names[] = {"power_kw", "voltage", "current_a", "energy_kwh"};
    (void)state;
    for (unsigned i = 0; i < SERIES; i++) { /* Devices with fields. */
        series[i].ref = (struct series_ref){i / 4, (uint8_t)(i % 4)};
        snprintf(series[i].topic, TEXT_ROOM, "krakow/site%u/dev%u", i / 40, i / 4 % 10);
        snprintf(series[i].name, TEXT_ROOM, "%s", names[i % 4]);
    }
    assert_true(expect_all() <= 4 * SERIES);
    for (unsigned i = 0; i < SERIES; i++) { /* A topic for each value, in no order. */
        const unsigned k = i * 1009 % SERIES;
        series[i].ref = (struct series_ref){i, 0};
        snprintf(series[i].topic, TEXT_ROOM, "krakow/site%u/dev%u/%s", k / 40, k / 4 % 10,
                 names[k % 4]);
        series[i].name[0] = 0;
    }
    assert_true(expect_all() <= 12 * SERIES);
}

static void random_text(struct rng *rng, char *to, size_t most)
{
    static const char letters[] = "ab/c";
    size_t size = rng_below(rng, (uint32_t)most);
    for (size_t i = 0; i < size; i++) {
        to[i] = letters[rng_below(rng, 4)];
    }
    to[size] = 0;
}

static void any_names_and_places_come_back(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct rng rng = {seed};
        for (unsigned i = 0; i < SERIES; i++) {
            struct named *n = &series[i];
            const bool follows = i > 0 && rng_below(&rng, 3) > 0;
            *n = (struct named){.ref = {rng_below(&rng, 9), (uint8_t)rng_below(&rng, 64)}};
            if (rng_below(&rng, 50) == 0) {
                n->ref.group = UINT32_MAX - rng_below(&rng, 3);
            }
            random_text(&rng, n->topic, seed % 2 == 0 ? 6 : TEXT_ROOM);
            if (follows && series[i - 1].ref.column < 63) {
                n->ref = (struct series_ref){series[i - 1].ref.group,
                                             (uint8_t)(series[i - 1].ref.column + 1)};
                memcpy(n->topic, series[i - 1].topic, TEXT_ROOM);
            }
            n->topic[0] = n->topic[0] == 0 ? 'x' : n->topic[0];
            random_text(&rng, n->name, rng_below(&rng, 2) == 0 ? 3 : 1);
        }
        (void)expect_all();
    }
}

static void the_longest_path_fits_a_pack(void **state)
{
    static uint8_t big[5][SERIES_PATH_BYTES_MAX];
    struct name_pack_writer w = {.count = 0};
    (void)state;
    memset(big, 'x', sizeof big);
    unsigned count = 0;
    enum err e = OK;
    while (e == OK) {
        assert_true(count < 5);
        big[count][0] = (uint8_t)('a' + count);
        const struct name_entry entry = {{count, 0}, {big[count], sizeof big[0]}, {NULL, 0}};
        e = name_pack_add(&w, &entry);
        count += e == OK;
    }
    assert_int_equal(e, E_LIMIT);
    assert_int_equal(w.count, count);
    assert_true(count >= 3);
    name_pack_restart(&w);
    const struct name_entry entry = {{7, 0}, {big[0], sizeof big[0]}, {NULL, 0}};
    assert_ok(name_pack_add(&w, &entry));
    name_pack_fini(&w);
}

static void a_sum_is_of_one_key_only(void **state)
{
    struct writer w = {NULL, 0, 0};
    struct bytes body;
    (void)state;
    assert_ok(pack_reserve(&w, 5));
    assert_ok(writer_put(&w, "hello", 5));
    assert_ok(pack_seal(bytes_of("k"), &w));
    const struct bytes sealed = {w.at, w.size};
    assert_ok(pack_open(bytes_of("k"), sealed, &body));
    assert_true(bytes_equal(body, bytes_of("hello")));
    assert_int_equal(pack_open(bytes_of("l"), sealed, &body), E_CORRUPT);
    w.at[2] ^= 1;
    assert_int_equal(pack_open(bytes_of("k"), sealed, &body), E_CORRUPT);
    assert_int_equal(pack_open(bytes_of("k"), (struct bytes){w.at, 7}, &body), E_CORRUPT);
    free(w.at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_a_city_take_a_few_bytes_each),
        cmocka_unit_test(any_names_and_places_come_back),
        cmocka_unit_test(the_longest_path_fits_a_pack),
        cmocka_unit_test(a_sum_is_of_one_key_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
