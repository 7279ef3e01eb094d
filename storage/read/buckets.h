/* How time is cut into buckets: of a fixed length since 1970 UTC, or days, weeks, months and years
 * of the calendar in a time zone.
 *
 * A day begins when the local clock first shows its midnight, or skips past it, so days may have
 * 23, 24.5 or 25 hours, a day the zone skipped has none, and every time is in exactly one bucket.
 * Weeks begin on Monday. Several units make one bucket, counted from 1970-01-01 (weeks: from Monday
 * 1969-12-29, months and years: from the year 0). Pure; any thread. */

#ifndef STORAGE_READ_BUCKETS_H
#define STORAGE_READ_BUCKETS_H

#include <stdint.h>

struct zone;

enum bucket_unit { BUCKET_FIXED, BUCKET_DAY, BUCKET_WEEK, BUCKET_MONTH, BUCKET_YEAR };

enum { BUCKET_UNITS_MAX = 1000 };

struct buckets {
    enum bucket_unit unit;
    int64_t length;          /* Fixed: nanoseconds, > 0; else so many units, 1..BUCKET_UNITS_MAX. */
    const struct zone *zone; /* Borrowed; NULL: UTC. Not of fixed ones. */
};

struct bucket {
    int64_t start_ns, end_ns; /* start <= t < end; cut at the ends of int64_t. */
};

/* The bucket that holds `time_ns`, which is in years 0001..9999 unless buckets are fixed. Some ten
 * to hundred nanoseconds; whoever has many times of one bucket compares them with its end. */
struct bucket buckets_find(const struct buckets *b, int64_t time_ns);

#endif /* STORAGE_READ_BUCKETS_H */
