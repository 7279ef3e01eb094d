/* A journal record's envelope: 40 bytes before the entries of a batch. Pure; docs/FORMAT.md,
 * "Journal record". */

#ifndef STORAGE_JOURNAL_RECORD_H
#define STORAGE_JOURNAL_RECORD_H

#include "storage/journal/journal.h"

enum { RECORD_VERSION = 1 };

/* Fill the first BATCH_HEADER_BYTES of `record`; `position`, producer, counter and arrival come
 * from `header`. The checksum is seeded by the position, so a record in a wrong place is found out.
 */
void record_seal(uint8_t *record, uint32_t record_bytes, const struct journal_record *header);

/* Check the envelope of what lies at `position`. `out->entries` borrows from `record`. E_CORRUPT
 * (out->position is set), E_VERSION. Safe on any bytes. */
MUST_USE enum err record_open(uint64_t position, struct bytes record, struct journal_record *out);

#endif /* STORAGE_JOURNAL_RECORD_H */
