/* One query many times over one connection: the client-side time of each, answer read and checked.
 *
 * query_load HOST PORT RUNS last FILTER
 * query_load HOST PORT RUNS raw FILTER FROM_S TO_S
 * query_load HOST PORT RUNS AGGREGATE FILTER FROM_S TO_S BUCKET_S [LEVEL]   (mean, min or max)
 * LEVEL: series are gathered by that level of their paths, from 1.
 * Prints rows, and the median and 99th percentile in milliseconds. */

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "clients/hejnal.h"

enum { RUNS_MAX = 100000 };

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static uint64_t last_rows(struct hejnal *h, const char *filter)
{
    struct hejnal_answer *answer;
    struct hejnal_last last;
    enum hejnal_result r;
    uint64_t rows = 0;
    CHECK(hejnal_last(h, filter, &answer) == HEJNAL_OK);
    while ((r = hejnal_next_last(answer, &last)) == HEJNAL_OK) {
        rows++;
    }
    CHECK(r == HEJNAL_END);
    hejnal_answer_close(answer);
    return rows;
}

static uint64_t query_rows(struct hejnal *h, const struct hejnal_query *query)
{
    struct hejnal_answer *answer;
    struct hejnal_block block;
    enum hejnal_result r;
    uint64_t rows = 0;
    CHECK(hejnal_query(h, query, &answer) == HEJNAL_OK);
    while ((r = hejnal_next_block(answer, &block)) == HEJNAL_OK) {
        rows += block.rows;
    }
    if (r != HEJNAL_END) {
        (void)fprintf(stderr, "query_load: %s\n", hejnal_error(h));
        exit(1);
    }
    hejnal_answer_close(answer);
    return rows;
}

static unsigned aggregate_of(const char *name)
{
    return strcmp(name, "max") == 0   ? HEJNAL_MAX
           : strcmp(name, "min") == 0 ? HEJNAL_MIN
                                      : HEJNAL_MEAN;
}

int main(int argc, char **argv)
{
    static int64_t took_ns[RUNS_MAX];
    struct hejnal *h = NULL;
    if (argc < 6) {
        (void)fprintf(stderr,
                      "usage: query_load HOST PORT RUNS last|raw|mean|min|max FILTER ...\n");
        return 2;
    }
    unsigned runs = (unsigned)strtoul(argv[3], NULL, 10);
    bool is_last = strcmp(argv[4], "last") == 0, is_raw = strcmp(argv[4], "raw") == 0;
    CHECK(runs > 0 && runs <= RUNS_MAX && (is_last || argc >= (is_raw ? 8 : 9)));
    struct hejnal_query query = {.filter = argv[5]};
    if (!is_last) {
        query.from_ns = strtoll(argv[6], NULL, 10) * NS_PER_S;
        query.to_ns = strtoll(argv[7], NULL, 10) * NS_PER_S;
        query.bucket_ns = is_raw ? 0 : strtoll(argv[8], NULL, 10) * NS_PER_S;
        query.aggregates = is_raw ? 0 : aggregate_of(argv[4]);
    }
    struct hejnal_key key = {.tag = NULL};
    if (argc > 9) {
        key.level = (int)strtol(argv[9], NULL, 10);
        query.keys = &key;
        query.key_count = 1;
    }
    if (hejnal_connect(argv[1], (unsigned)strtoul(argv[2], NULL, 10), 60000, &h) != HEJNAL_OK) {
        (void)fprintf(stderr, "query_load: %s\n", hejnal_error(h));
        return 1;
    }
    uint64_t rows = 0;
    for (unsigned i = 0; i < runs; i++) {
        int64_t start_ns = clock_now_ns();
        rows = is_last ? last_rows(h, query.filter) : query_rows(h, &query);
        took_ns[i] = clock_now_ns() - start_ns;
    }
    qsort(took_ns, runs, sizeof took_ns[0], by_size);
    printf("rows=%" PRIu64 " p50_ms=%.3f p99_ms=%.3f\n", rows,
           (double)took_ns[runs / 2] / NS_PER_MS, (double)took_ns[runs * 99 / 100] / NS_PER_MS);
    hejnal_close(h);
    return 0;
}
