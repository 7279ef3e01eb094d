/* A mailbox: the only way one thread of the house speaks to another.
 *
 * Many threads post, one takes. A letter is a pointer; whoever takes it owns it. Slots are fixed at
 * the start, so a slow reader pushes back (E_BUSY) instead of growing memory. No locks: a ring of
 * Concurrency Kit, to which this is the door. The reader's event loop watches mailbox_fd(). */

#ifndef BASE_MAILBOX_H
#define BASE_MAILBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct mailbox;

/* Make a mailbox of `slots` (a power of two, >= 4) letters, one of which stays free. Free it with
 * mailbox_destroy() when all threads are done with it. E_NO_MEMORY, E_IO. */
MUST_USE enum err mailbox_create(size_t slots, struct mailbox **out);

/* NULL is fine. Letters still inside are not freed. */
void mailbox_destroy(struct mailbox *m);

/* Hand `letter` over and wake the reader; what this thread wrote before is seen by the reader.
 * E_BUSY: full, the letter is still the caller's. Any thread. */
MUST_USE enum err mailbox_post(struct mailbox *m, void *letter);

/* Take the oldest letter. E_END: empty. The reader's thread only. */
MUST_USE enum err mailbox_take(struct mailbox *m, void **letter);

/* Cheap enough to ask before every socket read. */
bool mailbox_is_empty(const struct mailbox *m);

/* Readable while letters may be waiting; mailbox_hush() before taking, so no wake-up is lost. */
int mailbox_fd(const struct mailbox *m);
void mailbox_hush(struct mailbox *m);

/* Block until a letter may be waiting, at most `wait_ms` (-1: for ever), then hush. For threads
 * without an event loop. */
void mailbox_wait(struct mailbox *m, int wait_ms);

#endif /* BASE_MAILBOX_H */
