/* A task: the answer to one request, from its first frame to its End or Error. Room-internal.
 *
 * The kinds (query_run.c, query_list.c, query_report.c) make frames in steps on a worker; this file
 * sends them, no faster than credit and the connection's output allow, and counts and checksums
 * them. Kinds without steps (writes, tails, checkpoints) send when something happens. While a
 * worker or the store has a task it `is_held` and is not touched by the loop, except is_ended. */

#ifndef BROKER_QUERY_QUERY_TASK_H
#define BROKER_QUERY_QUERY_TASK_H

#include <stdatomic.h>

#include "broker/query/query_frame.h"
#include "broker/threads/workers.h"

enum {
    QUERY_CREDIT_FRAMES = 16,      /* A client that sends no Credit gets so many frames. */
    QUERY_CREDIT_FRAMES_MAX = 1024 /* And may never have more than these ahead. */
};

struct query_task_kind {
    size_t bytes; /* Of the struct that has the task as its first member. */
    /* On a worker: put parts of one frame. OK: there is more; E_END: that was all. E_MALFORMED:
     * t->fault says what is wrong; other errors are the server's own trouble. NULL: no steps. */
    enum err (*step)(struct query_task *t);
    /* Loop, instead of steps: do what may be done now; called often. It is held while a worker has
     * any part of it. */
    void (*go)(struct query_task *t);
    /* Loop: it ended, was answered or its connection is gone; leave the server's lists. */
    void (*end)(struct query_task *t);
    /* Loop: free what it owns. */
    void (*fini)(struct query_task *t);
};

struct query_task {
    const struct query_task_kind *kind;
    struct query_conn *conn;
    struct query_task *next, **link; /* In conn->tasks. */
    uint32_t id;
    uint32_t credit;
    int64_t starved_ms; /* When it came to 0. */
    bool is_held, is_ended;
    atomic_bool is_idle; /* It ended: a worker that takes it up has nothing to do. */
    enum err result;     /* Of the step. */
    struct job job;
    struct query_frame frame; /* Being made by a step. */
    uint64_t rows, refused;
    uint64_t frames, checksum; /* Of those sent, and the one sealed. */
    struct query_fault fault;
};

/* A new task in its connection's list. NULL: no memory; the connection was told. */
struct query_task *query_task_create(struct query_conn *c, uint32_t id,
                                     const struct query_task_kind *kind);
/* Not ended, with this id; or NULL. */
struct query_task *query_task_find(struct query_conn *c, uint32_t id);

/* Post the next step if there is one and it may run. */
void query_task_go(struct query_task *t);
void query_task_go_all(struct query_conn *c);
void query_task_credit(struct query_task *t, uint32_t frames);

/* Take the letter of a job that came back. */
void query_task_take(void *context, struct letter *letter);

/* End it: with End; with an error; without a word. */
void query_task_finish(struct query_task *t);
void query_task_fail(struct query_task *t, const struct query_fault *fault);
void query_task_fail_with(struct query_task *t, enum err e);
void query_task_drop(struct query_task *t);
/* After it ended and nobody holds it. */
void query_task_free(struct query_task *t);

/* Making its frame: begin, put parts, seal. Where steps are made this is
 * done around them. E_NO_MEMORY. */
MUST_USE enum err query_task_begin(struct query_task *t);
MUST_USE enum err query_task_put(struct query_task *t, const frame_response *part);
/* Finish the frame unless it is empty; returns whether there is one to send. */
bool query_task_seal(struct query_task *t);
/* Loop: send the sealed frame. */
void query_task_send(struct query_task *t);

/* Whether such a task is an answer that credit paces. */
static inline bool query_task_is_paced(const struct query_task *t)
{
    return t->kind->step != NULL || t->kind->go != NULL;
}

#endif /* BROKER_QUERY_QUERY_TASK_H */
