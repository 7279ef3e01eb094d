/* A byte queue with memory only while it holds something: the unsent output of a connection, and
 * the incomplete packet at the end of its input. */

#ifndef BROKER_MQTT_OCTETS_H
#define BROKER_MQTT_OCTETS_H

#include "base/bytes.h"

/* All-zero is empty. */
struct octets {
    uint8_t *at;
    size_t start, end, capacity;
};

static inline size_t octets_size(const struct octets *o)
{
    return o->end - o->start;
}

static inline struct bytes octets_view(const struct octets *o)
{
    return o->at == NULL ? (struct bytes){NULL, 0}
                         : (struct bytes){o->at + o->start, octets_size(o)};
}

/* Room for `size` more bytes; write with `*w`, then octets_commit() it. E_NO_MEMORY. */
MUST_USE enum err octets_reserve(struct octets *o, size_t size, struct writer *w);
void octets_commit(struct octets *o, const struct writer *w);

MUST_USE enum err octets_put(struct octets *o, struct bytes in); /* E_NO_MEMORY. */

/* Forget the first `size` bytes; memory goes back when none are left. */
void octets_skip(struct octets *o, size_t size);
void octets_clear(struct octets *o);

#endif /* BROKER_MQTT_OCTETS_H */
