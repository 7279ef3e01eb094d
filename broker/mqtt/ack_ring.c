#include "broker/mqtt/ack_ring.h"

#include <stdlib.h>

enum { CAPACITY_FIRST = 16 };

static struct ack *ack_at(const struct ack_ring *r, uint32_t i)
{
    return &r->ring[(r->first + i) & (r->capacity - 1)];
}

static enum err grow(struct ack_ring *r)
{
    struct ack_ring larger = {.capacity = r->capacity == 0 ? CAPACITY_FIRST : r->capacity * 2,
                              .count = r->count};
    larger.ring = malloc(larger.capacity * sizeof *larger.ring);
    if (larger.ring == NULL) {
        return E_NO_MEMORY;
    }
    for (uint32_t i = 0; i < r->count; i++) {
        larger.ring[i] = *ack_at(r, i);
    }
    free(r->ring);
    *r = larger;
    return OK;
}

enum err ack_ring_put(struct ack_ring *r, const struct ack *ack)
{
    if (r->count == r->capacity) {
        TRY(grow(r));
    }
    *ack_at(r, r->count++) = *ack;
    return OK;
}

enum err ack_ring_take(struct ack_ring *r, uint64_t done, struct ack *out)
{
    if (r->count == 0) {
        return E_END;
    }
    if (ack_at(r, 0)->number > done) {
        return E_BUSY;
    }
    *out = *ack_at(r, 0);
    r->first++;
    if (--r->count == 0) {
        ack_ring_clear(r);
    }
    return OK;
}

bool ack_ring_has(const struct ack_ring *r, uint8_t type, uint16_t packet_id)
{
    for (uint32_t i = 0; i < r->count; i++) {
        const struct ack *a = ack_at(r, i);
        if (a->packet_id == packet_id && a->type == type) {
            return true;
        }
    }
    return false;
}

void ack_ring_clear(struct ack_ring *r)
{
    free(r->ring);
    *r = (struct ack_ring){0};
}
