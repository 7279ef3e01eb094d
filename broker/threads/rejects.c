#include "broker/threads/rejects.h"

#include "base/thread.h"

static struct lock guard = {PTHREAD_MUTEX_INITIALIZER}; /* Guards all below. */
static struct reject kept[REJECTS_KEPT];
static uint64_t added;

static uint32_t keep(uint8_t *to, uint32_t limit, struct bytes from)
{
    uint32_t size = from.size < limit ? (uint32_t)from.size : limit;
    if (size > 0) {
        memcpy(to, from.at, size);
    }
    return size;
}

void rejects_add(int64_t time_ns, struct bytes topic, struct bytes payload, const char *reason)
{
    lock_take(&guard);
    struct reject *r = &kept[added++ % REJECTS_KEPT];
    r->time_ns = time_ns;
    r->reason = reason;
    r->topic_bytes = keep(r->topic, REJECT_TOPIC_BYTES, topic);
    r->payload_bytes = keep(r->payload, REJECT_PAYLOAD_BYTES, payload);
    r->payload_full_bytes = payload.size;
    lock_drop(&guard);
}

unsigned rejects_copy(struct reject *to, unsigned max)
{
    unsigned copied = 0;
    lock_take(&guard);
    uint64_t there = added < REJECTS_KEPT ? added : REJECTS_KEPT;
    for (; copied < max && copied < there; copied++) {
        to[copied] = kept[(added - 1 - copied) % REJECTS_KEPT];
    }
    lock_drop(&guard);
    return copied;
}
