/* The list behind --agg: "mean,max" to bits of enum hejnal_aggregate, and back to titles. */

#ifndef CLI_AGGREGATES_H
#define CLI_AGGREGATES_H

#include "base/err.h"

/* E_MALFORMED: `*wrong` is the word that is none, cut off and static. */
MUST_USE enum err aggregates_read(const char *text, unsigned *bits, const char **wrong);

/* Titles in the order of a block's columns; returns how many. */
unsigned aggregates_titles(unsigned bits, const char *titles[8]);

/* "count, sum, ...", for messages. */
#define AGGREGATES_ALL "count, sum, mean, min, max, first, last, stddev"

#endif /* CLI_AGGREGATES_H */
