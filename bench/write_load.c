/* Points through the write call, as a gateway or an import would: how many a second become durable.
 *
 * write_load HOST PORT SERIES POINTS [PER_WRITE]
 * SERIES x POINTS decimal gauges at 10 s steps in time order over all series. Prints one line. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"
#include "clients/hejnal.h"

enum { UNDER_WAY = 8 };

static int fail(const struct hejnal *h, const char *what)
{
    (void)fprintf(stderr, "write_load: %s: %s\n", what, h != NULL ? hejnal_error(h) : "");
    return 1;
}

static uint64_t number_of(const char *text)
{
    return strtoull(text, NULL, 10);
}

/* A gauge with one decimal that wanders. */
static double value_of(uint64_t series, uint64_t point)
{
    static uint32_t state = 1;
    state = state * 1664525 + 1013904223;
    return (double)(int64_t)(200 + series % 100 * 10 + (point + series) % 50 + (state >> 28)) / 10;
}

/* `per_write` points: the same few rows of every series, one section a series. */
static enum hejnal_result batch_fill(struct hejnal_batch *b, uint64_t series, uint64_t first,
                                     uint64_t rows)
{
    char path[64];
    hejnal_batch_clear(b);
    for (uint64_t s = 0; s < series; s++) {
        (void)snprintf(path, sizeof path, "bench/site-%03" PRIu64 "/sensor-%05" PRIu64, s / 100, s);
        CHECK(hejnal_batch_section(b, path, NULL, 0) == HEJNAL_OK);
        for (uint64_t r = first; r < first + rows; r++) {
            int64_t time_ns = INT64_C(1767225600000000000) + (int64_t)r * 10 * NS_PER_S;
            double value = value_of(s, r);
            CHECK(hejnal_batch_row(b, time_ns, &value, UINT64_MAX) == HEJNAL_OK);
        }
    }
    return HEJNAL_OK;
}

int main(int argc, char **argv)
{
    struct hejnal *h = NULL;
    struct hejnal_batch *b = NULL;
    if (argc < 5) {
        (void)fprintf(stderr, "usage: write_load HOST PORT SERIES POINTS [PER_WRITE]\n");
        return 2;
    }
    uint64_t series = number_of(argv[3]), points = number_of(argv[4]);
    uint64_t per_write = argc > 5 ? number_of(argv[5]) : 20000;
    uint64_t rows = per_write / series > 0 ? per_write / series : 1;
    if (hejnal_connect(argv[1], (unsigned)number_of(argv[2]), 60000, &h) != HEJNAL_OK ||
        hejnal_batch_create(&b) != HEJNAL_OK) {
        return fail(h, "connect");
    }
    int64_t busy_ns = 0, start_ns = clock_now_ns();
    for (uint64_t first = 0; first < points; first += rows) {
        int64_t fill_ns = clock_now_ns();
        (void)batch_fill(b, series, first, first + rows > points ? points - first : rows);
        busy_ns += clock_now_ns() - fill_ns;
        if (hejnal_write_post(h, b) != HEJNAL_OK || hejnal_write_wait(h, UNDER_WAY) != HEJNAL_OK) {
            return fail(h, "write");
        }
    }
    if (hejnal_write_wait(h, 0) != HEJNAL_OK) {
        return fail(h, "write");
    }
    double seconds = (double)(clock_now_ns() - start_ns) / NS_PER_S;
    uint64_t acked = hejnal_write_acked(h);
    printf("points=%" PRIu64 " seconds=%.3f rate=%.0f client_busy_seconds=%.3f\n", acked, seconds,
           (double)acked / seconds, (double)busy_ns / NS_PER_S);
    hejnal_batch_destroy(b);
    hejnal_close(h);
    return acked == series * points ? 0 : 1;
}
