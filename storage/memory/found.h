/* Newest values that were had by reading: of series whose newest one was deleted. A cache of
 * bounded size; what was found stays right while the series' token is the same (last.h).
 *
 * Any thread, one lock. */

#ifndef STORAGE_MEMORY_FOUND_H
#define STORAGE_MEMORY_FOUND_H

#include <stdbool.h>

#include "storage/catalogue/catalogue.h"

struct found;

struct found_value {
    bool is_none; /* The series has nothing left. */
    int64_t time_ns;
    double value;
};

MUST_USE enum err found_create(struct found **out);
void found_destroy(struct found *f); /* NULL is fine. */

/* False: not known. */
bool found_get(struct found *f, struct series_ref ref, uint64_t token, struct found_value *out);
void found_put(struct found *f, struct series_ref ref, uint64_t token, struct found_value value);

#endif /* STORAGE_MEMORY_FOUND_H */
