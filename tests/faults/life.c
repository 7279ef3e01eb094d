#include "tests/faults/life.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "storage/engine.h"
#include "storage/read/scan.h"
#include "storage/verify/verify.h"

#define T0     (INT64_C(1479877011) * NS_PER_S)
#define DAY_NS (INT64_C(86400) * NS_PER_S)

enum { SERIES = 12, POINTS_MAX = 4000, WEEKS = 3 };

/* A point that was handed in: its value follows from its time. */
enum { KEEP_S = 30 * 86400 };

struct told {
    int64_t time_ns;
    bool acked;
};

struct life {
    struct engine_options options;
    struct engine *engine;
    struct batch *batch;
    int64_t horizon_ns;
    struct told points[SERIES][POINTS_MAX]; /* By ascending time. */
    unsigned count[SERIES];
    unsigned turn; /* Of writing, so that each writes other times. */
};

static void fail(const char *what, const char *where, long long which)
{
    (void)fprintf(stderr, "every_fault: %s: %s %lld\n", what, where, which);
    exit(1); /* NOLINT(concurrency-mt-unsafe): the only thread. */
}

static double value_of(unsigned series, int64_t time_ns)
{
    return (double)((time_ns / NS_PER_S * 31 + series) % 1000) / 8;
}

struct life *life_create(const char *directory)
{
    struct life *l = calloc(1, sizeof *l);
    CHECK(l != NULL);
    log_set_level(LOG_ERROR);
    l->options = (struct engine_options){.directory = directory,
                                         .series_max = 1000,
                                         .texts_max = 1000,
                                         .partition_s = 7 * 86400,
                                         .late_s = 86400,
                                         .span_s = 366 * 86400,
                                         .journal_bytes = 1 << 20,
                                         .journal_map = 64 << 20,
                                         .keep_s = KEEP_S};
    CHECK(batch_create(&l->batch) == OK);
    return l;
}

void life_destroy(struct life *l)
{
    engine_close(l->engine);
    batch_destroy(l->batch);
    free(l);
}

/* Remember a point; the same again is the same. */
static void tell(struct life *l, unsigned series, int64_t time_ns)
{
    struct told *p = l->points[series];
    unsigned at = l->count[series];
    for (; at > 0 && p[at - 1].time_ns >= time_ns; at--) {
        if (p[at - 1].time_ns == time_ns) {
            return;
        }
    }
    CHECK(l->count[series] < POINTS_MAX);
    memmove(&p[at + 1], &p[at], (l->count[series]++ - at) * sizeof *p);
    p[at] = (struct told){time_ns, false};
}

static enum err put(struct life *l, unsigned series, int64_t time_ns)
{
    char topic[32];
    struct series_ref ref;
    const double value = value_of(series, time_ns);
    (void)snprintf(topic, sizeof topic, "city/%u", series);
    TRY(catalogue_intern(engine_catalogue(l->engine), bytes_of(topic), bytes_of("v"), &ref));
    const struct batch_value v = {ref.column, {value, 0, NUMBER_RAW}};
    TRY(batch_put_row(l->batch, ref.group, time_ns, &v, 1));
    tell(l, series, time_ns);
    return OK;
}

/* Times of a turn of writing: in every week, between those of the turns before. */
static int64_t time_of(unsigned turn, unsigned week, unsigned i)
{
    return T0 + (int64_t)week * 7 * DAY_NS + (int64_t)i * 600 * NS_PER_S +
           (int64_t)turn * 7 * NS_PER_S;
}

static enum err fill(struct life *l, unsigned turn)
{
    batch_reset(l->batch);
    for (unsigned series = 0; series < SERIES; series++) {
        for (unsigned week = 0; week < WEEKS; week++) {
            for (unsigned i = 0; i < 60; i++) {
                TRY(put(l, series, time_of(turn, week, i)));
            }
        }
    }
    const struct receipt receipt = {turn, 2, T0, (uint16_t)turn};
    TRY(batch_put_receipt(l->batch, &receipt));
    return batch_put_state(l->batch, 1, turn, bytes_of("key"), bytes_of("retained"));
}

static void acknowledge(struct life *l, unsigned turn)
{
    for (unsigned series = 0; series < SERIES; series++) {
        for (unsigned i = 0; i < l->count[series]; i++) {
            int64_t since = (l->points[series][i].time_ns - T0) % (INT64_C(600) * NS_PER_S);
            l->points[series][i].acked |= since == (int64_t)turn * 7 * NS_PER_S;
        }
    }
}

static enum err write_turn(struct life *l, unsigned turn)
{
    if (l->engine == NULL) {
        return E_IO;
    }
    TRY(fill(l, turn));
    TRY(engine_write(l->engine, &l->batch, 1));
    acknowledge(l, turn);
    return OK;
}

/* Steps. */

static enum err open_store(struct life *l)
{
    return l->engine != NULL ? OK : engine_open(&l->options, &l->engine);
}

static enum err close_store(struct life *l)
{
    engine_close(l->engine);
    l->engine = NULL;
    return OK;
}

static enum err write_new(struct life *l)
{
    return write_turn(l, l->turn++);
}

static enum err write_again(struct life *l)
{
    return write_turn(l, 0);
}

/* So much that the journal is worth making small. */
static enum err write_much(struct life *l)
{
    for (int i = 0; i < 8; i++) {
        TRY(write_new(l));
    }
    return OK;
}

static enum err checkpoint(struct life *l)
{
    if (l->engine == NULL) {
        return E_IO;
    }
    enum err e = engine_checkpoint_begin(l->engine);
    if (e != OK) {
        return e == E_END ? OK : e;
    }
    return engine_checkpoint_end(l->engine, engine_checkpoint_run(l->engine));
}

static enum err seal(struct life *l)
{
    const struct engine_seal_request request = {.wall_ns = INT64_MAX / 2, .seal_all = true};
    enum err e = l->engine == NULL ? E_IO : engine_seal_begin(l->engine, &request);
    if (e != OK) {
        return e == E_END || e == E_BUSY ? OK : e; /* Nothing to do, or a checkpoint is owed. */
    }
    return engine_seal_end(l->engine, engine_seal_run(l->engine));
}

static enum err retain(struct life *l)
{
    if (l->engine != NULL) {
        l->horizon_ns = T0 + 5 * DAY_NS;
        engine_keep(l->engine, l->horizon_ns + (int64_t)KEEP_S * NS_PER_S);
    }
    return OK;
}

/* What was handed in of a series, walked along with what is found. */
struct walk {
    const struct life *life;
    unsigned series;
    const struct told *at, *end;
};

/* Of the points before `time_ns` none is found: none of them may be an acknowledged one. */
static void miss_until(struct walk *w, int64_t time_ns)
{
    for (; w->at < w->end && w->at->time_ns < time_ns; w->at++) {
        if (w->at->acked && w->at->time_ns >= w->life->horizon_ns) {
            fail("an acknowledged point is gone, of series", "city", w->series);
        }
    }
}

static void meet(struct walk *w, int64_t time_ns, double value)
{
    miss_until(w, time_ns);
    if (w->at == w->end || w->at->time_ns != time_ns || value != value_of(w->series, time_ns)) {
        fail("a point nobody wrote, of series", "city", w->series);
    }
    w->at++;
}

/* All of it that was acknowledged, and nothing that never was handed in. */
static enum err compare_series(struct life *l, struct scan *scan, unsigned series)
{
    char path[32];
    struct series_ref ref;
    struct span span;
    struct walk w = {l, series, l->points[series], l->points[series] + l->count[series]};
    (void)snprintf(path, sizeof path, "city/%u/v", series);
    if (catalogue_find(engine_catalogue(l->engine), bytes_of(path), &ref) != OK) {
        miss_until(&w, INT64_MAX);
        return OK;
    }
    scan_start(scan, ref, l->horizon_ns, INT64_MAX);
    enum err e;
    while ((e = scan_next(scan, &span)) == OK) {
        for (size_t i = 0; i < span.count; i++) {
            meet(&w, span.times[i], span.values[i]);
        }
    }
    if (e == E_END) {
        miss_until(&w, INT64_MAX);
    }
    return e == E_END ? OK : e;
}

static enum err query(struct life *l)
{
    struct scan *scan = NULL;
    enum err e = l->engine == NULL ? E_IO : scan_create(l->engine, &scan);
    for (unsigned series = 0; e == OK && series < SERIES; series++) {
        e = compare_series(l, scan, series);
    }
    scan_destroy(scan);
    return e;
}

static enum err snapshot(struct life *l)
{
    enum err e = l->engine == NULL ? E_IO : engine_snapshot_begin(l->engine, "one");
    if (e != OK) {
        return e == E_BUSY ? OK : e;
    }
    TRY(engine_snapshot_end(l->engine, engine_snapshot_run(l->engine)));
    return engine_snapshot_remove(l->engine, "one");
}

static const struct step {
    const char *name;
    enum err (*run)(struct life *l);
} script[] = {
    {"open", open_store},
    {"write", write_new},
    {"checkpoint", checkpoint},
    {"write the same again", write_again},
    {"write on", write_new},
    {"query head and partitions", query},
    {"checkpoint into what is there", checkpoint},
    {"seal", seal},
    {"snapshot", snapshot},
    {"query sealed partitions", query},
    {"write much", write_much},
    {"close", close_store},
    {"open again", open_store},
    {"query what was replayed", query},
    {"checkpoint, and shrink the journal", checkpoint},
    {"forget", retain},
    {"write late points", write_new},
    {"checkpoint beside sealed partitions", checkpoint},
    {"seal again", seal},
    {"query", query},
};

unsigned life_run(struct life *l)
{
    unsigned failed = 0;
    for (size_t i = 0; i < sizeof script / sizeof script[0]; i++) {
        failed += script[i].run(l) != OK;
    }
    return failed;
}

static void must(const struct step *step, struct life *l)
{
    enum err e = step->run(l);
    if (e != OK) {
        fail(step->name, err_name(e), 0);
    }
}

static void on_fault(void *context, const struct verify_fault *fault)
{
    (void)context;
    (void)fprintf(stderr, "%s: %s: %s\n", fault->file, fault->where, fault->what);
}

void life_heal(struct life *l)
{
    static const struct step goes_on[] = {{"cannot go on after the fault", open_store},
                                          {"cannot write after the fault", write_new},
                                          {"cannot query after the fault", query}};
    static const struct step starts[] = {{"cannot start after the fault", open_store},
                                         {"cannot query after a restart", query},
                                         {"cannot write after a restart", write_new},
                                         {"cannot checkpoint after a restart", checkpoint},
                                         {"cannot seal after a restart", seal},
                                         {"cannot query what was sealed", query}};
    struct verify_totals totals;
    for (size_t i = 0; i < sizeof goes_on / sizeof goes_on[0]; i++) {
        must(&goes_on[i], l);
    }
    (void)!checkpoint(l); /* Rows for which there was no memory wait for a restart. */
    (void)close_store(l);
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        must(&starts[i], l);
    }
    (void)close_store(l);
    if (verify_store(l->options.directory, on_fault, NULL, &totals) != OK) {
        fail("the store is not sound", l->options.directory, 0);
    }
}
