/* A part as its own files see it: the environment behind it, opened when needed.
 *
 * A store may have a thousand parts, and descriptors are for clients: so a part's file is opened
 * when someone enters, read-only and without locks unless it is to be written, and closed after
 * writing or when many others were used since. LMDB forbids two openings of one file in a process,
 * hence the one who needs another mode waits until everybody has left; readers stay microseconds.
 */

#ifndef STORAGE_PART_PART_ENV_H
#define STORAGE_PART_PART_ENV_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/thread.h"
#include "storage/kv.h"
#include "storage/part/part.h"
#include "storage/part/part_meta.h"

struct part {
    atomic_uint references;
    atomic_bool doomed;
    atomic_bool damaged;   /* A reader met a chunk it could not read. */
    atomic_bool confirmed; /* A commit of this process stands behind what meta says. */
    atomic_uint flushes;   /* Complete ones; a reader looks before it begins its transaction. */
    atomic_ullong applied;
    atomic_bool has_rollups; /* `rollups` may be read. */
    atomic_ullong swept;
    atomic_ullong cleared;                      /* See part_clear(). */
    _Atomic(struct part_positions *) positions; /* See part_position.c; NULL: none. */
    uint64_t id;
    struct part_name name;
    bool read_only;          /* Never changed, not even cleaned. */
    atomic_bool has_bundles; /* There is a table of them. */
    atomic_bool is_empty;    /* See part_is_empty(). */
    uint8_t *sources;        /* Of a sealed part: see part_kept.c; fixed once open. */
    size_t source_count;
    char *path;

    struct lock lock;   /* Guards what follows. */
    struct signal left; /* `users` fell to 0, or a switch is over. */
    struct kv *kv;      /* NULL while closed. */
    struct kv_table chunks, meta, bundles, rollups;
    unsigned users; /* Inside now. */
    bool writable;  /* `kv` is. */
    bool broken;    /* A commit failed: `kv` must be opened again. */
    bool switching; /* Somebody alone closes or opens `kv`, or waits for `users` to be 0. */

    struct part *newer, *older; /* Of the open ones, by use; guarded by the pool's lock. */
    bool pooled;
};

enum part_mode { PART_READ, PART_WRITE };

/* Come in: the environment stays open in the mode asked for (or more) until part_env_leave().
 * E_NOT_FOUND: PART_READ and no file or an empty one. Errors of kv.h, E_VERSION. */
MUST_USE enum err part_env_enter(struct part *p, enum part_mode mode);
void part_env_leave(struct part *p);

/* From inside: a commit failed, the environment is not to be trusted further. */
void part_env_break(struct part *p);

/* LMDB's lock file beside the part's own, which it leaves behind. Nobody may be writing. */
void part_env_remove_lock(const struct part *p);

/* The last reference is gone: close, now. */
void part_env_close(struct part *p);

/* Inside, PART_WRITE, one thread: delete the chunks of flushes that do not count. */
MUST_USE enum err part_env_clean(struct part *p);
/* Inside: whether there are any. */
MUST_USE enum err part_env_is_clean(struct part *p, bool *clean);

/* Read what a sealed file was made from; inside, at the first opening. */
MUST_USE enum err part_env_load_sources(struct part *p, struct kv_txn *txn);

/* Open the table of rollups, if there is one; nobody inside yet. */
MUST_USE enum err part_env_open_rollups(struct part *p);
/* Read which deletes lie between flushes; inside. */
MUST_USE enum err part_env_load_positions(struct part *p, struct kv_txn *txn);
/* Part of a flush: what it will be, with one note more. Shown when the flush is durable, or freed.
 */
MUST_USE enum err part_positions_note(struct part_flush *f, const struct part *p, uint32_t flush,
                                      uint64_t position, struct part_positions **out);
void part_positions_show(struct part *p, struct part_positions *noted);
void part_positions_free(struct part_positions *all); /* NULL is fine. */

/* Part of a flush: a pair of table "meta", of table "bundles" in order, of table "damaged". */
MUST_USE enum err part_flush_say(struct part_flush *f, struct bytes key, struct bytes value);
MUST_USE enum err part_flush_put_bundle(struct part_flush *f, struct bytes key,
                                        struct bytes bundle);
MUST_USE enum err part_flush_keep_raw(struct part_flush *f, struct bytes key, struct bytes value);

#endif /* STORAGE_PART_PART_ENV_H */
