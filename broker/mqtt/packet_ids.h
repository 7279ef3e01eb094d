/* A set of packet ids, in ascending order: few at a time, and mostly added at the end. */

#ifndef BROKER_MQTT_PACKET_IDS_H
#define BROKER_MQTT_PACKET_IDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* All-zero is empty. */
struct packet_ids {
    uint16_t *at;
    uint32_t count, capacity;
};

MUST_USE enum err packet_ids_add(struct packet_ids *s, uint16_t id); /* Keeps one. E_NO_MEMORY. */
bool packet_ids_has(const struct packet_ids *s, uint16_t id);
bool packet_ids_remove(struct packet_ids *s, uint16_t id); /* Whether it was there. */

/* Give memory back if it is empty. */
void packet_ids_trim(struct packet_ids *s);
void packet_ids_clear(struct packet_ids *s);

#endif /* BROKER_MQTT_PACKET_IDS_H */
