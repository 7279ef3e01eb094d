/* A set of times as spans that do not overlap. */

#ifndef STORAGE_READ_SPANS_H
#define STORAGE_READ_SPANS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct time_span {
    int64_t first_ns, last_ns;
};

struct spans {
    size_t count, limit;
    struct time_span *at; /* Ascending, after spans_settle(). */
};

void spans_clear(struct spans *s); /* Keeps the memory; of a zeroed set, too. */
void spans_fini(struct spans *s);

/* Add first <= t <= last; what touches the span added last becomes one with it. E_NO_MEMORY. */
MUST_USE enum err spans_add(struct spans *s, int64_t first_ns, int64_t last_ns);

/* After adding, before asking. */
void spans_settle(struct spans *s);

/* The first span with a time in from <= t < to; NULL: there is none. */
const struct time_span *spans_find(const struct spans *s, int64_t from_ns, int64_t to_ns);

#endif /* STORAGE_READ_SPANS_H */
