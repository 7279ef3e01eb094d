#include "broker/threads/workers.h"

#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/thread.h"

enum { FULL_WAIT_MS = 1 };

struct workers {
    struct lock lock; /* Guards all below. */
    struct signal posted, idle;
    struct job *first, **last;
    bool ending;
    unsigned left; /* Jobs posted whose letter has not been posted. */
    unsigned started;
    struct thread threads[];
};

/* NULL: the pool ends and nothing is left. */
static struct job *take_job(struct workers *w)
{
    lock_take(&w->lock);
    while (w->first == NULL && !w->ending) {
        signal_wait(&w->posted, &w->lock);
    }
    struct job *job = w->first;
    if (job != NULL) {
        w->first = job->next;
        if (w->first == NULL) {
            w->last = &w->first;
        }
    }
    lock_drop(&w->lock);
    return job;
}

static void work(void *raw)
{
    struct workers *w = raw;
    struct job *job;
    while ((job = take_job(w)) != NULL) {
        struct mailbox *reply = job->reply;
        job->run(job);
        while (mailbox_post(reply, &job->letter) == E_BUSY) {
            (void)poll(NULL, 0, FULL_WAIT_MS); /* A full loop is a busy one: let it catch up. */
        }
        lock_take(&w->lock);
        if (--w->left == 0) {
            signal_wake_all(&w->idle);
        }
        lock_drop(&w->lock);
    }
}

enum err workers_create(unsigned threads, struct workers **out)
{
    CHECK(threads > 0);
    struct workers *w = calloc(1, sizeof *w + threads * sizeof w->threads[0]);
    if (w == NULL) {
        return E_NO_MEMORY;
    }
    lock_init(&w->lock);
    signal_init(&w->posted);
    signal_init(&w->idle);
    w->last = &w->first;
    for (; w->started < threads; w->started++) {
        enum err e = thread_start(&w->threads[w->started], "worker", work, w);
        if (e != OK) {
            workers_destroy(w);
            return e;
        }
    }
    *out = w;
    return OK;
}

void workers_destroy(struct workers *w)
{
    if (w == NULL) {
        return;
    }
    lock_take(&w->lock);
    w->ending = true;
    signal_wake_all(&w->posted);
    lock_drop(&w->lock);
    for (unsigned i = 0; i < w->started; i++) {
        thread_join(&w->threads[i]);
    }
    signal_fini(&w->idle);
    signal_fini(&w->posted);
    lock_fini(&w->lock);
    free(w);
}

void workers_settle(struct workers *w)
{
    lock_take(&w->lock);
    while (w->left > 0) {
        signal_wait(&w->idle, &w->lock);
    }
    lock_drop(&w->lock);
}

void workers_post(struct workers *w, struct job *job)
{
    CHECK(job->reply != NULL);
    job->letter.kind = LETTER_JOB;
    job->next = NULL;
    lock_take(&w->lock);
    w->left++;
    *w->last = job;
    w->last = &job->next;
    signal_wake(&w->posted);
    lock_drop(&w->lock);
}
