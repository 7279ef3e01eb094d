/* Retention: partitions that ended before every horizon go, with their files, and so do sealed ones
 * in which nothing is left. See engine.h. */

#include "storage/engine_inside.h"
#include "storage/part/part_grave.h"

/* An empty file says that its sources have nothing to show: it outlives theirs. */
static bool is_over(const struct engine *e, struct part *p)
{
    return part_period(p).end_ns <= retention_least(e->retention) ||
           (part_is_empty(p) && engine_is_last_of(e, p));
}

/* Those that are over leave `l`; how many did. */
static size_t take_over(const struct engine *e, struct view_parts *l)
{
    size_t kept = 0;
    const size_t all = l->count;
    for (size_t i = 0; i < all; i++) {
        if (!is_over(e, l->at[i])) {
            l->at[kept++] = l->at[i];
        }
    }
    l->count = kept;
    return all - kept;
}

static enum err show_rest(struct engine *e, size_t *gone)
{
    struct engine_shown shown;
    size_t all = 0;
    TRY(engine_shown_take(e, 0, &shown));
    for (int i = 0; i < VIEW_LAYERS; i++) {
        all += take_over(e, &shown.layer[i]);
    }
    enum err result = all > 0 ? engine_view_publish(e, &shown) : OK;
    engine_shown_free(&shown);
    *gone = result == OK ? all : 0;
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
    size_t gone = 0;
    const struct view *before = view_hold(e);
    if (show_rest(e, &gone) == OK && gone > 0) {
        const struct view *now = &e->view->view;
        for (int i = 0; i < VIEW_LAYERS; i++) {
            for (size_t j = 0; j < before->layer[i].count; j++) {
                struct part *p = before->layer[i].at[j];
                if (view_part_find(&now->layer[i], part_period(p).start_ns) != p) {
                    part_doom(p);
                }
            }
        }
        engine_count(&e->counters.partitions_dropped, gone);
    }
    view_drop(e, before);
}

void engine_keep(struct engine *e, int64_t wall_ns)
{
    retention_move(e->retention, wall_ns);
    engine_forget(e);
}

bool engine_wants_burial(const struct engine *e)
{
    (void)e; /* Graves are common to all engines of a process, of which there is one. */
    return part_grave_is_any();
}

void engine_bury(struct engine *e)
{
    (void)e;
    part_grave_clear();
}
