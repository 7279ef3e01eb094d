/* Chunks as they stand on disks already: they must be readable for ever, bit for bit.
 *
 * Each file is described by the input it was written from. A build whose encoder chooses otherwise
 * adds files of its own and marks the old ones as no longer written; none is ever replaced. Run
 * with HEJNAL_GOLDEN=write to write files that are missing. */

#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "codec/chunk.h"
#include "tests/lib/rng.h"
#include "tests/lib/test.h"

enum { ROWS = 300, COLUMNS = 6, FILE_BYTES_MAX = 16384 };

static const struct bytes key = {(const uint8_t *)"\0\0\0\7\x80\0\0\0\0\0\0\1", 12};
static const int64_t start_ns = 1700000000LL * 1000000000;

static int64_t times[ROWS], times_back[ROWS], all_times[ROWS];
static double values[COLUMNS][ROWS], values_back[ROWS];
static uint64_t maps[COLUMNS][CHUNK_PRESENT_WORDS];
static struct chunk_input_column column[COLUMNS];
static struct chunk_arrivals arrivals, arrivals_back;
static struct chunk_scratch *scratch;

static int set_up(void **state)
{
    (void)state;
    return chunk_scratch_create(&scratch) == OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    chunk_scratch_destroy(scratch);
    return 0;
}

static double of_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void minutes(void)
{
    for (int64_t i = 0; i < ROWS; i++) {
        times[i] = start_ns + i * 60000000000;
    }
}

/* Air of a station every minute: a walk, its two followers, a state, a counter, a constant. */
static void fill_air(struct rng *r)
{
    int32_t pm = 310, energy = 100000;

    minutes();
    for (int i = 0; i < ROWS; i++) {
        pm += (int32_t)rng_below(r, 21) - 10;
        energy += 5 * (int32_t)rng_below(r, 4);
        values[0][i] = pm / 10.0;
        values[1][i] = (pm * 2 + (int32_t)rng_below(r, 3)) / 10.0;
        values[2][i] = (pm * 2 + (int32_t)rng_below(r, 9)) / 10.0;
        values[3][i] = i % 100 < 40;
        values[4][i] = energy / 1000.0;
        values[5][i] = 21.5;
    }
}

/* The same with missing values: at random, in runs, as in another column, all but one. */
static void fill_gaps(struct rng *r)
{
    fill_air(r);
    memset(maps, 0, sizeof maps);
    for (unsigned i = 0; i < ROWS; i++) {
        maps[0][i / 64] |= (uint64_t)(rng_below(r, 3) > 0) << i % 64;
        maps[1][i / 64] |= (uint64_t)(i < 100 || i > 180) << i % 64;
        maps[4][i / 64] |= (uint64_t)(i == 150) << i % 64;
    }
    memcpy(maps[2], maps[0], sizeof maps[2]);
    memcpy(maps[5], maps[1], sizeof maps[5]);
    for (unsigned i = 0; i < COLUMNS; i++) {
        column[i].present = i == 3 ? NULL : maps[i];
    }
}

/* What is no decimal: exceptions, floats, few doubles, any doubles, NaNs, denormals. */
static void fill_odd(struct rng *r)
{
    static const uint64_t odd[] = {0x8000000000000000, 0x7ff8000000000123, 0x7ff0000000000000,
                                   0xfff0000000000000, 0x0000000000000001, 0x7fefffffffffffff};
    for (int i = 0; i < ROWS; i++) {
        times[i] = start_ns + 1000000 * ((int64_t)i * 10007 + rng_below(r, 9)); /* trend */
        values[0][i] = i % 50 == 7 ? of_bits(odd[i / 50]) : rng_below(r, 1000) / 100.0;
        values[1][i] = (double)(float)((double)rng_below(r, 100000) / 1000);
        values[2][i] = (1 + rng_below(r, 6)) / 7.0;
        values[3][i] = of_bits(rng_next(r));
        values[4][i] = of_bits(0x7ff8000000000000 + rng_below(r, 4));
        values[5][i] = of_bits(rng_below(r, 100));
    }
}

/* Times that speed up and stumble; integers with far outliers. */
static void fill_uneven(struct rng *r)
{
    int64_t step = 1000, time = -5000000, walk = 0;

    for (int i = 0; i < ROWS; i++) {
        step += rng_below(r, 5);
        time += step + (rng_below(r, 40) == 0 ? (int64_t)(rng_next(r) >> 24) : 0);
        walk += 100 + rng_below(r, 4);
        times[i] = time;
        values[0][i] = rng_below(r, 20) == 0 ? rng_below(r, 1000000000) : rng_below(r, 8);
        values[1][i] = (double)walk;
        values[2][i] = (double)(walk * i);
        values[3][i] = -4.0 * i;
        values[4][i] = (double)((int64_t)i * i * 1000003 % 1125899906842623);
        values[5][i] = (double)(i / 37 % 3) * 1e15;
    }
}

/* Half of the air came late, some of it was corrected. */
static void fill_late(struct rng *r)
{
    fill_air(r);
    for (uint32_t i = 0; i < ROWS; i++) {
        const uint32_t time_s = (uint32_t)(times[i] / 1000000000);
        arrivals.arrivals[i] = i % 40 < 20 ? time_s + 3000 - i % 40 * 60 : 0;
        if (i % 30 == 7) {
            const double old = rng_below(r, 1000) / 10.0;
            struct chunk_revision *to = &arrivals.revisions[arrivals.revision_count];
            to[0] = (struct chunk_revision){i, 11, false, arrivals.arrivals[i], old};
            to[1] = (struct chunk_revision){i, 11, false, time_s + 4000, old + 1};
            to[2] = (struct chunk_revision){i, 11, true, time_s + 9000 + rng_below(r, 100), 0};
            to[3] = (struct chunk_revision){i, 44, true, 0, 0};
            arrivals.revision_count += 4;
        }
    }
}

/* States: one, two, amid decimals and floats, many, and with other exceptions. */
static void fill_texts(struct rng *r)
{
    int32_t level = 200;

    minutes();
    for (int i = 0; i < ROWS; i++) {
        level += (int32_t)rng_below(r, 5) - 2;
        const bool is_out = i / 17 % 5 == 0;
        values[0][i] = text_value(7);
        values[1][i] = text_value(rng_below(r, 2) * 90000);
        values[2][i] = rng_below(r, 10) == 0 ? text_value(3 + rng_below(r, 2)) : level / 10.0;
        values[3][i] =
            is_out ? text_value(4) : (double)(float)((double)rng_below(r, 100000) / 1000);
        values[4][i] = text_value(rng_below(r, 40));
        values[5][i] = is_out ? of_bits(0x7ff8000000000000 + rng_below(r, 2)) : level / 10.0;
    }
}

static const struct golden {
    const char *name;
    void (*fill)(struct rng *r);
    uint32_t rows;
    bool is_dense, is_still_written;
} goldens[] = {
    {"late_fast", fill_late, ROWS, false, true},
    {"late_dense", fill_late, ROWS, true, true},
    {"air_fast", fill_air, ROWS, false, true},
    {"air_dense", fill_air, ROWS, true, true},
    {"gaps_fast", fill_gaps, ROWS, false, true},
    {"gaps_dense", fill_gaps, ROWS, true, true},
    {"odd_fast", fill_odd, ROWS, false, true},
    {"odd_dense", fill_odd, ROWS, true, true},
    {"uneven_fast", fill_uneven, ROWS, false, true},
    {"uneven_dense", fill_uneven, ROWS, true, true},
    {"one_row", fill_air, 1, false, true},
    {"texts_fast", fill_texts, ROWS, false, true},
    {"texts_dense", fill_texts, ROWS, true, true},
};

static struct chunk_input input_of(const struct golden *g)
{
    struct rng r = {42};

    for (unsigned i = 0; i < COLUMNS; i++) {
        column[i] = (struct chunk_input_column){.id = (uint8_t)(i * 11), .values = values[i]};
    }
    memset(&arrivals, 0, sizeof arrivals);
    g->fill(&r);
    return (struct chunk_input){.rows = g->rows,
                                .times = times,
                                .arrivals = g->fill == fill_late ? arrivals.arrivals : NULL,
                                .revisions = arrivals.revisions,
                                .revision_count = arrivals.revision_count,
                                .columns = COLUMNS,
                                .column = column,
                                .dense = g->is_dense};
}

static void path_of(const struct golden *g, char *path, size_t size)
{
    snprintf(path, size, TESTS_DIR "/golden/chunk_v1_%s.bin", g->name);
}

static size_t read_file(const struct golden *g, uint8_t *to)
{
    char path[512];
    path_of(g, path, sizeof path);
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fail_msg("no golden file %s", path);
        return 0;
    }
    size_t size = fread(to, 1, FILE_BYTES_MAX, file);
    fclose(file);
    return size;
}

static void write_missing(const struct golden *g, struct bytes bytes)
{
    char path[512];
    const char *wish = getenv("HEJNAL_GOLDEN"); /* NOLINT(concurrency-mt-unsafe): one thread. */
    path_of(g, path, sizeof path);
    FILE *file = wish == NULL || strcmp(wish, "write") != 0 ? NULL : fopen(path, "wbx");
    if (file != NULL) {
        assert_int_equal(fwrite(bytes.at, 1, bytes.size, file), bytes.size);
        fclose(file);
    }
}

static void check_column(const struct chunk *c, const struct chunk_input_column *expected)
{
    int index = chunk_column_find(c, expected->id);
    uint32_t count, at = 0;

    assert_true(index >= 0);
    assert_ok(
        chunk_points(c, (unsigned)index, all_times, scratch, times_back, values_back, &count));
    for (uint32_t row = 0; row < c->rows; row++) {
        if (expected->present == NULL || (expected->present[row / 64] >> row % 64 & 1) != 0) {
            assert_true(times_back[at] == times[row]);
            assert_memory_equal(&values_back[at++], &expected->values[row], sizeof(double));
        }
    }
    assert_int_equal(at, count);
}

static void check_arrivals(const struct chunk *c)
{
    assert_ok(chunk_arrivals(c, all_times, scratch, &arrivals_back));
    assert_memory_equal(arrivals_back.arrivals, arrivals.arrivals, c->rows * sizeof(uint32_t));
    assert_int_equal(arrivals_back.revision_count, arrivals.revision_count);
    for (uint32_t i = 0; i < arrivals.revision_count; i++) {
        const struct chunk_revision *a = &arrivals_back.revisions[i], *b = &arrivals.revisions[i];
        assert_true(a->row == b->row && a->column == b->column && a->arrival_s == b->arrival_s);
        assert_true(a->is_current == b->is_current && (a->is_current || a->value == b->value));
    }
}

static void golden_chunks_are_read_and_still_written(void **state)
{
    static uint8_t file[FILE_BYTES_MAX], ours[FILE_BYTES_MAX];
    struct chunk c;
    (void)state;
    for (size_t i = 0; i < sizeof goldens / sizeof goldens[0]; i++) {
        struct chunk_input in = input_of(&goldens[i]);
        struct writer out = {ours, 0, sizeof ours};
        assert_ok(chunk_write(&in, key, scratch, &out));
        write_missing(&goldens[i], (struct bytes){ours, out.size});
        size_t size = read_file(&goldens[i], file);
        assert_ok(chunk_read(key, (struct bytes){file, size}, &c));
        assert_int_equal(c.rows, in.rows);
        assert_ok(chunk_times(&c, scratch, all_times));
        for (unsigned k = 0; k < COLUMNS; k++) {
            check_column(&c, &column[k]);
        }
        check_arrivals(&c);
        if (goldens[i].is_still_written) {
            assert_int_equal(out.size, size);
            assert_memory_equal(ours, file, size);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_chunks_are_read_and_still_written),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
