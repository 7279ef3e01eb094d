#include "storage/view.h"

#include <stdlib.h>

#include "base/check.h"
#include "storage/engine_inside.h"

enum err engine_head_create(struct engine_head **out)
{
    struct engine_head *h = calloc(1, sizeof *h);
    if (h == NULL) {
        return E_NO_MEMORY;
    }
    enum err e = head_create(&h->head);
    if (e != OK) {
        free(h);
        return e;
    }
    atomic_init(&h->holders, 1);
    *out = h;
    return OK;
}

void engine_head_drop(struct engine_head *h)
{
    if (h != NULL && atomic_fetch_sub(&h->holders, 1) == 1) {
        head_destroy(h->head);
        free(h);
    }
}

static struct engine_view *make_view(struct engine_head *const *heads, unsigned head_count,
                                     struct part *const *parts, size_t part_count)
{
    struct engine_view *v = calloc(1, sizeof *v);
    struct part **held = calloc(part_count + 1, sizeof(struct part *));
    if (v == NULL || held == NULL) {
        free(v);
        free(held);
        return NULL;
    }
    atomic_init(&v->holders, 1);
    for (unsigned i = 0; i < head_count; i++) {
        atomic_fetch_add(&heads[i]->holders, 1);
        v->heads[i] = heads[i];
        v->view.head[i] = heads[i]->head;
    }
    for (size_t i = 0; i < part_count; i++) {
        part_hold(parts[i]);
        held[i] = parts[i];
    }
    v->view.heads = head_count;
    v->view.parts = part_count;
    v->view.part = held;
    return v;
}

static void drop_view(struct engine_view *v)
{
    if (v == NULL || atomic_fetch_sub(&v->holders, 1) != 1) {
        return;
    }
    for (unsigned i = 0; i < v->view.heads; i++) {
        engine_head_drop(v->heads[i]);
    }
    for (size_t i = 0; i < v->view.parts; i++) {
        part_drop(v->view.part[i]);
    }
    free(v->view.part);
    free(v);
}

enum err engine_view_publish(struct engine *e, struct engine_head *const *heads,
                             unsigned head_count, struct part *const *parts, size_t part_count)
{
    CHECK(head_count >= 1 && head_count <= VIEW_HEADS_MAX);
    struct engine_view *fresh = make_view(heads, head_count, parts, part_count);
    if (fresh == NULL) {
        return E_NO_MEMORY;
    }
    lock_take(&e->view_lock);
    struct engine_view *old = e->view;
    e->view = fresh;
    lock_drop(&e->view_lock);
    drop_view(old);
    return OK;
}

struct engine_head *engine_active_head(const struct engine *e)
{
    return e->view->heads[e->view->view.heads - 1];
}

struct engine_head *engine_frozen_head(struct engine *e)
{
    return e->view->view.heads == 2 ? e->view->heads[0] : NULL;
}

struct part *engine_view_part(const struct view *v, int64_t time_ns)
{
    size_t low = 0, high = v->parts;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (part_period(v->part[middle]).end_ns <= time_ns) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    bool holds = low < v->parts && part_period(v->part[low]).start_ns <= time_ns;
    return holds ? v->part[low] : NULL;
}

const struct view *view_hold(struct engine *e)
{
    lock_take(&e->view_lock);
    struct engine_view *v = e->view;
    atomic_fetch_add(&v->holders, 1);
    lock_drop(&e->view_lock);
    return &v->view;
}

void view_drop(struct engine *e, const struct view *v)
{
    (void)e;
    union { /* Every view given out is the first member of one of ours. */
        const struct view *given;
        struct engine_view *ours;
    } at = {.given = v};
    drop_view(at.ours);
}

void view_count_corrupt(struct engine *e)
{
    engine_count(&e->counters.corrupt_chunks, 1);
}
