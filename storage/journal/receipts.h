/* The last receipts, by client and packet id: which time a message was given when it first came.
 *
 * A redelivered PUBLISH without a time of its own must not become a second point (promise P3), so
 * its first arrival is looked up here. A ring: the oldest goes when a new one comes. The engine
 * keeps one, rebuilt at start; each loop keeps one of its own. One thread. */

#ifndef STORAGE_JOURNAL_RECEIPTS_H
#define STORAGE_JOURNAL_RECEIPTS_H

#include <stdint.h>

#include "storage/journal/batch.h"

enum { RECEIPTS_MAX = 65536 };

struct receipts;

MUST_USE enum err receipts_create(struct receipts **out);
void receipts_destroy(struct receipts *r);

/* Remember; takes the place of an earlier one of the same client and packet id. */
void receipts_add(struct receipts *r, const struct receipt *receipt);

/* The latest of this client and packet id, borrowed until the next add; NULL: none kept. Whether it
 * is the same message tells its content_hash. */
const struct receipt *receipts_find(const struct receipts *r, uint64_t client_hash,
                                    uint16_t packet_id);

/* All that are kept, oldest first. */
void receipts_each(const struct receipts *r,
                   void (*visit)(void *context, const struct receipt *receipt), void *context);
uint32_t receipts_count(const struct receipts *r);

#endif /* STORAGE_JOURNAL_RECEIPTS_H */
