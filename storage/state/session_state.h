/* What the broker keeps of sessions on disk: one piece of owned state (batch.h) for each session,
 * subscription, message, place in a queue, packet id, will, and message between two loops.
 *
 * Pure: bytes <-> structs. The broker puts pieces into batches and reads them at its start; the
 * offline check follows their references. docs/FORMAT.md, "Sessions". */

#ifndef STORAGE_STATE_SESSION_STATE_H
#define STORAGE_STATE_SESSION_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

/* The space of each kind. */
enum session_state_kind {
    SESSION_STATE_SESSION = 2,
    SESSION_STATE_SUBSCRIPTION = 3,
    SESSION_STATE_MESSAGE = 4,
    SESSION_STATE_QUEUED = 5,
    SESSION_STATE_RECEIVED = 6,
    SESSION_STATE_WILL = 7,
    SESSION_STATE_CROSSING = 8,
    SESSION_STATE_CROSSED = 9,
    SESSION_STATE_LOOPS = 10
};
enum { SESSION_STATE_FIRST = SESSION_STATE_SESSION, SESSION_STATE_LAST = SESSION_STATE_LOOPS };

enum {
    SESSION_STATE_KEY_BYTES_MAX = 16,
    SESSION_STATE_HEAD_BYTES_MAX = 64, /* Of a value, without what is of any length. */
    SESSION_STATE_IDS_MAX = 64,
    SESSION_STATE_LOOPS_MAX = 64
};

/* A message as it was published. */
struct session_state_message {
    struct bytes topic, properties, payload;
    uint64_t origin;    /* hash_bytes(client id of the publisher) */
    int64_t expires_ns; /* Wall clock; INT64_MAX: never. Of a will: seconds from its sending. */
    uint8_t qos;        /* 0, 1 or 2. */
    bool retain;
};

/* One piece; which member counts follows from `kind`. */
struct session_state {
    enum session_state_kind kind;
    uint64_t session; /* Number of the session; of all kinds but MESSAGE, CROSS*, LOOPS. */
    union {
        struct { /* SESSION */
            struct bytes client_id;
            uint32_t expiry_s; /* UINT32_MAX: never. */
            bool connected;
            int64_t since_ns;    /* Wall clock of the end of its last connection; connected: 0. */
            uint64_t sent_below; /* What is queued below this was sent before. */
        } client;
        struct { /* SUBSCRIPTION */
            struct bytes filter;
            uint32_t number; /* Of the session's. */
            uint32_t id;     /* Subscription identifier; 0: none. */
            uint8_t qos;
            bool no_local, retain_as_published;
        } subscription;
        struct { /* MESSAGE: what places in queues name. */
            uint64_t number;
            struct session_state_message of;
        } message;
        struct { /* QUEUED */
            uint64_t sequence;
            uint64_t message; /* 0 when received. */
            uint8_t qos;      /* 1 or 2. */
            bool retain;
            bool received; /* PUBREC came, PUBCOMP did not. */
            uint32_t ids[SESSION_STATE_IDS_MAX];
            unsigned id_count;
        } queued;
        struct { /* RECEIVED: of QoS 2 from the client, not released yet. */
            uint16_t packet_id;
        } received;
        struct { /* WILL */
            uint32_t delay_s;
            struct session_state_message of;
        } will;
        struct { /* CROSSING: on its way from loop `from` to those in `loops`. */
            uint8_t from;
            uint64_t number;     /* Ascending for each `from`, from 1. */
            uint64_t loops;      /* Bits. */
            struct bytes filter; /* Of a shared subscription; empty: to all who want it. */
            struct session_state_message of;
        } crossing;
        struct { /* CROSSED: what came from `from` up to `number` is in the queues of `to`. */
            uint8_t from, to;
            uint64_t number;
        } crossed;
        struct { /* LOOPS */
            uint32_t count;
        } loops;
    } at;
};

/* Append key and value. E_LIMIT: no room. */
MUST_USE enum err session_state_write(const struct session_state *s, struct writer *key,
                                      struct writer *value);
/* The key alone, to delete it. Room for SESSION_STATE_KEY_BYTES_MAX. */
void session_state_write_key(const struct session_state *s, struct writer *key);
/* Room its value needs at most. */
size_t session_state_bytes(const struct session_state *s);

/* Back again; borrows. E_VERSION, E_CORRUPT. Safe on any bytes. */
MUST_USE enum err session_state_read(uint8_t space, struct bytes key, struct bytes value,
                                     struct session_state *out);

#endif /* STORAGE_STATE_SESSION_STATE_H */
