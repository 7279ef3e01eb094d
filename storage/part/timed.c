#include "storage/part/timed.h"

#include <string.h>

bool timed_is_strict(const struct timed *items, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        if (items[i].time_ns <= items[i - 1].time_ns) {
            return false;
        }
    }
    return true;
}

/* End of the run that never descends and starts at `from`. */
static size_t run_end(const struct timed *items, size_t from, size_t count)
{
    size_t i = from + 1;
    while (i < count && items[i].time_ns >= items[i - 1].time_ns) {
        i++;
    }
    return i < count ? i : count;
}

static void merge(const struct timed *a, size_t a_count, const struct timed *b, size_t b_count,
                  struct timed *to)
{
    while (a_count > 0 && b_count > 0) {
        if (b->time_ns < a->time_ns) {
            *to++ = *b++;
            b_count--;
        } else {
            *to++ = *a++;
            a_count--;
        }
    }
    memcpy(to, a, a_count * sizeof *a);
    memcpy(to + a_count, b, b_count * sizeof *b);
}

/* Merge neighbouring runs pairwise; returns how many runs there were. */
static size_t merge_runs(const struct timed *from, size_t count, struct timed *to)
{
    size_t runs = 0;
    for (size_t start = 0; start < count;) {
        size_t middle = run_end(from, start, count);
        size_t end = middle < count ? run_end(from, middle, count) : count;
        merge(from + start, middle - start, from + middle, end - middle, to + start);
        runs += middle < end ? 2 : 1;
        start = end;
    }
    return runs;
}

void timed_sort(struct timed *items, size_t count, struct timed *buffer)
{
    struct timed *from = items, *to = buffer;
    if (run_end(items, 0, count) >= count) {
        return;
    }
    for (size_t runs = 3; runs > 2;) {
        runs = merge_runs(from, count, to);
        struct timed *swap = from;
        from = to;
        to = swap;
    }
    if (from != items) {
        memcpy(items, from, count * sizeof *items);
    }
}
