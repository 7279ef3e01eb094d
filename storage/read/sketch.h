/* A sketch of many values that answers quantiles within SKETCH_ERROR of the value: DDSketch
 * (Masson, Rim, Lee, VLDB 2019).
 *
 * Values are counted in bins that grow by a constant factor, one row of bins for each sign, zeros
 * and infinities apart. Sketches are merged by adding their bins, without further error. A row has
 * SKETCH_BINS bins: when values of one sign spread over a greater factor than those span (6e17),
 * the smallest magnitudes fall into one bin. */

#ifndef STORAGE_READ_SKETCH_H
#define STORAGE_READ_SKETCH_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { SKETCH_BINS = 2048 };
#define SKETCH_ERROR 0.01

struct sketch;

MUST_USE enum err sketch_create(struct sketch **out);
void sketch_destroy(struct sketch *s); /* NULL is fine. */
size_t sketch_bytes(void);

/* NaN takes no part. */
void sketch_add(struct sketch *s, const double *values, size_t count);
void sketch_merge(struct sketch *s, const struct sketch *other);

uint64_t sketch_count(const struct sketch *s);

/* The value of rank `rank` (from 0, below the count) of the ascending values, about. */
double sketch_at(const struct sketch *s, uint64_t rank);

#endif /* STORAGE_READ_SKETCH_H */
