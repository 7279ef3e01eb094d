/* All chunks of one group in several parts, as one row of rows in order of time.
 *
 * What sealing reads. Of equal times the value of the later part stands, and inside a part that of
 * the later flush, column by column (promise P3). Only chunks that overlap are in memory together,
 * so memory follows from disorder, not from the length of the period. */

#ifndef STORAGE_PART_MERGE_H
#define STORAGE_PART_MERGE_H

#include "storage/erase/erasure.h"
#include "storage/part/columns.h"
#include "storage/part/part.h"

struct merge;

/* Who is given a chunk that cannot be read, before it is left out; and who is told of a part (by
 * its index) that what it has cannot all be found: what can be is in the rows. */
struct merge_damage {
    enum err (*keep)(void *context, struct part *part, struct bytes key, struct bytes value);
    void (*lose)(void *context, size_t index);
    void *context;
};

/* Parts in the order in which they win, the last over all; they live until merge_destroy(), as does
 * what says what to leave out of them. E_NO_MEMORY. */
struct merge_sources {
    struct part *const *parts;
    size_t count;
    const struct erasure *erasure;
};
MUST_USE enum err merge_create(const struct merge_sources *sources,
                               const struct merge_damage *damage, struct merge **out);
void merge_destroy(struct merge *m); /* NULL is fine. */

/* Begin with another group. E_NO_MEMORY, errors of part.h. */
MUST_USE enum err merge_start(struct merge *m, uint32_t group);

/* Put more rows behind those in `c`, until it has `rows` or there are no more; all of the last
 * time. Fits cutter_source. E_VERSION: a chunk of a later build; E_NO_MEMORY, E_IO, and what
 * merge_damage says. */
MUST_USE enum err merge_fill(void *merge, struct columns *c, uint32_t rows);

#endif /* STORAGE_PART_MERGE_H */
