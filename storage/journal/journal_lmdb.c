/* The local journal: one LMDB file. A write transaction opens with the first append after a sync
 * and ends with the next, so everything between commits together (measured: 0.4 ms for 64 KiB).
 * Any failure ends it, and positions count on from what is durable. */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/hash.h"
#include "storage/journal/journal.h"
#include "storage/journal/journal_state.h"
#include "storage/journal/record.h"
#include "storage/kv.h"

/* Version 2 may hold texts, version 3 tags, version 4 deletes; of version 5 small tables may share
 * a tree; version 6 may hold owned state. COPY: while no more than that lives in the file, a file
 * without gaps is written when it has grown beyond twice that and a bit. More only comes when there
 * is much to do, and then the space is used again at once. */
enum {
    FORMAT_OLDEST = 1,
    FORMAT_VERSION = 6,
    META_BYTES = 24,
    TABLES = 4,
    AHEAD_BYTES = 4 << 20,  /* Fetched before they are read. */
    LET_GO_BYTES = 4 << 20, /* Passed over, before their pages are let go. */
    COPY_BYTES_MAX = 4 << 20,
    COPY_BYTES_SPARE = 8 << 10
};

/* Records are read one after the other, most of them at a start with nothing in the system's memory
 * yet: a second cursor runs ahead and has the next ones fetched. */
struct reading {
    struct kv_txn *txn; /* NULL: none, and so are the cursors. */
    struct kv_cursor *at, *ahead;
    uint64_t position; /* `at` stands on. */
    uint64_t bytes;    /* `ahead` has seen, and `at` has not. */
    bool ahead_ended;
};

struct journal_lmdb {
    struct journal journal;
    char *path;
    uint64_t map_bytes;
    struct kv *kv; /* NULL after a reopen that failed. */
    struct kv_table records, meta;
    struct journal_state state;
    struct kv_txn *writing; /* Open since the first append; NULL: none. */
    struct reading reading; /* Lends the bytes of the last read. */
    uint64_t durable;       /* Position of the last durable record; 0: none ever. */
    uint64_t last;          /* The same, with those of `writing`. */
    uint64_t live_bytes;    /* Durable and not trimmed. */
    uint64_t added, gone;   /* By `writing`. */
    bool is_confirmed;      /* There was a commit since opening. */
    bool is_unnamed;        /* Which file has the name is not certain. */
};

static struct journal_lmdb *lmdb_of(struct journal *j)
{
    return (struct journal_lmdb *)j;
}

static void put_position(uint8_t to[8], uint64_t position)
{
    for (unsigned i = 0; i < 8; i++) {
        to[i] = (uint8_t)(position >> (56 - 8 * i));
    }
}

static enum err get_position(struct bytes key, uint64_t *position)
{
    uint64_t value = 0;
    for (size_t i = 0; i < key.size; i++) {
        value = value << 8 | key.at[i];
    }
    *position = value;
    return key.size == 8 && value > 0 ? OK : E_CORRUPT;
}

static void end_reading(struct journal_lmdb *j)
{
    struct reading *r = &j->reading;
    kv_cursor_close(r->ahead);
    kv_cursor_close(r->at);
    kv_abort(r->txn);
    *r = (struct reading){.txn = NULL};
}

/* Nothing since the last sync stays. */
static enum err give_up(struct journal_lmdb *j, enum err e)
{
    kv_abort(j->writing);
    j->writing = NULL;
    j->last = j->durable;
    j->added = 0;
    j->gone = 0;
    return e;
}

static enum err begin_writing(struct journal_lmdb *j)
{
    end_reading(j);
    if (j->writing != NULL) {
        return OK;
    }
    return j->kv == NULL ? E_IO : kv_write_begin(j->kv, &j->writing);
}

static enum err lmdb_append(struct journal *journal, uint8_t *record, uint32_t record_bytes,
                            const struct journal_record *header, uint64_t *position)
{
    struct journal_lmdb *j = lmdb_of(journal);
    CHECK(record_bytes >= BATCH_HEADER_BYTES && record_bytes <= BATCH_RECORD_BYTES_MAX);
    TRY(begin_writing(j));
    struct journal_record sealed = *header;
    uint8_t key[8];
    sealed.position = j->last + 1;
    record_seal(record, record_bytes, &sealed);
    put_position(key, sealed.position);
    enum err e = kv_put(j->writing, j->records, (struct bytes){key, sizeof key},
                        (struct bytes){record, record_bytes}, KV_APPEND);
    if (e != OK) {
        return give_up(j, e);
    }
    j->last = sealed.position;
    j->added += record_bytes;
    *position = sealed.position;
    return OK;
}

static enum err lmdb_put_state(struct journal *journal, const struct batch_state *state)
{
    struct journal_lmdb *j = lmdb_of(journal);
    TRY(begin_writing(j));
    enum err e = journal_state_put(&j->state, j->writing, j->last, state);
    return e == OK ? OK : give_up(j, e);
}

static enum err lmdb_sync(struct journal *journal, uint64_t *durable)
{
    struct journal_lmdb *j = lmdb_of(journal);
    end_reading(j);
    if (j->writing != NULL) {
        struct kv_txn *txn = j->writing;
        j->writing = NULL;
        enum err e = kv_commit(txn);
        if (e != OK) {
            return give_up(j, e);
        }
        j->is_confirmed = true;
        j->durable = j->last;
        j->live_bytes += j->added;
        j->live_bytes -= j->gone;
        j->added = 0;
        j->gone = 0;
    }
    *durable = j->durable;
    return OK;
}

static enum err begin_reading(struct journal_lmdb *j)
{
    struct reading *r = &j->reading;
    TRY(kv_read_begin(j->kv, &r->txn));
    TRY(kv_cursor_open(r->txn, j->records, &r->at));
    return kv_cursor_open(r->txn, j->records, &r->ahead);
}

/* Move `ahead` on until enough is under way. Errors show when `at` comes there. */
static void fetch_ahead(struct reading *r)
{
    struct bytes key, value;
    while (!r->ahead_ended && r->bytes < AHEAD_BYTES) {
        if (kv_cursor_next(r->ahead, &key, &value) != OK) {
            r->ahead_ended = true;
            return;
        }
        kv_will_need(value);
        r->bytes += value.size;
    }
}

static enum err seek_record(struct journal_lmdb *j, uint64_t from, struct bytes *value)
{
    struct reading *r = &j->reading;
    struct bytes key;
    if (r->txn != NULL && r->position + 1 == from) {
        TRY(kv_cursor_next(r->at, &key, value));
        r->bytes -= r->bytes > value->size ? value->size : r->bytes;
    } else {
        uint8_t first[8];
        const struct bytes seek = {first, sizeof first};
        end_reading(j);
        TRY(begin_reading(j));
        put_position(first, from);
        TRY(kv_cursor_seek(r->ahead, seek, &key, value));
        TRY(kv_cursor_seek(r->at, seek, &key, value));
    }
    fetch_ahead(r);
    return get_position(key, &r->position);
}

static enum err lmdb_read(struct journal *journal, uint64_t from, struct journal_record *out)
{
    struct journal_lmdb *j = lmdb_of(journal);
    struct bytes value;
    if (j->kv == NULL) {
        return E_IO;
    }
    enum err e = seek_record(j, from, &value);
    if (e != OK) {
        end_reading(j);
        out->position = from;
        return e;
    }
    e = record_open(j->reading.position, value, out);
    return e == E_VERSION ? E_CORRUPT : e;
}

static enum err put_meta(struct journal_lmdb *j, struct kv_txn *txn, uint64_t trimmed)
{
    uint8_t raw[META_BYTES];
    struct writer w = {raw, 0, sizeof raw};
    TRY(writer_put_le32(&w, FORMAT_VERSION));
    TRY(writer_put_le32(&w, 0));
    TRY(writer_put_le64(&w, trimmed));
    TRY(writer_put_le64(&w, hash_bytes((struct bytes){raw, w.size})));
    return kv_put(txn, j->meta, bytes_of("journal"), (struct bytes){raw, w.size}, KV_UPSERT);
}

/* Version (0: a new file's) and the position below which nothing is kept. */
static enum err get_meta(struct journal_lmdb *j, struct kv_txn *txn, uint32_t *version,
                         uint64_t *trimmed)
{
    struct bytes raw;
    uint32_t spare;
    uint64_t position, checksum;
    enum err e = kv_get(txn, j->meta, bytes_of("journal"), &raw);
    if (e != OK) {
        *version = 0;
        *trimmed = 1;
        return e == E_NOT_FOUND ? OK : e;
    }
    struct bytes in = raw;
    if (raw.size != META_BYTES || bytes_take_le32(&in, version) != OK ||
        bytes_take_le32(&in, &spare) != OK || bytes_take_le64(&in, &position) != OK ||
        bytes_take_le64(&in, &checksum) != OK) {
        return E_CORRUPT;
    }
    if (*version < FORMAT_OLDEST || *version > FORMAT_VERSION) {
        return E_VERSION;
    }
    *trimmed = position;
    return checksum == hash_bytes((struct bytes){raw.at, META_BYTES - 8}) ? OK : E_CORRUPT;
}

static enum err delete_below(struct journal_lmdb *j, uint64_t position)
{
    struct kv_cursor *cursor;
    struct bytes key, value;
    uint64_t at, passed = 0;
    TRY(kv_cursor_open(j->writing, j->records, &cursor));
    enum err e = kv_cursor_seek(cursor, (struct bytes){NULL, 0}, &key, &value);
    while (e == OK && (e = get_position(key, &at)) == OK && at < position) {
        j->gone += value.size;
        passed += value.size;
        if (passed >= LET_GO_BYTES) {
            kv_let_go(j->kv);
            passed = 0;
        }
        e = kv_cursor_delete(cursor);
        e = e != OK ? e : kv_cursor_next(cursor, &key, &value);
    }
    kv_cursor_close(cursor);
    kv_let_go(j->kv);
    return e == E_END ? OK : e;
}

static enum err lmdb_trim(struct journal *journal, uint64_t position)
{
    struct journal_lmdb *j = lmdb_of(journal);
    TRY(begin_writing(j));
    CHECK(position <= j->last + 1);
    enum err e = delete_below(j, position);
    e = e != OK ? e : journal_state_purge(&j->state, j->writing, position);
    e = e != OK ? e : put_meta(j, j->writing, position);
    return e == OK ? OK : give_up(j, e);
}

static enum err lmdb_confirm(struct journal *journal)
{
    struct journal_lmdb *j = lmdb_of(journal);
    CHECK(j->writing == NULL);
    end_reading(j);
    if (j->kv == NULL) {
        return E_IO;
    }
    if (!j->is_confirmed) {
        TRY(kv_confirm(j->kv, j->meta, bytes_of("journal")));
        j->is_confirmed = true;
    }
    return OK;
}

static enum err lmdb_each_state(struct journal *journal, uint8_t space,
                                enum err (*visit)(void *context, const struct batch_state *state),
                                void *context)
{
    struct journal_lmdb *j = lmdb_of(journal);
    struct kv_txn *txn;
    end_reading(j);
    if (j->kv == NULL) {
        return E_IO;
    }
    TRY(kv_read_begin(j->kv, &txn));
    enum err e = journal_state_each(&j->state, txn, space, visit, context);
    kv_abort(txn);
    return e;
}

/* Where the journal ends and what it weighs. Touches no overflow page. */
static enum err measure(struct journal_lmdb *j, struct kv_txn *txn)
{
    struct kv_cursor *cursor;
    struct bytes key, value;
    uint32_t version;
    uint64_t trimmed, last = 0, live = 0;
    TRY(get_meta(j, txn, &version, &trimmed));
    TRY(kv_cursor_open(txn, j->records, &cursor));
    enum err e = kv_cursor_seek(cursor, (struct bytes){NULL, 0}, &key, &value);
    while (e == OK && (e = get_position(key, &last)) == OK) {
        live += value.size;
        e = kv_cursor_next(cursor, &key, &value);
    }
    kv_cursor_close(cursor);
    if (e != E_END) {
        return e;
    }
    j->durable = last + 1 > trimmed ? last : trimmed - 1;
    j->last = j->durable;
    j->live_bytes = live;
    return OK;
}

/* A file says which format it has before anything of that format is in it. */
static enum err settle_version(struct journal_lmdb *j)
{
    struct kv_txn *txn;
    uint32_t version;
    uint64_t trimmed;
    TRY(kv_write_begin(j->kv, &txn));
    enum err e = get_meta(j, txn, &version, &trimmed);
    if (e == OK && version != FORMAT_VERSION) {
        e = put_meta(j, txn, trimmed);
        if (e == OK) {
            return kv_commit(txn);
        }
    }
    kv_abort(txn);
    return e;
}

static enum err open_tables(struct journal_lmdb *j)
{
    struct kv_txn *txn;
    j->is_confirmed = false;
    TRY(kv_table_open(j->kv, "records", &j->records));
    TRY(kv_table_share(j->kv, "meta", &j->meta));
    TRY(journal_state_open(&j->state, j->kv));
    TRY(settle_version(j));
    TRY(kv_read_begin(j->kv, &txn));
    enum err e = measure(j, txn);
    kv_abort(txn);
    return e;
}

static enum err open_file(struct journal_lmdb *j)
{
    const struct kv_options options = {
        .map_bytes = j->map_bytes, .tables = TABLES, .check_values = true, .has_few_readers = true};
    if (j->is_unnamed) {
        TRY(kv_sync_name(j->path));
        j->is_unnamed = false;
    }
    TRY(kv_open(j->path, &options, &j->kv));
    return open_tables(j);
}

static void close_file(struct journal_lmdb *j)
{
    end_reading(j);
    (void)give_up(j, OK);
    kv_close(j->kv);
    j->kv = NULL;
}

static enum err lmdb_reopen(struct journal *journal)
{
    struct journal_lmdb *j = lmdb_of(journal);
    close_file(j);
    enum err e = open_file(j);
    if (e != OK) {
        close_file(j);
    }
    return e;
}

static enum err make_small(struct journal_lmdb *j)
{
    const struct kv_options options = {
        .map_bytes = j->map_bytes, .tables = TABLES, .has_few_readers = true};
    enum err e = kv_compact(&j->kv, j->path, &options);
    j->is_unnamed = j->kv == NULL;
    /* Its tables have other numbers, also when nothing else has changed. */
    enum err opened = j->kv == NULL ? e : open_tables(j);
    j->is_confirmed = e == OK && opened == OK; /* All of it was synced just now. */
    return e != OK ? e : opened;
}

/* Trimming mapped every page that went. Only opening the file anew lets go of them. */
static enum err lmdb_compact(struct journal *journal)
{
    struct journal_lmdb *j = lmdb_of(journal);
    uint64_t used;
    CHECK(j->writing == NULL);
    end_reading(j);
    if (j->kv == NULL) {
        return E_IO;
    }
    TRY(kv_used_bytes(j->kv, &used));
    const uint64_t file = kv_file_bytes(j->kv);
    if (used <= COPY_BYTES_MAX && file > 2 * used + COPY_BYTES_SPARE) {
        return make_small(j);
    }
    return file > COPY_BYTES_MAX ? lmdb_reopen(journal) : OK;
}

static enum err lmdb_copy(struct journal *journal, const char *path)
{
    struct journal_lmdb *j = lmdb_of(journal);
    CHECK(j->writing == NULL);
    return j->kv == NULL ? E_IO : kv_copy(j->kv, path);
}

static uint64_t lmdb_live_bytes(const struct journal *journal)
{
    return ((const struct journal_lmdb *)journal)->live_bytes;
}

static void lmdb_destroy(struct journal *journal)
{
    struct journal_lmdb *j = lmdb_of(journal);
    close_file(j);
    journal_state_fini(&j->state);
    free(j->path);
    free(j);
}

static const struct journal_calls calls = {
    .append = lmdb_append,
    .put_state = lmdb_put_state,
    .sync = lmdb_sync,
    .read = lmdb_read,
    .confirm = lmdb_confirm,
    .trim = lmdb_trim,
    .compact = lmdb_compact,
    .copy = lmdb_copy,
    .each_state = lmdb_each_state,
    .reopen = lmdb_reopen,
    .live_bytes = lmdb_live_bytes,
    .destroy = lmdb_destroy,
};

enum err journal_lmdb_open(const char *directory, uint64_t map_bytes, struct journal **out)
{
    struct journal_lmdb *j = calloc(1, sizeof *j);
    if (j == NULL || asprintf(&j->path, "%s/journal.mdb", directory) < 0) {
        free(j);
        return E_NO_MEMORY;
    }
    j->journal.calls = &calls;
    j->map_bytes = map_bytes;
    enum err e = open_file(j);
    if (e != OK) {
        lmdb_destroy(&j->journal);
        return e;
    }
    *out = &j->journal;
    return OK;
}
