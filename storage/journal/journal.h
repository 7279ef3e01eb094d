/* The journal: records in order, each with a position that only grows, from 1.
 *
 * The one seam between storage and the world: journal_lmdb keeps it on this disk, a later one in a
 * log shared by several machines. Whoever implements it promises: after sync() returns OK, read()
 * gives back every record appended before, after any crash, byte for byte, once each, in order; and
 * the state put in the same transaction is there exactly when the records are. */

#ifndef STORAGE_JOURNAL_JOURNAL_H
#define STORAGE_JOURNAL_JOURNAL_H

#include <stdint.h>

#include "storage/journal/batch.h"

struct journal;

struct journal_record {
    uint64_t position;
    uint64_t epoch; /* Incarnation of the log; 1 for a local one. */
    uint64_t producer, counter;
    int64_t arrival_ns;
    struct bytes entries; /* Borrowed until the next call on the journal. */
};

struct journal_calls {
    /* Add one record: `record` has BATCH_HEADER_BYTES free at its start, which append fills with
     * magic, version, producer, counter, arrival and checksum. Durable after sync(). E_NO_SPACE,
     * E_IO: nothing since the last sync() stays. */
    enum err (*append)(struct journal *j, uint8_t *record, uint32_t record_bytes,
                       const struct journal_record *header, uint64_t *position);
    /* Put broker state, in the same transaction as the records around it. */
    enum err (*put_state)(struct journal *j, const struct batch_state *state);
    /* Make all since the last sync() durable; blocks. On failure nothing of it stays, or (E_IO) it
     * is unknown: reopen, and read what is there. */
    enum err (*sync)(struct journal *j, uint64_t *durable);
    /* The first record with position >= `from`. E_END, E_CORRUPT (skip it: position is set). */
    enum err (*read)(struct journal *j, uint64_t from, struct journal_record *out);
    /* OK: what read() gives is on the disk, also what an earlier process or a sync() that failed
     * left. Blocks only for the first time after opening. Nothing appended may wait for sync(). */
    enum err (*confirm)(struct journal *j);
    /* Records below `position` will not be read again; part of the next sync(). */
    enum err (*trim)(struct journal *j, uint64_t position);
    /* After a trim: give back the memory and, when little lives in much space, the disk that it
     * freed. What is durable stays so at every moment. Nothing appended may wait for sync(). After
     * an error reopen(). */
    enum err (*compact)(struct journal *j);
    /* All that is durable, records and state, to a new file at `path`. */
    enum err (*copy)(struct journal *j, const char *path);
    /* All state of one space; stops at the first `visit` that fails. What was deleted not long ago
     * is there with an empty value: a put with a lower stamp is still overruled by it. */
    enum err (*each_state)(struct journal *j, uint8_t space,
                           enum err (*visit)(void *context, const struct batch_state *state),
                           void *context);
    /* Close and open again after E_IO, for a fresh view of what is durable. */
    enum err (*reopen)(struct journal *j);
    uint64_t (*live_bytes)(const struct journal *j); /* Bytes of records not trimmed. */
    void (*destroy)(struct journal *j);
};

struct journal {
    const struct journal_calls *calls; /* First member of every implementation's struct. */
};

/* The local one: `directory`/journal.mdb. Errors of kv.h. */
MUST_USE enum err journal_lmdb_open(const char *directory, uint64_t map_bytes,
                                    struct journal **out);

#endif /* STORAGE_JOURNAL_JOURNAL_H */
