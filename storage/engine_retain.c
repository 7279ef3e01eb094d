/* Retention: partitions that ended before every horizon go, with their files. See engine.h. */

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
    return retention_horizon(e->retention, e->catalogue, ref);
}

int64_t engine_horizon_of_path(struct engine *e, struct bytes path)
{
    return retention_horizon_of_path(e->retention, path);
}

int64_t engine_horizon_latest(struct engine *e)
{
    return retention_latest(e->retention);
}

void engine_forget(struct engine *e)
{
    size_t gone[VIEW_LAYERS];
    const struct view *before = view_hold(e);
    if (show_rest(e, retention_least(e->retention), gone) == OK) {
        for (int i = 0; i < VIEW_LAYERS; i++) {
            for (size_t j = 0; j < gone[i]; j++) {
                part_doom(before->layer[i].at[j]);
            }
            engine_count(&e->counters.partitions_dropped, gone[i]);
        }
    }
    view_drop(e, before);
}

void engine_keep(struct engine *e, int64_t wall_ns)
{
    retention_move(e->retention, wall_ns);
    engine_forget(e);
}
