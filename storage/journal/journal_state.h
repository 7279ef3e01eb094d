/* Broker state inside the journal's file: the newest value of each (space, key), by stamp.
 *
 * A deleted key leaves a grave with its stamp, so that an older put that arrives later from another
 * loop does not bring it back; graves go when the journal is trimmed past them. Owned spaces
 * (batch.h) need neither: their last put stays, and their keys are in order. Inside this room only;
 * docs/FORMAT.md, "State". */

#ifndef STORAGE_JOURNAL_JOURNAL_STATE_H
#define STORAGE_JOURNAL_JOURNAL_STATE_H

#include "storage/journal/batch.h"
#include "storage/kv.h"

struct journal_state {
    struct kv_table state, graves;
    uint8_t *buffer; /* To build values in. */
    size_t limit;
};

MUST_USE enum err journal_state_open(struct journal_state *s, struct kv *kv);
void journal_state_fini(struct journal_state *s);

/* `position`: of the journal record that goes with it. Errors of kv.h. */
MUST_USE enum err journal_state_put(struct journal_state *s, struct kv_txn *txn, uint64_t position,
                                    const struct batch_state *put);

/* Values that fail their checksum are logged and left out. */
MUST_USE enum err journal_state_each(struct journal_state *s, struct kv_txn *txn, uint8_t space,
                                     enum err (*visit)(void *context,
                                                       const struct batch_state *state),
                                     void *context);

/* Graves made before `position` go. */
MUST_USE enum err journal_state_purge(struct journal_state *s, struct kv_txn *txn,
                                      uint64_t position);

/* One pair of the table "state", checked: for offline checks. Borrowed. Stamp and position are 0
 * in owned spaces. E_CORRUPT. */
struct journal_state_value {
    struct batch_state put;
    uint64_t position;
};
MUST_USE enum err journal_state_read(struct bytes key, struct bytes value,
                                     struct journal_state_value *out);

#endif /* STORAGE_JOURNAL_JOURNAL_STATE_H */
