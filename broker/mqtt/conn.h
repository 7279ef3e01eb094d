/* One MQTT connection: a socket, its buffers, and the session it speaks for.
 *
 * Reading (conn.c) cuts packets off the loop's read buffer and hands each to its handler
 * (conn_in.c, conn_connect.c, conn_publish.c, conn_subscribe.c); writing (conn_out.c) happens once
 * per turn. A closed connection is freed at the end of the turn, never under somebody's feet. */

#ifndef BROKER_MQTT_CONN_H
#define BROKER_MQTT_CONN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "broker/mqtt/ack_ring.h"
#include "broker/mqtt/alias_book.h"
#include "broker/mqtt/conn_list.h"
#include "broker/mqtt/octets.h"
#include "broker/mqtt/session.h"
#include "broker/threads/loop.h"
#include "proto/mqtt_packet.h"

struct mqtt_server;

enum conn_state {
    CONN_NEW,       /* CONNECT has not come. */
    CONN_OPEN,      /* Has a session. */
    CONN_LINGERING, /* The last word is sent; waits for the peer to have read it. */
    CONN_CLOSED     /* The socket is closed; freed at the end of the turn. */
};

enum {
    CONN_BEFORE_CONNECT_BYTES = 128 << 10, /* A larger CONNECT is refused. */
    CONN_LINGER_MS = 2000
};

struct conn {
    struct loop_io io; /* First member. */
    struct mqtt_server *server;
    struct session *session;
    int fd;
    uint8_t state;       /* enum conn_state */
    uint8_t version;     /* enum mqtt_version */
    bool is_full;        /* Too much unacknowledged or unsent: not read until some of it went. */
    bool after_interest; /* Nothing is sent until other loops know what was subscribed. */
    bool wants_write;
    uint32_t packet_bytes_max; /* The client's. */
    int64_t heard_ms;          /* Monotonic; of state NEW: accepted, of LINGERING: until when. */
    int64_t silence_max_ms;    /* 1.5 x keep alive; 0: any. */
    struct octets in;          /* Input not yet taken. */
    struct octets out;
    struct ack_ring acks;
    uint64_t held_for;      /* While on the list of those held: the batch that must be done. */
    uint32_t unfinished;    /* Publishes of QoS 1 and 2 that were not answered for good. */
    struct bytes *aliases;  /* Owned copies of topics; topic_alias_maximum of them, or NULL. */
    struct alias_book book; /* Aliases towards the client. */
    struct conn_link links[CONN_LISTS];
};

/* Take an accepted socket; `first` was read from it already. The socket is closed on failure. */
MUST_USE enum err conn_create(struct mqtt_server *s, int fd, struct bytes first, struct conn **out);

/* End it: in v5 with a DISCONNECT of `reason` unless that is 0, then the session goes on alone or
 * ends. `discard_will`: the client said goodbye. Closed already: fine. */
void conn_close(struct conn *c, uint8_t reason, bool discard_will);
/* As conn_close() with what has been written to `out` as the last word. */
void conn_close_after_output(struct conn *c);
/* Give the socket and the connection up without closing it; the session must be NULL. */
int conn_release_socket(struct conn *c);
/* Free a closed one. */
void conn_destroy(struct conn *c);

/* Take what packets the buffered input holds, then read again. */
void conn_resume(struct conn *c);

/* Handlers (conn_in.c): OK; E_BUSY: nothing was done, offer the packet again later; E_END: the
 * connection is closed or gone. `all` starts with this packet and ends with the input. */
MUST_USE enum err conn_take_packet(struct conn *c, const struct mqtt_packet *p, struct bytes all);
/* Close for a fault of the peer; E_END for the handler to return. */
MUST_USE enum err conn_refuse(struct conn *c, uint8_t reason);
MUST_USE enum err conn_on_connect(struct conn *c, const struct mqtt_packet *p, struct bytes all);
MUST_USE enum err conn_on_publish(struct conn *c, const struct mqtt_packet *p);
MUST_USE enum err conn_on_subscribe(struct conn *c, const struct mqtt_packet *p);
MUST_USE enum err conn_on_unsubscribe(struct conn *c, const struct mqtt_packet *p);

/* Forget one topic alias. */
void conn_alias_free(struct bytes *alias);

/* Writing (conn_out.c). */
/* Room for a packet of `size` bytes; E_LIMIT: over the limit of unsent bytes. E_NO_MEMORY. */
MUST_USE enum err conn_reserve(struct conn *c, size_t size, struct writer *w);
/* It does not read what it asks for: acknowledgements alone are over the limit of unsent bytes. */
bool conn_is_clogged(const struct conn *c);
/* Sent at the turn's end. */
void conn_commit(struct conn *c, const struct writer *w);
/* Send a QoS 0 message now if it fits; drops are counted. */
void conn_send_direct(struct conn *c, const struct delivery *d);
/* Answer a publish or a PUBREL when batch `ack->number` is done. E_NO_MEMORY. */
MUST_USE enum err conn_put_ack(struct conn *c, const struct ack *ack);
/* Send nothing until batch `number` is done: what was just written must not be known before. */
void conn_hold(struct conn *c, uint64_t number);
/* Batch `done` ended with `result`: go on, or close, as what was written is not true. */
void conn_release_held(struct conn *c, uint64_t done, enum err result);
/* Whether a publish with that packet id was received and surely never acknowledged. */
bool conn_has_unacked(const struct conn *c, uint16_t packet_id);
/* Write the acknowledgements that waited for batch `done`, which ended with `result`. */
void conn_release_acks(struct conn *c, uint64_t done, enum err result);
/* Send what waits in the session and the buffer, as far as the socket takes it. */
void conn_flush(struct conn *c);

#endif /* BROKER_MQTT_CONN_H */
