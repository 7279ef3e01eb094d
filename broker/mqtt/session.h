/* One client's session: what outlives its connections, and the rules of its life.
 *
 * No socket, no clock, no thread: time comes in events, and what is to be done comes out as a
 * return value, so tests run years of it. The loop that owns the session acts on it (conn.c).
 * Sources: MQTT 5.0 sections 3.1.2.5 (will), 3.1.2.11 (expiry), 4.1, 4.3 and 4.4. */

#ifndef BROKER_MQTT_SESSION_H
#define BROKER_MQTT_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/ingest/allowance.h"
#include "broker/mqtt/outbox.h"
#include "broker/mqtt/packet_ids.h"
#include "broker/mqtt/subscriptions.h"

#define SESSION_NEVER_MS INT64_MAX
enum { SESSION_CLIENT_ID_BYTES_MAX = 1024 };

struct conn;

struct session {
    struct subscriber subscriber; /* First member: subscriptions lead back here. */
    struct outbox outbox;
    struct conn *conn;    /* NULL: not connected. */
    struct message *will; /* Held; NULL: none. */
    int64_t will_due_ms;  /* SESSION_NEVER_MS while connected. */
    int64_t end_due_ms;   /* The same. */
    uint32_t will_delay_s;
    uint32_t expiry_s;          /* UINT32_MAX: never. */
    uint16_t window;            /* QoS 1 and 2 messages under way to the client at most. */
    struct packet_ids unacked;  /* Of publishes on earlier connections, never answered. */
    struct packet_ids received; /* Of QoS 2 publishes that were forwarded, until their PUBREL. */
    uint64_t hash;              /* hash_bytes(id) */
    uint64_t number;            /* On disk, see keep.h; 0: it is not kept there. */
    uint64_t sent_below;        /* What is queued below this was sent on earlier connections. */
    struct session *chained;    /* Next in the same slot of the session table. */
    struct allowance allowance; /* Of new series. */
    uint32_t id_bytes;
    uint8_t id[];
};

static inline struct session *session_of(struct subscriber *s)
{
    return (struct session *)(void *)s;
}

static inline struct bytes session_id(const struct session *s)
{
    return (struct bytes){s->id, s->id_bytes};
}

/* A new session, not connected. E_NO_MEMORY. */
MUST_USE enum err session_create(struct bytes client_id, struct session **out);
/* Its subscriptions must be cleared already. */
void session_destroy(struct session *s);

/* A connection takes it up: a will not yet sent is cancelled, what was under way is sent again. */
void session_attach(struct session *s, struct conn *conn, uint32_t expiry_s, uint16_t window);
/* Takes over the caller's hold on `will`. Of a connected session. */
void session_set_will(struct session *s, struct message *will, uint32_t delay_s);

/* The connection ended at `now_ms`. After a DISCONNECT with reason 0 the will is dropped
 * [MQTT-3.1.2-10]. `*lost`: QoS 0 messages that will not be sent. */
void session_detach(struct session *s, int64_t now_ms, bool discard_will, uint64_t *lost);

/* A publish of QoS 1 or 2 arrived. How it is to be handled: */
enum session_arrival {
    SESSION_NEW,    /* Store and forward it. */
    SESSION_UNSURE, /* It came before, but was never answered: QoS 1 as new, QoS 2 store only. */
    SESSION_KNOWN   /* It came before and was received (QoS 2): answer [MQTT-4.3.3-10]. */
};
enum session_arrival session_arrive(const struct session *s, uint16_t packet_id, uint8_t qos);
/* It was stored and is being forwarded. E_NO_MEMORY. */
MUST_USE enum err session_receive(struct session *s, uint16_t packet_id, uint8_t qos);
/* Its PUBACK or PUBREC was never written. Lack of memory forgets that it came. */
void session_doubt(struct session *s, uint16_t packet_id);
/* The client released it (PUBREL), or heard that it was not kept. False: not there. */
bool session_release(struct session *s, uint16_t packet_id);

/* What is due at `now_ms`, for a session that is not connected: the will to publish (the caller's
 * hold, once) and whether the session has ended. */
struct session_due {
    struct message *will;
    bool ended;
};
struct session_due session_tick(struct session *s, int64_t now_ms);
/* The session ends now, whatever was planned: its will, if one is pending. */
struct message *session_end(struct session *s);

/* A message for this client; `d->publication` is the view of `message`. E_LIMIT: the queue is full
 * or (QoS 0) nobody is connected: dropped. E_NO_MEMORY. */
struct session_limits {
    uint64_t messages, bytes;
};
MUST_USE enum err session_offer(struct session *s, struct message *message,
                                const struct delivery *d, const struct session_limits *limits);

/* What to send next; then outbox_sent() or outbox_skip(). E_END, E_BUSY as outbox_next(). */
static inline enum err session_next(const struct session *s, struct delivery *out)
{
    return outbox_next(&s->outbox, s->window, out);
}

#endif /* BROKER_MQTT_SESSION_H */
