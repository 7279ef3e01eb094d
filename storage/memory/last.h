/* The newest value of every series, by event time; at equal times the one that came later.
 *
 * One thread puts, any thread finds, without a lock and without disk (promise P4, and why asking
 * for the last value of a city is cheap). Kept in catalog.mdb, table "newest", so that it outlives
 * the journal's trimming. Inside this room only; docs/FORMAT.md, "Catalogue". */

#ifndef STORAGE_MEMORY_LAST_H
#define STORAGE_MEMORY_LAST_H

#include "storage/catalogue/catalogue.h"
#include "storage/journal/batch.h"

struct last;
struct kv;

MUST_USE enum err last_create(struct last **out);
void last_destroy(struct last *l);

/* Take in a BATCH_ROW. The putting thread. E_NO_MEMORY. */
MUST_USE enum err last_put_row(struct last *l, const struct batch_entry *row);

/* Whether a BATCH_ROW is newer than all that its columns have. The putting thread. */
bool last_is_newest(const struct last *l, const struct batch_entry *row);

/* What the series had at from_ns <= t < to_ns is gone. If the newest was among it, the series has
 * none, or one that is to be looked for. The putting thread. */
void last_forget(struct last *l, struct series_ref ref, int64_t from_ns, int64_t to_ns);

/* Of a series whose newest value is to be looked for: it is before `bound_ns`, if there is one. The
 * token changes when it may be another one. E_NOT_FOUND: not such a series. */
MUST_USE enum err last_bound(const struct last *l, struct series_ref ref, int64_t *bound_ns,
                             uint64_t *token);

/* E_NOT_FOUND: none yet. E_MORE: it is to be looked for. */
MUST_USE enum err last_find(const struct last *l, struct series_ref ref, int64_t *time_ns,
                            double *value);

/* Keep what changed since the last call. One thread at a time, beside last_put_row(). Values older
 * than `horizon_ns` are left out. Errors of kv.h: what was not kept is tried again next time. */
MUST_USE enum err last_save(struct last *l, int64_t horizon_ns, struct kv *kv);

/* Before anyone else. Damaged values and those of series without a name are logged, counted and
 * left out. _v1: a file of format version 1, which is not saved to any more. */
MUST_USE enum err last_load(struct last *l, const struct catalogue *c, struct kv *kv);
MUST_USE enum err last_load_v1(struct last *l, const struct catalogue *c, struct kv *kv);
uint32_t last_damaged(const struct last *l);

/* The next save writes everything: to another file. */
void last_forget_file(struct last *l);

#endif /* STORAGE_MEMORY_LAST_H */
