/* The table "rollups" of a sealed file: putting while it is made, and finding. */

#ifndef STORAGE_PART_PART_ROLLUP_H
#define STORAGE_PART_PART_ROLLUP_H

#include "storage/part/part.h"
#include "storage/part/rollup.h"

/* Part of a flush. `append`: the key is greater than any before. Errors of kv.h. */
MUST_USE enum err part_flush_rollup(struct part_flush *f, struct bytes key, struct bytes value,
                                    bool append);

/* Whether the file has any. */
bool part_has_rollups(struct part *p);

/* Reading, as by part_cursor: keep it short. */
struct part_rollups;
MUST_USE enum err part_rollups_open(struct part *p, struct part_rollups **out);
void part_rollups_close(struct part_rollups *r);

/* The first value whose key is `from` or greater, and the next after that; borrowed until closed.
 * E_END: none. */
MUST_USE enum err part_rollups_find(struct part_rollups *r, struct rollup_key from,
                                    struct bytes *key, struct bytes *value);
MUST_USE enum err part_rollups_next(struct part_rollups *r, struct bytes *key, struct bytes *value);

#endif /* STORAGE_PART_PART_ROLLUP_H */
