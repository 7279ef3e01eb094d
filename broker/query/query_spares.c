#include "broker/query/query_spares.h"

#include "broker/query/query_lane.h"

enum err query_spares_take(struct query_spares *s, struct query_lane **out)
{
    s->idle_ticks = 0;
    if (s->count == 0) {
        return query_lane_create(out);
    }
    *out = s->lanes[--s->count];
    return OK;
}

void query_spares_give(struct query_spares *s, struct query_lane *l)
{
    if (s->count == QUERY_SPARES_MAX) {
        query_lane_destroy(l);
        return;
    }
    query_lane_rest(l);
    s->lanes[s->count++] = l;
}

void query_spares_tick(struct query_spares *s)
{
    if (++s->idle_ticks >= QUERY_SPARES_IDLE_TICKS) {
        query_spares_fini(s);
    }
}

void query_spares_fini(struct query_spares *s)
{
    while (s->count > 0) {
        query_lane_destroy(s->lanes[--s->count]);
    }
    s->idle_ticks = 0;
}
