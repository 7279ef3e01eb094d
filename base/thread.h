/* Threads and locks: the door to pthread.
 *
 * Threads talk through mailboxes; a lock guards only what is rarely taken (docs/ARCHITECTURE.md
 * lists each). */

#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>
#include <stdint.h>

#include "base/err.h"

struct thread {
    pthread_t id;
};

struct lock {
    pthread_mutex_t mutex;
};

struct signal {
    pthread_cond_t cond;
};

/* Run `main(argument)` on a new thread named `name` (at most 15 bytes), all signals blocked.
 * E_NO_MEMORY: the system has no thread left. */
MUST_USE enum err thread_start(struct thread *t, const char *name, void (*main)(void *),
                               void *argument);
void thread_join(struct thread *t);

/* From now on this thread, which does little at a time, gets the processor soon when it has
 * something to do, before others have used up their turn. Kernels before 6.12 make no difference.
 */
void thread_hurry(void);

/* From now on this thread gets the processor after others that want it. */
void thread_lower(void);

void lock_init(struct lock *l);
void lock_fini(struct lock *l);
void lock_take(struct lock *l);
void lock_drop(struct lock *l);

void signal_init(struct signal *s);
void signal_fini(struct signal *s);
/* Wait with `l` taken; may wake for no reason. */
void signal_wait(struct signal *s, struct lock *l);
/* As signal_wait(), at most until a wall-clock time. */
struct timespec;
void signal_wait_until(struct signal *s, struct lock *l, const struct timespec *until);
void signal_wake(struct signal *s);
void signal_wake_all(struct signal *s);

#endif /* BASE_THREAD_H */
