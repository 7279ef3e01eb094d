/* The list behind --agg: "mean,p95" to what a query asks for, and back to titles. */

#ifndef CLI_AGGREGATES_H
#define CLI_AGGREGATES_H

#include "base/err.h"
#include "clients/hejnal.h"

enum { AGGREGATES_TITLE_BYTES = 16 };

struct aggregates {
    unsigned bits; /* Of enum hejnal_aggregate. */
    unsigned percentile_count;
    double percentiles[HEJNAL_PERCENTILES_MAX];
    char names[HEJNAL_PERCENTILES_MAX][AGGREGATES_TITLE_BYTES]; /* As they were written. */
};

/* E_MALFORMED: `*wrong` is the word that is none, cut off and static. E_LIMIT: more percentiles
 * than HEJNAL_PERCENTILES_MAX. */
MUST_USE enum err aggregates_read(const char *text, struct aggregates *out, const char **wrong);

/* Titles in the order of a block's columns, as long as `a`; returns how many. */
unsigned aggregates_titles(const struct aggregates *a, const char *titles[HEJNAL_VALUES_MAX]);

/* "count, sum, ...", for messages. */
#define AGGREGATES_ALL                                                                             \
    "count, sum, mean, min, max, first, last, stddev, median, p95 (p0 to p100, p99.9), twa, "      \
    "increase, rate, coverage"

#endif /* CLI_AGGREGATES_H */
