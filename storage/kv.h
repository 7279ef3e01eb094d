/* Ordered key-value files: the door to LMDB, and to nothing more of it than the house uses.
 *
 * One environment is one file. Default sync flags always: a commit that returned OK is on the disk
 * (never NOMETASYNC, never WRITEMAP; DESIGN measurements in docs/decisions). One write transaction
 * an environment at a time; read transactions are cheap and must be short. Keys 1..511 bytes.
 *
 * Errors: E_NO_SPACE (disk, quota or map full), E_IO (write or sync failed, or the environment
 * panicked: close, reopen, replay), E_CORRUPT, E_VERSION, E_NO_MEMORY, E_BUSY (no descriptor free),
 * E_DENIED (permissions); E_NOT_FOUND, E_END where named. */

#ifndef STORAGE_KV_H
#define STORAGE_KV_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

struct kv;
struct kv_txn;
struct kv_cursor;

struct kv_options {
    uint64_t map_bytes; /* Upper limit of the file's size; address space, not disk. */
    unsigned tables;    /* Named tables it may hold. */
    bool check_values;  /* Look at the pages of values, too, before writing: of all, or of none. */
    bool read_only;     /* E_NOT_FOUND when the file is absent; takes no lock file. */
    bool has_few_readers; /* KV_READERS_FEW at a time, and a lock file of one page. */
};

/* Read transactions at a time of a file that is not only read: as many as a page of LMDB's lock
 * file has room for, or four. */
enum { KV_READERS_FEW = 62, KV_READERS_MANY = 254 };

/* A named table inside an environment; copyable, valid as long as the environment. */
struct kv_table {
    unsigned id;
    const char *shared; /* Its name, where it shares a tree with others; NULL: it has its own. */
};

MUST_USE enum err kv_open(const char *path, const struct kv_options *options, struct kv **out);
/* Give a closed, synced file another name, in place of what bore it; durable when OK. On failure
 * neither name may be there. */
MUST_USE enum err kv_rename(const char *from, const char *to);
void kv_close(struct kv *kv); /* NULL is fine. No transaction may be open. */

/* Write a file anew, in place of the one of that name, which nobody may have open. A power cut
 * leaves the old file, or all that `fill` put into the new one. After an error, too: the new one,
 * and that its name is on the disk is not certain, or the old one. */
typedef enum err kv_fill(void *context, struct kv *kv);
MUST_USE enum err kv_replace(const char *path, const struct kv_options *options, kv_fill *fill,
                             void *context);

/* Bytes the file takes on disk. */
uint64_t kv_file_bytes(const struct kv *kv);

/* Bytes of the pages that hold something; the rest of the file waits to be used again. */
MUST_USE enum err kv_used_bytes(struct kv *kv, uint64_t *out);

/* Put a file without unused pages in the place of `*kv`, which was opened with this path and these
 * options, and open it. No transaction may be open; tables must be opened anew. Takes as long
 * as writing all it holds. A crash at any moment leaves the old
 * file or the new one. On failure nothing has changed, or `*kv` is NULL: then the name must be made
 * sure by kv_sync_name() before the file is opened and written again. */
MUST_USE enum err kv_compact(struct kv **kv, const char *path, const struct kv_options *options);

/* What `kv` holds at this moment to a new file at `path`, durably but for its name. Any thread;
 * others go on writing. E_BUSY: there is a file. */
MUST_USE enum err kv_copy(struct kv *kv, const char *path);

/* OK: the directory of `path` says on the disk which file that is. */
MUST_USE enum err kv_sync_name(const char *path);

/* Open a table, making it when the environment is writable. E_NOT_FOUND: read-only and absent. */
MUST_USE enum err kv_table_open(struct kv *kv, const char *name, struct kv_table *out);

/* The same inside a write transaction: others may use the table when that has committed. So a new
 * file's tables and first pairs take one transaction; each leaves pages behind that it replaced. */
MUST_USE enum err kv_table_make(struct kv_txn *txn, const char *name, struct kv_table *out);

/* A table that takes no pages of its own: in a file that has none of this name, its pairs stand in
 * one tree with those of others, so that many small tables fit one page. It needs no making, and is
 * empty where there is nothing. kv_cursor_last() is not for it. `name` is borrowed for as long as
 * the table is used. */
MUST_USE enum err kv_table_share(struct kv *kv, const char *name, struct kv_table *out);
MUST_USE enum err kv_table_share_in(struct kv_txn *txn, const char *name, struct kv_table *out);

/* The same, but E_NOT_FOUND where it is absent or empty. */
MUST_USE enum err kv_table_find(struct kv *kv, const char *name, struct kv_table *out);

MUST_USE enum err kv_read_begin(struct kv *kv, struct kv_txn **out);
MUST_USE enum err kv_write_begin(struct kv *kv, struct kv_txn **out);
/* Ends the transaction whatever it returns. OK: durable. */
MUST_USE enum err kv_commit(struct kv_txn *txn);
/* Ends the transaction, nothing of it stays. NULL is fine. */
void kv_abort(struct kv_txn *txn);

/* KV_APPEND: `key` is greater than any in the table. */
enum kv_put_mode { KV_UPSERT, KV_APPEND };
MUST_USE enum err kv_put(struct kv_txn *txn, struct kv_table table, struct bytes key,
                         struct bytes value, enum kv_put_mode mode);

/* `value` is borrowed until the transaction ends or writes. E_NOT_FOUND. */
MUST_USE enum err kv_get(struct kv_txn *txn, struct kv_table table, struct bytes key,
                         struct bytes *value);

/* Fetch a value a cursor gave: many are passed over unread. E_CORRUPT: it is not where the file
 * says or cannot be read; to read it would end the process. */
MUST_USE enum err kv_touch(struct bytes value);

/* Soon `value`, borrowed as by kv_get(), will be read: let the system fetch it meanwhile, in one
 * go. Pages are else read one by one, when they are touched. */
void kv_will_need(struct bytes value);

/* Pages of the file that were read, or only passed over, stay mapped and count as this process's
 * memory: let go of them. Those that are needed again come back from the system's memory. */
void kv_let_go(struct kv *kv);

/* After opening, what is read may be in the system's memory only: a process may have been killed
 * inside a commit, or told that one failed. This puts a pair of at most 64 bytes again as it is;
 * OK: all that was read is on the disk. No transaction may be open. E_NOT_FOUND. */
MUST_USE enum err kv_confirm(struct kv *kv, struct kv_table table, struct bytes key);

/* E_NOT_FOUND. */
MUST_USE enum err kv_delete(struct kv_txn *txn, struct kv_table table, struct bytes key);

MUST_USE enum err kv_cursor_open(struct kv_txn *txn, struct kv_table table, struct kv_cursor **out);
void kv_cursor_close(struct kv_cursor *c); /* Before its transaction ends. NULL is fine. */
/* To the first key >= `key` (empty: the first of all), to the one after, to the last. Key and value
 * are borrowed as by kv_get(). E_END: none. */
MUST_USE enum err kv_cursor_seek(struct kv_cursor *c, struct bytes from, struct bytes *key,
                                 struct bytes *value);
MUST_USE enum err kv_cursor_next(struct kv_cursor *c, struct bytes *key, struct bytes *value);
MUST_USE enum err kv_cursor_last(struct kv_cursor *c, struct bytes *key, struct bytes *value);
/* Delete the pair the cursor stands on; kv_cursor_next() then goes on behind it. */
MUST_USE enum err kv_cursor_delete(struct kv_cursor *c);

/* OK: there is a table, or a pair, of none of the `names` (NULL ends them). E_NOT_FOUND. */
MUST_USE enum err kv_find_stray(struct kv *kv, const char *const *names);

/* Every pair of the table `name` in key order; stops at the first `visit` that fails, and returns
 * its error. Key and value are borrowed for the call. */
MUST_USE enum err kv_each(struct kv *kv, const char *name,
                          enum err (*visit)(void *context, struct bytes key, struct bytes value),
                          void *context);

#endif /* STORAGE_KV_H */
