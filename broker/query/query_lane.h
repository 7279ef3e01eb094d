/* A lane of a query: a run of its units worked through on a worker, into frames. Room-internal.
 *
 * A query has several, each with the next run of units, so that workers answer it side by side; the
 * loop sends their frames in order of the runs (query_run.c). A lane makes one frame ahead of what
 * is sent. While a worker has it, the loop touches nothing of it but `is_held`. */

#ifndef BROKER_QUERY_QUERY_LANE_H
#define BROKER_QUERY_QUERY_LANE_H

#include <stdatomic.h>

#include "broker/query/query_frame.h"
#include "broker/threads/workers.h"
#include "storage/read/query.h"

struct query_lane {
    struct job job;
    struct query_plan *plan;
    bool is_held;   /* On a worker, or on its way. */
    bool has_run;   /* It has units, `turn` is their place in the answer. */
    bool has_frame; /* frames[at] waits to be sent. */
    bool is_done;   /* Nothing comes behind that. */
    uint64_t turn;
    size_t from, end;            /* Units. */
    int64_t busy_ns;             /* What its steps over them took so far. */
    struct query_cursor *cursor; /* NULL: never needed yet. */
    bool is_bound;               /* The cursor is of this query, not of one before. */
    size_t named;                /* The unit told last; SIZE_MAX: none of this run. */
    struct query_frame frames[2];
    unsigned at;
    uint64_t rows; /* In the frame that waits. */
    enum err result;
    struct query_fault fault; /* Of E_MALFORMED. */
    uint8_t name[QUERY_NAME_BYTES_MAX];
};

/* What all lanes of a query share; made by the first of them, when it runs the first time. */
struct query_plan {
    struct engine *engine;
    struct query_request request; /* Its filter, `where` and zone are those below. */
    struct query *query;          /* NULL: not open yet. */
    struct predicate *where;
    struct zone *zone;
    uint64_t rows_left;  /* Of rows_max, while there is one lane only. */
    atomic_bool is_idle; /* The answer ended: a lane has nothing to do. */
    char zone_name[72];  /* "": UTC. */
    uint8_t filter[SERIES_PATH_BYTES_MAX];
};

/* A lane of no query, E_NO_MEMORY; for one; after it, with what memory the next may need; never
 * more. */
MUST_USE enum err query_lane_create(struct query_lane **out);
void query_lane_aim(struct query_lane *l, struct query_plan *plan, const struct query_conn *conn,
                    uint32_t id);
void query_lane_rest(struct query_lane *l);
void query_lane_destroy(struct query_lane *l);

/* Give it units to work through. */
void query_lane_start(struct query_lane *l, uint64_t turn, size_t from, size_t end);

/* On a worker: make a frame; has_frame, is_done and result say what came of it. The first time the
 * plan is opened, and the lane takes its first run. */
void query_lane_step(struct query_lane *l);

#endif /* BROKER_QUERY_QUERY_LANE_H */
