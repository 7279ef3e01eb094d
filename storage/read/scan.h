/* A scan: the points of one series in time order, head and partitions merged.
 *
 * Each step takes a fresh view, reads one bounded window and lets everything go, so a slow reader
 * holds nothing. At equal times the value that came last wins (promise P3). Worker threads. */

#ifndef STORAGE_READ_SCAN_H
#define STORAGE_READ_SCAN_H

#include <stdint.h>

#include "codec/chunk.h"
#include "storage/catalogue/catalogue.h"
#include "storage/engine.h"
#include "storage/read/buckets.h"

enum { SCAN_POINTS_TARGET = 16384 };

struct scan;

/* Points from_ns <= t < to_ns. One scan serves many series: scan_start() again. */
MUST_USE enum err scan_create(struct engine *e, struct scan **out);
void scan_destroy(struct scan *s);
void scan_rest(struct scan *s); /* It is at no series now: gives up what memory is large. */
void scan_start(struct scan *s, struct series_ref ref, int64_t from_ns, int64_t to_ns);

/* From the next start on: only what was known at `known_ns`, with the values it had then
 * (storage/read/known.h). INT64_MAX: all, as it is now. */
void scan_set_known(struct scan *s, int64_t known_ns);

/* The next points, at least one, about SCAN_POINTS_TARGET (several times that where sources
 * overlap); borrowed until the next call. E_END: none left. A damaged chunk is counted, logged once
 * and skipped. E_NO_MEMORY, errors of kv.h. */
struct span {
    size_t count;
    const int64_t *times;
    const double *values;
};
MUST_USE enum err scan_next(struct scan *s, struct span *out);

/* As scan_next(), for aggregates over `buckets`: what falls into one bucket as a whole and may be
 * overwritten by no other source, such as a chunk, is not decoded; its statistics come instead, for
 * a part of a bucket or all of it: those of a chunk, or rollups of many hours or days at once.
 * NULL: no statistics wanted. */
struct piece {
    const struct chunk_stats *stats; /* In order of time, borrowed as a span is; or NULL: a span. */
    size_t stats_count;              /* All times of each are of one bucket. */
    struct span span;
};
MUST_USE enum err scan_next_piece(struct scan *s, const struct buckets *buckets, struct piece *out);

#endif /* STORAGE_READ_SCAN_H */
