/* The buckets of one series, one complete cell after another: what a scan gives, put into buckets.
 *
 * Time-weighted means: a value stands until the next point, at most for the gap, and is there from
 * before the window (the last point at most a gap before it). Counters: the difference to the point
 * before, however far the border of a bucket lies between, belongs to the bucket of the later
 * point; a decrease is a reset, after which the counter began at 0; points further apart than the
 * gap make no difference. Coverage: the usual interval is the median of those between the first
 * RUN_SAMPLE_POINTS points of the window. */

#ifndef STORAGE_READ_BUCKET_RUN_H
#define STORAGE_READ_BUCKET_RUN_H

#include "storage/read/cell.h"
#include "storage/read/scan.h"

enum { RUN_SAMPLE_POINTS = 1024 };

struct bucket_run {
    const struct query_request *request;
    struct cell_needs needs;
    int64_t hold_ns, difference_ns; /* Gaps. */
    struct scan *scan;
    struct series_ref series;
    int64_t from_ns, to_ns;
    enum { RUN_LOOK, RUN_SAMPLE, RUN_POINTS, RUN_REST, RUN_END } phase;
    bool started;       /* The scan of this phase. */
    struct piece piece; /* Being worked on, */
    size_t used;        /* so many of its points are done. */
    bool has_before;
    double before; /* The last value, and when it was. */
    int64_t before_ns;
    int64_t held_ns; /* It has been reckoned to stand until then. */
    int64_t interval_ns;
    struct cell cells[2]; /* The one being filled, and the one given. */
    unsigned at;
    bool is_open;
    size_t samples;
    int64_t sample_ns; /* Time of the last. */
    int64_t intervals[RUN_SAMPLE_POINTS];
};

/* The request and the scan are the caller's. */
void bucket_run_init(struct bucket_run *r, const struct query_request *request, struct scan *s);
void bucket_run_fini(struct bucket_run *r);

/* Begin with a series, over from <= t < to. */
void bucket_run_start(struct bucket_run *r, struct series_ref series, int64_t from_ns,
                      int64_t to_ns);

/* The next cell, complete and not empty, borrowed until the next call but one. E_END: no more.
 * E_MORE: `*budget`, in points, is used up; call again. Errors of scan.h, E_NO_MEMORY. */
MUST_USE enum err bucket_run_next(struct bucket_run *r, size_t *budget, struct cell **out);

#endif /* STORAGE_READ_BUCKET_RUN_H */
