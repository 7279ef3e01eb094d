/* A batch: what one loop hands to the store at the end of a turn, already in the journal's bytes.
 *
 * The loop fills it, the store thread appends it to the journal unchanged and applies it to the
 * head. Rows go into a record of at most BATCH_RECORD_BYTES_MAX (one journal value, 16 LMDB pages);
 * broker state (retained messages, sessions) rides along and commits in the same transaction.
 * Row layout: docs/FORMAT.md, "Journal record". */

#ifndef STORAGE_JOURNAL_BATCH_H
#define STORAGE_JOURNAL_BATCH_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/number.h"

enum {
    BATCH_RECORD_BYTES_MAX = 65520,
    BATCH_COLUMNS_MAX = 64,
    BATCH_HEADER_BYTES = 40,
    BATCH_FILTER_BYTES_MAX = 1024
};

struct batch {
    uint8_t *record;       /* BATCH_RECORD_BYTES_MAX bytes; entries start at BATCH_HEADER_BYTES. */
    uint32_t record_bytes; /* Used, header included; BATCH_HEADER_BYTES when empty. */
    uint32_t rows;
    uint32_t points;
    int64_t last_ns;     /* Time of the row before, for the delta. */
    struct writer state; /* State puts, encoded; grows by malloc, rare. */
    uint64_t producer;   /* Who filled it: index of the loop. */
    uint64_t counter;    /* Dense, per producer, from 1; acks wait for it. */
    int64_t arrival_ns;  /* Wall clock of the turn. */
    enum err result;     /* Set by the store: OK once durable and visible. */
    void *owner;         /* For the broker: where to send it back. */
};

MUST_USE enum err batch_create(struct batch **out);
void batch_destroy(struct batch *b);

/* Empty it for the next turn; keeps its memory. */
void batch_reset(struct batch *b);

/* One value of a row. Columns ascend within a row. */
struct batch_value {
    uint8_t column; /* 0..63 */
    struct number number;
};

/* Add a row: the 1..64 values of one message that share `time_ns`. E_LIMIT: full, post this batch
 * and use the next one. E_MALFORMED: a time the store does not take (base/timestamp.h). */
MUST_USE enum err batch_put_row(struct batch *b, uint32_t group, int64_t time_ns,
                                const struct batch_value *values, unsigned count);

/* Remember that packet `packet_id` of client `client_hash` with content `content_hash` was given
 * `time_ns` on its first arrival, so that a redelivery gets the same (promise P3). E_LIMIT as
 * above. */
struct receipt {
    uint64_t client_hash;
    uint64_t content_hash;
    int64_t time_ns;
    uint16_t packet_id;
};
MUST_USE enum err batch_put_receipt(struct batch *b, const struct receipt *receipt);

/* Say that `topic` + `name` is kept at (group, column); the engine's own, before the first row that
 * uses it. E_LIMIT as above. */
MUST_USE enum err batch_put_series(struct batch *b, uint32_t group, uint8_t column,
                                   struct bytes topic, struct bytes name);

/* Say that `text`, at most TEXT_BYTES_MAX bytes, has this id (base/text.h); the engine's own,
 * before the first row that uses it. E_LIMIT as above. */
MUST_USE enum err batch_put_text(struct batch *b, uint32_t id, struct bytes text);

/* Give the series at (group, column) a tag, or with an empty value take it away; one that
 * catalogue_tag_fault() has no complaint about. E_LIMIT as above. */
MUST_USE enum err batch_put_tag(struct batch *b, uint32_t group, uint8_t column, struct bytes key,
                                struct bytes value);

/* Say that what the series `filter` selects had at from_ns <= t < to_ns is gone; the engine's own
 * (engine_delete.c). The filter is valid, at most BATCH_FILTER_BYTES_MAX. E_LIMIT as above. */
struct batch_delete {
    struct bytes filter;
    int64_t from_ns, to_ns;
};
MUST_USE enum err batch_put_delete(struct batch *b, const struct batch_delete *d);

/* Spaces of broker state from the first to the last of these are *owned*: only one loop at a time
 * puts to a key, so the last put stays, stamps mean nothing, and what is deleted leaves no grave.
 * Their keys are short, and stand in the file in their order. */
enum { BATCH_OWNED_FIRST = 2, BATCH_OWNED_LAST = 63, BATCH_OWNED_KEY_BYTES_MAX = 63 };
static inline bool batch_space_is_owned(uint8_t space)
{
    return space >= BATCH_OWNED_FIRST && space <= BATCH_OWNED_LAST;
}

/* Put (or, with an empty value, delete) a piece of broker state: `space` says whose, `key`
 * is 1..65535 bytes (owned: 63). Of two puts to one key the higher `stamp` stays. E_NO_MEMORY. */
MUST_USE enum err batch_put_state(struct batch *b, uint8_t space, uint64_t stamp, struct bytes key,
                                  struct bytes value);

/* Reading entries back, from a batch or from the journal. */
enum batch_kind {
    BATCH_ROW = 1,
    BATCH_RECEIPT = 2,
    BATCH_SERIES = 3,
    BATCH_TEXT = 4,
    BATCH_TAG = 5,
    BATCH_DELETE = 6
};

struct batch_entry {
    enum batch_kind kind;
    struct { /* BATCH_ROW */
        uint32_t group;
        int64_t time_ns;
        uint64_t columns; /* Bit c: column c has a value. */
        unsigned count;
        double values[BATCH_COLUMNS_MAX]; /* `count` of them, by ascending column. */
    } row;
    struct receipt receipt; /* BATCH_RECEIPT */
    struct {                /* BATCH_SERIES: the journal's own; see catalogue.h. */
        uint32_t group;
        uint8_t column;
        struct bytes topic; /* Borrowed from the record. */
        struct bytes name;
    } series;
    struct { /* BATCH_TEXT: the journal's own; see texts.h. */
        uint32_t id;
        struct bytes at; /* Borrowed from the record. */
    } text;
    struct { /* BATCH_TAG */
        uint32_t group;
        uint8_t column;
        struct bytes key, value; /* Borrowed from the record. */
    } tag;
    struct batch_delete erased; /* BATCH_DELETE; the filter is borrowed. */
};

struct batch_reader {
    struct bytes in;
    int64_t last_ns;
};

/* `entries`: a record without its header. */
void batch_reader_init(struct batch_reader *r, struct bytes entries);
/* E_END after the last. E_CORRUPT: not entries. Safe on any bytes. */
MUST_USE enum err batch_reader_next(struct batch_reader *r, struct batch_entry *out);

/* State puts of a batch, in order. */
struct batch_state {
    uint8_t space;
    uint64_t stamp;
    struct bytes key, value;
};
MUST_USE enum err batch_state_next(struct bytes *in,
                                   struct batch_state *out); /* E_END, E_CORRUPT */

#endif /* STORAGE_JOURNAL_BATCH_H */
