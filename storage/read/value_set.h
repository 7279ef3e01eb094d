/* The values of one bucket, for percentiles: all of them up to VALUE_SET_EXACT_MAX, a sketch
 * (sketch.h) of what became more, so that memory is bounded. NaN values take no part. */

#ifndef STORAGE_READ_VALUE_SET_H
#define STORAGE_READ_VALUE_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { VALUE_SET_EXACT_MAX = 16384 };

struct value_set {
    size_t count, limit;
    double *values;
    struct sketch *sketch; /* NULL: all are in `values`. */
};

/* It never had a value, or was given up: no memory is held. */
static inline bool value_set_is_unused(const struct value_set *v)
{
    return v->limit == 0 && v->sketch == NULL;
}

void value_set_init(struct value_set *v);
void value_set_fini(struct value_set *v);
void value_set_clear(struct value_set *v); /* Keeps its memory for values. */

/* E_NO_MEMORY: it holds some of them; done for. */
MUST_USE enum err value_set_add(struct value_set *v, const double *values, size_t count);
MUST_USE enum err value_set_merge(struct value_set *v, const struct value_set *other);

/* Bytes of memory it holds. */
size_t value_set_bytes(const struct value_set *v);

/* The percentile 0 <= `percent` <= 100, NaN of no values. Exact: at place percent / 100 * (n - 1)
 * of the ascending values, between two in proportion. Sketch: the value at the nearest place,
 * within SKETCH_ERROR of itself. Orders the values anew. */
double value_set_percentile(struct value_set *v, double percent);

#endif /* STORAGE_READ_VALUE_SET_H */
