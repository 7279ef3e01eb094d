/* Points of one series gathered from several sources, oldest source first, for one window of time.
 *
 * While every source continues where the one before ended, points lie in their final place from the
 * start; else they are sorted at the end and the last of equal times stays. When more come than
 * POINTS_MAX, the window is cut short in time: what lies behind its new end is dropped, and read by
 * the next window. */

#ifndef STORAGE_READ_POINTS_H
#define STORAGE_READ_POINTS_H

#include <stdbool.h>

#include "base/err.h"
#include "storage/part/timed.h"

enum { POINTS_MAX = 1 << 17, POINTS_KEEP = POINTS_MAX / 2 };

struct points {
    int64_t from_ns, end_ns; /* The window; the end may come nearer. */
    size_t count, limit;
    bool unsorted; /* A time is not behind the one before it. */
    int64_t *times;
    double *values;
    struct timed *items; /* For sorting, twice `limit`; NULL until needed. */
};

void points_init(struct points *p);
void points_fini(struct points *p);

/* Empty it for a new window. */
void points_start(struct points *p, int64_t from_ns, int64_t end_ns);

/* Room for `more` points at times + count and values + count, which the caller may fill and then
 * hand over by points_take(). E_NO_MEMORY. */
MUST_USE enum err points_reserve(struct points *p, size_t more);

/* The `filled` strictly ascending points behind the last: keep those inside the window. */
void points_take(struct points *p, size_t filled);

/* One point; left out if outside the window. Needs room for it. */
static inline void points_add(struct points *p, int64_t time_ns, double value)
{
    if (time_ns >= p->from_ns && time_ns < p->end_ns) {
        p->unsorted |= p->count > 0 && time_ns <= p->times[p->count - 1];
        p->times[p->count] = time_ns;
        p->values[p->count] = value;
        p->count++;
    }
}

/* Sort and drop what was overwritten. E_NO_MEMORY. */
MUST_USE enum err points_settle(struct points *p);

#endif /* STORAGE_READ_POINTS_H */
