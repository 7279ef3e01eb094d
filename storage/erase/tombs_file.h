/* Tombs at rest: table "deletes" of catalog.mdb, so that they outlive the journal's trimming.
 * docs/FORMAT.md, "Catalogue". */

#ifndef STORAGE_ERASE_TOMBS_FILE_H
#define STORAGE_ERASE_TOMBS_FILE_H

#include "storage/erase/tombs.h"

struct kv;

/* The table holds these and no others: one transaction. NULL: none. Errors of kv.h. */
MUST_USE enum err tombs_save(const struct tombs *t, struct kv *kv);

/* Without marks. Damaged ones are logged, counted and left out. NULL in `*out`: there are none.
 * Errors of kv.h. */
MUST_USE enum err tombs_load(struct kv *kv, struct tombs **out, uint32_t *damaged);

/* What one pair says; the filter is borrowed from `value`. E_CORRUPT. */
MUST_USE enum err tombs_read_pair(struct bytes key, struct bytes value, struct tomb_order *out);

#endif /* STORAGE_ERASE_TOMBS_FILE_H */
