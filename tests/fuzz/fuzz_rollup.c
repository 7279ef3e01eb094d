/* Any bytes read as rollups, after their checksum is made right. What is read is written again and
 * must read the same. */

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/hash.h"
#include "storage/part/rollup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct rollup_row rows[ROLLUP_ROWS_MAX], again[ROLLUP_ROWS_MAX];
static uint8_t buffer[256 * ROLLUP_ROWS_MAX];

static void check_row(const struct rollup_row *a, const struct rollup_row *b)
{
    CHECK(a->start_ns == b->start_ns && a->stats.count == b->stats.count);
    CHECK(a->stats.nan_count == b->stats.nan_count);
    CHECK(a->stats.first_ns == b->stats.first_ns && a->stats.last_ns == b->stats.last_ns);
    CHECK(memcmp(&a->stats.sum, &b->stats.sum, sizeof(double)) == 0);
    CHECK(memcmp(&a->stats.last, &b->stats.last, sizeof(double)) == 0);
}

static void round_trip(struct bytes key, uint32_t count, struct chunk_scratch *scratch)
{
    struct writer out = {buffer, 0, sizeof buffer};
    uint32_t read;
    CHECK(rollup_write(rows, count, key, scratch, &out) == OK);
    CHECK(rollup_read(key, (struct bytes){buffer, out.size}, scratch, again, &read) == OK);
    CHECK(read == count);
    for (uint32_t i = 0; i < count; i++) {
        check_row(&rows[i], &again[i]);
    }
}

/* The first 14 bytes are the key, whose time becomes that of the chunk's head where this can be. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct chunk_scratch *scratch;
    uint8_t raw_key[ROLLUP_KEY_BYTES];
    const struct bytes key = {raw_key, sizeof raw_key};
    struct rollup_key place;
    struct chunk chunk;
    uint32_t count;

    CHECK(scratch != NULL || chunk_scratch_create(&scratch) == OK);
    if (size < ROLLUP_KEY_BYTES + 12) {
        return 0;
    }
    const size_t value_size = size - ROLLUP_KEY_BYTES;
    uint8_t *copy = malloc(value_size);
    CHECK(copy != NULL);
    memcpy(raw_key, data, sizeof raw_key);
    memcpy(copy, data + ROLLUP_KEY_BYTES, value_size);
    for (int i = 0; i < 2; i++) { /* To learn its last time, then under the key that has it. */
        const struct bytes body = {copy, value_size - sizeof(uint64_t)};
        const uint64_t sum = hash_seeded(hash_bytes(key), body);
        memcpy(copy + body.size, &sum, sizeof sum);
        if (rollup_key_read(key, &place) == OK &&
            chunk_read(key, (struct bytes){copy, value_size}, &chunk) == OK) {
            place.last_ns = chunk.last_ns;
            rollup_key_write(place, raw_key);
        }
    }
    if (rollup_read(key, (struct bytes){copy, value_size}, scratch, rows, &count) == OK) {
        CHECK(count >= 1 && count <= ROLLUP_ROWS_MAX);
        round_trip(key, count, scratch);
    }
    free(copy);
    return 0;
}
