/* The rows of one group in one period, out of frozen heads, in order of time.
 *
 * Holds where the rows lie, not their values: the heads must live as long as the set is used. */

#ifndef STORAGE_PART_ROW_SET_H
#define STORAGE_PART_ROW_SET_H

#include "storage/erase/cuts.h"
#include "storage/memory/head.h"
#include "storage/part/columns.h"
#include "storage/part/part.h"
#include "storage/part/timed.h"

struct row_set {
    size_t count, limit;
    struct head_row *rows; /* As they came. */
    struct timed *order;   /* By time, then arrival; the payload is an index into `rows`. */
    struct timed *buffer;  /* For sorting; NULL until needed. */
    struct cuts cuts;      /* What to leave out of the group gathered next; none at first. */
};

void row_set_init(struct row_set *s);
void row_set_fini(struct row_set *s);

/* Replace the content by the rows of `group` in `period`, of all heads, oldest first. Keeps memory
 * for the next. E_NO_MEMORY. */
MUST_USE enum err row_set_gather(struct row_set *s, struct head *const *heads, unsigned head_count,
                                 uint32_t group, struct part_period period);

/* Put rows from the `*from`th on behind those in `c`, until it has `rows`; all of the last time.
 * `*from` moves on. E_NO_MEMORY. */
MUST_USE enum err row_set_put(const struct row_set *s, size_t *from, struct columns *c,
                              uint32_t rows);

/* The row that is `index`th by time. */
static inline const struct head_row *row_set_row(const struct row_set *s, size_t index)
{
    return &s->rows[s->order[index].payload];
}

#endif /* STORAGE_PART_ROW_SET_H */
