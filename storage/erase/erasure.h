/* All that is to be left out while a file is written: what lies under tombs, and, where a file is
 * written that stays, what is beyond retention. */

#ifndef STORAGE_ERASE_ERASURE_H
#define STORAGE_ERASE_ERASURE_H

#include "storage/erase/cuts.h"
#include "storage/erase/retention.h"
#include "storage/erase/tombs.h"

struct erasure {
    const struct tombs *tombs; /* NULL: none. */
    const struct catalogue *catalogue;
    struct retention *retention; /* NULL: nothing is too old. */
};

/* Replace `out` by the cuts of a group: in heads, where rows are too young to be beyond retention;
 * in files. `whole`: of retention only periods that are over as a whole. E_NO_MEMORY. */
MUST_USE enum err erasure_of_head(const struct erasure *e, uint32_t group, struct cuts *out);
MUST_USE enum err erasure_of_file(const struct erasure *e, uint32_t group, bool whole,
                                  struct cuts *out);

#endif /* STORAGE_ERASE_ERASURE_H */
