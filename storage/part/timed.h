/* Things with a time, and one way to put them in order.
 *
 * Sensor data comes as a few ascending runs (what was live, what came late), so a natural merge
 * sort is nearly linear on it: Knuth, TAOCP 3, 5.2.4, algorithm N. Stable: of equal times the one
 * that came first stays first. */

#ifndef STORAGE_PART_TIMED_H
#define STORAGE_PART_TIMED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct timed {
    int64_t time_ns;
    uint64_t payload; /* A value's bits, or an index. */
};

/* Each time greater than the one before. */
bool timed_is_strict(const struct timed *items, size_t count);

/* `buffer` has room for `count` too; its content is undefined afterwards. */
void timed_sort(struct timed *items, size_t count, struct timed *buffer);

#endif /* STORAGE_PART_TIMED_H */
