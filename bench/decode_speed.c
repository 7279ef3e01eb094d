/* How fast one core opens, checks and decodes sealed chunks, times and values, in points a second.
 *
 * decode_speed SECONDS
 * Gauges whose decimals bit-pack: five shapes of city sensors, a chunk of one column each, encoded
 * as sealing does and as a checkpoint does. Prints one line a form. */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"
#include "codec/chunk.h"

enum { SHAPES = 5, ROWS = 8192, CHUNK_ROOM_BYTES = 256 << 10 };

static const struct shape {
    const char *name;
    double power, base;
    unsigned noise; /* Units of the last digit, spread evenly. */
    int64_t step_ns;
} shapes[SHAPES] = {{"pm10", 10, 400, 32, 60 * (int64_t)NS_PER_S},
                    {"temp_c", 10, 85, 8, 60 * (int64_t)NS_PER_S},
                    {"level_m", 1000, 1850, 16, 60 * (int64_t)NS_PER_S},
                    {"voltage_v", 10, 2300, 16, 10 * (int64_t)NS_PER_S},
                    {"power_kw", 1000, 42000, 512, 10 * (int64_t)NS_PER_S}};

struct coded {
    uint8_t bytes[CHUNK_ROOM_BYTES];
    size_t size;
};

static const struct bytes key = {(const uint8_t *)"key", 3};
static int64_t times[ROWS];
static double values[ROWS];

static void fill(const struct shape *shape)
{
    uint64_t state = 88172645463325252;
    for (unsigned i = 0; i < ROWS; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        times[i] = INT64_C(1767225600) * NS_PER_S + i * shape->step_ns;
        values[i] = (shape->base + (double)(state >> 32) * shape->noise / 4294967296.0);
        values[i] = (double)(int64_t)values[i] / shape->power;
    }
}

static void encode(const struct shape *shape, bool dense, struct chunk_scratch *scratch,
                   struct coded *out)
{
    struct writer w = {out->bytes, 0, sizeof out->bytes};
    const struct chunk_input_column column = {.id = 0, .values = values};
    fill(shape);
    const struct chunk_input in = {
        .rows = ROWS, .times = times, .columns = 1, .column = &column, .dense = dense};
    CHECK(chunk_write(&in, key, scratch, &w) == OK);
    out->size = w.size;
}

static void decode(const struct coded *coded, struct chunk_scratch *scratch)
{
    static struct chunk chunk;
    uint32_t count;
    CHECK(chunk_read(key, (struct bytes){coded->bytes, coded->size}, &chunk) == OK);
    CHECK(chunk_times(&chunk, scratch, times) == OK);
    CHECK(chunk_points(&chunk, 0, times, scratch, times, values, &count) == OK && count == ROWS);
}

static void measure(bool dense, double seconds, struct chunk_scratch *scratch)
{
    static struct coded coded[SHAPES];
    size_t bytes = 0, rounds = 0;
    for (unsigned i = 0; i < SHAPES; i++) {
        encode(&shapes[i], dense, scratch, &coded[i]);
        bytes += coded[i].size;
    }
    const int64_t start_ns = clock_now_ns();
    int64_t took_ns;
    do {
        for (unsigned i = 0; i < SHAPES; i++) {
            decode(&coded[i], scratch);
        }
        rounds++;
        took_ns = clock_now_ns() - start_ns;
    } while ((double)took_ns < seconds * NS_PER_S);
    printf("dense=%d bytes_per_point=%.3f rate=%.0f\n", dense, (double)bytes / (SHAPES * ROWS),
           (double)rounds * SHAPES * ROWS / ((double)took_ns / NS_PER_S));
}

int main(int argc, char **argv)
{
    struct chunk_scratch *scratch;
    const double seconds = argc > 1 ? strtod(argv[1], NULL) : 1;
    CHECK(chunk_scratch_create(&scratch) == OK);
    measure(false, seconds, scratch);
    measure(true, seconds, scratch);
    chunk_scratch_destroy(scratch);
    return 0;
}
