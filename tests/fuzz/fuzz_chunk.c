/* Any bytes read as a chunk, after its checksum is made right: the reader must survive a liar who
 * knows XXH3. What decodes is written again and must read the same. */

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/hash.h"
#include "codec/chunk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct bytes key = {(const uint8_t *)"\0\0\0\7\x80\0\0\0\0\0\0\1", 12};
static int64_t all_times[CHUNK_ROWS_MAX], times[CHUNK_ROWS_MAX], again[CHUNK_ROWS_MAX];
static double values[CHUNK_ROWS_MAX], values_again[CHUNK_ROWS_MAX];
static struct chunk_arrivals arrivals;
static uint8_t buffer[32 * CHUNK_ROWS_MAX];

/* Write the points of one column as a chunk of their own, read them back. */
static void round_trip(uint32_t rows, bool is_dense, struct chunk_scratch *s)
{
    const struct chunk_input_column column = {.id = 5, .values = values};
    const struct chunk_input in = {
        .rows = rows, .times = times, .columns = 1, .column = &column, .dense = is_dense};
    struct writer out = {buffer, 0, sizeof buffer};
    struct chunk c;
    uint32_t count;

    CHECK(chunk_write(&in, key, s, &out) == OK);
    CHECK(chunk_read(key, (struct bytes){buffer, out.size}, &c) == OK);
    CHECK(chunk_times(&c, s, again) == OK);
    CHECK(memcmp(again, times, rows * sizeof times[0]) == 0);
    CHECK(chunk_points(&c, 0, again, s, again, values_again, &count) == OK && count == rows);
    CHECK(memcmp(values_again, values, rows * sizeof values[0]) == 0);
}

/* What was read of arrivals is written again, over a column for each that may be revised. */
static void write_arrivals(uint32_t rows, struct chunk_scratch *s)
{
    static const double zeros[CHUNK_ROWS_MAX];
    static struct chunk_arrivals back;
    struct chunk_input_column columns[CHUNK_COLUMNS_MAX];
    struct chunk_input in = {.rows = rows,
                             .times = all_times,
                             .arrivals = arrivals.arrivals,
                             .revisions = arrivals.revisions,
                             .revision_count = arrivals.revision_count,
                             .columns = CHUNK_COLUMNS_MAX,
                             .column = columns};
    struct writer out = {buffer, 0, sizeof buffer};
    struct chunk c;

    for (uint8_t i = 0; i < CHUNK_COLUMNS_MAX; i++) {
        columns[i] = (struct chunk_input_column){.id = i, .values = zeros};
    }
    CHECK(chunk_write(&in, key, s, &out) == OK);
    CHECK(chunk_read(key, (struct bytes){buffer, out.size}, &c) == OK);
    CHECK(chunk_arrivals(&c, all_times, s, &back) == OK);
    CHECK(memcmp(back.arrivals, arrivals.arrivals, rows * sizeof back.arrivals[0]) == 0);
    CHECK(back.revision_count == arrivals.revision_count);
    for (uint32_t i = 0; i < back.revision_count; i++) {
        CHECK(back.revisions[i].row == arrivals.revisions[i].row);
        CHECK(back.revisions[i].arrival_s == arrivals.revisions[i].arrival_s);
        CHECK(memcmp(&back.revisions[i].value, &arrivals.revisions[i].value, 8) == 0);
    }
}

static void read_value(struct bytes value, struct chunk_scratch *s)
{
    struct chunk c;
    uint32_t count;

    if (chunk_read(key, value, &c) != OK || chunk_times(&c, s, all_times) != OK) {
        return;
    }
    if (chunk_arrivals(&c, all_times, s, &arrivals) == OK && c.arrivals.size > 0) {
        write_arrivals(c.rows, s);
    }
    for (unsigned i = 0; i < c.columns; i++) {
        if (chunk_points(&c, i, all_times, s, times, values, &count) == OK) {
            CHECK(count >= 1 && count <= c.rows);
            CHECK(chunk_column_find(&c, c.column[i].id) == (int)i);
            round_trip(count, i % 2 > 0, s);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t head[] = {'H', 'c', 1, 0};
    static struct chunk_scratch *scratch;

    CHECK(scratch != NULL || chunk_scratch_create(&scratch) == OK);
    if (size < 12) {
        return 0;
    }
    uint8_t *copy = malloc(size);
    CHECK(copy != NULL);
    memcpy(copy, data, size);
    const uint8_t flags = copy[3] & 1;
    memcpy(copy, head, sizeof head);
    copy[3] = flags;
    uint64_t sum = hash_seeded(hash_bytes(key), (struct bytes){copy, size - sizeof sum});
    memcpy(copy + size - sizeof sum, &sum, sizeof sum);
    read_value((struct bytes){copy, size}, scratch);
    free(copy);
    return 0;
}
