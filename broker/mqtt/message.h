/* A message on its way to readers: immutable and counted once it must outlive its packet.
 *
 * `struct publication` is the borrowed view everything works on. A message that is stored and read
 * by nobody never becomes more; one that is queued, retained or sent to another loop is copied once
 * into a `struct message`, which any thread may hold. */

#ifndef BROKER_MQTT_MESSAGE_H
#define BROKER_MQTT_MESSAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

#define MESSAGE_NEVER_NS INT64_MAX

struct publication {
    struct bytes topic, payload;
    struct bytes properties; /* Encoded v5 properties to forward unaltered. */
    uint64_t topic_hash;     /* hash_bytes(topic) */
    uint64_t origin;         /* hash_bytes(client id of the publisher); 0: the server itself. */
    uint64_t stamp;          /* Order of changes of a retained message; 0: not retained. */
    int64_t expires_ns;      /* Wall clock; MESSAGE_NEVER_NS. */
    uint8_t qos;             /* 0, 1 or 2. */
    bool retain;             /* As the publisher set it. */
};

struct message {
    struct publication view; /* Into `memory`. */
    atomic_uint holders;
    uint8_t memory[];
};

/* A copy, held once. E_NO_MEMORY. */
MUST_USE enum err message_create(const struct publication *p, struct message **out);
struct message *message_hold(struct message *m);
void message_drop(struct message *m); /* NULL is fine. */
/* What it costs in memory. */
size_t message_bytes(const struct message *m);

/* One PUBLISH to one reader. */
struct delivery {
    const struct publication *publication; /* NULL: no PUBLISH but the PUBREL of `packet_id`. */
    const uint32_t *ids;                   /* Subscription identifiers of v5. */
    unsigned id_count;
    uint16_t packet_id; /* 0 when qos is 0. */
    uint16_t alias;     /* Of the topic, in v5; 0: none. */
    uint8_t qos;
    bool retain, duplicate;
    bool alias_is_known; /* The topic is left out. */
};

/* Room that message_write() needs at most. */
size_t message_wire_bytes(const struct delivery *d);
/* Append the PUBLISH. The expiry interval is counted down to `now_ns`. E_LIMIT: no room. E_END: the
 * message has expired, but what was sent before is sent again nevertheless [MQTT-4.3.3-7].
 * E_NO_MEMORY. */
MUST_USE enum err message_write(struct writer *w, uint8_t version, const struct delivery *d,
                                int64_t now_ns);

#endif /* BROKER_MQTT_MESSAGE_H */
