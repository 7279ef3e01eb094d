/* What is to be left out of one row group, though it is still stored: the part of deletes, and of
 * retention, that concerns the group. Whoever reads a head or a chunk asks here.
 *
 * A cut leaves out the values of `columns` at from_ns <= t < to_ns that were written before journal
 * position `position`. Of a chunk it is known that all its values were written up to a position
 * (part_position()); of a head, how many of the group's rows were there. */

#ifndef STORAGE_ERASE_CUTS_H
#define STORAGE_ERASE_CUTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct head;
struct tomb;

struct cut {
    uint64_t position; /* UINT64_MAX: whenever they were written. */
    int64_t from_ns, to_ns;
    uint64_t columns;
    const struct tomb *tomb; /* What it comes from; NULL: retention. */
    uint64_t rows;           /* Of the head aimed at: so many from its first one were there. */
};

struct cuts {
    size_t count, limit;
    struct cut *at;
};

void cuts_init(struct cuts *c);
void cuts_fini(struct cuts *c);
MUST_USE enum err cuts_add(struct cuts *c, const struct cut *cut); /* E_NO_MEMORY */

/* Whether a cut leaves out something, or everything, of `columns` in first_ns..last_ns of a chunk
 * that was written up to `position`. */
bool cuts_touch(const struct cuts *c, uint64_t position, int64_t first_ns, int64_t last_ns);
bool cuts_cover(const struct cuts *c, uint64_t position, int64_t first_ns, int64_t last_ns);

/* Of points of one column, ascending in time, out of such a chunk: those that stay, moved together;
 * returns how many. All cuts are of that column. */
uint32_t cuts_keep(const struct cuts *c, uint64_t position, int64_t *times, double *values,
                   uint32_t count);

/* Before walking the rows of a group in a head. */
void cuts_aim(struct cuts *c, const struct head *h, uint32_t group);

/* The columns left out of the `index`th row of the head aimed at. */
static inline uint64_t cuts_of_row(const struct cuts *c, uint64_t index, int64_t time_ns)
{
    uint64_t columns = 0;
    for (size_t i = 0; i < c->count; i++) {
        const struct cut *cut = &c->at[i];
        if (index < cut->rows && time_ns >= cut->from_ns && time_ns < cut->to_ns) {
            columns |= cut->columns;
        }
    }
    return columns;
}

#endif /* STORAGE_ERASE_CUTS_H */
