/* A store for a test: an engine in a directory, batches filled from (path, time, value), and what
 * is visible read back through the view. */

#ifndef TESTS_LIB_STORE_H
#define TESTS_LIB_STORE_H

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "storage/engine.h"
#include "storage/verify/verify.h"
#include "tests/lib/directory.h"
#include "tests/lib/test.h"

struct store {
    struct directory dir;
    struct engine_options options;
    struct engine *engine;
    struct batch *batch;
};

static inline void store_open(struct store *s)
{
    s->engine = NULL;
    assert_ok(engine_open(&s->options, &s->engine));
}

static inline void store_close(struct store *s)
{
    engine_close(s->engine);
    s->engine = NULL;
}

static inline void store_make(struct store *s)
{
    log_set_level(LOG_ERROR);
    directory_make(&s->dir);
    s->options = (struct engine_options){.directory = s->dir.path,
                                         .series_max = 100000,
                                         .texts_max = 100000,
                                         .partition_s = 7 * 86400,
                                         .late_s = 86400,
                                         .span_s = 366 * 86400,
                                         .journal_bytes = 1 << 20,
                                         .journal_map = 64 << 20};
    s->batch = NULL;
    assert_ok(batch_create(&s->batch));
    store_open(s);
}

static inline void store_remove(struct store *s)
{
    store_close(s);
    batch_destroy(s->batch);
    directory_remove(&s->dir);
}

static inline struct series_ref store_series(struct store *s, const char *topic, const char *name)
{
    struct series_ref ref = {0};
    assert_ok(catalogue_intern(engine_catalogue(s->engine), bytes_of(topic), bytes_of(name), &ref));
    return ref;
}

/* One point into the batch being filled. */
static inline enum err store_put(struct store *s, struct series_ref ref, int64_t time_ns,
                                 double value)
{
    const struct batch_value v = {ref.column, {value, 0, NUMBER_RAW}};
    return batch_put_row(s->batch, ref.group, time_ns, &v, 1);
}

static inline enum err store_write(struct store *s)
{
    enum err e = engine_write(s->engine, &s->batch, 1);
    assert_int_equal(s->batch->result, e);
    batch_reset(s->batch);
    return e;
}

static inline void store_print_fault(void *context, const struct verify_fault *fault)
{
    (void)context;
    fprintf(stderr, "%s: %s: %s\n", fault->file, fault->where, fault->what);
}

/* A closed store is sound, says the offline check. */
static inline void store_verify(struct store *s)
{
    struct verify_totals totals;
    assert_ok(verify_store(s->dir.path, store_print_fault, NULL, &totals));
}

static inline enum err store_checkpoint(struct store *s)
{
    enum err e = engine_checkpoint_begin(s->engine);
    e = e != OK ? e : engine_checkpoint_end(s->engine, engine_checkpoint_run(s->engine));
    while (e == OK && engine_wants_trim(s->engine)) {
        e = engine_trim(s->engine);
    }
    return e;
}

/* Everything that may be sealed. E_END when there is nothing. */
static inline enum err store_seal(struct store *s, bool seal_all)
{
    const struct engine_seal_request request = {INT64_MAX, seal_all};
    enum err e, done = E_END;
    while ((e = engine_seal_begin(s->engine, &request)) == OK) {
        e = engine_seal_end(s->engine, engine_seal_run(s->engine));
        if (e != OK) {
            return e;
        }
        done = OK;
    }
    return e == E_END ? done : e;
}

/* A snapshot is a store of its own, sound, and becomes the one we go on with. */
static inline void store_go_on_with_a_snapshot(struct store *s)
{
    char from[ENGINE_SNAPSHOT_NAME_MAX + 128], to[128];
    enum err e = store_checkpoint(s);
    if (e != OK && e != E_END) {
        return;
    }
    if (engine_snapshot_begin(s->engine, "now") != OK) {
        return; /* Rows of a checkpoint that failed are owed. */
    }
    assert_int_equal(engine_checkpoint_begin(s->engine), E_BUSY);
    assert_ok(engine_snapshot_end(s->engine, engine_snapshot_run(s->engine)));
    assert_int_equal(engine_snapshot_begin(s->engine, "now"), E_DENIED);
    (void)!store_seal(s, true); /* What was linked stays as it was. */
    store_close(s);
    snprintf(to, sizeof to, "%s-old", s->dir.path);
    assert_int_equal(rename(s->dir.path, to), 0);
    snprintf(from, sizeof from, "%s/snapshots/now", to);
    assert_int_equal(rename(from, s->dir.path), 0);
    directory_remove_store(to);
    store_verify(s);
    store_open(s);
}

#endif /* TESTS_LIB_STORE_H */
