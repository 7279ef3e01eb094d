#include "storage/view_parts.h"

#include <string.h>

size_t view_part_from(const struct view_parts *l, int64_t time_ns)
{
    size_t low = 0, high = l->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (part_period(l->at[middle]).end_ns <= time_ns) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct part *view_part_find(const struct view_parts *l, int64_t time_ns)
{
    size_t i = view_part_from(l, time_ns);
    return i < l->count && part_period(l->at[i]).start_ns <= time_ns ? l->at[i] : NULL;
}

void view_part_add(struct view_parts *l, struct part *p)
{
    size_t at = view_part_from(l, part_period(p).start_ns);
    memmove(&l->at[at + 1], &l->at[at], (l->count - at) * sizeof(struct part *));
    l->at[at] = p;
    l->count++;
}

void view_part_remove(struct view_parts *l, const struct part *p)
{
    for (size_t i = 0; i < l->count; i++) {
        if (l->at[i] == p) {
            l->count--;
            memmove(&l->at[i], &l->at[i + 1], (l->count - i) * sizeof(struct part *));
            return;
        }
    }
}
