/* Tails: who gets a copy of each durable batch, and the copies under way.
 *
 * The store thread lends; loops add, remove and give back. Copying costs only while a tail exists.
 * What is lent is bounded: a loop too far behind misses batches, and is told how many points. */

#ifndef BROKER_THREADS_TAILS_H
#define BROKER_THREADS_TAILS_H

#include "broker/threads/store_thread.h"

enum { TAILS_LENT_BYTES_MAX = 64 << 20 };

struct tails;

MUST_USE enum err tails_create(struct tails **out);
/* When all loops have ended; copies not given back are freed. NULL is fine. */
void tails_destroy(struct tails *t);

/* Any loop. */
void tails_add(struct tails *t, struct mailbox *loop);
void tails_remove(struct tails *t, struct mailbox *loop);

/* Store thread: give the rows of `b` to every loop that has tails. */
void tails_lend(struct tails *t, const struct batch *b);

struct bytes tails_entries(const struct committed *c);
void tails_release(struct tails *t, struct committed *c);

#endif /* BROKER_THREADS_TAILS_H */
