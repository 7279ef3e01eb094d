/* A small pool of threads for what takes long: query steps, checkpoints.
 *
 * A job runs once on some worker, then its letter goes to the mailbox it names. */

#ifndef BROKER_THREADS_WORKERS_H
#define BROKER_THREADS_WORKERS_H

#include "base/err.h"
#include "base/mailbox.h"
#include "broker/threads/letter.h"

struct workers;

struct job {
    struct letter letter;          /* LETTER_JOB; first member. */
    void (*run)(struct job *job);  /* On a worker; may block on disk, never on a peer. */
    void (*done)(struct job *job); /* On the thread of `reply`, called by its letter taker. */
    struct mailbox *reply;
    void *context;    /* The poster's. */
    struct job *next; /* The pool's. */
};

MUST_USE enum err workers_create(unsigned threads, struct workers **out);
/* Runs what was posted, then ends the threads. NULL is fine. */
void workers_destroy(struct workers *w);

/* Wait until all jobs have run and no worker touches a mailbox any more: before one that jobs reply
 * to is destroyed. Nobody posts meanwhile. */
void workers_settle(struct workers *w);

/* Any thread; never fails: the job carries its own queue link. */
void workers_post(struct workers *w, struct job *job);

#endif /* BROKER_THREADS_WORKERS_H */
