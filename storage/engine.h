/* The storage room's front door: batches in, points out.
 *
 * The engine is a function of its journal (promise P7). It has no thread and reads no clock of its
 * own: the calls under "store thread" come from the one thread that writes, "worker" calls may take
 * long and run beside it, the rest is for any thread. Reading is in query.h. */

#ifndef STORAGE_ENGINE_H
#define STORAGE_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/catalogue/catalogue.h"
#include "storage/catalogue/texts.h"
#include "storage/erase/retention.h"
#include "storage/journal/batch.h"

struct engine;
struct view;

struct engine_options {
    const char *directory;
    uint32_t series_max;
    uint32_t texts_max;     /* Distinct texts. */
    uint32_t partition_s;   /* Length of a partition's period for a new store. */
    int64_t late_s;         /* How long after its end a period waits for late data. */
    int64_t span_s;         /* The most a sealed partition spans; at least a period. */
    uint64_t journal_bytes; /* Live journal that asks for a checkpoint. */
    uint64_t journal_map;   /* Live journal at which writes are refused (E_NO_SPACE). */
    uint64_t head_bytes;    /* Rows in memory that ask for one, too; 0: any number is fine. */
    /* How long points are kept: the first rule whose filter selects a series, else keep_s; 0: for
     * ever. At most RETENTION_RULES_MAX rules. */
    const struct retention_rule *retention;
    size_t retention_count;
    int64_t keep_s;
};

struct engine_stats {
    uint64_t rows, points;          /* Written since start. */
    uint64_t head_rows, head_bytes; /* In memory now. */
    uint64_t journal_bytes;         /* Live. */
    uint64_t journal_position;      /* Durable. */
    uint64_t commits, commit_failures;
    uint64_t duplicates;  /* Values that came again equal, found while merging. */
    uint64_t overwritten; /* Values that came again different: the later one stays. */
    uint64_t checkpoints, checkpoint_failures;
    uint64_t seals, seal_failures;
    uint64_t corrupt_chunks;    /* Met while reading; skipped. */
    uint64_t corrupt_records;   /* Met at recovery; skipped. */
    uint64_t corrupt_catalogue; /* Names, newest values, deletes left out at the start. */
    uint64_t tag_bytes;         /* Memory of tags. */
    uint64_t tags_refused;      /* No memory for them was left. */
    uint64_t groups, series, texts, partitions;
    uint64_t sealed;                 /* Of the partitions. */
    uint64_t disk_bytes;             /* All files of the store. */
    uint64_t partitions_dropped;     /* By retention, or with nothing left in them. */
    uint64_t partitions_quarantined; /* Cannot be read: kept aside, their points are missing. */
    uint64_t deletes;                /* Since start. */
    uint64_t deletes_waiting;        /* Not yet carried out in all files. */
    uint64_t sweeps; /* Sealed partitions looked at for what was deleted or is too old. */
};

/* Store thread: open the directory (made if absent, locked against a second process: E_BUSY), read
 * the catalogue, replay the journal. E_IO, E_CORRUPT, E_VERSION (the log names the file),
 * E_NO_MEMORY, E_NO_SPACE. */
MUST_USE enum err engine_open(const struct engine_options *options, struct engine **out);

/* Store thread, when all others are done. NULL is fine. Does not checkpoint. */
void engine_close(struct engine *e);

/* Store thread: append `count` batches in order, make them durable with one commit, then visible;
 * sets each batch's `result`. The whole group shares one fate, which is also returned: OK,
 * E_NO_SPACE, E_IO (the journal was reopened: what turned out durable is visible), E_NO_MEMORY
 * (what turned out durable is visible after a restart). */
MUST_USE enum err engine_write(struct engine *e, struct batch *const *batches, unsigned count);

/* Delete what the series `filter` selects had at from_ns <= t < to_ns. Durable and out of every
 * sight when it returns OK; what comes later stays, whatever its time. `*series`: how many were
 * selected; of none nothing is written. E_LIMIT: TOMBS_MAX deletes wait for their partitions to be
 * sealed. E_BUSY: too much is marked in memory, a checkpoint comes first. Else as engine_write().
 */
struct engine_delete {
    struct bytes filter; /* Valid, at most BATCH_FILTER_BYTES_MAX. */
    int64_t from_ns, to_ns;
    int64_t wall_ns; /* Now. */
};
MUST_USE enum err engine_delete(struct engine *e, const struct engine_delete *d, uint64_t *series);

/* All state of one space, as put by batches; also, with an empty value, what was deleted not long
 * ago: stamps must go on above it. Any time on the store thread. */
MUST_USE enum err engine_each_state(struct engine *e, uint8_t space,
                                    enum err (*visit)(void *context, const struct batch_state *s),
                                    void *context);

/* The receipts kept, oldest first. Store thread, before others start. */
void engine_each_receipt(struct engine *e, void (*visit)(void *context, const struct receipt *r),
                         void *context);

/* A checkpoint moves the head into partitions and trims the journal:
 *   begin (store thread)  freeze the head, start a new one. E_BUSY: one is running. E_END: empty.
 *   run   (worker)        write the frozen head out; ingest and queries go on.
 *   end   (store thread)  publish the result of run and trim; after a failed run the frozen head
 *                         stays readable and the next begin takes it along; after a failed trim
 *                         (an error, too) the next one trims. */
bool engine_wants_checkpoint(const struct engine *e);
/* Store thread: what a checkpoint leaves of trimming, so that writing need not wait for it; each
 * call does some. Errors as of end. */
bool engine_wants_trim(const struct engine *e);
MUST_USE enum err engine_trim(struct engine *e);
MUST_USE enum err engine_checkpoint_begin(struct engine *e);
MUST_USE enum err engine_checkpoint_run(struct engine *e);
MUST_USE enum err engine_checkpoint_end(struct engine *e, enum err run);

/* What a checkpoint freed of the journal's file goes at its end, if nothing was written meanwhile;
 * else whoever calls decides when: writing the file anew takes two syncs, and rows to come would
 * need the room again. Store thread, nothing appended waits to be durable. */
bool engine_wants_compact(const struct engine *e);
void engine_compact(struct engine *e);

/* Position of the last record: the same again, nothing was written. Store thread. */
uint64_t engine_position(const struct engine *e);

/* Sealing makes one dense, immutable file of a run of periods that are over (seal_choice.h):
 *   begin (store thread)  choose. E_BUSY: a sealing or checkpoint is running, or a checkpoint is
 *                         owed. E_END: nothing is ripe.
 *   run   (worker)        write the file; ingest, queries and checkpoints go on.
 *   end   (store thread)  show it; after a failed run nothing has changed, begin again later. */
struct engine_seal_request {
    int64_t wall_ns; /* Now; decides when, never what. */
    bool seal_all;   /* Also periods that are not over yet. */
};
MUST_USE enum err engine_seal_begin(struct engine *e, const struct engine_seal_request *request);
MUST_USE enum err engine_seal_run(struct engine *e);
MUST_USE enum err engine_seal_end(struct engine *e, enum err run);
/* Any thread: a run that is under way ends soon, with E_BUSY; so do all later ones. */
void engine_seal_stop(struct engine *e);

/* A snapshot is a store of its own below DIR/snapshots, consistent and durable (decision 0015):
 *   begin (store thread)  E_BUSY: one is running, or a checkpoint is running or owed. E_DENIED:
 * there is one of this name. From here to end no checkpoint begins (E_BUSY). run   (worker) link
 * what is sealed, copy the rest; ingest, queries, sealing go on. end   (store thread) E_NO_SPACE,
 * E_IO: nothing stays. */
enum { ENGINE_SNAPSHOT_NAME_MAX = 64 };
bool engine_snapshot_name_is_good(struct bytes name); /* Letters, digits and ._- not first a dot. */
MUST_USE enum err engine_snapshot_begin(struct engine *e, const char *name);
MUST_USE enum err engine_snapshot_run(struct engine *e);
MUST_USE enum err engine_snapshot_end(struct engine *e, enum err run);
/* Any thread: where the snapshot `name` is, from the root. E_LIMIT: too long; E_IO. */
MUST_USE enum err engine_snapshot_path(const struct engine *e, const char *name, char *to,
                                       size_t size);
/* Worker or store thread. E_NOT_FOUND. */
MUST_USE enum err engine_snapshot_remove(struct engine *e, const char *name);

/* Store thread, or before others start: what is too old at `wall_ns`, by the rules of the options,
 * is out of every sight. Partitions of which nothing is kept any more go; their files when their
 * last reader does. Of others sealing takes it. Rows too old are refused by whoever fills batches.
 */
void engine_keep(struct engine *e, int64_t wall_ns);

/* Large files that nobody needs any more keep their space until a worker calls engine_bury(), which
 * takes its time. */
bool engine_wants_burial(const struct engine *e);
void engine_bury(struct engine *e);

/* Points of a series before this are not kept, and not shown. Any thread. */
int64_t engine_horizon(struct engine *e, struct series_ref ref);
/* The same for a series that is not there yet; and the latest of all: what is newer is kept,
 * whatever its series. */
int64_t engine_horizon_of_path(struct engine *e, struct bytes path);
int64_t engine_horizon_latest(struct engine *e);

/* Any thread. */
struct catalogue *engine_catalogue(struct engine *e);
struct texts *engine_texts(struct engine *e);
void engine_stats(struct engine *e, struct engine_stats *out);

/* Newest value of a series by event time. E_NOT_FOUND: it has none. E_MORE: it was deleted, and the
 * newest one left must be read (newest_find() of storage/read/newest.h does all that). Any thread,
 * no lock, no disk. */
MUST_USE enum err engine_last(struct engine *e, struct series_ref ref, int64_t *time_ns,
                              double *value);

/* After E_MORE: the one left is before `bound_ns`, if there is one. The token changes when it may
 * be another. E_NOT_FOUND: not so any more. */
struct engine_bound {
    int64_t bound_ns;
    uint64_t token;
};
MUST_USE enum err engine_last_bound(struct engine *e, struct series_ref ref,
                                    struct engine_bound *out);
struct found;
struct found *engine_found(struct engine *e); /* What was read before. */

#endif /* STORAGE_ENGINE_H */
