#include "storage/read/spans.h"

#include <stdlib.h>

void spans_clear(struct spans *s)
{
    s->count = 0;
}

void spans_fini(struct spans *s)
{
    free(s->at);
    *s = (struct spans){.count = 0};
}

/* Whether `b`, which does not begin before `a`, begins in it. */
static bool reaches(const struct time_span *a, const struct time_span *b)
{
    return a->first_ns <= b->first_ns && b->first_ns <= a->last_ns;
}

static void widen(struct time_span *a, const struct time_span *b)
{
    a->last_ns = b->last_ns > a->last_ns ? b->last_ns : a->last_ns;
}

enum err spans_add(struct spans *s, int64_t first_ns, int64_t last_ns)
{
    const struct time_span fresh = {first_ns, last_ns};
    if (s->count > 0 && reaches(&s->at[s->count - 1], &fresh)) {
        widen(&s->at[s->count - 1], &fresh);
        return OK;
    }
    if (s->count == s->limit) {
        const size_t limit = s->limit == 0 ? 64 : 2 * s->limit;
        struct time_span *at = realloc(s->at, limit * sizeof *at);
        if (at == NULL) {
            return E_NO_MEMORY;
        }
        s->at = at;
        s->limit = limit;
    }
    s->at[s->count++] = fresh;
    return OK;
}

static int by_first(const void *a, const void *b)
{
    const struct time_span *x = a, *y = b;
    return (x->first_ns > y->first_ns) - (x->first_ns < y->first_ns);
}

void spans_settle(struct spans *s)
{
    size_t kept = 0;
    if (s->count > 0) {
        qsort(s->at, s->count, sizeof s->at[0], by_first);
    }
    for (size_t i = 0; i < s->count; i++) {
        if (kept > 0 && reaches(&s->at[kept - 1], &s->at[i])) {
            widen(&s->at[kept - 1], &s->at[i]);
        } else {
            s->at[kept++] = s->at[i];
        }
    }
    s->count = kept;
}

const struct time_span *spans_find(const struct spans *s, int64_t from_ns, int64_t to_ns)
{
    size_t low = 0, high = s->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (s->at[middle].last_ns < from_ns) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < s->count && s->at[low].first_ns < to_ns ? &s->at[low] : NULL;
}
