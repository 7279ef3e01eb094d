/* From head to partitions, and out of the journal. See engine.h for who calls what where.
 *
 * Order is all (promise P2): names of series and last values first, then the partitions, then the
 * new view, and only then the journal lets go. A crash anywhere in between repeats work and loses
 * nothing. */

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "storage/engine_inside.h"

enum {
    ROWS_WORTH_A_CHUNK = 16,
    TRIM_RECORDS = 32768 /* In one go: a million took most of a second. */
};

/* Chunks of a few rows take much space: with very many groups memory has to hold more. */
static bool is_head_full(const struct engine *e)
{
    const struct head *h = engine_active_head(e)->head;
    return e->options.head_bytes > 0 && head_bytes(h) >= e->options.head_bytes &&
           head_rows(h) / ROWS_WORTH_A_CHUNK >= catalogue_group_count(e->catalogue);
}

/* One that is owed keeps sealing and snapshots waiting. */
bool engine_wants_checkpoint(const struct engine *e)
{
    const struct engine_checkpoint *c = &e->checkpoint;
    const bool is_owed = e->view->view.heads == VIEW_HEADS_MAX;
    uint64_t live = e->journal->calls->live_bytes(e->journal);
    return !c->running && live > 0 && !engine_wants_trim(e) &&
           (is_owed || live >= e->options.journal_bytes || is_head_full(e));
}

/* The active head is frozen and a new one takes its place. */
static enum err freeze(struct engine *e)
{
    struct engine_shown shown;
    struct engine_head *fresh;
    TRY(engine_head_create(&fresh));
    enum err result = engine_shown_take(e, 0, &shown);
    if (result == OK) {
        shown.head[shown.heads++] = fresh;
        result = engine_view_publish(e, &shown);
        engine_shown_free(&shown);
    }
    engine_head_drop(fresh);
    return result;
}

/* Partitions must not get ahead of it. */
static enum err confirm_journal(struct engine *e)
{
    TRY(engine_mend(e));
    enum err result = e->journal->calls->confirm(e->journal);
    e->is_broken = result != OK && result != E_NO_SPACE;
    return result;
}

bool engine_wants_compact(const struct engine *e)
{
    return e->wants_compact && !e->is_broken && !engine_wants_trim(e);
}

uint64_t engine_position(const struct engine *e)
{
    return e->applied;
}

/* A journal that stays as large as it was is no harm, and what was durable is. */
void engine_compact(struct engine *e)
{
    e->wants_compact = false;
    enum err result = e->journal->calls->compact(e->journal);
    if (result != OK) {
        log_line(LOG_WARN, "storage", "journal.mdb keeps its size error=%s", err_name(result));
        e->is_broken = true; /* It may be closed. */
    }
}

enum err engine_checkpoint_begin(struct engine *e)
{
    struct engine_checkpoint *c = &e->checkpoint;
    if (c->running || e->snapshot.running) {
        return E_BUSY;
    }
    if (e->missed_rows) {
        return E_NO_MEMORY; /* The journal holds rows the head has not: it may not be trimmed. */
    }
    TRY(confirm_journal(e));
    if (engine_frozen_head(e) == NULL) {
        if (e->journal->calls->live_bytes(e->journal) == 0) {
            engine_compact(e);
            return E_END;
        }
        TRY(freeze(e));
        c->frozen_position = e->applied;
    }
    c->view = view_hold(e);
    c->result = (struct checkpoint_result){0};
    c->working = NULL;
    c->running = true;
    return OK;
}

static struct part *find_opened(const struct engine_checkpoint *c, struct part_period period)
{
    for (size_t i = 0; i < c->opened_count; i++) {
        if (part_period(c->opened[i]).start_ns == period.start_ns) {
            return c->opened[i];
        }
    }
    return NULL;
}

static enum err open_part(struct engine *e, struct part_period period, struct part **out)
{
    struct engine_checkpoint *c = &e->checkpoint;
    struct part **grown = realloc(c->opened, (c->opened_count + 1) * sizeof(struct part *));
    if (grown == NULL) {
        return E_NO_MEMORY;
    }
    c->opened = grown;
    const struct part_name name = {period, PART_ACTIVE, engine_file_number(e)};
    TRY(part_open(e->parts_directory, name, &grown[c->opened_count]));
    *out = grown[c->opened_count++];
    return OK;
}

/* A period beyond retention has no partition any more: its rows are forgotten, too. */
static enum err find_part(void *context, struct part_period period, struct part **out)
{
    struct engine *e = context;
    struct part *p = view_part_find(&e->checkpoint.view->layer[VIEW_ACTIVE], period.start_ns);
    if (period.end_ns <= retention_least(e->retention)) {
        return E_NOT_FOUND;
    }
    p = p != NULL ? p : find_opened(&e->checkpoint, period);
    if (p == NULL) {
        TRY(open_part(e, period, &p));
    }
    e->checkpoint.working = p;
    *out = p;
    return OK;
}

/* What the journal will let go, and this process has not written itself. */
static enum err confirm_parts(struct engine *e, struct part *const *parts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (part_applied(parts[i]) >= e->first_kept &&
            part_period(parts[i]).end_ns > retention_least(e->retention)) {
            e->checkpoint.working = parts[i];
            TRY(part_confirm(parts[i]));
        }
    }
    return OK;
}

static enum err confirm_layer(struct engine *e, const struct view_parts *l)
{
    return confirm_parts(e, l->at, l->count);
}

enum err engine_checkpoint_run(struct engine *e)
{
    struct engine_checkpoint *c = &e->checkpoint;
    CHECK(c->running && c->view->heads == 2);
    const struct erasure erasure = engine_erasure(e, c->view);
    const struct checkpoint work = {.heads = c->view->head,
                                    .head_count = 1,
                                    .applied = c->frozen_position,
                                    .partition_s = e->partition_s,
                                    .erasure = &erasure,
                                    .find_part = find_part,
                                    .context = e};
    TRY(engine_save_catalog(e));
    TRY(checkpoint_write(&work, &c->result));
    TRY(confirm_layer(e, &c->view->layer[VIEW_CLOSING]));
    TRY(confirm_layer(e, &c->view->layer[VIEW_ACTIVE]));
    return confirm_parts(e, c->opened, c->opened_count);
}

/* The part with which the run failed is damaged so that nothing more goes into it. */
static void take_out(struct engine_shown *shown, const struct part *damaged)
{
    for (int i = 0; damaged != NULL && i < VIEW_LAYERS; i++) {
        view_part_remove(&shown->layer[i], damaged);
    }
}

/* The parts this run opened are shown also after a failure: they may be complete. */
static enum err publish(struct engine *e, bool drop_frozen, const struct part *damaged)
{
    struct engine_checkpoint *c = &e->checkpoint;
    struct engine_shown shown;
    TRY(engine_shown_take(e, c->opened_count, &shown));
    for (size_t i = 0; i < c->opened_count; i++) {
        view_part_add(&shown.layer[VIEW_ACTIVE], c->opened[i]);
    }
    take_out(&shown, damaged);
    const struct head *gone = NULL;
    if (drop_frozen) {
        gone = shown.head[0]->head;
        shown.head[0] = shown.head[--shown.heads];
    }
    struct tombs *left = NULL;
    enum err result = engine_prune_tombs(&shown, gone, &left);
    result = result == OK ? engine_view_publish(e, &shown) : result;
    tombs_drop(left);
    engine_shown_free(&shown);
    if (result != OK) {
        return result; /* They stay with us until the next end. */
    }
    for (size_t i = 0; i < c->opened_count; i++) {
        part_drop(c->opened[i]);
    }
    free(c->opened);
    c->opened = NULL;
    c->opened_count = 0;
    return OK;
}

bool engine_wants_trim(const struct engine *e)
{
    return e->trimmed < e->trim_to;
}

static enum err trim_below(struct engine *e, uint64_t position, bool is_first)
{
    uint64_t durable;
    TRY(engine_mend(e));
    TRY(e->journal->calls->trim(e->journal, position));
    TRY(is_first ? engine_keep_receipts(e) : OK);
    return e->journal->calls->sync(e->journal, &durable);
}

/* Receipts are kept before any of them goes. After a failure records stay until the next checkpoint
 * trims them, too; replay leaves their rows out. */
static enum err trim_some(struct engine *e, bool is_first)
{
    const uint64_t most = e->trimmed + TRIM_RECORDS;
    const uint64_t position = most < e->trim_to ? most : e->trim_to;
    enum err result = trim_below(e, position, is_first);
    if (result == OK) {
        e->trimmed = position;
    } else {
        engine_count(&e->counters.commit_failures, 1);
        e->is_broken = true; /* Also a full disk may leave LMDB unable to go on. */
        e->trim_to = e->trimmed;
    }
    atomic_store_explicit(&e->counters.journal_bytes, e->journal->calls->live_bytes(e->journal),
                          memory_order_relaxed);
    return result;
}

enum err engine_trim(struct engine *e)
{
    return engine_wants_trim(e) ? trim_some(e, false) : OK;
}

/* Show what the run has made. A damaged part steps aside, so that the next run, with the same rows,
 * makes a new one. */
static enum err show(struct engine *e, enum err run)
{
    struct part *damaged = run == E_CORRUPT ? e->checkpoint.working : NULL;
    char name[PART_NAME_BYTES_MAX];
    if (damaged != NULL) {
        part_name_write(part_name(damaged), name);
    }
    enum err result = publish(e, run == OK, damaged);
    if (damaged != NULL && result == OK) {
        (void)!engine_quarantine(e, name, ENGINE_UNREADABLE,
                                 run); /* Out of sight in any case; the log says so. */
    }
    return run != OK ? run : result;
}

enum err engine_checkpoint_end(struct engine *e, enum err run)
{
    struct engine_checkpoint *c = &e->checkpoint;
    CHECK(c->running);
    enum err result = show(e, run);
    view_drop(e, c->view);
    c->view = NULL;
    c->working = NULL;
    c->running = false;
    engine_count(&e->counters.duplicates, c->result.duplicates);
    engine_count(&e->counters.overwritten, c->result.overwritten);
    if (result != OK) {
        engine_count(&e->counters.checkpoint_failures, 1);
        return result;
    }
    e->has_checkpointed = true;
    e->trim_to = c->frozen_position + 1;
    result = trim_some(e, true);
    e->wants_compact = true;
    if (result == OK && e->applied == c->frozen_position && !engine_wants_trim(e)) {
        engine_compact(e);
    }
    engine_count(result == OK ? &e->counters.checkpoints : &e->counters.checkpoint_failures, 1);
    engine_forget(e); /* For what was opened meanwhile. */
    return result;
}
