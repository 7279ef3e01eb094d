/* A partition: all chunks whose points fall into one period, in one file of its own.
 *
 * An active file is written by checkpoints: table "chunks", key (flush BE u32, group BE u32,
 * t_first ^ 2^63 BE u64) in append order; table "meta" names format version, period, the last
 * complete flush and the journal position it covers. A flush counts only when meta names it, so a
 * crash in the middle leaves nothing. Chunks of a later flush win over earlier ones at equal times.
 *
 * A sealed file has one flush and is never changed: sealing writes a new one that takes the place
 * of those it was made from (seal.h). A file that nobody wants any more is unlinked. */

#ifndef STORAGE_PART_PART_H
#define STORAGE_PART_PART_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "storage/part/part_name.h"

struct part;

/* Open the file `name` directly in `directory`, or make it if it is an active one. The new part has
 * one reference. Rubbish of an unfinished flush is removed. A part holds its file open only while
 * it is in use or among the PART_OPEN_MAX used last. E_VERSION, E_CORRUPT, errors of kv.h;
 * E_NOT_FOUND: sealed and absent. */
enum { PART_OPEN_MAX = 256 };
MUST_USE enum err part_open(const char *directory, struct part_name name, struct part **out);

/* The same for reading only: the file is never changed. E_NOT_FOUND: there is none. */
MUST_USE enum err part_open_read_only(const char *directory, struct part_name name,
                                      struct part **out);

/* References, any thread; the last one closes the file, and unlinks it if part_doom() was called
 * (part_grave.h). */
void part_hold(struct part *p);
void part_drop(struct part *p);
void part_doom(struct part *p);

struct part_name part_name(const struct part *p);
struct part_period part_period(const struct part *p); /* Of its name. */
uint64_t part_id(const struct part *p);               /* Of this opening; never given twice. */
uint64_t part_applied(const struct part *p);          /* Journal position its flushes cover. */
uint32_t part_flush_count(const struct part *p);      /* Complete flushes; they count from 1. */
/* Journal position up to which the values of a complete flush may have been written: deletes beyond
 * it are not carried out there. 1 is the oldest flush. */
uint64_t part_position(const struct part *p, uint32_t flush);
uint64_t part_file_bytes(const struct part *p);
int64_t part_changed_ns(const struct part *p); /* Wall clock of the last write to the file. */

/* The file as it is to `path`, durably but for its name: a link if it is sealed and the system can.
 * Nobody may be writing it. E_BUSY: there is a file. Errors of kv.h. */
MUST_USE enum err part_copy(struct part *p, const char *path);

/* Sealed, and there is nothing in it: neither points nor what was kept aside. */
bool part_is_empty(const struct part *p);

/* Whether all that is in the file can be found: its tree is sound. E_CORRUPT: it is not, though
 * much of it may be readable. Errors of kv.h. */
MUST_USE enum err part_check(struct part *p);

/* Remember that a chunk of it is damaged. True for the first who says so: he writes the log. */
bool part_mark_damaged(struct part *p);

/* Writing one flush: begin, chunks by ascending (group, time), end. One thread at a time. `end`
 * makes it durable and complete in one step; after a failure call part_flush_abort(): nothing
 * counts. */
struct part_flush;
MUST_USE enum err part_flush_begin(struct part *p, struct part_flush **out);
MUST_USE enum err part_flush_key(struct part_flush *f, uint32_t group, int64_t first_ns,
                                 uint8_t key[16]);
MUST_USE enum err part_flush_put(struct part_flush *f, struct bytes key, struct bytes chunk);
MUST_USE enum err part_flush_end(struct part_flush *f, uint64_t applied);
void part_flush_abort(struct part_flush *f);

/* Part of a flush: remember of the flushes before this one that they were written up to `position`,
 * and not up to where this one is. Needed where a delete lies between. */
MUST_USE enum err part_flush_note(struct part_flush *f, uint64_t position);

/* No delete up to `position` concerns anything in this part: it was looked at, or written so. Kept
 * until it is closed; then it is to be found out again. */
void part_clear(struct part *p, uint64_t position);

/* Which generation of retention it was last looked at for, or written by; 0: none yet. */
void part_set_swept(struct part *p, uint64_t generation);
uint64_t part_swept(const struct part *p);

/* Writing a sealed file: begin makes a part nobody else knows, in a file under another name; then
 * one flush as above; part_seal_end() after part_flush_end() gives the file its name, durably.
 * Until then part_drop() leaves nothing behind, and after a crash part_is_rubbish() knows it. */
MUST_USE enum err part_seal_begin(const char *directory, struct part_name name, struct part **out);
MUST_USE enum err part_seal_end(struct part *p);

/* The files a sealed one was made from, and of those that these were made from the ones that are
 * still there: what a crash left of them may go. Said before part_flush_end(), asked after opening.
 */
MUST_USE enum err part_flush_sources(struct part_flush *f, struct part *const *parts, size_t count);
bool part_is_source(const struct part *sealed, struct part_name name);

/* A chunk of `from` that cannot be read: keep its bytes aside for a person to look at. Readers do
 * not see them. */
MUST_USE enum err part_flush_keep(struct part_flush *f, const struct part *from, struct bytes key,
                                  struct bytes value);
/* All that `from` has kept aside itself. */
MUST_USE enum err part_flush_keep_again(struct part_flush *f, struct part *from);

/* Whether the file is one that part_seal_begin() left unfinished: it may go. */
bool part_is_rubbish(const char *file_name);

/* OK: the flushes counted are on the disk, also those of an earlier process (see kv_confirm()).
 * Writes at most once. Not while a flush is being written. Errors of kv.h. */
MUST_USE enum err part_confirm(struct part *p);

/* Reading the chunks of one group, flush by flush, ascending in time within each; at most the
 * flushes complete at open. Keys and values are borrowed until close: keep it short, never across a
 * wait for a socket, and one at a time in a thread. */
struct part_cursor;
MUST_USE enum err part_cursor_open(struct part *p, uint32_t group, struct part_cursor **out);
/* E_END after the last. */
MUST_USE enum err part_cursor_next(struct part_cursor *c, uint32_t *flush, struct bytes *key,
                                   struct bytes *value);
/* Leave out what is left of the flush the last chunk was in. */
void part_cursor_skip_flush(struct part_cursor *c);
/* The chunk under a key seen before; does not move the cursor. E_NOT_FOUND. */
MUST_USE enum err part_cursor_get(struct part_cursor *c, struct bytes key, struct bytes *value);
void part_cursor_close(struct part_cursor *c);

/* Every chunk of the file in key order, for offline checks. As above. */
MUST_USE enum err part_walk_open(struct part *p, struct part_cursor **out);
MUST_USE enum err part_walk_next(struct part_cursor *c, uint32_t *flush, uint32_t *group,
                                 struct bytes *key, struct bytes *value);

#endif /* STORAGE_PART_PART_H */
