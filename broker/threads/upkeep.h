/* What the store thread sees to beside writing: checkpoints, sealing, snapshots, retention.
 *
 * Checkpoints run on a worker, sealing and snapshots on a thread of their own with less of the
 * processor; one of each at a time. Everything here is called by the store thread. */

#ifndef BROKER_THREADS_UPKEEP_H
#define BROKER_THREADS_UPKEEP_H

#include "broker/threads/store_thread.h"

struct upkeep;

/* `mailbox` is where jobs reply to, the store thread's own. E_NO_MEMORY. */
MUST_USE enum err upkeep_create(struct engine *engine, struct workers *workers,
                                struct mailbox *mailbox, struct upkeep **out);
/* No job is under way. NULL is fine. */
void upkeep_destroy(struct upkeep *u);

/* Start what is due. */
void upkeep_turn(struct upkeep *u);

/* A command; `u` owns the letter until it is sent back. */
void upkeep_take_admin(struct upkeep *u, struct admin_letter *letter);

/* A job is done. */
void upkeep_take_job(struct upkeep *u, struct job *job);

/* Whether a turn has more to do at once, without a letter. */
bool upkeep_has_more(const struct upkeep *u);

/* Ending: sealing is to stop; true while a job is under way. */
bool upkeep_is_busy(struct upkeep *u);
void upkeep_stop(struct upkeep *u);
/* The last checkpoint, here and now, so that the next start is quick. */
void upkeep_finish(struct upkeep *u);

#endif /* BROKER_THREADS_UPKEEP_H */
