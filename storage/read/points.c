#include "storage/read/points.h"

#include <stdlib.h>
#include <string.h>

enum { POINTS_FIRST = 16384 };

void points_init(struct points *p)
{
    *p = (struct points){.count = 0};
}

void points_fini(struct points *p)
{
    free(p->times);
    free(p->values);
    free(p->items);
    points_init(p);
}

void points_start(struct points *p, int64_t from_ns, int64_t end_ns)
{
    p->count = 0;
    p->unsorted = false;
    p->from_ns = from_ns;
    p->end_ns = end_ns;
}

static enum err grow(struct points *p, size_t need)
{
    size_t limit = p->limit == 0 ? POINTS_FIRST : p->limit;
    while (limit < need) {
        limit *= 2;
    }
    int64_t *times = realloc(p->times, limit * sizeof *times);
    if (times == NULL) {
        return E_NO_MEMORY;
    }
    p->times = times;
    double *values = realloc(p->values, limit * sizeof *values);
    if (values == NULL) {
        return E_NO_MEMORY;
    }
    p->values = values;
    free(p->items);
    p->items = NULL;
    p->limit = limit;
    return OK;
}

enum err points_reserve(struct points *p, size_t more)
{
    if (p->count + more > POINTS_MAX) {
        TRY(points_settle(p));
        if (p->count > POINTS_KEEP) {
            p->count = POINTS_KEEP;
            p->end_ns = p->times[POINTS_KEEP];
        }
    }
    return p->count + more <= p->limit ? OK : grow(p, p->count + more);
}

/* Index of the first of `count` ascending times that is not before `time_ns`. */
static size_t find_time(const int64_t *times, size_t count, int64_t time_ns)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (times[middle] < time_ns) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

void points_take(struct points *p, size_t filled)
{
    int64_t *times = p->times + p->count;
    double *values = p->values + p->count;
    size_t from = find_time(times, filled, p->from_ns);
    size_t to = find_time(times, filled, p->end_ns);
    if (from > 0 && from < to) {
        memmove(times, times + from, (to - from) * sizeof *times);
        memmove(values, values + from, (to - from) * sizeof *values);
    }
    if (from < to) {
        p->unsorted |= p->count > 0 && times[0] <= times[-1];
        p->count += to - from;
    }
}

/* Back from sorted items; of equal times the last, which came last, stays. */
static void unpack(struct points *p)
{
    size_t kept = 0;
    for (size_t i = 0; i < p->count; i++) {
        const struct timed *item = &p->items[i];
        kept -= kept > 0 && p->times[kept - 1] == item->time_ns;
        p->times[kept] = item->time_ns;
        memcpy(&p->values[kept], &item->payload, sizeof p->values[kept]);
        kept++;
    }
    p->count = kept;
}

enum err points_settle(struct points *p)
{
    if (!p->unsorted) {
        return OK;
    }
    if (p->items == NULL) {
        p->items = malloc(2 * p->limit * sizeof *p->items);
        if (p->items == NULL) {
            return E_NO_MEMORY;
        }
    }
    for (size_t i = 0; i < p->count; i++) {
        p->items[i].time_ns = p->times[i];
        memcpy(&p->items[i].payload, &p->values[i], sizeof p->items[i].payload);
    }
    timed_sort(p->items, p->count, p->items + p->limit);
    unpack(p);
    p->unsorted = false;
    return OK;
}
