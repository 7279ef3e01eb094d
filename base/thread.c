#include "base/thread.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"

enum { LOWER_NICE = 10, HURRY_SLICE_NS = 100000 }; /* Linux takes 0.1 ms at least. */

struct start {
    void (*main)(void *);
    void *argument;
};

static void *run(void *raw)
{
    struct start start = *(struct start *)raw;
    free(raw);
    start.main(start.argument);
    return NULL;
}

enum err thread_start(struct thread *t, const char *name, void (*main)(void *), void *argument)
{
    sigset_t all, before;
    struct start *start = malloc(sizeof *start);
    if (start == NULL) {
        return E_NO_MEMORY;
    }
    *start = (struct start){main, argument};
    (void)sigfillset(&all);
    (void)sigdelset(&all, SIGBUS); /* Of the thread's own making. */
    (void)sigdelset(&all, SIGSEGV);
    CHECK(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    int failed = pthread_create(&t->id, NULL, run, start);
    CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    if (failed != 0) {
        free(start);
        return E_NO_MEMORY;
    }
    (void)pthread_setname_np(t->id, name);
    return OK;
}

void thread_join(struct thread *t)
{
    CHECK(pthread_join(t->id, NULL) == 0);
}

/* As the kernel takes it (sched_setattr(2)); our libc knows neither it nor the call. */
struct slice_request {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime_ns, deadline_ns, period_ns;
};

/* A short slice: Linux's scheduler, EEVDF, lets those come first who ask for less. */
void thread_hurry(void)
{
    const struct slice_request request = {.size = sizeof request,
                                          .policy = SCHED_OTHER,
                                          .nice = getpriority(PRIO_PROCESS, 0),
                                          .runtime_ns = HURRY_SLICE_NS};
    (void)syscall(SYS_sched_setattr, 0, &request, 0);
}

/* Linux keeps niceness by thread. */
void thread_lower(void)
{
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), LOWER_NICE);
}

void lock_init(struct lock *l)
{
    CHECK(pthread_mutex_init(&l->mutex, NULL) == 0);
}

void lock_fini(struct lock *l)
{
    CHECK(pthread_mutex_destroy(&l->mutex) == 0);
}

void lock_take(struct lock *l)
{
    CHECK(pthread_mutex_lock(&l->mutex) == 0);
}

void lock_drop(struct lock *l)
{
    CHECK(pthread_mutex_unlock(&l->mutex) == 0);
}

void signal_init(struct signal *s)
{
    CHECK(pthread_cond_init(&s->cond, NULL) == 0);
}

void signal_fini(struct signal *s)
{
    CHECK(pthread_cond_destroy(&s->cond) == 0);
}

void signal_wait(struct signal *s, struct lock *l)
{
    CHECK(pthread_cond_wait(&s->cond, &l->mutex) == 0);
}

void signal_wait_until(struct signal *s, struct lock *l, const struct timespec *until)
{
    int result = pthread_cond_timedwait(&s->cond, &l->mutex, until);
    CHECK(result == 0 || result == ETIMEDOUT);
}

void signal_wake(struct signal *s)
{
    CHECK(pthread_cond_signal(&s->cond) == 0);
}

void signal_wake_all(struct signal *s)
{
    CHECK(pthread_cond_broadcast(&s->cond) == 0);
}
