#include "broker/threads/upkeep.h"

#include <poll.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"

enum {
    ADMINS_MAX = 64,
    RETENTION_EVERY_MS = 60000,
    SEAL_EVERY_MS = 10000,       /* How often to look for something to seal. */
    CHECKPOINT_PAUSE_MS = 10000, /* After one that failed. */
    SEAL_PAUSE_MS = 60000,
    COMPACT_QUIET_MS = 1000,   /* Nothing is written for so long: the journal may shrink, */
    COMPACT_EVERY_MS = 600000, /* or it did not for so long. */
    FULL_WAIT_MS = 1
};

struct admins {
    struct admin_letter *letters[ADMINS_MAX];
    unsigned count;
};

/* A kind of work that runs elsewhere, one at a time. */
struct task {
    struct job job;
    struct engine *engine;
    enum err result;
    bool running;
    bool failing; /* The last one failed: it was logged. */
    int64_t after_ms;
};

struct upkeep {
    struct engine *engine;
    struct workers *workers;
    struct workers *sealer; /* One thread; also makes snapshots. */
    struct mailbox *mailbox;
    bool stopping;
    struct task checkpoint, seal, snapshot, burial;
    int64_t retain_after_ms;
    uint64_t position; /* What was written last, as seen first at */
    int64_t positioned_ms;
    int64_t compacted_ms;
    struct admins waiting; /* For the next checkpoint. */
    struct admins served;  /* By the one that runs. */
    struct admins sealing; /* Checkpointed; until nothing is left to be sealed. */
    struct admins copying; /* Checkpointed; the first one's snapshot is made next, or now. */
};

static void run_checkpoint(struct job *job)
{
    struct task *t = (struct task *)(void *)job;
    t->result = engine_checkpoint_run(t->engine);
}

static void run_seal(struct job *job)
{
    struct task *t = (struct task *)(void *)job;
    thread_lower();
    t->result = engine_seal_run(t->engine);
}

static void run_snapshot(struct job *job)
{
    struct task *t = (struct task *)(void *)job;
    thread_lower();
    t->result = engine_snapshot_run(t->engine);
}

static void run_burial(struct job *job)
{
    struct task *t = (struct task *)(void *)job;
    engine_bury(t->engine);
}

static void init_task(struct task *t, struct upkeep *u, void (*run)(struct job *job))
{
    *t = (struct task){.job = {.run = run, .reply = u->mailbox}, .engine = u->engine};
}

enum err upkeep_create(struct engine *engine, struct workers *workers, struct mailbox *mailbox,
                       struct upkeep **out)
{
    struct upkeep *u = calloc(1, sizeof *u);
    if (u == NULL) {
        return E_NO_MEMORY;
    }
    u->engine = engine;
    u->workers = workers;
    u->mailbox = mailbox;
    u->compacted_ms = clock_now_ms();
    u->retain_after_ms = clock_now_ms() + RETENTION_EVERY_MS;
    init_task(&u->checkpoint, u, run_checkpoint);
    init_task(&u->seal, u, run_seal);
    init_task(&u->snapshot, u, run_snapshot);
    init_task(&u->burial, u, run_burial);
    u->seal.after_ms = clock_now_ms() + SEAL_EVERY_MS;
    enum err e = workers_create(1, &u->sealer);
    if (e != OK) {
        free(u);
        return e;
    }
    *out = u;
    return OK;
}

void upkeep_destroy(struct upkeep *u)
{
    if (u != NULL) {
        workers_destroy(u->sealer);
        free(u);
    }
}

/* A loop that is full is busy: wait. When stopping, loops have ended and nobody may be reading. */
static void answer(const struct upkeep *u, struct admin_letter *letter, enum err result)
{
    letter->result = result;
    while (mailbox_post(letter->reply, &letter->letter) == E_BUSY && !u->stopping) {
        (void)poll(NULL, 0, FULL_WAIT_MS);
    }
}

static void answer_all(const struct upkeep *u, struct admins *a, enum err result)
{
    for (unsigned i = 0; i < a->count; i++) {
        answer(u, a->letters[i], result);
    }
    a->count = 0;
}

void upkeep_take_admin(struct upkeep *u, struct admin_letter *letter)
{
    if (letter->command == ADMIN_SNAPSHOT_REMOVE) {
        answer(u, letter, engine_snapshot_remove(u->engine, letter->name));
        return;
    }
    if (letter->command == ADMIN_DELETE) {
        answer(u, letter, engine_delete(u->engine, &letter->erase, &letter->series));
        return;
    }
    if (u->waiting.count + u->served.count + u->sealing.count + u->copying.count >= ADMINS_MAX) {
        answer(u, letter, E_BUSY);
        return;
    }
    u->waiting.letters[u->waiting.count++] = letter;
}

/* Those that wait for a checkpoint have it; some want more. */
static void serve(struct upkeep *u, struct admins *a, enum err result)
{
    for (unsigned i = 0; i < a->count; i++) {
        const enum admin_command command = a->letters[i]->command;
        if (result == OK && command == ADMIN_SEAL) {
            u->sealing.letters[u->sealing.count++] = a->letters[i];
        } else if (result == OK && command == ADMIN_SNAPSHOT) {
            u->copying.letters[u->copying.count++] = a->letters[i];
        } else {
            answer(u, a->letters[i], result);
        }
    }
    a->count = 0;
}

/* Log the first failure of a run of them, and the first success after. */
static void note(struct task *t, enum err result, int64_t pause_ms, const char *what)
{
    if (result != OK) {
        t->after_ms = clock_now_ms() + pause_ms;
    }
    if (result != OK && !t->failing) {
        log_line(LOG_ERROR, "store", "%s: %s", what, err_text(result));
    } else if (result == OK && t->failing) {
        log_line(LOG_WARN, "store", "works again after: %s", what);
    }
    t->failing = result != OK;
}

static void note_checkpoint(struct upkeep *u, enum err result)
{
    note(&u->checkpoint, result, CHECKPOINT_PAUSE_MS, "checkpoints fail, the journal grows");
}

static void end_checkpoint(struct upkeep *u)
{
    const enum err e = engine_checkpoint_end(u->engine, u->checkpoint.result);
    note_checkpoint(u, e);
    u->checkpoint.running = false;
    serve(u, &u->served, e);
}

/* True: a frozen head waits for run_checkpoint(). */
static bool begin_checkpoint(struct upkeep *u)
{
    const enum err e = engine_checkpoint_begin(u->engine);
    if (e == OK) {
        u->served = u->waiting;
        u->waiting.count = 0;
        return true;
    }
    if (e != E_END) { /* E_END: all is in partitions already. */
        note_checkpoint(u, e);
    }
    serve(u, &u->waiting, e == E_END ? OK : e);
    return false;
}

static void consider_checkpoint(struct upkeep *u)
{
    struct task *t = &u->checkpoint;
    const bool wanted = engine_wants_checkpoint(u->engine) && clock_now_ms() >= t->after_ms;
    if (!t->running && !u->snapshot.running && (wanted || u->waiting.count > 0) &&
        begin_checkpoint(u)) {
        t->running = true;
        workers_post(u->workers, &t->job);
    }
}

static void end_seal(struct upkeep *u)
{
    struct task *t = &u->seal;
    const enum err e = engine_seal_end(u->engine, t->result);
    t->running = false;
    if (!u->stopping) {
        note(t, e, SEAL_PAUSE_MS, "sealing fails, partitions stay as they are");
    }
    if (e == OK) {
        t->after_ms = 0; /* There may be more. */
    } else {
        answer_all(u, &u->sealing, e);
    }
}

static void consider_seal(struct upkeep *u)
{
    struct task *t = &u->seal;
    const bool asked = u->sealing.count > 0;
    const struct engine_seal_request request = {clock_wall_ns(), asked};
    if (t->running || u->checkpoint.running || (!asked && clock_now_ms() < t->after_ms)) {
        return;
    }
    t->after_ms = clock_now_ms() + SEAL_EVERY_MS;
    const enum err e = engine_seal_begin(u->engine, &request);
    if (e == OK) {
        t->running = true;
        workers_post(u->sealer, &t->job);
    } else if (e != E_BUSY) {
        answer_all(u, &u->sealing, e == E_END ? OK : e);
    }
}

/* The first of those that wait has its answer. */
static void answer_copy(struct upkeep *u, enum err result)
{
    struct admins *a = &u->copying;
    answer(u, a->letters[0], result);
    a->count--;
    for (unsigned i = 0; i < a->count; i++) {
        a->letters[i] = a->letters[i + 1];
    }
}

static void consider_snapshot(struct upkeep *u)
{
    struct task *t = &u->snapshot;
    if (t->running || u->checkpoint.running || u->copying.count == 0) {
        return;
    }
    const enum err e = engine_snapshot_begin(u->engine, u->copying.letters[0]->name);
    if (e == OK) {
        t->running = true;
        workers_post(u->sealer, &t->job);
    } else {
        answer_copy(u, e);
    }
}

static void end_snapshot(struct upkeep *u)
{
    u->snapshot.running = false;
    answer_copy(u, engine_snapshot_end(u->engine, u->snapshot.result));
}

static void consider_retention(struct upkeep *u)
{
    const int64_t now_ms = clock_now_ms();
    if (now_ms >= u->retain_after_ms) {
        u->retain_after_ms = now_ms + RETENTION_EVERY_MS;
        engine_keep(u->engine, clock_wall_ns());
    }
}

/* The journal's file shrinks where that disturbs nobody. */
static void consider_compact(struct upkeep *u)
{
    const int64_t now_ms = clock_now_ms();
    if (engine_position(u->engine) != u->position) {
        u->position = engine_position(u->engine);
        u->positioned_ms = now_ms;
    }
    const bool is_quiet = now_ms - u->positioned_ms >= COMPACT_QUIET_MS;
    if (engine_wants_compact(u->engine) && !u->checkpoint.running && !u->snapshot.running &&
        (is_quiet || now_ms - u->compacted_ms >= COMPACT_EVERY_MS)) {
        u->compacted_ms = now_ms;
        engine_compact(u->engine);
    }
}

/* Some of it, between two groups of batches. What fails is tried again by the next checkpoint. */
static void consider_trim(struct upkeep *u)
{
    if (engine_wants_trim(u->engine)) {
        const enum err e = engine_trim(u->engine);
        if (e != OK) {
            note_checkpoint(u, e);
        }
    }
}

static void consider_burial(struct upkeep *u)
{
    if (!u->burial.running && engine_wants_burial(u->engine)) {
        u->burial.running = true;
        workers_post(u->workers, &u->burial.job);
    }
}

void upkeep_turn(struct upkeep *u)
{
    consider_trim(u);
    consider_compact(u);
    consider_checkpoint(u);
    consider_snapshot(u);
    consider_seal(u);
    consider_retention(u);
    consider_burial(u);
}

void upkeep_take_job(struct upkeep *u, struct job *job)
{
    if (job == &u->checkpoint.job) {
        end_checkpoint(u);
    } else if (job == &u->snapshot.job) {
        end_snapshot(u);
    } else if (job == &u->burial.job) {
        u->burial.running = false;
    } else {
        CHECK(job == &u->seal.job);
        end_seal(u);
    }
}

bool upkeep_has_more(const struct upkeep *u)
{
    return engine_wants_trim(u->engine);
}

bool upkeep_is_busy(struct upkeep *u)
{
    return u->checkpoint.running || u->seal.running || u->snapshot.running || u->burial.running;
}

void upkeep_stop(struct upkeep *u)
{
    u->stopping = true;
    engine_seal_stop(u->engine);
}

void upkeep_finish(struct upkeep *u)
{
    if (begin_checkpoint(u)) {
        run_checkpoint(&u->checkpoint.job);
        end_checkpoint(u);
    }
    while (engine_wants_trim(u->engine)) {
        consider_trim(u);
    }
    answer_all(u, &u->sealing, E_BUSY);
    answer_all(u, &u->copying, E_BUSY);
}
