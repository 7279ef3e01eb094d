/* Any bytes read as a bundle, after its checksum is made right. What decodes of a column is put
 * into a bundle again and must read the same. */

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/hash.h"
#include "codec/bundle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct bytes key = {(const uint8_t *)"\0\0\1\7", 4};
static int64_t all_times[CHUNK_ROWS_MAX], times[CHUNK_ROWS_MAX], again[CHUNK_ROWS_MAX];
static double values[CHUNK_ROWS_MAX], values_again[CHUNK_ROWS_MAX];
static struct chunk_arrivals arrivals;
static struct chunk_scratch *scratch;
static struct bundle *bundle;

static void round_trip(uint32_t rows)
{
    const struct chunk_input_column column = {.values = values};
    const struct chunk_input in = {.rows = rows, .times = times, .columns = 1, .column = &column};
    struct bundle_view view;
    struct bytes body;
    struct chunk c;
    enum bundle_fit fit;
    uint32_t count;

    CHECK(bundle_put(bundle, 3, &in, scratch, &fit) == OK && fit != BUNDLE_FULL);
    if (fit == BUNDLE_LARGE) {
        return;
    }
    CHECK(bundle_open(key, bundle_finish(bundle, key), &view) == OK);
    CHECK(bundle_find(&view, 3, &body) == OK && brief_read(body, &view.base, &c) == OK);
    CHECK(chunk_times(&c, scratch, again) == OK);
    CHECK(memcmp(again, times, rows * sizeof times[0]) == 0);
    CHECK(chunk_points(&c, 0, again, scratch, again, values_again, &count) == OK && count == rows);
    CHECK(memcmp(values_again, values, rows * sizeof values[0]) == 0);
}

static void read_group(struct bytes body, const struct brief_base *base)
{
    struct chunk c;
    uint32_t count;
    if (brief_read(body, base, &c) != OK || chunk_times(&c, scratch, all_times) != OK) {
        return;
    }
    (void)!chunk_arrivals(&c, all_times, scratch, &arrivals);
    for (unsigned i = 0; i < c.columns; i++) {
        if (chunk_points(&c, i, all_times, scratch, times, values, &count) == OK) {
            CHECK(count >= 1 && count <= c.rows);
            round_trip(count);
        }
    }
}

static void read_value(struct bytes value)
{
    struct bundle_view view;
    struct bytes body;
    uint32_t group;
    if (bundle_open(key, value, &view) == OK) {
        CHECK(view.first <= view.last);
        while (bundle_next(&view, &group, &body) == OK) {
            CHECK(group >= view.first && group <= view.last);
            read_group(body, &view.base);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t head[] = {'H', 'b', 1, 0};

    CHECK(scratch != NULL ||
          (chunk_scratch_create(&scratch) == OK && bundle_create(&bundle) == OK));
    if (size < 12) {
        return 0;
    }
    uint8_t *copy = malloc(size);
    CHECK(copy != NULL);
    memcpy(copy, data, size);
    memcpy(copy, head, sizeof head);
    const uint64_t sum = hash_seeded(hash_bytes(key), (struct bytes){copy, size - sizeof sum});
    memcpy(copy + size - sizeof sum, &sum, sizeof sum);
    read_value((struct bytes){copy, size});
    free(copy);
    return 0;
}
