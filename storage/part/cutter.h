/* The cutter: sorted rows of a group become chunks of a good size.
 *
 * Good is what a page of the file holds without waste: up to CHUNK_PAGE_BYTES for a full chunk, at
 * most CHUNK_INLINE_BYTES for the rest of a group. Between the two a value takes a page of its own
 * and leaves much of it empty, so such a rest is halved where that is smaller. Wide groups, whose
 * columns' headers alone fill a page, get more pages. */

#ifndef STORAGE_PART_CUTTER_H
#define STORAGE_PART_CUTTER_H

#include "base/bytes.h"
#include "storage/part/row_set.h"

struct cutter;

MUST_USE enum err cutter_create(struct cutter **out);
void cutter_destroy(struct cutter *c); /* NULL is fine. */

/* Where chunks go: `key` and `chunk` are borrowed for the call. */
struct cutter_sink {
    enum err (*make_key)(void *context, uint32_t group, int64_t first_ns, uint8_t key[16]);
    enum err (*put)(void *context, struct bytes key, struct bytes chunk);
    void *context;
};

struct cutter_counts {
    uint64_t duplicates, overwritten; /* Values, as in struct checkpoint_result. */
    uint64_t chunks, chunk_bytes;
};

/* Cut all of `rows`, merging equal times column by column; adds to `counts`. The sink's errors, and
 * those of chunk_write(). */
MUST_USE enum err cutter_write(struct cutter *c, uint32_t group, const struct row_set *rows,
                               const struct cutter_sink *sink, struct cutter_counts *counts);

#endif /* STORAGE_PART_CUTTER_H */
