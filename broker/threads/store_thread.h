/* The store thread: the only writer. It takes every batch that waits, commits them together, and
 * sends each back to the loop it came from; the next commit starts when the last one ends.
 *
 * It also sees to checkpoints, sealing and retention (upkeep.h), and reopens the journal after a
 * failing disk. A failed commit is reported in the batches' `result`, counted and logged once per
 * outage.
 */

#ifndef BROKER_THREADS_STORE_THREAD_H
#define BROKER_THREADS_STORE_THREAD_H

#include <stdint.h>

#include "base/err.h"
#include "base/mailbox.h"
#include "broker/threads/letter.h"
#include "broker/threads/workers.h"
#include "storage/engine.h"

struct store_thread;

/* A batch on its way; loops own a fixed pool of these, so back-pressure is an empty pool. */
struct parcel {
    struct letter letter; /* LETTER_BATCH; first member. */
    struct batch *batch;
    struct mailbox *home; /* Where it returns. */
};

/* A durable batch lent to loops that have tails: read it, then store_release(). */
struct committed {
    struct letter letter; /* LETTER_COMMITTED; first member. */
    struct shared_batch *shared;
    uint64_t missed_points; /* Not lent to this loop before: it was too far behind. */
};

/* Made, but not running: its mailbox takes letters already. E_NO_MEMORY, E_IO. */
MUST_USE enum err store_create(struct engine *engine, struct workers *workers,
                               struct store_thread **out);
/* From here on the thread owns writing to the open engine, until store_stop(). E_NO_MEMORY. */
MUST_USE enum err store_run(struct store_thread *s);
/* Both of the above. */
MUST_USE enum err store_start(struct engine *engine, struct workers *workers,
                              struct store_thread **out);
/* Takes what was posted, checkpoints, ends; whoever could post has stopped before. NULL is fine. */
void store_stop(struct store_thread *s);

/* Any loop. E_BUSY: the mailbox is full (cannot happen with pools sized to it). */
MUST_USE enum err store_post(struct store_thread *s, struct parcel *parcel);

/* Do it now; `reply` gets the letter back with `result` set. Checkpoint: OK when everything that
 * was durable before is in partitions. Seal: and all partitions are sealed, also those of periods
 * that are not over. Snapshot: and there is one called `name`, or (remove) no more. Delete: of
 * what came before it. */
enum admin_command {
    ADMIN_CHECKPOINT,
    ADMIN_SEAL,
    ADMIN_SNAPSHOT,
    ADMIN_SNAPSHOT_REMOVE,
    ADMIN_DELETE
};
struct admin_letter {
    struct letter letter; /* LETTER_ADMIN; first member. */
    enum admin_command command;
    char name[ENGINE_SNAPSHOT_NAME_MAX + 1]; /* Of a snapshot; a good one. */
    struct engine_delete erase; /* The filter is the asker's, until the letter is back. */
    uint64_t series;            /* A delete has selected. */
    struct mailbox *reply;
    void *context; /* The asker's. */
    enum err result;
};
MUST_USE enum err store_post_admin(struct store_thread *s, struct admin_letter *letter);

/* Tails: a loop that has any gets every durable batch (LETTER_COMMITTED). Balanced calls, any loop.
 */
void store_tail_add(struct store_thread *s, struct mailbox *loop);
void store_tail_remove(struct store_thread *s, struct mailbox *loop);
/* The record's entries, to be read with batch_reader; then release. */
struct bytes store_committed_entries(const struct committed *c);
void store_release(struct store_thread *s, struct committed *c);

#endif /* BROKER_THREADS_STORE_THREAD_H */
