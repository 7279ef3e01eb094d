/* A cell: what a query gathers of one bucket of one series or group, and how it becomes a row. */

#ifndef STORAGE_READ_CELL_H
#define STORAGE_READ_CELL_H

#include "storage/read/aggregate.h"
#include "storage/read/value_set.h"

/* What cells of a query hold, by what it asks for. */
struct cell_needs {
    enum aggregate_extent extent;
    bool values, twa, counter, coverage;
    bool by_stats; /* Statistics of a chunk tell all. */
};
struct cell_needs cell_needs_of(const struct query_request *r);

struct cell {
    struct bucket span;
    struct aggregate base;
    double weighted, held_s;     /* Values times the seconds they stood, and those seconds. */
    double increase, increase_s; /* Of differences, and the seconds they span. */
    double rate;                 /* Sum over series; of one series see increase. */
    double coverage;             /* Sum over series. */
    uint32_t differences;
    struct value_set values;
};

/* Empty; keeps the memory of `values` (zeroed at first). */
void cell_start(struct cell *c, struct bucket span, const struct cell_needs *needs);
void cell_fini(struct cell *c);

/* Nothing to be said of it: no value, nor one that stood in it. */
bool cell_is_empty(const struct cell *c);

/* A series' cell is complete: rate, and coverage for points `interval_ns` apart in the part of the
 * bucket inside the window (0: unknown, then it is NaN). */
void cell_finish(struct cell *c, struct bucket window, int64_t interval_ns);

/* The same bucket of another series, complete, with a coverage that is not NaN. E_NO_MEMORY. */
MUST_USE enum err cell_merge(struct cell *c, const struct cell *other);

/* Write the columns of its row; so many series of the group have a usual interval. Returns how
 * many. */
unsigned cell_row(struct cell *c, const struct query_request *r, size_t series, double *to);

#endif /* STORAGE_READ_CELL_H */
