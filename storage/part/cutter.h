/* The cutter: sorted rows of a group become chunks of a good size.
 *
 * Good is what a page of the file holds without waste: up to CHUNK_PAGE_BYTES for a full chunk, at
 * most CHUNK_INLINE_BYTES for the rest of a group. Between the two a value takes a page of its own
 * and leaves much of it empty, so such a rest is halved where that is smaller. Wide groups, whose
 * columns' headers alone fill a page, get more pages. */

#ifndef STORAGE_PART_CUTTER_H
#define STORAGE_PART_CUTTER_H

#include "base/bytes.h"
#include "storage/part/columns.h"

struct cutter;

/* `dense`: for chunks that stay, smaller for twice the time. E_NO_MEMORY. */
MUST_USE enum err cutter_create(bool dense, struct cutter **out);
void cutter_destroy(struct cutter *c); /* NULL is fine. */

/* Where rows come from: put more of them behind those in `columns`, until it holds `rows` or there
 * are no more; all of the last time. */
struct cutter_source {
    enum err (*fill)(void *context, struct columns *columns, uint32_t rows);
    void *context;
};

/* Where chunks go: `key` and `chunk` are borrowed for the call. */
struct cutter_sink {
    enum err (*make_key)(void *context, uint32_t group, int64_t first_ns, uint8_t key[16]);
    enum err (*put)(void *context, struct bytes key, struct bytes chunk);
    /* NULL, or: whether all rows of a group are few enough to go elsewhere, and went. */
    enum err (*put_small)(void *context, uint32_t group, const struct chunk_input *in,
                          bool *is_put);
    void *context;
};

struct cutter_counts {
    uint64_t duplicates, overwritten; /* Values, as in struct checkpoint_result. */
    uint64_t rows;                    /* Distinct times. */
    uint64_t chunks, chunk_bytes;
};

/* Cut all rows of a group; adds to `counts`. Errors of source and sink, and of chunk_write(). */
MUST_USE enum err cutter_write(struct cutter *c, uint32_t group, const struct cutter_source *source,
                               const struct cutter_sink *sink, struct cutter_counts *counts);

#endif /* STORAGE_PART_CUTTER_H */
