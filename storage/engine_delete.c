/* Deletes: an entry of the journal, then a tomb in the view, until files and heads are written
 * without what lies under it. docs/decisions/0021-deletes.md.
 *
 * Order is all: the tomb is in the view before newest values are forgotten, so whoever finds one
 * forgotten reads what is left under that tomb. */

#include <stdlib.h>

#include "base/log.h"
#include "storage/engine_inside.h"

struct erasure engine_erasure(const struct engine *e, const struct view *v)
{
    return (struct erasure){v->tombs, e->catalogue, e->retention};
}

/* -- Making ----------------------------------------------------------------------------------- */

static enum err show_tomb(struct engine *e, const struct tomb_order *order,
                          const struct series_list *series)
{
    const struct view *v = &e->view->view;
    const struct tomb_scene scene = {v->head, v->heads, series};
    struct engine_shown shown;
    struct tombs *all;
    TRY(tombs_with(e->view->tombs, order, &scene, &all));
    enum err result = engine_shown_take(e, 0, &shown);
    if (result == OK) {
        shown.tombs = all;
        result = engine_view_publish(e, &shown);
        engine_shown_free(&shown);
    }
    tombs_drop(all);
    return result;
}

enum err engine_apply_delete(struct engine *e, const struct batch_delete *d, uint64_t position)
{
    const struct tomb_order order = {position, d->from_ns, d->to_ns, d->filter};
    struct series_list series;
    TRY(catalogue_select(e->catalogue, d->filter, SIZE_MAX, &series));
    enum err result = show_tomb(e, &order, &series);
    for (size_t i = 0; result == OK && i < series.count; i++) {
        last_forget(e->last, series.refs[i], d->from_ns, d->to_ns);
    }
    series_list_fini(&series);
    return result;
}

enum err engine_mend_delete(struct engine *e, uint64_t position)
{
    struct tombs *all = tombs_hold(e->view->tombs);
    enum err result = OK;
    for (size_t i = 0; i < tombs_count(all); i++) {
        const struct tomb *t = &all->at[i];
        if (t->position == position) {
            const struct batch_delete d = {tomb_filter(t), t->from_ns, t->to_ns};
            log_line(LOG_WARN, "storage", "it was a delete, which is saved position=%llu",
                     (unsigned long long)position);
            result = engine_apply_delete(e, &d, position);
            break;
        }
    }
    tombs_drop(all);
    return result;
}

static enum err write_delete(struct engine *e, const struct engine_delete *d)
{
    const struct batch_delete entry = {d->filter, d->from_ns, d->to_ns};
    struct batch *b;
    TRY(batch_create(&b));
    b->arrival_ns = d->wall_ns;
    enum err result = batch_put_delete(b, &entry);
    result = result == OK ? engine_write(e, &b, 1) : result;
    batch_destroy(b);
    return result == OK && e->missed_rows ? E_NO_MEMORY : result;
}

enum err engine_delete(struct engine *e, const struct engine_delete *d, uint64_t *series)
{
    struct series_list selected;
    if (tombs_count(e->view->tombs) >= TOMBS_MAX) {
        return E_LIMIT;
    }
    if (tombs_marks(e->view->tombs) > TOMB_MARKS_MAX) {
        return E_BUSY;
    }
    TRY(catalogue_select(e->catalogue, d->filter, SIZE_MAX, &selected));
    const uint64_t count = selected.count;
    series_list_fini(&selected);
    if (count > 0) {
        TRY(write_delete(e, d));
        engine_save_tombs(e);
        engine_count(&e->counters.deletes, 1);
    }
    *series = count;
    return OK;
}

/* -- Letting go ------------------------------------------------------------------------------- */

/* A part may have something under the tomb when its oldest flush is older. */
static bool has_part(const struct tomb *t, const struct view_parts *l)
{
    for (size_t i = view_part_from(l, t->from_ns); i < l->count; i++) {
        if (part_period(l->at[i]).start_ns >= t->to_ns) {
            break;
        }
        if (part_flush_count(l->at[i]) > 0 && part_position(l->at[i], 1) < t->position) {
            return true;
        }
    }
    return false;
}

static bool is_needed(void *context, const struct tomb *t)
{
    const struct engine_shown *shown = context;
    for (unsigned i = 0; i < shown->heads; i++) {
        if (tomb_has_head(t, shown->head[i]->head)) {
            return true;
        }
    }
    for (int i = 0; i < VIEW_LAYERS; i++) {
        if (has_part(t, &shown->layer[i])) {
            return true;
        }
    }
    return false;
}

enum err engine_prune_tombs(struct engine_shown *shown, const struct head *gone, struct tombs **out)
{
    *out = NULL;
    if (shown->tombs != NULL) {
        TRY(tombs_without(shown->tombs, is_needed, shown, gone, out));
        shown->tombs = *out;
    }
    return OK;
}

enum err engine_prune_view(struct engine *e)
{
    struct engine_shown shown;
    struct tombs *left;
    if (e->view->tombs == NULL) {
        return OK;
    }
    TRY(engine_shown_take(e, 0, &shown));
    enum err result = engine_prune_tombs(&shown, NULL, &left);
    result = result == OK ? engine_view_publish(e, &shown) : result;
    tombs_drop(left);
    engine_shown_free(&shown);
    return result;
}
