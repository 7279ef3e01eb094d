/* Integers written and read back, and any bytes read as a stream of them.
 *
 * First byte: bit 0 dense, bit 1 read the rest as a stream of as many values as the second byte
 * says; else bits 2-4 say how many bytes each integer takes. */

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "codec/bits.h"
#include "codec/ints.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int64_t values[CHUNK_ROWS_MAX], again[CHUNK_ROWS_MAX];
static uint8_t buffer[12 * CHUNK_ROWS_MAX];

static void round_trip(const uint8_t *data, size_t size, size_t width, struct chunk_scratch *s)
{
    uint32_t count = 0;

    for (size_t at = 0; at + width <= size && count < CHUNK_ROWS_MAX; at += width) {
        uint64_t raw = 0;
        memcpy(&raw, data + at, width);
        values[count++] = (int64_t)(raw << (64 - 8 * width)) >> (64 - 8 * width);
    }
    if (count == 0) {
        return;
    }
    struct writer out = {buffer, 0, sizeof buffer - BITS_SLACK_BYTES};
    CHECK(ints_write(values, count, s, &out) == OK);
    struct bytes in = {buffer, out.size};
    CHECK(ints_read(&in, count, s, again) == OK && in.size == 0);
    CHECK(memcmp(values, again, count * sizeof values[0]) == 0);
}

static void read_stream(const uint8_t *data, size_t size, struct chunk_scratch *s)
{
    if (size == 0) {
        return;
    }
    uint8_t *copy = malloc(size - 1 + BITS_SLACK_BYTES);
    CHECK(copy != NULL);
    memcpy(copy, data + 1, size - 1);
    memset(copy + size - 1, 0xee, BITS_SLACK_BYTES);
    struct bytes in = {copy, size - 1};
    enum err e = ints_read(&in, data[0], s, again);
    CHECK(e == OK || e == E_CORRUPT);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct chunk_scratch *scratch;

    CHECK(scratch != NULL || chunk_scratch_create(&scratch) == OK);
    if (size == 0) {
        return 0;
    }
    scratch->is_dense = (data[0] & 1) != 0;
    if ((data[0] & 2) != 0) {
        read_stream(data + 1, size - 1, scratch);
    } else {
        round_trip(data + 1, size - 1, (size_t)(data[0] >> 2 & 7) + 1, scratch);
    }
    return 0;
}
