#include "broker/threads/store_thread.h"

#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "broker/threads/loop.h"
#include "broker/threads/tails.h"
#include "broker/threads/upkeep.h"

enum {
    SLOTS = 65536,
    GROUP_BATCHES_MAX = 256,
    GROUP_BYTES_MAX = 4 << 20, /* What one commit takes, give or take a batch. */
    IDLE_WAIT_MS = 6000,       /* Upkeep is looked after at least so often. */
    FULL_WAIT_MS = 1
};

struct store_thread {
    struct engine *engine;
    struct workers *workers;
    struct upkeep *upkeep;
    struct mailbox *mailbox;
    struct thread thread;
    bool running;
    struct tails *tails;

    /* The thread's own from here. */
    bool stopping;
    struct parcel *parcels[GROUP_BATCHES_MAX]; /* The group being gathered. */
    struct batch *batches[GROUP_BATCHES_MAX];
    unsigned group_count;
    size_t group_bytes;
    bool failing; /* The last commit failed. */
    uint64_t failed_commits;
};

/* A loop that is full is busy: wait. When stopping, loops have ended and nobody may be reading. */
static void send_home(const struct store_thread *s, struct mailbox *to, struct letter *letter)
{
    while (mailbox_post(to, letter) == E_BUSY && !s->stopping) {
        (void)poll(NULL, 0, FULL_WAIT_MS);
    }
}

static void log_outage(struct store_thread *s, enum err result)
{
    if (result != OK) {
        s->failed_commits++;
    }
    if (result != OK && !s->failing) {
        log_line(LOG_ERROR, "store", "writing fails, nothing is acknowledged: %s",
                 err_text(result));
    } else if (result == OK && s->failing) {
        log_line(LOG_WARN, "store", "writing works again failed_commits=%llu",
                 (unsigned long long)s->failed_commits);
        s->failed_commits = 0;
    }
    s->failing = result != OK;
}

static void write_group(struct store_thread *s)
{
    if (s->group_count == 0) {
        return;
    }
    const enum err result = engine_write(s->engine, s->batches, s->group_count);
    log_outage(s, result);
    for (unsigned i = 0; i < s->group_count; i++) {
        if (s->batches[i]->result == OK) {
            tails_lend(s->tails, s->batches[i]);
        }
    }
    for (unsigned i = 0; i < s->group_count; i++) {
        send_home(s, s->parcels[i]->home, &s->parcels[i]->letter);
    }
    s->group_count = 0;
    s->group_bytes = 0;
}

static void take_letter(struct store_thread *s, struct letter *letter)
{
    if (letter->kind == LETTER_BATCH) {
        struct parcel *parcel = (struct parcel *)(void *)letter;
        s->parcels[s->group_count] = parcel;
        s->batches[s->group_count++] = parcel->batch;
        s->group_bytes += parcel->batch->record_bytes + parcel->batch->state.size;
    } else if (letter->kind == LETTER_ADMIN) {
        write_group(s); /* What came before it is written before it. */
        upkeep_take_admin(s->upkeep, (struct admin_letter *)(void *)letter);
    } else if (letter->kind == LETTER_JOB) {
        upkeep_take_job(s->upkeep, (struct job *)(void *)letter);
    } else {
        CHECK(letter->kind == LETTER_STOP);
        s->stopping = true;
    }
}

/* Everything that waits, as far as it fits one commit. */
static void take_letters(struct store_thread *s)
{
    void *letter;
    while (s->group_count < GROUP_BATCHES_MAX && s->group_bytes < GROUP_BYTES_MAX &&
           mailbox_take(s->mailbox, &letter) == OK) {
        take_letter(s, letter);
    }
}

/* Nobody posts any more. */
static void finish(struct store_thread *s)
{
    upkeep_stop(s->upkeep);
    while (upkeep_is_busy(s->upkeep)) {
        mailbox_wait(s->mailbox, -1);
        take_letters(s);
        write_group(s);
    }
    upkeep_finish(s->upkeep);
}

static void run(void *raw)
{
    struct store_thread *s = raw;
    thread_hurry(); /* All acknowledgements wait for it. */
    while (!s->stopping) {
        mailbox_wait(s->mailbox, upkeep_has_more(s->upkeep) ? 0 : IDLE_WAIT_MS);
        take_letters(s);
        write_group(s);
        upkeep_turn(s->upkeep);
    }
    finish(s);
}

enum err store_create(struct engine *engine, struct workers *workers, struct store_thread **out)
{
    struct store_thread *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return E_NO_MEMORY;
    }
    s->engine = engine;
    s->workers = workers;
    enum err e = mailbox_create(SLOTS, &s->mailbox);
    if (e == OK) {
        e = upkeep_create(engine, workers, s->mailbox, &s->upkeep);
    }
    if (e == OK) {
        e = tails_create(&s->tails);
    }
    if (e != OK) {
        store_stop(s);
        return e;
    }
    *out = s;
    return OK;
}

enum err store_run(struct store_thread *s)
{
    TRY(thread_start(&s->thread, "store", run, s));
    s->running = true;
    return OK;
}

enum err store_start(struct engine *engine, struct workers *workers, struct store_thread **out)
{
    struct store_thread *s;
    TRY(store_create(engine, workers, &s));
    enum err e = store_run(s);
    if (e != OK) {
        store_stop(s);
        return e;
    }
    *out = s;
    return OK;
}

void store_stop(struct store_thread *s)
{
    static struct letter stop = {LETTER_STOP};
    if (s == NULL) {
        return;
    }
    if (s->running) {
        while (mailbox_post(s->mailbox, &stop) == E_BUSY) {
            (void)poll(NULL, 0, FULL_WAIT_MS);
        }
        thread_join(&s->thread);
        workers_settle(s->workers); /* One may be in the middle of posting a letter here. */
    }
    upkeep_destroy(s->upkeep);
    tails_destroy(s->tails);
    mailbox_destroy(s->mailbox);
    free(s);
}

enum err store_post(struct store_thread *s, struct parcel *parcel)
{
    parcel->letter.kind = LETTER_BATCH;
    return mailbox_post(s->mailbox, &parcel->letter);
}

enum err store_post_admin(struct store_thread *s, struct admin_letter *letter)
{
    letter->letter.kind = LETTER_ADMIN;
    return mailbox_post(s->mailbox, &letter->letter);
}

void store_tail_add(struct store_thread *s, struct mailbox *loop)
{
    tails_add(s->tails, loop);
}

void store_tail_remove(struct store_thread *s, struct mailbox *loop)
{
    tails_remove(s->tails, loop);
}

struct bytes store_committed_entries(const struct committed *c)
{
    return tails_entries(c);
}

void store_release(struct store_thread *s, struct committed *c)
{
    tails_release(s->tails, c);
}
