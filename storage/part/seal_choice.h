/* Which parts to seal next: a run of periods whose parts become one sealed part.
 *
 * A period is ripe when the journal's clock has passed its end by the late window. Small sealed
 * parts grow: neighbours are taken along until a part has SEAL_BYTES_AIM or spans SEAL_SPAN_S, so
 * that a village has one file a year and a city one a week, and chunks are as long as they should
 * be. Late data makes a sealed period ripe again when it is worth it. Pure but for the sizes of
 * files. */

#ifndef STORAGE_PART_SEAL_CHOICE_H
#define STORAGE_PART_SEAL_CHOICE_H

#include "storage/erase/erasure.h"
#include "storage/view_parts.h"

enum {
    SEAL_PARTS_MAX = 64,    /* In one sealing. */
    SEAL_LATE_SHARE = 4,    /* Late data of a quarter of the sealed part is sealed at once, */
    SEAL_LATE_FLUSHES = 64, /* or this many flushes of it, */
    SEAL_QUIET_S = 600,     /* or after this long without more of it. */
    SEAL_BYTES_AIM = 16 << 20
};

struct seal_rules {
    int64_t clock_ns; /* Latest arrival in the journal. */
    int64_t late_ns;  /* How long after its end a period waits for late data. */
    int64_t quiet_ns; /* Files not changed since then are quiet: wall clock. */
    int64_t span_ns;  /* The most a part spans; at least a period. */
    bool seal_all;    /* Everything is ripe. */
};

struct seal_choice {
    struct part_period period;
    size_t count;
    struct part *part[SEAL_PARTS_MAX]; /* Borrowed: sealed ones first, then by layer. */
};

/* E_END: there is nothing to do. */
MUST_USE enum err seal_choose(const struct view_parts layer[VIEW_LAYERS],
                              const struct seal_rules *rules, struct seal_choice *out);

/* A sealed part that may hold what was deleted or is beyond retention, and was not looked at since:
 * it alone. E_END: there is none. */
MUST_USE enum err seal_choose_sweep(const struct view_parts *sealed, const struct erasure *erasure,
                                    struct seal_choice *out);

#endif /* STORAGE_PART_SEAL_CHOICE_H */
