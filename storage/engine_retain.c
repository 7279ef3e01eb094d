/* Retention: partitions that ended before the horizon go, with their files. See engine.h. */

#include "storage/engine_inside.h"

/* Parts come in order of their periods, so those that are over come first. They leave `l`. */
static size_t take_over(struct view_parts *l, int64_t horizon_ns)
{
    size_t gone = 0;
    while (gone < l->count && part_period(l->at[gone]).end_ns <= horizon_ns) {
        gone++;
    }
    l->at += gone;
    l->count -= gone;
    return gone;
}

static enum err show_rest(struct engine *e, int64_t horizon_ns, size_t gone[VIEW_LAYERS])
{
    struct engine_shown shown;
    size_t all = 0;
    TRY(engine_shown_take(e, 0, &shown));
    struct engine_shown rest = shown;
    for (int i = 0; i < VIEW_LAYERS; i++) {
        gone[i] = take_over(&rest.layer[i], horizon_ns);
        all += gone[i];
    }
    enum err result = all > 0 ? engine_view_publish(e, &rest) : OK;
    engine_shown_free(&shown);
    return result;
}

int64_t engine_horizon(struct engine *e, struct series_ref ref)
{
    const int64_t all_ns = atomic_load_explicit(&e->horizon_ns, memory_order_relaxed);
    const int64_t own_ns = retention_horizon(e->retention, e->catalogue, ref);
    return own_ns > all_ns ? own_ns : all_ns;
}

void engine_keep(struct engine *e, int64_t wall_ns)
{
    retention_move(e->retention, wall_ns);
    engine_retain(e, retention_least(e->retention));
}

void engine_retain(struct engine *e, int64_t horizon_ns)
{
    size_t gone[VIEW_LAYERS];
    if (horizon_ns < atomic_load(&e->horizon_ns)) {
        return; /* It only moves on: a file once doomed must not be made again. */
    }
    atomic_store(&e->horizon_ns, horizon_ns);
    const struct view *before = view_hold(e);
    if (show_rest(e, horizon_ns, gone) == OK) {
        for (int i = 0; i < VIEW_LAYERS; i++) {
            for (size_t j = 0; j < gone[i]; j++) {
                part_doom(before->layer[i].at[j]);
            }
            engine_count(&e->counters.partitions_dropped, gone[i]);
        }
    }
    view_drop(e, before);
}
