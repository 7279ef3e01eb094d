/* What the files of the engine share. Nobody else includes this.
 *
 * engine.c opens and closes, engine_files.c knows the directory, engine_write.c is the way of a
 * batch, engine_recover.c the way back from the journal, engine_checkpoint.c from head to
 * partitions, engine_receipts.c keeps receipts, view.c what readers hold. */

#ifndef STORAGE_ENGINE_INSIDE_H
#define STORAGE_ENGINE_INSIDE_H

#include <stdatomic.h>

#include "base/thread.h"
#include "storage/catalogue/catalogue_tag.h"
#include "storage/engine.h"
#include "storage/erase/erasure.h"
#include "storage/journal/journal.h"
#include "storage/journal/receipts.h"
#include "storage/kv.h"
#include "storage/memory/found.h"
#include "storage/memory/head.h"
#include "storage/memory/last.h"
#include "storage/part/checkpoint.h"
#include "storage/part/part.h"
#include "storage/part/seal.h"
#include "storage/part/seal_choice.h"
#include "storage/view.h"

/* State spaces 0..254 are the broker's; this one the engine keeps receipts in. */
enum { ENGINE_SPACE = 255, ENGINE_PATH_BYTES_MAX = 4096 };

/* A row that came so close to its own time was known at that time: its arrival is not kept. */
#define ENGINE_ON_TIME_NS (INT64_C(60) * 1000000000)

/* A head and who holds it: every view that shows it. */
struct engine_head {
    atomic_uint holders;
    struct head *head;
};

/* A view, its holders, and what it holds. */
struct engine_view {
    struct view view; /* First: readers see only this. */
    atomic_uint holders;
    struct engine_head *heads[VIEW_HEADS_MAX]; /* Frozen (if any), active. */
    struct part **parts;                       /* All of its layers. */
    struct tombs *tombs;
};

struct engine_counters {
    _Atomic uint64_t rows, points, commits, commit_failures, duplicates, overwritten, checkpoints,
        checkpoint_failures, seals, seal_failures, corrupt_chunks, corrupt_records, tags_refused,
        partitions_dropped, partitions_quarantined, deletes, sweeps, journal_bytes,
        journal_position;
};

struct engine_checkpoint {
    bool running;
    uint64_t frozen_position; /* Journal position of the last row in the frozen head. */
    const struct view *view;  /* Held from begin to end. */
    struct part **opened;     /* By this run, one reference each; the worker's until end. */
    struct part *working;     /* The last one it wrote to. */
    size_t opened_count;
    struct checkpoint_result result;
};

/* A sealing: parts of a run of periods become one sealed part. */
struct engine_seal {
    bool running;
    atomic_bool stop;        /* Leave it. */
    const struct view *view; /* Held from begin to end. */
    struct seal_choice choice;
    bool is_sweep;      /* One sealed part, if it still has what was taken away. */
    uint64_t position;  /* Of the journal at begin: the view's tombs are all up to there. */
    uint64_t retention; /* Generation at begin. */
    struct part *part;  /* What came out; the worker's until end. */
    struct seal_result result;
};

struct engine_snapshot {
    bool running;
    const struct view *view;          /* Held from begin to end. */
    char path[ENGINE_PATH_BYTES_MAX]; /* Of the whole one, and of what is being made. */
    char unfinished[ENGINE_PATH_BYTES_MAX];
};

struct engine {
    struct engine_options options; /* `directory` is our own copy. */
    char *parts_directory;
    int lock_file;
    int64_t partition_s; /* As the store was made. */

    struct kv *catalog_file;  /* NULL after a failure; the next checkpoint opens it again. */
    bool catalog_confirmed;   /* See kv_confirm(). */
    uint32_t catalog_version; /* Its format; the next save replaces an old one. */
    bool catalog_unnamed;     /* It was replaced, and that may not be on the disk. */
    struct catalogue *catalogue;
    struct texts *texts;
    struct last *last;
    struct found *found;
    struct retention *retention;
    struct tombs *loaded_tombs; /* Until the first view. */
    uint64_t saved_tombs;       /* Generation of the set that catalog.mdb has; 0: none. */
    uint32_t damaged_tombs;     /* Of those saved. */
    struct journal *journal;
    struct receipts *receipts;
    struct batch *scratch; /* Definitions of series and texts; receipts when they are kept. */

    /* The store thread's. */
    uint64_t applied;       /* Position of the last record in the head. */
    uint64_t *defined;      /* Per group, bit c: column c is defined in journal or catalogue. */
    uint32_t defined_end;   /* Groups it has room for. */
    uint32_t defined_count; /* Bits set: when all series are, no batch brings a new one. */
    uint32_t texts_defined; /* Texts with ids below it are defined in journal or catalogue. */
    bool is_broken;         /* After E_IO the journal must be opened again. */
    uint64_t first_kept;    /* Of the journal at start: later flushes were never trimmed for. */
    bool missed_rows; /* Durable rows could not be shown: memory was out. No checkpoint then. */

    struct lock view_lock; /* Guards the pointer, for the moment of taking a reference. */
    struct engine_view *view;

    struct engine_checkpoint checkpoint;
    struct engine_seal seal;
    struct engine_snapshot snapshot;
    atomic_uint file_number; /* Last given to a partition's file. */
    bool wants_compact;      /* The journal's file may be larger than it need be. */
    uint64_t trimmed;        /* Of the journal nothing is left below this position, */
    uint64_t trim_to;        /* and nothing is needed below this one. */
    bool has_checkpointed; /* At some moment of this process the journal held no rows of its own. */
    _Atomic int64_t clock_ns; /* Latest arrival of any record: the journal's own clock. */
    struct engine_counters counters;
};

/* engine_files.c: make and lock the directory, open catalog.mdb (format version, period length),
 * open the partitions into a first view with an empty head. Each logs what is wrong with which
 * file. */
MUST_USE enum err engine_lock_directory(struct engine *e);
void engine_unlock_directory(struct engine *e);
MUST_USE enum err engine_open_catalog(struct engine *e);
MUST_USE enum err engine_open_parts(struct engine *e);
/* Worker, or before others start: write names of series and last values; durable when OK. After a
 * failure the file is opened again. */
MUST_USE enum err engine_save_catalog(struct engine *e);
/* Store thread: let catalog.mdb have the deletes now, if nobody else is at work there. */
void engine_save_tombs(struct engine *e);
uint64_t engine_disk_bytes(struct engine *e);
/* Worker, while no checkpoint runs: the catalogue's file as it is, to `path`, durably. */
MUST_USE enum err engine_copy_catalog(struct engine *e, const char *path);

/* view.c: a copy of what the current view shows, references borrowed, with room for `more` parts in
 * each layer; to be changed and published: a view of it takes the place of the current one, with
 * references of its own. Store thread. E_NO_MEMORY. */
struct engine_shown {
    unsigned heads;
    struct engine_head *head[VIEW_HEADS_MAX]; /* Frozen (if any), active. */
    struct view_parts layer[VIEW_LAYERS];
    struct tombs *tombs; /* NULL: none. */
};
MUST_USE enum err engine_shown_take(struct engine *e, size_t more, struct engine_shown *out);
void engine_shown_free(struct engine_shown *s);
MUST_USE enum err engine_view_publish(struct engine *e, const struct engine_shown *shown);
MUST_USE enum err engine_head_create(struct engine_head **out);
void engine_head_drop(struct engine_head *h);
struct engine_head *engine_active_head(const struct engine *e);
struct engine_head *engine_frozen_head(struct engine *e); /* NULL: none. */

/* engine_recover.c: show the entries of one durable record. `is_replay`: parts may have them
 * already. Then all records after `applied`. */
void engine_apply(struct engine *e, const struct journal_record *record, bool is_replay);
MUST_USE enum err engine_replay(struct engine *e);
/* After E_IO: open the journal again and show what turns out to be durable. E_CORRUPT: it has less
 * than what was acknowledged. */
MUST_USE enum err engine_mend(struct engine *e);
MUST_USE enum err engine_mark_defined(struct engine *e, uint32_t group, uint64_t columns);
MUST_USE enum err engine_mark_catalogue(struct engine *e);

/* engine_quarantine.c: a file of parts/ gets another name, logged. An error, `error` or E_LIMIT: it
 * could not be renamed. Then how many such files there are, after all others. */
enum engine_aside {
    ENGINE_UNREADABLE, /* The file, as `error` says. */
    ENGINE_SALVAGED,   /* It is damaged, and what can be read of it is elsewhere. */
    ENGINE_TAKEN       /* It was put back when others had come in its place. */
};
MUST_USE enum err engine_quarantine(struct engine *e, const char *file_name, enum engine_aside why,
                                    enum err error);
MUST_USE enum err engine_count_quarantined(struct engine *e);
/* engine_snapshot.c: at the start, what a killed process left of snapshots: its links keep bytes of
 * files that have gone. */
void engine_snapshot_clean(const struct engine *e);
/* engine_parts.c: a number that is taken. Whether the files a sealed part was made from are gone
 * for certain. */
void engine_note_number(struct engine *e, uint32_t number);
bool engine_is_last_of(const struct engine *e, struct part *sealed);

/* engine_delete.c: a delete out of the journal. Leave out of what is about to be shown the tombs
 * that no source needs any more, and all marks for `gone`: `*out` is the caller's, to be dropped
 * after publishing. E_NO_MEMORY. */
MUST_USE enum err engine_apply_delete(struct engine *e, const struct batch_delete *d,
                                      uint64_t position);
MUST_USE enum err engine_prune_tombs(struct engine_shown *shown, const struct head *gone,
                                     struct tombs **out);
/* The same for the view as it is. */
MUST_USE enum err engine_prune_view(struct engine *e);
/* At replay, in place of a damaged record: if it was a delete that is saved, that one. */
MUST_USE enum err engine_mend_delete(struct engine *e, uint64_t position);
struct erasure engine_erasure(const struct engine *e, const struct view *v);

/* engine_retain.c: partitions that retention has passed, or that are empty, leave the view. */
void engine_forget(struct engine *e);

/* engine_receipts.c */
MUST_USE enum err engine_keep_receipts(struct engine *e); /* Puts state; syncs nothing. */
MUST_USE enum err engine_load_receipts(struct engine *e);

/* A number for a new file in parts/. Workers. */
static inline uint32_t engine_file_number(struct engine *e)
{
    return atomic_fetch_add(&e->file_number, 1) + 1;
}

static inline void engine_count(_Atomic uint64_t *counter, uint64_t by)
{
    atomic_fetch_add_explicit(counter, by, memory_order_relaxed);
}

#endif /* STORAGE_ENGINE_INSIDE_H */
