/* Ingest: from points of a message to rows of the batch of this loop turn. One per loop.
 *
 * A topic's series are looked up once and kept by hash; after that a message costs one look-up. The
 * batch being filled has a number; whoever must acknowledge waits until ingest_done() reaches it.
 */

#ifndef BROKER_INGEST_H
#define BROKER_INGEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/number.h"
#include "broker/loop.h"
#include "broker/store_thread.h"
#include "proto/payload.h"
#include "storage/engine.h"

struct ingest;

struct ingest_options {
    unsigned parcels;    /* Batches that may be under way; bounds memory. */
    int64_t retention_s; /* Rows older are refused; 0: none. */
};

MUST_USE enum err ingest_create(struct loop *loop, struct engine *engine,
                                struct store_thread *store, const struct ingest_options *options,
                                struct ingest **out);
void ingest_destroy(struct ingest *in);

/* Put points of one time into the current batch; names are below `topic` ("" is the topic's own
 * series). `*number` is the batch that must be done before they may be acknowledged. E_BUSY: no
 * batch free, stop reading until on_room; E_LIMIT: too many series or names too long (nothing
 * stored); E_DENIED: older than retention. */
MUST_USE enum err ingest_put(struct ingest *in, struct bytes topic, int64_t time_ns,
                             const struct payload_point *points, unsigned count, uint64_t *number);

/* The batch being filled, for receipts and state; E_BUSY as above. */
MUST_USE enum err ingest_batch(struct ingest *in, struct batch **out, uint64_t *number);

/* A time for a message that has none: now, in microseconds, never twice for one topic. */
int64_t ingest_arrival(struct ingest *in, struct bytes topic);

bool ingest_has_room(const struct ingest *in);

/* Batches 1..done are finished. `on_done(context, number, result)` is called for each, in order. */
uint64_t ingest_done(const struct ingest *in);
uint64_t ingest_filling(const struct ingest *in);
void ingest_on_done(struct ingest *in,
                    void (*on_done)(void *context, uint64_t number, enum err result),
                    void *context);

#endif /* BROKER_INGEST_H */
