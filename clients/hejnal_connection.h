/* A connection of libhejnal, inside: the socket, the frames that came, and whom they are for.
 *
 * Whoever waits for one answer reads whatever comes: frames of other answers are queued at them,
 * and acknowledgements of writes are counted. Credit bounds the queues of queries; a tail nobody
 * reads drops its oldest frames and says so. */

#ifndef CLIENTS_HEJNAL_CONNECTION_H
#define CLIENTS_HEJNAL_CONNECTION_H

#include <stdbool.h>

#include "base/bytes.h"
#include "clients/hejnal.h"
#include "clients/hejnal_words.h"
#include "proto/frame.h"

enum {
    HEJNAL_WRITES_MAX = 32,   /* Under way; the server takes 64 requests. */
    HEJNAL_ERROR_BYTES = 256, /* A sentence. */
    HEJNAL_FIELD_BYTES = 96,
    HEJNAL_CREDIT_FRAMES = 8,     /* Given back at once, of the 16 a server starts with. */
    HEJNAL_TAIL_FRAMES_MAX = 1024 /* Kept for a tail that is not read. */
};

/* What went wrong, as hejnal_error() tells it. */
struct hejnal_fault {
    enum hejnal_result result;
    unsigned position;
    char text[HEJNAL_ERROR_BYTES];
    char field[HEJNAL_FIELD_BYTES];
};

struct hejnal_frame {
    struct hejnal_frame *next;
    frame_response *response;
};

enum hejnal_kind {
    HEJNAL_KIND_CALL, /* Hello, checkpoint: only its end matters. */
    HEJNAL_KIND_QUERY,
    HEJNAL_KIND_TAIL,
    HEJNAL_KIND_LAST,
    HEJNAL_KIND_SERIES,
    HEJNAL_KIND_TAGGED,
    HEJNAL_KIND_STATS,
    HEJNAL_KIND_REJECTS,
    HEJNAL_KIND_SNAPSHOT,
    HEJNAL_KIND_DELETE
};

struct hejnal_answer {
    struct hejnal *h;
    struct hejnal_answer *next; /* In h->answers. */
    enum hejnal_kind kind;
    uint32_t id;
    struct hejnal_frame *first, **last; /* Frames not looked at yet. */
    unsigned queued;
    struct hejnal_frame *current; /* Being read out. */
    struct hejnal_frame *kept;    /* Read out, but lent until the answer is closed. */
    size_t at;                    /* Item in `current`. */
    size_t path_at;               /* Byte in its run of paths, */
    size_t tag_at;                /* and of their tags. */
    unsigned credit;              /* Frames read out, not told yet. */
    uint64_t frames, checksum, rows;
    uint64_t series, dropped;
    unsigned columns;       /* Of each block, as was asked. */
    struct writer path;     /* Of the series at hand, with its 0. */
    unsigned key_count;     /* Of each group, as was asked. */
    struct writer key_text; /* Of the group at hand, each with its 0, */
    const char *keys[HEJNAL_KEYS_MAX];
    struct writer tags;              /* struct hejnal_tag of the series at hand. */
    struct hejnal_unpacked unpacked; /* The column at hand, where it has texts. */
    bool is_ended;
    struct hejnal_fault end; /* result HEJNAL_END: complete. */
};

struct hejnal_packer;

struct hejnal {
    int fd; /* -1: lost; `fault` of `lost` says why. */
    int timeout_ms;
    uint32_t last_id;
    struct writer in; /* Bytes that came; those before `in_from` are handled. */
    size_t in_from;
    struct writer out; /* A frame being sent. */
    struct hejnal_answer *answers;
    uint32_t writes[HEJNAL_WRITES_MAX]; /* Ids of those under way. */
    unsigned write_count;
    uint64_t acked, refused;
    uint64_t serial;                       /* No other connection of this process has it. */
    uint32_t numbers_given, numbers_known; /* To series; of those, by the server too. */
    struct hejnal_packer *packer;          /* Of hejnal_write.c; NULL until needed. */
    struct hejnal_fault write_fault;       /* First since the last hejnal_write_wait(h, 0). */
    struct hejnal_fault lost;
    struct hejnal_fault fault; /* Of the last call. */
    char server[128];
};

/* Remember what went wrong for hejnal_error(); returns `result`. */
__attribute__((format(printf, 3, 4))) enum hejnal_result
hejnal_connection_fail(struct hejnal *h, enum hejnal_result result, const char *format, ...);
enum hejnal_result hejnal_connection_tell(struct hejnal *h, const struct hejnal_fault *fault);

/* An id not in use. */
uint32_t hejnal_connection_id(struct hejnal *h);

/* Send a request; while the socket is full, frames that come are taken. */
enum hejnal_result hejnal_connection_send(struct hejnal *h, const frame_request *r);

/* Wait until at least one frame came and hand out all that did. HEJNAL_TIMEOUT, HEJNAL_LOST, ... */
enum hejnal_result hejnal_connection_receive(struct hejnal *h);

/* Room for `more` bytes. False: no memory. */
bool hejnal_connection_reserve(struct writer *w, size_t more);

/* Ask: send the request with a new id; its answer is the caller's. */
enum hejnal_result hejnal_answer_open(struct hejnal *h, enum hejnal_kind kind, frame_request *r,
                                      struct hejnal_answer **out);
/* Ask and wait for the end; the answer's frames are dropped. `rows`: what its end tells; or NULL.
 */
enum hejnal_result hejnal_answer_call(struct hejnal *h, frame_request *r, uint64_t *rows);
/* The frame at hand, the next one when that is read out (`at` beyond `count`). HEJNAL_END. */
enum hejnal_result hejnal_answer_advance(struct hejnal_answer *a);
/* A frame of this answer came; takes it over. */
void hejnal_answer_put(struct hejnal_answer *a, frame_response *r, struct bytes body);
/* The connection is lost. */
void hejnal_answer_lose(struct hejnal_answer *a);

/* What the server's Error says. */
void hejnal_answer_fault(const Hejnal__V1__Error *error, struct hejnal_fault *out);

/* A frame for a write under way; false: no write has this id. */
bool hejnal_write_take(struct hejnal *h, const frame_response *r);
void hejnal_write_free_packer(struct hejnal_packer *p);

#endif /* CLIENTS_HEJNAL_CONNECTION_H */
