#include "storage/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "storage/engine_inside.h"
#include "storage/erase/tombs_file.h"

/* Address space of journal.mdb beyond the live records: broker state and pages not yet reused. */
#define JOURNAL_MAP_SPARE_BYTES (UINT64_C(4) << 30)

static enum err make(const struct engine_options *options, struct engine **out)
{
    const struct catalogue_limits limits = {options->series_max};
    struct engine *e = calloc(1, sizeof *e);
    if (e == NULL) {
        return E_NO_MEMORY;
    }
    lock_init(&e->view_lock);
    e->lock_file = -1;
    e->options = *options;
    e->options.directory = strdup(options->directory);
    *out = e; /* What fails below is undone by engine_close(). */
    if (e->options.directory == NULL ||
        asprintf(&e->parts_directory, "%s/parts", options->directory) < 0) {
        return E_NO_MEMORY;
    }
    TRY(catalogue_create(&limits, &e->catalogue));
    TRY(texts_create(options->texts_max, &e->texts));
    TRY(last_create(&e->last));
    TRY(found_create(&e->found));
    TRY(receipts_create(&e->receipts));
    return batch_create(&e->scratch);
}

static enum err open_journal(struct engine *e)
{
    const uint64_t map = 2 * e->options.journal_map + JOURNAL_MAP_SPARE_BYTES;
    enum err result = journal_lmdb_open(e->options.directory, map, &e->journal);
    if (result != OK) {
        log_line(LOG_ERROR, "storage", "cannot open path=%s/journal.mdb error=%s",
                 e->options.directory, err_name(result));
    }
    return result;
}

static enum err check_layer(const struct engine *e, const struct view_parts *l, uint64_t durable)
{
    for (size_t i = 0; i < l->count; i++) {
        uint64_t applied = part_applied(l->at[i]);
        if (applied > durable) {
            log_line(LOG_ERROR, "storage",
                     "journal.mdb is older than the partitions directory=%s position=%llu "
                     "applied=%llu",
                     e->options.directory, (unsigned long long)durable,
                     (unsigned long long)applied);
            return E_CORRUPT;
        }
    }
    return OK;
}

static enum err check_tombs(const struct engine *e, uint64_t durable)
{
    const struct tombs *t = e->view->tombs;
    if (tombs_count(t) > 0 && t->at[t->count - 1].position > durable) {
        log_line(LOG_ERROR, "storage", "journal.mdb is older than the deletes directory=%s",
                 e->options.directory);
        return E_CORRUPT;
    }
    return OK;
}

/* Partitions never know of records the journal has not had. If they do, its file was lost or put
 * back from an older copy, and positions given out again would be taken for stored. */
static enum err check_positions(struct engine *e)
{
    uint64_t durable;
    TRY(e->journal->calls->sync(e->journal, &durable));
    for (int i = 0; i < VIEW_LAYERS; i++) {
        TRY(check_layer(e, &e->view->view.layer[i], durable));
    }
    return check_tombs(e, durable);
}

static enum err load_catalogue(struct engine *e)
{
    TRY(engine_open_catalog(e));
    if (e->catalog_version == 1) {
        TRY(catalogue_load_v1(e->catalogue, e->catalog_file));
        TRY(last_load_v1(e->last, e->catalogue, e->catalog_file));
    } else {
        TRY(catalogue_load(e->catalogue, e->catalog_file));
        TRY(last_load(e->last, e->catalogue, e->catalog_file));
    }
    TRY(texts_load(e->texts, e->catalog_file));
    TRY(tombs_load(e->catalog_file, &e->loaded_tombs, &e->damaged_tombs));
    e->saved_tombs = e->loaded_tombs == NULL ? 0 : e->loaded_tombs->generation;
    e->texts_defined = texts_end(e->texts);
    return engine_mark_catalogue(e);
}

/* Flushes beyond the first record kept may be of a process that was killed inside a commit. */
static enum err find_first_kept(struct engine *e)
{
    struct journal_record record = {.position = UINT64_MAX};
    enum err result = e->journal->calls->read(e->journal, 1, &record);
    e->first_kept = result == E_END ? UINT64_MAX : record.position;
    return result == E_END || result == E_CORRUPT ? OK : result;
}

static enum err replay_journal(struct engine *e)
{
    TRY(open_journal(e));
    TRY(find_first_kept(e));
    TRY(check_positions(e));
    TRY(engine_load_receipts(e));
    TRY(engine_replay(e));
    return engine_prune_view(e);
}

static enum err make_retention(struct engine *e)
{
    const struct retention_options options = {.rules = e->options.retention,
                                              .rule_count = e->options.retention_count,
                                              .keep_s = e->options.keep_s,
                                              .period_s = e->partition_s};
    e->options.retention = NULL; /* The caller's; copied. */
    return retention_create(&options, &e->retention);
}

static enum err open_all(struct engine *e)
{
    int64_t started_ms = clock_now_ms();
    TRY(engine_lock_directory(e));
    engine_snapshot_clean(e);
    TRY(load_catalogue(e));
    TRY(make_retention(e));
    TRY(engine_open_parts(e));
    TRY(replay_journal(e));
    uint64_t live = e->journal->calls->live_bytes(e->journal);
    e->trimmed = e->first_kept < e->applied ? e->first_kept : e->applied;
    atomic_store(&e->counters.journal_bytes, live);
    atomic_store(&e->counters.journal_position, e->applied);
    e->has_checkpointed = live == 0;
    log_line(LOG_INFO, "storage",
             "store open directory=%s series=%u partitions=%zu journal_bytes=%llu head_rows=%llu "
             "ms=%lld",
             e->options.directory, catalogue_series_count(e->catalogue),
             view_part_count(&e->view->view), (unsigned long long)live,
             (unsigned long long)head_rows(engine_active_head(e)->head),
             (long long)(clock_now_ms() - started_ms));
    return OK;
}

enum err engine_open(const struct engine_options *options, struct engine **out)
{
    struct engine *e = NULL;
    CHECK(options->partition_s > 0 && options->partition_s <= INT32_MAX);
    enum err result = make(options, &e);
    result = result == OK ? open_all(e) : result;
    if (result != OK) {
        engine_close(e);
        return result;
    }
    *out = e;
    return OK;
}

static void close_view(struct engine *e)
{
    if (e->checkpoint.view != NULL) {
        view_drop(e, e->checkpoint.view);
    }
    for (size_t i = 0; i < e->checkpoint.opened_count; i++) {
        part_drop(e->checkpoint.opened[i]);
    }
    free(e->checkpoint.opened);
    if (e->snapshot.view != NULL) {
        view_drop(e, e->snapshot.view);
    }
    if (e->seal.view != NULL) {
        view_drop(e, e->seal.view);
    }
    if (e->seal.part != NULL) {
        part_drop(e->seal.part);
    }
    if (e->view != NULL) {
        CHECK(atomic_load(&e->view->holders) == 1); /* All readers are done. */
        view_drop(e, &e->view->view);
    }
}

void engine_close(struct engine *e)
{
    if (e == NULL) {
        return;
    }
    close_view(e);
    if (e->journal != NULL) {
        e->journal->calls->destroy(e->journal);
    }
    kv_close(e->catalog_file);
    batch_destroy(e->scratch);
    receipts_destroy(e->receipts);
    tombs_drop(e->loaded_tombs);
    retention_destroy(e->retention);
    found_destroy(e->found);
    last_destroy(e->last);
    catalogue_destroy(e->catalogue);
    texts_destroy(e->texts);
    engine_unlock_directory(e);
    lock_fini(&e->view_lock);
    free(e->defined);
    free(e->parts_directory);
    union { /* Ours, though the options call it const. */
        const char *read;
        char *ours;
    } directory = {.read = e->options.directory};
    free(directory.ours);
    free(e);
}

enum err engine_each_state(struct engine *e, uint8_t space,
                           enum err (*visit)(void *context, const struct batch_state *s),
                           void *context)
{
    return e->journal->calls->each_state(e->journal, space, visit, context);
}

void engine_each_receipt(struct engine *e, void (*visit)(void *context, const struct receipt *r),
                         void *context)
{
    receipts_each(e->receipts, visit, context);
}

struct catalogue *engine_catalogue(struct engine *e)
{
    return e->catalogue;
}

struct texts *engine_texts(struct engine *e)
{
    return e->texts;
}

enum err engine_last(struct engine *e, struct series_ref ref, int64_t *time_ns, double *value)
{
    int64_t time;
    double found;
    TRY(last_find(e->last, ref, &time, &found));
    if (time < engine_horizon(e, ref)) {
        return E_NOT_FOUND;
    }
    *time_ns = time;
    *value = found;
    return OK;
}

enum err engine_last_bound(struct engine *e, struct series_ref ref, struct engine_bound *out)
{
    return last_bound(e->last, ref, &out->bound_ns, &out->token);
}

struct found *engine_found(struct engine *e)
{
    return e->found;
}

static void add_view_stats(struct engine *e, struct engine_stats *out)
{
    const struct view *v = view_hold(e);
    out->partitions = view_part_count(v);
    out->sealed = v->layer[VIEW_SEALED].count;
    out->deletes_waiting = tombs_count(v->tombs);
    for (unsigned i = 0; i < v->heads; i++) {
        out->head_rows += head_rows(v->head[i]);
        out->head_bytes += head_bytes(v->head[i]);
    }
    view_drop(e, v);
}

void engine_stats(struct engine *e, struct engine_stats *out)
{
    struct engine_counters *c = &e->counters;
    *out = (struct engine_stats){
        .rows = atomic_load(&c->rows),
        .points = atomic_load(&c->points),
        .journal_bytes = atomic_load(&c->journal_bytes),
        .journal_position = atomic_load(&c->journal_position),
        .commits = atomic_load(&c->commits),
        .commit_failures = atomic_load(&c->commit_failures),
        .duplicates = atomic_load(&c->duplicates),
        .overwritten = atomic_load(&c->overwritten),
        .checkpoints = atomic_load(&c->checkpoints),
        .checkpoint_failures = atomic_load(&c->checkpoint_failures),
        .seals = atomic_load(&c->seals),
        .seal_failures = atomic_load(&c->seal_failures),
        .corrupt_chunks = atomic_load(&c->corrupt_chunks),
        .corrupt_records = atomic_load(&c->corrupt_records),
        .tag_bytes = catalogue_tag_bytes(e->catalogue),
        .tags_refused = atomic_load(&c->tags_refused),
        .corrupt_catalogue =
            catalogue_damaged(e->catalogue) + last_damaged(e->last) + e->damaged_tombs,
        .groups = catalogue_group_count(e->catalogue),
        .series = catalogue_series_count(e->catalogue),
        .texts = texts_end(e->texts),
        .disk_bytes = engine_disk_bytes(e),
        .partitions_dropped = atomic_load(&c->partitions_dropped),
        .partitions_quarantined = atomic_load(&c->partitions_quarantined),
        .deletes = atomic_load(&c->deletes),
        .sweeps = atomic_load(&c->sweeps),
    };
    add_view_stats(e, out);
}
