/* Messages of one session that wait to be sent, or for their PUBACK, PUBREC or PUBCOMP.
 *
 * A ring of references: [head..next) is under way, [next..tail) waits. An entry's packet id follows
 * from its place, so ids ascend in the order of delivery and a resumed session sends what was under
 * way again, same ids, same order [MQTT-4.4.0-1, 4.6.0-1]. An entry of QoS 0 is done once sent; of
 * one of QoS 2 only the id is left once the client has received the message [MQTT-4.3.3-4]. */

#ifndef BROKER_MQTT_OUTBOX_H
#define BROKER_MQTT_OUTBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/mqtt/message.h"

struct outbox_entry {
    struct message *message; /* Held; NULL: received (QoS 2) or done. */
    uint32_t *ids;           /* Subscription identifiers, the count first; NULL: at most one. */
    uint32_t id;             /* The only one; 0: none. */
    uint8_t qos;
    bool retain, sent;
    bool received; /* PUBREL is due or sent, PUBCOMP is awaited. */
};

/* All-zero is empty. Memory is given back when it is empty. */
struct outbox {
    struct outbox_entry *ring;
    uint32_t capacity;         /* A power of two. */
    uint32_t unacked;          /* Entries under way that take room in the window. */
    uint32_t qos0;             /* Entries of QoS 0 that wait. */
    uint64_t head, next, tail; /* Sequence numbers; they only grow. */
    uint64_t bytes;            /* Of messages held. */
};

void outbox_clear(struct outbox *o);

static inline uint64_t outbox_waiting(const struct outbox *o)
{
    return o->tail - o->next;
}

/* Append a reference to `message`, which is held once more. E_NO_MEMORY. */
MUST_USE enum err outbox_put(struct outbox *o, struct message *message, const struct delivery *d);

/* What to send next, in at most `window` unacknowledged packets; `*out` borrows the entry. Without
 * a publication it is the PUBREL of its packet id. E_END: nothing waits. E_BUSY: the window is
 * full. */
MUST_USE enum err outbox_next(const struct outbox *o, uint32_t window, struct delivery *out);
/* That was sent; or dropped, so that nothing is awaited. */
void outbox_sent(struct outbox *o);
void outbox_skip(struct outbox *o);

/* The client acknowledged: PUBACK, PUBREC and PUBCOMP. E_NOT_FOUND: not under way. E_DENIED: not
 * what is due for that message. */
MUST_USE enum err outbox_ack(struct outbox *o, uint16_t packet_id);
MUST_USE enum err outbox_receive(struct outbox *o, uint16_t packet_id);
MUST_USE enum err outbox_complete(struct outbox *o, uint16_t packet_id);
/* The client refused a message of QoS 2: PUBREC with a failure. Errors the same. */
MUST_USE enum err outbox_refuse(struct outbox *o, uint16_t packet_id);

/* The connection is gone: what was under way waits again, QoS 0 is dropped (`*lost` of them that
 * were not sent). */
void outbox_rewind(struct outbox *o, uint64_t *lost);

#endif /* BROKER_MQTT_OUTBOX_H */
