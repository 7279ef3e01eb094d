/* The last messages that were forwarded but not stored, with the reason. Any thread; one lock. */

#ifndef BROKER_THREADS_REJECTS_H
#define BROKER_THREADS_REJECTS_H

#include <stdint.h>

#include "base/bytes.h"

enum { REJECTS_KEPT = 256, REJECT_TOPIC_BYTES = 256, REJECT_PAYLOAD_BYTES = 256 };

struct reject {
    int64_t time_ns;
    const char *reason;                  /* A sentence with static lifetime. */
    uint32_t topic_bytes, payload_bytes; /* Kept; each cut to its limit. */
    uint64_t payload_full_bytes;
    uint8_t topic[REJECT_TOPIC_BYTES], payload[REJECT_PAYLOAD_BYTES];
};

void rejects_add(int64_t time_ns, struct bytes topic, struct bytes payload, const char *reason);

/* Copy the newest first, at most `max`; returns how many. */
unsigned rejects_copy(struct reject *to, unsigned max);

#endif /* BROKER_THREADS_REJECTS_H */
