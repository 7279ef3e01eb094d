/* Reading what is mapped can fail in the middle: a sector that cannot be read is a SIGBUS, a
 * damaged page sends LMDB, which believes what it maps, to places where nothing is.
 *
 *     struct kv_guard guard;
 *     if (sigsetjmp(guard.back, 0) != 0) {
 *         return E_CORRUPT;
 *     }
 *     kv_guard_set(&guard);
 *     ... only reads; takes nothing that would have to be given back ...
 *     kv_guard_set(NULL);
 *
 * Whoever sets no guard dies of such a signal as ever. Any thread; storage/kv.c only, but for
 * kv_guard_check(). */

#ifndef STORAGE_KV_GUARD_H
#define STORAGE_KV_GUARD_H

#include <setjmp.h>
#include <stdbool.h>

#include "base/bytes.h"

struct kv_guard {
    sigjmp_buf back;
};

/* See that the signals come here; again, where somebody else has taken them since. */
void kv_guard_install(void);

/* This thread's; NULL: none. A guard that has caught something is no longer set. */
void kv_guard_set(struct kv_guard *guard);

/* Back to the guard, if there is one. */
void kv_guard_fail(void);

/* Read a byte of each page. */
void kv_guard_touch(struct bytes value);

/* Give the lock file of `path` its space on the disk before LMDB writes to it through a mapping,
 * which on a full disk would be a SIGBUS, too. E_NO_SPACE, E_IO, E_DENIED, E_BUSY, E_NO_MEMORY. */
MUST_USE enum err kv_guard_lock_file(const char *path, unsigned readers);

/* Who writes has LMDB change what it finds: the tree must be sound before. E_CORRUPT: it is not.
 * `whole`: look at the pages of values, too. Nobody may write meanwhile. Errors of kv_check(). */
MUST_USE enum err kv_guard_check(const char *path, bool whole);

#endif /* STORAGE_KV_GUARD_H */
