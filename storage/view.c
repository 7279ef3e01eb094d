#include "storage/view.h"

#include <stdlib.h>
#include <string.h>

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

static void hold_parts(const struct view_parts *given, struct part **room, struct view_parts *own)
{
    *own = (struct view_parts){given->count, room};
    for (size_t i = 0; i < given->count; i++) {
        part_hold(given->at[i]);
        room[i] = given->at[i];
    }
}

static size_t count_parts(const struct view_parts layer[VIEW_LAYERS])
{
    size_t count = 0;
    for (int i = 0; i < VIEW_LAYERS; i++) {
        count += layer[i].count;
    }
    return count;
}

static struct engine_view *make_view(const struct engine_shown *shown)
{
    struct engine_view *v = calloc(1, sizeof *v);
    struct part **held = calloc(count_parts(shown->layer) + 1, sizeof(struct part *));
    if (v == NULL || held == NULL) {
        free(v);
        free(held);
        return NULL;
    }
    atomic_init(&v->holders, 1);
    for (unsigned i = 0; i < shown->heads; i++) {
        atomic_fetch_add(&shown->head[i]->holders, 1);
        v->heads[i] = shown->head[i];
        v->view.head[i] = shown->head[i]->head;
    }
    v->view.heads = shown->heads;
    v->tombs = tombs_hold(shown->tombs);
    v->view.tombs = v->tombs;
    v->parts = held;
    for (int i = 0; i < VIEW_LAYERS; i++) {
        hold_parts(&shown->layer[i], held, &v->view.layer[i]);
        held += shown->layer[i].count;
    }
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
    const size_t parts = count_parts(v->view.layer);
    for (size_t i = 0; i < parts; i++) {
        part_drop(v->parts[i]);
    }
    tombs_drop(v->tombs);
    free(v->parts);
    free(v);
}

enum err engine_shown_take(struct engine *e, size_t more, struct engine_shown *out)
{
    const struct engine_view *v = e->view;
    struct part **room = calloc((size_t)VIEW_LAYERS * (count_parts(v->view.layer) + more + 1),
                                sizeof(struct part *));
    if (room == NULL) {
        return E_NO_MEMORY;
    }
    out->tombs = v->tombs;
    out->heads = v->view.heads;
    memcpy(out->head, v->heads, sizeof out->head);
    for (int i = 0; i < VIEW_LAYERS; i++) {
        const struct view_parts *l = &v->view.layer[i];
        out->layer[i] = (struct view_parts){l->count, room};
        if (l->count > 0) {
            memcpy(room, l->at, l->count * sizeof(struct part *));
        }
        room += count_parts(v->view.layer) + more;
    }
    return OK;
}

void engine_shown_free(struct engine_shown *s)
{
    free(s->layer[0].at);
}

enum err engine_view_publish(struct engine *e, const struct engine_shown *shown)
{
    CHECK(shown->heads >= 1 && shown->heads <= VIEW_HEADS_MAX);
    struct engine_view *fresh = make_view(shown);
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
