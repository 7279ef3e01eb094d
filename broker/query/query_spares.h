/* Lanes that have no query, kept with their memory for the next one. Room-internal.
 *
 * What a lane decodes into is a megabyte; made anew for each query, its pages alone would take
 * longer than a small answer. Those not needed for a while are let go. Of one loop, its thread. */

#ifndef BROKER_QUERY_QUERY_SPARES_H
#define BROKER_QUERY_QUERY_SPARES_H

#include "base/err.h"

struct query_lane;

enum { QUERY_SPARES_MAX = 4, QUERY_SPARES_IDLE_TICKS = 20 };

struct query_spares {
    struct query_lane *lanes[QUERY_SPARES_MAX];
    unsigned count, idle_ticks;
};

/* A lane without a query: a spare or a new one. E_NO_MEMORY. */
MUST_USE enum err query_spares_take(struct query_spares *s, struct query_lane **out);

/* It is done, on no worker. */
void query_spares_give(struct query_spares *s, struct query_lane *l);

/* Called at regular times: after QUERY_SPARES_IDLE_TICKS in which none was taken all are freed. */
void query_spares_tick(struct query_spares *s);

void query_spares_fini(struct query_spares *s);

#endif /* BROKER_QUERY_QUERY_SPARES_H */
