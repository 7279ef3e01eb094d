#include "storage/journal/receipts.h"

#include <stdbool.h>
#include <stdlib.h>

/* Slots count from 1; 0 ends a chain. A replaced receipt leaves its chain but keeps its slot until
 * the ring comes round. */
struct receipts {
    uint64_t added;
    uint32_t alive;
    uint32_t bucket[RECEIPTS_MAX];
    uint32_t next[RECEIPTS_MAX + 1];
    bool linked[RECEIPTS_MAX + 1];
    struct receipt slot[RECEIPTS_MAX + 1];
};

enum err receipts_create(struct receipts **out)
{
    struct receipts *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return E_NO_MEMORY;
    }
    *out = r;
    return OK;
}

void receipts_destroy(struct receipts *r)
{
    free(r);
}

static uint32_t bucket_of(uint64_t client_hash, uint16_t packet_id)
{
    return (uint32_t)((client_hash ^ packet_id * UINT64_C(0x9e3779b97f4a7c15)) % RECEIPTS_MAX);
}

static uint32_t find_slot(const struct receipts *r, uint64_t client_hash, uint16_t packet_id)
{
    uint32_t at = r->bucket[bucket_of(client_hash, packet_id)];
    while (at != 0 &&
           (r->slot[at].client_hash != client_hash || r->slot[at].packet_id != packet_id)) {
        at = r->next[at];
    }
    return at;
}

static void unlink_slot(struct receipts *r, uint32_t slot)
{
    if (!r->linked[slot]) {
        return;
    }
    uint32_t *at = &r->bucket[bucket_of(r->slot[slot].client_hash, r->slot[slot].packet_id)];
    while (*at != slot) {
        at = &r->next[*at];
    }
    *at = r->next[slot];
    r->linked[slot] = false;
    r->alive--;
}

void receipts_add(struct receipts *r, const struct receipt *receipt)
{
    uint32_t slot = (uint32_t)(r->added++ % RECEIPTS_MAX) + 1;
    uint32_t earlier = find_slot(r, receipt->client_hash, receipt->packet_id);
    uint32_t *bucket = &r->bucket[bucket_of(receipt->client_hash, receipt->packet_id)];
    unlink_slot(r, slot);
    if (earlier != 0) {
        unlink_slot(r, earlier);
    }
    r->slot[slot] = *receipt;
    r->next[slot] = *bucket;
    *bucket = slot;
    r->linked[slot] = true;
    r->alive++;
}

const struct receipt *receipts_find(const struct receipts *r, uint64_t client_hash,
                                    uint16_t packet_id)
{
    uint32_t slot = find_slot(r, client_hash, packet_id);
    return slot == 0 ? NULL : &r->slot[slot];
}

void receipts_each(const struct receipts *r,
                   void (*visit)(void *context, const struct receipt *receipt), void *context)
{
    uint64_t from = r->added > RECEIPTS_MAX ? r->added - RECEIPTS_MAX : 0;
    for (uint64_t i = from; i < r->added; i++) {
        uint32_t slot = (uint32_t)(i % RECEIPTS_MAX) + 1;
        if (r->linked[slot]) {
            visit(context, &r->slot[slot]);
        }
    }
}

uint32_t receipts_count(const struct receipts *r)
{
    return r->alive;
}
