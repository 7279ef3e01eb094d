/* How a loop's turns keep pace with its clients.
 *
 * A turn costs system calls and often a commit. When many clients each say little, that is more
 * than what they say costs: the loop then does better to wait a millisecond and to take together
 * what has come. When few clients talk, or much at a time, waiting would only cost: they may be
 * waiting for the answer. Looked at anew for each stretch of time; no I/O, the loop's thread only.
 */

#ifndef BROKER_MQTT_PACE_H
#define BROKER_MQTT_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PACE_STRETCH_MS = 64,
    PACE_CLIENTS_MIN = 64,
    PACE_READS_A_MS_MIN = 2,
    PACE_READ_BYTES_MAX = 1024
};

struct pace {
    int64_t start_ms; /* Of this stretch. */
    uint64_t reads, bytes;
    uint32_t clients; /* That were heard in it. */
    bool gathers;     /* What the stretch before said. */
};

/* `bytes` were read from a client last heard at `heard_ms`. */
void pace_on_read(struct pace *p, size_t bytes, int64_t heard_ms);

/* A turn ends. Whether to gather input before the next. */
bool pace_on_turn(struct pace *p, int64_t now_ms);

#endif /* BROKER_MQTT_PACE_H */
