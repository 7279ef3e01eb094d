/* The newest value of a series, also when it must be read because newer ones were deleted. */

#ifndef STORAGE_READ_NEWEST_H
#define STORAGE_READ_NEWEST_H

#include "storage/engine.h"

/* One serves many series, one thread at a time. Zeroed at first. */
struct newest {
    struct scan *scan; /* NULL until needed. */
};
void newest_fini(struct newest *n);

/* E_NOT_FOUND: it has none. Mostly no disk; else as scan_next(). Worker threads. */
MUST_USE enum err newest_find(struct newest *n, struct engine *e, struct series_ref ref,
                              int64_t *time_ns, double *value);

#endif /* STORAGE_READ_NEWEST_H */
