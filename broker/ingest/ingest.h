/* Ingest: from points of a message to rows of the batch of this loop turn. One per loop.
 *
 * A topic's series are looked up once and kept by hash; after that a message costs one look-up. The
 * batch being filled has a number; whoever must acknowledge waits until ingest_done() reaches it.
 */

#ifndef BROKER_INGEST_INGEST_H
#define BROKER_INGEST_INGEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/number.h"
#include "broker/ingest/allowance.h"
#include "broker/threads/loop.h"
#include "broker/threads/store_thread.h"
#include "proto/payload.h"
#include "storage/catalogue/catalogue_tag.h"
#include "storage/engine.h"

enum { INGEST_TOPICS_MAX = 1 << 20, INGEST_LISTENERS_MAX = 4 };

struct ingest;

struct ingest_options {
    unsigned parcels;    /* Batches that may be under way; bounds memory. At least 4. */
    unsigned loops;      /* Loops that share the store; 0: LOOPS_MAX. */
    uint32_t topics_max; /* Topics remembered; 0: INGEST_TOPICS_MAX. */
    struct allowance_limits new_series; /* Of one client. */
};

MUST_USE enum err ingest_create(struct loop *loop, struct engine *engine,
                                struct store_thread *store, const struct ingest_options *options,
                                struct ingest **out);
void ingest_destroy(struct ingest *in);

/* Post at the end of turns what was put. ingest_create() has called it once; call it again when all
 * others have registered their hooks, so that what those put in does not wait for the next turn. */
void ingest_watch_turns(struct ingest *in);

/* Put points of one time into the current batch, all of them or none; names are below `topic` (""
 * is the topic's own series; of a repeated name the last counts). `*number` is the batch that must
 * be done before they may be acknowledged. A receipt put right after goes into the same batch.
 * E_BUSY: no batch free, stop reading until a batch is done; E_LIMIT: too many series or points,
 * names too long, a time outside 1970 to 2200; E_DENIED: older than retention keeps them. */
MUST_USE enum err ingest_put(struct ingest *in, struct bytes topic, int64_t time_ns,
                             const struct payload_point *points, unsigned count, uint64_t *number);

/* Whose new series the next ingest_put() may bring; NULL: nobody's account. */
void ingest_charge(struct ingest *in, struct allowance *client);

/* Points that the last ingest_put() left out, for they are of series that are new and may not be:
 * the others are put. When none is left ingest_put() says E_LIMIT. `*why` is a sentence. */
unsigned ingest_left_out(const struct ingest *in, const char **why);

/* Other points that it left out, for they are older than their series' retention. When it left out
 * none but those and none is left, ingest_put() says E_DENIED. */
unsigned ingest_too_old(const struct ingest *in);

/* Put one point of a series whose place is known, as ingest_put() does. E_BUSY, E_LIMIT, E_DENIED.
 */
MUST_USE enum err ingest_put_series(struct ingest *in, struct series_ref ref, int64_t time_ns,
                                    const struct number *value, uint64_t *number);

/* Give a series a tag, or take it away, as batch_put_tag() does. `*number` as above. E_BUSY. */
MUST_USE enum err ingest_put_tag(struct ingest *in, struct series_ref ref, const struct tag *tag,
                                 uint64_t *number);

/* What is put next goes into one batch: points of one time, a receipt, a piece of state put last.
 * E_BUSY as above. */
MUST_USE enum err ingest_reserve_message(struct ingest *in);

/* The batch being filled, to put receipts and state into; at least one receipt fits. Whoever asks
 * puts something. E_BUSY as above. */
MUST_USE enum err ingest_batch(struct ingest *in, struct batch **out, uint64_t *number);

/* Put a piece of owned state (storage/journal/batch.h), or with an empty value delete it. It goes
 * into the batch that is being filled, hence with what was put there before in this turn; when no
 * batch is free it waits for the next one, so whoever asks looks at ingest_has_room() before it
 * takes in what leads to more of this. `*number` as above. E_NO_MEMORY. */
MUST_USE enum err ingest_put_state(struct ingest *in, uint8_t space, struct bytes key,
                                   struct bytes value, uint64_t *number);

/* A time for a message that has none: now, in microseconds, never twice for one topic on any loop
 * (unless the wall clock is set back). */
int64_t ingest_arrival(struct ingest *in, struct bytes topic);

/* Whether the next ingest_put() would find a batch. */
bool ingest_has_room(const struct ingest *in);

/* Batches 1..done are finished. */
uint64_t ingest_done(const struct ingest *in);
/* The newest batch that holds anything: what must be acknowledged after all before it waits for
 * this one. Equal to ingest_done(): nothing is under way. */
uint64_t ingest_filling(const struct ingest *in);

/* `on_done(context, number, result)` is called for each finished batch, in order; several may
 * listen. The batch is free again when it is called. */
void ingest_on_done(struct ingest *in,
                    void (*on_done)(void *context, uint64_t number, enum err result),
                    void *context);

#endif /* BROKER_INGEST_INGEST_H */
