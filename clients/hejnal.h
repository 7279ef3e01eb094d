/* libhejnal: write to, query and follow a Hejnał server from C and C++.
 *
 *     struct hejnal *h;
 *     struct hejnal_answer *a;
 *     struct hejnal_block b;
 *     if (hejnal_connect("127.0.0.1", 4380, 5000, &h) == HEJNAL_OK &&
 *         hejnal_query(h, &(struct hejnal_query){.filter = "krakow/air/+/pm25",
 *                                                .from_ns = from, .to_ns = to}, &a) == HEJNAL_OK) {
 *         while ((r = hejnal_next_block(a, &b)) == HEJNAL_OK) { ... }
 *         hejnal_answer_close(a);
 *     }
 *     hejnal_close(h);
 *
 * Calls block, each at most the connection's timeout without hearing from the server. Several
 * answers may be open on one connection and read in any order. A connection is used by one thread
 * at a time; different connections are independent. After HEJNAL_LOST a connection is dead:
 * connecting again, and writing again what was not acknowledged, is the caller's (writing the same
 * points twice is harmless).
 *
 * Times are int64 nanoseconds since 1970-01-01 UTC. Series are paths like MQTT topics, and MQTT
 * topic filters select them. Texts and arrays given out are borrowed: each function says until
 * when. */

#ifndef CLIENTS_HEJNAL_H
#define CLIENTS_HEJNAL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HEJNAL_API __attribute__((visibility("default")))

enum {
    HEJNAL_COLUMNS_MAX = 64,      /* Columns of one batch section. */
    HEJNAL_TEXT_BYTES_MAX = 1024, /* Of a text that is a value. */
    HEJNAL_AGGREGATES_MAX = 12,   /* Kinds of aggregates, */
    HEJNAL_PERCENTILES_MAX = 8,   /* percentiles of one query, */
    HEJNAL_VALUES_MAX = 20,       /* and so columns of a block. */
    HEJNAL_KEYS_MAX = 4,          /* Keys a query groups by. */
    HEJNAL_PORT = 4380            /* Where servers listen unless told otherwise. */
};

enum hejnal_result {
    HEJNAL_OK,
    HEJNAL_END,         /* No more: the answer is complete, its count and checksum are right. */
    HEJNAL_TIMEOUT,     /* Nothing came in time; the connection and the answer go on. */
    HEJNAL_LOST,        /* No connection, or it broke; hejnal_error() tells why. */
    HEJNAL_TRUNCATED,   /* An answer that ended is not what the server sent: do not trust it. */
    HEJNAL_BROKEN,      /* The peer does not speak this protocol. */
    HEJNAL_NO_MEMORY,   /* Of this process. */
    HEJNAL_MISUSE,      /* Arguments that make no sense; hejnal_error() names them. */
    HEJNAL_INVALID,     /* The server refuses a field; see hejnal_error_position(). */
    HEJNAL_LIMIT,       /* Over a limit of the server; the text says which. */
    HEJNAL_NOT_FOUND,   /* The server has no such thing. */
    HEJNAL_NO_SPACE,    /* The server's disk is full: the points are not acknowledged. */
    HEJNAL_UNAVAILABLE, /* The server cannot do it now; later it may. */
    HEJNAL_CANCELLED,   /* By hejnal_answer_close() or the server. */
    HEJNAL_VERSION      /* The server speaks another version of the protocol. */
};

/* "timeout", "no space", ...; never NULL. */
HEJNAL_API const char *hejnal_result_text(enum hejnal_result result);

/* The library's version, "0.1.0". */
HEJNAL_API const char *hejnal_version(void);

/* -- Connection ------------------------------------------------------------------------------- */

struct hejnal;

/* Connect and greet. `timeout_ms` holds for this and every later call; -1: for ever. Except after
 * HEJNAL_NO_MEMORY, `*out` must be closed also where this fails: it has the error's text. */
HEJNAL_API enum hejnal_result hejnal_connect(const char *host, unsigned port, int timeout_ms,
                                             struct hejnal **out);

/* Close the connection and every answer still open on it. NULL is fine. */
HEJNAL_API void hejnal_close(struct hejnal *h);

HEJNAL_API void hejnal_set_timeout(struct hejnal *h, int timeout_ms);

/* Name and version the server gave, e.g. "hejnald 0.1.0". Until hejnal_close(). */
HEJNAL_API const char *hejnal_server(const struct hejnal *h);

/* The socket, to wait for it in a poll() of one's own; only hejnal_*() may read it. */
HEJNAL_API int hejnal_fd(const struct hejnal *h);

/* About the last call on this connection that failed: one sentence ("" before any), the field of
 * the request it is about ("" if none), and the byte in that field, from 1 (0: as a whole). Until
 * the next call. */
HEJNAL_API const char *hejnal_error(const struct hejnal *h);
HEJNAL_API const char *hejnal_error_field(const struct hejnal *h);
HEJNAL_API unsigned hejnal_error_position(const struct hejnal *h);

/* -- Writing ---------------------------------------------------------------------------------- */

/* Points to be sent together. Sections of rows: the rows of a section share path and columns. Used
 * by one thread at a time. A batch filled and cleared again and again is quicker than many new
 * ones: it remembers what it sent a connection, and series then travel as numbers. */
struct hejnal_batch;

HEJNAL_API enum hejnal_result hejnal_batch_create(struct hejnal_batch **out);
HEJNAL_API void hejnal_batch_destroy(struct hejnal_batch *b); /* NULL is fine. */
HEJNAL_API void hejnal_batch_clear(struct hejnal_batch *b);   /* Empty; keeps its memory. */

/* Start a section: the series `path` + "/" + each column, or `path` itself when `count` is 0. The
 * texts are copied. HEJNAL_MISUSE: more than HEJNAL_COLUMNS_MAX. HEJNAL_NO_MEMORY. */
HEJNAL_API enum hejnal_result hejnal_batch_section(struct hejnal_batch *b, const char *path,
                                                   const char *const *columns, unsigned count);

/* A mark of the section at hand (0: none), and the way back to it: quicker than by its names where
 * rows of many series come in turn. A mark holds as long as the batch, but a batch of more than
 * 131,072 sections forgets all when it is cleared. HEJNAL_MISUSE: no section has this mark. */
HEJNAL_API uint64_t hejnal_batch_mark(const struct hejnal_batch *b);
HEJNAL_API enum hejnal_result hejnal_batch_select(struct hejnal_batch *b, uint64_t mark);

/* Add a row to the section: a value for each column (one when it has none). Bit i of `present`: the
 * row has column i; UINT64_MAX: all. HEJNAL_MISUSE: no section, or a NaN whose bits are
 * 0xfffc0000xxxxxxxx, which the server keeps for texts. HEJNAL_NO_MEMORY: not added. */
HEJNAL_API enum hejnal_result hejnal_batch_row(struct hejnal_batch *b, int64_t time_ns,
                                               const double *values, uint64_t present);

/* A value: a number, or where `text` is not NULL a text: UTF-8 of at most HEJNAL_TEXT_BYTES_MAX
 * bytes, with a 0 behind it. */
struct hejnal_value {
    double number;
    const char *text;
};

/* The same, with texts among the values; they are copied. A series may have both. HEJNAL_MISUSE: no
 * section, or a text that is none. HEJNAL_NO_MEMORY: not added. */
HEJNAL_API enum hejnal_result hejnal_batch_values(struct hejnal_batch *b, int64_t time_ns,
                                                  const struct hejnal_value *values,
                                                  uint64_t present);

/* Values, and about the bytes, it holds. A batch of any size may be written; 10,000 to 100,000
 * points at a time are quick. */
HEJNAL_API uint64_t hejnal_batch_points(const struct hejnal_batch *b);
HEJNAL_API size_t hejnal_batch_bytes(const struct hejnal_batch *b);

/* Send the batch and wait until all of it is on the server's disk and visible. The batch stays as
 * it is. */
HEJNAL_API enum hejnal_result hejnal_write(struct hejnal *h, const struct hejnal_batch *b);

/* The quicker way: send without waiting, several batches under way. hejnal_write_wait() waits until
 * at most `left` requests are not acknowledged (0: all are). Both return the first error any write
 * met since the last hejnal_write_wait(h, 0); that call forgets it. */
HEJNAL_API enum hejnal_result hejnal_write_post(struct hejnal *h, const struct hejnal_batch *b);
HEJNAL_API enum hejnal_result hejnal_write_wait(struct hejnal *h, unsigned left);

/* Over the connection's life: points acknowledged, and points the server refused for being older
 * than its retention. */
HEJNAL_API uint64_t hejnal_write_acked(const struct hejnal *h);
HEJNAL_API uint64_t hejnal_write_refused(const struct hejnal *h);

/* -- Reading ---------------------------------------------------------------------------------- */

/* An answer being received. Every answer is closed by the caller; closing one early cancels it. */
struct hejnal_answer;
HEJNAL_API void hejnal_answer_close(struct hejnal_answer *a); /* NULL is fine. */

/* Bits of hejnal_query.aggregates, and the order of a block's columns. */
enum hejnal_aggregate {
    HEJNAL_COUNT = 1 << 0,
    HEJNAL_SUM = 1 << 1,
    HEJNAL_MEAN = 1 << 2,
    HEJNAL_MIN = 1 << 3,
    HEJNAL_MAX = 1 << 4,
    HEJNAL_FIRST = 1 << 5,
    HEJNAL_LAST = 1 << 6,
    HEJNAL_STDDEV = 1 << 7,
    HEJNAL_TWA = 1 << 8,      /* Time-weighted mean. */
    HEJNAL_INCREASE = 1 << 9, /* Of a counter, */
    HEJNAL_RATE = 1 << 10,    /* and a second. */
    HEJNAL_COVERAGE = 1 << 11 /* Share of the points expected, 0..1. */
};

/* How time is cut into buckets, and what becomes of empty ones. */
enum hejnal_unit { HEJNAL_FIXED, HEJNAL_DAY, HEJNAL_WEEK, HEJNAL_MONTH, HEJNAL_YEAR };
enum hejnal_fill { HEJNAL_FILL_NONE, HEJNAL_FILL_NULL, HEJNAL_FILL_PREVIOUS, HEJNAL_FILL_LINEAR };

/* What series are gathered by: a tag, or (NULL) a level of their path, from 1, from its end -1. */
struct hejnal_key {
    const char *tag;
    int level;
};

struct hejnal_query {
    const char *filter;     /* An MQTT topic filter, e.g. "krakow/air/+/pm25". */
    int64_t from_ns, to_ns; /* from <= t < to. */
    int64_t bucket_ns;      /* 0: raw points, or buckets of `unit`. */
    unsigned aggregates;    /* Of enum hejnal_aggregate; 0 for raw points. */
    uint64_t rows_max;      /* 0: all. */
    /* All below may be 0 or NULL. docs/PROTOCOL.md says what each means. */
    enum hejnal_unit unit;
    unsigned unit_count;       /* So many units are a bucket; 0: 1. */
    const char *time_zone;     /* Of units: "Europe/Warsaw"; NULL: UTC. */
    const double *percentiles; /* 0..100; their columns stand behind those of `aggregates`. */
    unsigned percentile_count;
    enum hejnal_fill fill;
    int64_t fill_max_ns; /* No gap longer than this is filled; 0: any. */
    int64_t gap_max_ns;  /* Of TWA, INCREASE and RATE. */
    const struct hejnal_key *keys;
    unsigned key_count;
    const char *where;      /* A condition on tags: unit=="m" && district!="Old". */
    int64_t as_known_at_ns; /* Only what was known then, with the values of then; 0: now. */
};

/* Rows of one series or group, whose `path` is a name: "site=s12,$3=pm25". Borrowed until the next
 * call on the answer. */
struct hejnal_block {
    const char *path;
    size_t rows;
    const int64_t *times; /* Of points, ascending (not in a tail); or starts of buckets. */
    unsigned columns;     /* 1 for raw points, else one for each aggregate, in order of the bits,
                           * and then for each percentile. */
    const double *column[HEJNAL_VALUES_MAX]; /* `rows` values each; NaN: a text, or none. */
    const char *const *text; /* Points: NULL, all are numbers; else `rows`, NULL for a number. */
    const char *const *keys; /* Of a group: its value for each key asked for; else NULL. */
    uint64_t series, series_done; /* Queries: how many were selected, how many are done. */
    uint64_t dropped;             /* Tails: points left out before this, we read too slowly. */
};

/* Ask. An error of the request (a bad filter, say) is returned by the first hejnal_next_block(). */
HEJNAL_API enum hejnal_result hejnal_query(struct hejnal *h, const struct hejnal_query *query,
                                           struct hejnal_answer **out);

/* Points as they become durable, of all series the filter selects, also of those yet to come. From
 * its return on none is missed. Ends only by hejnal_answer_close(). */
HEJNAL_API enum hejnal_result hejnal_tail(struct hejnal *h, const char *filter,
                                          struct hejnal_answer **out);

/* The next block of a query or tail. HEJNAL_END: that was all of a query, and whole. HEJNAL_TIMEOUT
 * is nothing special in a tail. */
HEJNAL_API enum hejnal_result hejnal_next_block(struct hejnal_answer *a, struct hejnal_block *out);

/* The newest point (by event time) of every series selected. */
struct hejnal_last {
    const char *path; /* Borrowed until the next call on the answer. */
    int64_t time_ns;
    double value;     /* NaN where there is a text. */
    const char *text; /* NULL: it is a number. As long as `path`. */
};
HEJNAL_API enum hejnal_result hejnal_last(struct hejnal *h, const char *filter,
                                          struct hejnal_answer **out);
/* The same, of those series only whose newest point is before `before_ns`: that fell silent. */
HEJNAL_API enum hejnal_result hejnal_silent(struct hejnal *h, const char *filter, int64_t before_ns,
                                            struct hejnal_answer **out);
HEJNAL_API enum hejnal_result hejnal_next_last(struct hejnal_answer *a, struct hejnal_last *out);

/* The paths of all series selected, in order. Each is borrowed until the next call. */
HEJNAL_API enum hejnal_result hejnal_series(struct hejnal *h, const char *filter,
                                            struct hejnal_answer **out);
HEJNAL_API enum hejnal_result hejnal_next_series(struct hejnal_answer *a, const char **path);

/* The same with what is known of each: its tags by ascending keys. */
struct hejnal_tag {
    const char *key, *value;
};
struct hejnal_tagged {
    const char *path;
    size_t tag_count;
    const struct hejnal_tag *tags;
};
HEJNAL_API enum hejnal_result hejnal_series_tags(struct hejnal *h, const char *filter,
                                                 struct hejnal_answer **out);
HEJNAL_API enum hejnal_result hejnal_next_tagged(struct hejnal_answer *a,
                                                 struct hejnal_tagged *out);

/* Give all series selected these tags, 1 to 32; one with an empty value is taken away. Returns when
 * that is on disk; `*changed`, if not NULL, is the number of series that had them otherwise. */
HEJNAL_API enum hejnal_result hejnal_tag(struct hejnal *h, const char *filter,
                                         const struct hejnal_tag *tags, size_t count,
                                         uint64_t *changed);

/* Counters and sizes of the server. Texts until hejnal_answer_close(). */
struct hejnal_stat {
    const char *name; /* Dotted: "store.points". */
    double value;
    const char *unit; /* "", "bytes", "s". */
};
HEJNAL_API enum hejnal_result hejnal_stats(struct hejnal *h, struct hejnal_answer **out);
HEJNAL_API enum hejnal_result hejnal_next_stat(struct hejnal_answer *a, struct hejnal_stat *out);

/* The last messages that were forwarded but not stored, newest first. As hejnal_stats(). */
struct hejnal_reject {
    int64_t time_ns;
    const char *topic, *reason;
    const uint8_t *payload; /* Its first bytes. */
    size_t payload_bytes;   /* So many of them are here. */
    uint64_t payload_full_bytes;
};
HEJNAL_API enum hejnal_result hejnal_rejects(struct hejnal *h, struct hejnal_answer **out);
HEJNAL_API enum hejnal_result hejnal_next_reject(struct hejnal_answer *a,
                                                 struct hejnal_reject *out);

/* -- Administration --------------------------------------------------------------------------- */

/* Move what is only in the journal into partitions; returns when it is done. */
HEJNAL_API enum hejnal_result hejnal_checkpoint(struct hejnal *h);

/* The same, and seal all partitions: merged, without duplicates, in their smallest form. */
HEJNAL_API enum hejnal_result hejnal_seal(struct hejnal *h);

/* Delete what the series `filter` selects had at from_ns <= t < to_ns. Durable, and out of every
 * answer, when it returns; what is written after that stays. `series`: so many were selected. */
struct hejnal_delete {
    const char *filter;
    int64_t from_ns, to_ns;
};
HEJNAL_API enum hejnal_result hejnal_delete(struct hejnal *h, const struct hejnal_delete *d,
                                            uint64_t *series);

/* A snapshot called `name` (letters, digits and ._- not first a dot, at most 64): a store of its
 * own below the server's directory, consistent as of now. `directory` gets its path on the server's
 * machine, with a 0 byte. It stays until it is removed. HEJNAL_INVALID: there is one of that name.
 */
HEJNAL_API enum hejnal_result hejnal_snapshot(struct hejnal *h, const char *name, char *directory,
                                              size_t size);
HEJNAL_API enum hejnal_result hejnal_snapshot_remove(struct hejnal *h, const char *name);

#ifdef __cplusplus
}
#endif

#endif /* CLIENTS_HEJNAL_H */
