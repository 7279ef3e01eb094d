/* One request many times over one connection that is kept: the client-side time of each, the answer
 * read but not parsed.
 *
 * http_query PORT RUNS PATH
 * Prints the bytes of the answer, and the median and 99th percentile in milliseconds. */

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"
#include "bench/http.h"

enum { RUNS_MAX = 100000 };

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
    static int64_t took_ns[RUNS_MAX];
    static struct http h;
    size_t bytes = 0;
    if (argc != 4) {
        (void)fprintf(stderr, "usage: http_query PORT RUNS PATH\n");
        return 2;
    }
    const unsigned runs = (unsigned)strtoul(argv[2], NULL, 10);
    CHECK(runs > 0 && runs <= RUNS_MAX);
    http_connect(&h, (unsigned)strtoul(argv[1], NULL, 10));
    for (unsigned i = 0; i < runs; i++) {
        const int64_t start_ns = clock_now_ns();
        bytes = http_ask(&h, argv[3], NULL, 0);
        took_ns[i] = clock_now_ns() - start_ns;
    }
    qsort(took_ns, runs, sizeof took_ns[0], by_size);
    printf("bytes=%zu p50_ms=%.3f p99_ms=%.3f\n", bytes, (double)took_ns[runs / 2] / NS_PER_MS,
           (double)took_ns[runs * 99 / 100] / NS_PER_MS);
    return 0;
}
