/* Acknowledgements that wait for the disk, in the order the packets came. */

#ifndef BROKER_MQTT_ACK_RING_H
#define BROKER_MQTT_ACK_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct ack {
    uint64_t number; /* The batch that must be done; 0: none. */
    uint16_t packet_id;
    uint8_t type;   /* MQTT_PUBACK, MQTT_PUBREC, MQTT_PUBCOMP. */
    uint8_t reason; /* When all goes well. */
};

/* All-zero is empty. Memory is given back when it is empty. */
struct ack_ring {
    struct ack *ring;
    uint32_t capacity, first, count; /* capacity: a power of two. */
};

MUST_USE enum err ack_ring_put(struct ack_ring *r, const struct ack *ack); /* E_NO_MEMORY. */
/* The oldest, if it waits for no batch later than `done`. E_END: none; E_BUSY: it waits. */
MUST_USE enum err ack_ring_take(struct ack_ring *r, uint64_t done, struct ack *out);
bool ack_ring_has(const struct ack_ring *r, uint8_t type, uint16_t packet_id);
void ack_ring_clear(struct ack_ring *r);

#endif /* BROKER_MQTT_ACK_RING_H */
