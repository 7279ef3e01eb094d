/* One event loop, one thread: the door to libev.
 *
 * A loop watches sockets and timers and its mailbox, and calls back on its own thread. After all
 * callbacks of one wake-up it calls the turn hooks: there the batch goes to the store and written
 * bytes go to the sockets, once per turn. Watchers are embedded in their owner; nothing is
 * malloc'ed. */

#ifndef BROKER_THREADS_LOOP_H
#define BROKER_THREADS_LOOP_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mailbox.h"
#include "broker/threads/letter.h"

enum { LOOP_READ = 1, LOOP_WRITE = 2 };
enum { LOOP_HOOKS_MAX = 8, LOOPS_MAX = 64 };

struct loop;

struct loop_io {
    ev_io watcher;
    void (*on_ready)(struct loop_io *io, unsigned events);
    struct loop *loop;
};

struct loop_timer {
    ev_timer watcher;
    void (*on_time)(struct loop_timer *timer);
    struct loop *loop;
};

MUST_USE enum err loop_create(unsigned index, struct loop **out);
void loop_destroy(struct loop *l);

unsigned loop_index(const struct loop *l);
struct mailbox *loop_mailbox(struct loop *l);

/* Times of the current turn: monotonic ms, wall clock ns. */
int64_t loop_now_ms(const struct loop *l);
int64_t loop_wall_ns(const struct loop *l);

/* Who takes letters of a kind. */
void loop_on_letter(struct loop *l, enum letter_kind kind,
                    void (*take)(void *context, struct letter *letter), void *context);
/* Called at the end of every turn, in order of registration. */
void loop_on_turn_end(struct loop *l, void (*hook)(void *context), void *context);
/* From the next turn on, wait until `us` microseconds have passed since a turn began before the
 * next begins, and so take more together; 0: begin at once. */
void loop_gather(struct loop *l, unsigned us);
/* Take waiting letters now. A connection does this before each read, so that what another loop said
 * before a client could know of it is in force when that client's bytes are read. */
void loop_take_letters(struct loop *l);

/* Run until loop_stop() is called on this thread or a LETTER_STOP arrives; whoever takes
 * LETTER_STOP calls loop_stop() when it is done. */
void loop_run(struct loop *l);
void loop_stop(struct loop *l);

void loop_io_start(struct loop *l, struct loop_io *io, int fd, unsigned events);
void loop_io_change(struct loop_io *io, unsigned events); /* 0: keep it, ask for nothing. */
void loop_io_stop(struct loop_io *io);                    /* Not started: fine. */

/* Watchers start zeroed but for their callback. `every_ms` 0: once. Starting again restarts. */
void loop_timer_start(struct loop *l, struct loop_timer *t, int64_t after_ms, int64_t every_ms);
void loop_timer_stop(struct loop_timer *t); /* Not started: fine. */

#endif /* BROKER_THREADS_LOOP_H */
