/* Points of a file through libhejnal's write call, as a gateway would.
 *
 * store_load PORT PREFIX CONNECTIONS PER_WRITE [RATE SECONDS]
 * PER_WRITE points a batch in the order of the file, the connections take the next batch in turn,
 * each with several under way; the time ends when all are durable. With a RATE of points a second
 * (one connection) batches start at their due times for SECONDS, later rounds of the file shifted
 * in time so that every point is new, and the time from due to durable is told. */

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/thread.h"
#include "bench/dataset.h"
#include "clients/hejnal.h"

enum { CONNECTIONS_MAX = 16, UNDER_WAY = 8, ACKS_MAX = 1 << 20 };

static struct {
    struct dataset data;
    unsigned port;
    size_t per_write;
    atomic_size_t taken;
    atomic_uint_fast64_t acked;
} load;

static void need(enum hejnal_result r, const struct hejnal *h, const char *what)
{
    if (r != HEJNAL_OK) {
        (void)fprintf(stderr, "store_load: %s: %s\n", what, h == NULL ? "" : hejnal_error(h));
        exit(1);
    }
}

static struct hejnal *dial(void)
{
    struct hejnal *h = NULL;
    enum hejnal_result r = hejnal_connect("127.0.0.1", load.port, 60000, &h);
    need(r, h, "connect");
    return h;
}

/* A connection, and what it knows of the sensors behind it. */
struct gateway {
    struct hejnal *h;
    struct hejnal_batch *batch;
    uint64_t *marks; /* Of each series in the batch. */
};

static void gateway_open(struct gateway *g)
{
    g->h = dial();
    need(hejnal_batch_create(&g->batch), g->h, "batch");
    g->marks = calloc(load.data.series, sizeof *g->marks);
    CHECK(g->marks != NULL);
}

static void gateway_close(struct gateway *g)
{
    free(g->marks);
    hejnal_batch_destroy(g->batch);
    hejnal_close(g->h);
}

static void select_series(struct gateway *g, uint32_t series)
{
    if (g->marks[series] == 0 || hejnal_batch_select(g->batch, g->marks[series]) != HEJNAL_OK) {
        CHECK(hejnal_batch_section(g->batch, load.data.paths[series], NULL, 0) == HEJNAL_OK);
        g->marks[series] = hejnal_batch_mark(g->batch);
    }
}

/* Points [from, to) of the file, `later_ms` later than they are there. */
static void fill(struct gateway *g, size_t from, size_t to, int64_t later_ms)
{
    hejnal_batch_clear(g->batch);
    for (size_t i = from; i < to; i++) {
        const struct dataset_point p = load.data.points[i];
        select_series(g, p.series);
        const double value = p.value; /* There it may lie unaligned. */
        CHECK(hejnal_batch_row(g->batch, (p.time_ms + later_ms) * NS_PER_MS, &value, UINT64_MAX) ==
              HEJNAL_OK);
    }
}

static size_t end_of(size_t from)
{
    return load.data.count - from < load.per_write ? load.data.count : from + load.per_write;
}

static void run(void *unused)
{
    struct gateway g;
    (void)unused;
    gateway_open(&g);
    for (size_t from; (from = atomic_fetch_add(&load.taken, load.per_write)) < load.data.count;) {
        fill(&g, from, end_of(from), 0);
        need(hejnal_write_post(g.h, g.batch), g.h, "write");
        need(hejnal_write_wait(g.h, UNDER_WAY), g.h, "write");
    }
    need(hejnal_write_wait(g.h, 0), g.h, "write");
    (void)atomic_fetch_add(&load.acked, hejnal_write_acked(g.h));
    gateway_close(&g);
}

static int load_all(unsigned connections)
{
    struct thread threads[CONNECTIONS_MAX];
    const int64_t start_ns = clock_now_ns();
    for (unsigned i = 0; i < connections; i++) {
        CHECK(thread_start(&threads[i], "load", run, NULL) == OK);
    }
    for (unsigned i = 0; i < connections; i++) {
        thread_join(&threads[i]);
    }
    const double seconds = (double)(clock_now_ns() - start_ns) / NS_PER_S;
    const uint64_t acked = atomic_load(&load.acked);
    printf("points=%" PRIu64 " seconds=%.3f rate=%.0f\n", acked, seconds, (double)acked / seconds);
    return acked == load.data.count ? 0 : 1;
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void sleep_until(int64_t due_ns)
{
    for (int64_t left_ns; (left_ns = due_ns - clock_now_ns()) > 0;) {
        (void)usleep((useconds_t)(left_ns / NS_PER_US + 1));
    }
}

/* A batch each PER_WRITE / RATE seconds, whether or not the one before is acknowledged yet: its
 * wait counts from when it was due. */
static int load_paced(double rate, double seconds)
{
    static int64_t took_ns[ACKS_MAX];
    struct gateway g;
    thread_hurry(); /* A gateway has a processor of its own. */
    gateway_open(&g);
    const int64_t every_ns = (int64_t)((double)load.per_write / rate * NS_PER_S);
    const int64_t whole_ms =
        load.data.points[load.data.count - 1].time_ms - load.data.points[0].time_ms + 3600000;
    const int64_t start_ns = clock_now_ns();
    size_t acks = 0, from = 0;
    for (int64_t round = 0, due_ns = start_ns;
         due_ns < start_ns + (int64_t)(seconds * NS_PER_S) && acks < ACKS_MAX; due_ns += every_ns) {
        sleep_until(due_ns);
        fill(&g, from, end_of(from), round * whole_ms);
        need(hejnal_write(g.h, g.batch), g.h, "write");
        took_ns[acks++] = clock_now_ns() - due_ns;
        from = end_of(from) == load.data.count ? 0 : end_of(from);
        round += from == 0;
    }
    CHECK(acks > 0);
    qsort(took_ns, acks, sizeof took_ns[0], by_size);
    printf("acks=%zu points=%" PRIu64 " p50_ms=%.3f p99_ms=%.3f worst_ms=%.3f\n", acks,
           hejnal_write_acked(g.h), (double)took_ns[acks / 2] / NS_PER_MS,
           (double)took_ns[acks * 99 / 100] / NS_PER_MS, (double)took_ns[acks - 1] / NS_PER_MS);
    gateway_close(&g);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 5 && argc != 7) {
        (void)fprintf(stderr,
                      "usage: store_load PORT PREFIX CONNECTIONS PER_WRITE [RATE SECONDS]\n");
        return 2;
    }
    const unsigned connections = (unsigned)strtoul(argv[3], NULL, 10);
    load.port = (unsigned)strtoul(argv[1], NULL, 10);
    load.per_write = strtoul(argv[4], NULL, 10);
    CHECK(connections > 0 && connections <= CONNECTIONS_MAX && load.per_write > 0);
    dataset_open(argv[2], &load.data);
    return argc == 5 ? load_all(connections)
                     : load_paced(strtod(argv[5], NULL), strtod(argv[6], NULL));
}
