/* The part of a scan that is answered from rollups.
 *
 * A rollup may stand for its hour or day when the asked bucket holds it as a whole and nothing lies
 * over it: no chunk of a later layer, no row of a head. Days go before hours; what neither can say,
 * such as the ends of the window, is left to chunks. Rollups of one asked bucket come joined. */

#ifndef STORAGE_READ_ROLLUP_SCAN_H
#define STORAGE_READ_ROLLUP_SCAN_H

#include "storage/part/rollup.h"
#include "storage/read/buckets.h"
#include "storage/read/chunk_list.h"
#include "storage/read/spans.h"

/* One value, decoded. It is the first of its level at or behind each time from <= t <= to. */
struct rollup_held {
    bool is_held;
    int64_t from_ns, to_ns; /* `to`: its last bucket; INT64_MAX where there is no value. */
    uint32_t count;
    struct rollup_row *rows; /* ROLLUP_ROWS_MAX; NULL until needed. */
};

struct rollup_scan {
    uint64_t part_id; /* Whose the values are. */
    struct series_ref series;
    struct rollup_held held[ROLLUP_LEVELS];
    struct spans covered;      /* Times of this window that something lies over. */
    struct chunk_stats *stats; /* ROLLUP_ROWS_MAX; NULL until needed. */
    uint32_t damaged;          /* Values that could not be read since the last call. */
};

void rollup_scan_init(struct rollup_scan *r);
void rollup_scan_fini(struct rollup_scan *r);

/* A window at <= t < end, in which `part` alone is in the sealed layer. The caller adds to
 * `covered` what lies over it in the others, after spans_clear(), and settles it. */
struct rollup_window {
    struct part *part; /* part_has_rollups(). */
    struct series_ref series;
    const struct buckets *buckets;
    int64_t at_ns, end_ns;
    struct chunk_scratch *scratch;
};

/* Whether rollups can be of any use for such buckets. */
bool rollup_scan_fits(const struct buckets *buckets);

struct rollup_answer {
    bool is_answered; /* `stats` stand for at <= t < end; else so far chunks must. */
    int64_t end_ns;
    const struct chunk_stats *stats; /* Each of one asked bucket, with numbers in it; borrowed. */
    size_t count;
};

/* The answer for a beginning of the window. E_NO_MEMORY, errors of part.h. */
MUST_USE enum err rollup_scan_next(struct rollup_scan *r, const struct rollup_window *w,
                                   struct rollup_answer *out);

#endif /* STORAGE_READ_ROLLUP_SCAN_H */
