/* One loop's replica of all retained messages.
 *
 * Every loop applies every change; the stamp decides which of two is later, so all replicas end
 * equal whatever order changes arrive in. A cleared topic leaves a gravestone (the clearing message
 * itself) until no older change can still be under way. On disk a retained message is a piece of
 * state: docs/FORMAT.md, "Retained message". */

#ifndef BROKER_MQTT_RETAINED_H
#define BROKER_MQTT_RETAINED_H

#include <stdint.h>

#include "broker/mqtt/message.h"

enum { RETAINED_STATE_SPACE = 1, RETAINED_GRAVESTONE_S = 30 };

struct retained;

struct retained_limits {
    uint64_t messages, bytes;
};

MUST_USE enum err retained_create(const struct retained_limits *limits, struct retained **out);
void retained_destroy(struct retained *r); /* NULL is fine. */

/* Whether retaining `p` would pass a limit. */
bool retained_is_over(const struct retained *r, const struct publication *p);

/* Apply a change: a message to retain, or one with empty payload, which clears. Holds `m` once more
 * if it is kept. Older than what is there: ignored. E_NO_MEMORY. */
MUST_USE enum err retained_apply(struct retained *r, struct message *m, int64_t now_ns);

/* All that `filter` selects and that has not expired at `now_ns`. */
void retained_select(const struct retained *r, struct bytes filter, int64_t now_ns,
                     void (*visit)(void *context, struct message *m), void *context);

/* Forget what has expired and gravestones that are old enough. */
void retained_sweep(struct retained *r, int64_t now_ns);

uint64_t retained_count(const struct retained *r);
uint64_t retained_bytes(const struct retained *r);

/* The value of its state on disk, appended. E_LIMIT. */
enum { RETAINED_HEADER_BYTES = 24 };
MUST_USE enum err retained_write(const struct publication *p, struct writer *w);
/* Back again; borrows. E_CORRUPT, E_VERSION. */
MUST_USE enum err retained_read(struct bytes topic, struct bytes value, uint64_t stamp,
                                struct publication *out);

#endif /* BROKER_MQTT_RETAINED_H */
