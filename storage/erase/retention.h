/* Retention: how long the points of a series are kept.
 *
 * Rules select series by topic filters; the first that selects one decides, else the default does.
 * A point is kept while it is not older than its series' horizon: the wall clock less that time,
 * which only moves on. Finding the horizon of a series costs a look-up: which rule its group falls
 * under is found out once; in groups that fall under several, once for each series.
 *
 * Moved by the store thread, asked by any. */

#ifndef STORAGE_ERASE_RETENTION_H
#define STORAGE_ERASE_RETENTION_H

#include <stdbool.h>

#include "storage/catalogue/catalogue.h"
#include "storage/erase/cuts.h"

enum { RETENTION_RULES_MAX = 64 };
#define RETENTION_FOR_EVER INT64_MIN /* As a horizon. */

struct retention;

struct retention_rule {
    struct bytes filter; /* Valid, at most SERIES_PATH_BYTES_MAX; copied. */
    int64_t keep_s;      /* 0: for ever. */
};

struct retention_options {
    const struct retention_rule *rules;
    size_t rule_count;
    int64_t keep_s;   /* Of series that no rule selects; 0: for ever. */
    int64_t period_s; /* Length of a partition's period. */
};

/* E_LIMIT: too many rules. E_NO_MEMORY. */
MUST_USE enum err retention_create(const struct retention_options *options, struct retention **out);
void retention_destroy(struct retention *r); /* NULL is fine. */

/* The wall clock moved on. Store thread. */
void retention_move(struct retention *r, int64_t wall_ns);

/* Points of the series before this are not kept. */
int64_t retention_horizon(struct retention *r, const struct catalogue *c, struct series_ref ref);

/* The same for a series that need not exist. */
int64_t retention_horizon_of_path(const struct retention *r, struct bytes path);

/* Points of all series before the least are not kept; of none from the latest on. */
int64_t retention_least(const struct retention *r);
int64_t retention_latest(const struct retention *r);

/* Whether some series lost a whole period of from_ns..to_ns, and others did not. */
bool retention_shrinks(const struct retention *r, int64_t from_ns, int64_t to_ns);

/* Grows when a horizon has passed a period's end; 0 before the first move. */
uint64_t retention_generation(const struct retention *r);

/* Add the cuts of a group; `whole`: only of periods that are over as a whole. E_NO_MEMORY. */
MUST_USE enum err retention_cut_group(struct retention *r, const struct catalogue *c,
                                      uint32_t group, bool whole, struct cuts *out);

#endif /* STORAGE_ERASE_RETENTION_H */
