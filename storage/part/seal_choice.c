#include "storage/part/seal_choice.h"

/* A choice being made: its period grows, and so does what lies in it. */
struct growth {
    const struct view_parts *layer;
    const struct seal_rules *rules;
    enum view_layer open; /* Whose parts are sealed: active ones, or those a failure left. */
    struct part_period period;
    uint64_t bytes;
    size_t count;
};

static bool is_over(const struct seal_rules *r, const struct part *p)
{
    return r->seal_all || part_period(p).end_ns <= r->clock_ns - r->late_ns;
}

static bool is_ripe(const struct growth *g, const struct part *p)
{
    const struct seal_rules *r = g->rules;
    const struct part *sealed = view_part_find(&g->layer[VIEW_SEALED], part_period(p).start_ns);
    if (!is_over(r, p)) {
        return false;
    }
    return r->seal_all || sealed == NULL || part_flush_count(p) >= SEAL_LATE_FLUSHES ||
           part_file_bytes(p) * SEAL_LATE_SHARE >= part_file_bytes(sealed) ||
           part_changed_ns(p) <= r->quiet_ns;
}

/* Parts of the sealed and the open layer in a period, one after another: start with {0, 0}. */
struct walk {
    int layer;
    size_t next;
};

static struct part *walk_next(const struct growth *g, struct part_period period, struct walk *w)
{
    for (; w->layer < VIEW_LAYERS; w->layer++, w->next = 0) {
        const struct view_parts *l = &g->layer[w->layer];
        if (w->layer != VIEW_SEALED && w->layer != (int)g->open) {
            continue;
        }
        if (w->next == 0) {
            w->next = view_part_from(l, period.start_ns) + 1;
        }
        if (w->next <= l->count && part_period(l->at[w->next - 1]).start_ns < period.end_ns) {
            return l->at[w->next++ - 1];
        }
    }
    return NULL;
}

static void widen(struct part_period *period, struct part_period by)
{
    period->start_ns = by.start_ns < period->start_ns ? by.start_ns : period->start_ns;
    period->end_ns = by.end_ns > period->end_ns ? by.end_ns : period->end_ns;
}

/* Count and bytes of what lies in the period. A part that reaches beyond it makes it wider; true:
 * one did. */
static bool measure(struct growth *g)
{
    const struct part_period before = g->period;
    struct walk walk = {0, 0};
    g->bytes = g->count = 0;
    for (struct part *p; (p = walk_next(g, before, &walk)) != NULL;) {
        widen(&g->period, part_period(p));
        g->bytes += part_file_bytes(p);
        g->count++;
    }
    return g->period.start_ns != before.start_ns || g->period.end_ns != before.end_ns;
}

/* Whether everything active in the period may be sealed now. */
static bool is_all_over(const struct growth *g)
{
    const struct view_parts *l = &g->layer[VIEW_ACTIVE];
    size_t i = view_part_from(l, g->period.start_ns);
    while (i < l->count && part_period(l->at[i]).start_ns < g->period.end_ns) {
        if (!is_over(g->rules, l->at[i++])) {
            return false;
        }
    }
    return true;
}

/* Take along the parts of one more period, if the result is still of a good size. */
static bool try_with(struct growth *g, struct part_period more)
{
    struct growth wider = *g;
    widen(&wider.period, more);
    while (measure(&wider)) {
    }
    if (wider.count > SEAL_PARTS_MAX || wider.bytes > SEAL_BYTES_AIM || !is_all_over(&wider) ||
        wider.period.end_ns - wider.period.start_ns > g->rules->span_ns) {
        return false;
    }
    *g = wider;
    return true;
}

/* The nearest part that starts at or after `time_ns`. */
static struct part *find_next(const struct growth *g, int64_t time_ns)
{
    struct walk walk = {0, 0};
    struct part *found = NULL;
    const struct part_period later = {time_ns, INT64_MAX};
    for (struct part *p; (p = walk_next(g, later, &walk)) != NULL;) {
        if (found == NULL || part_period(p).start_ns < part_period(found).start_ns) {
            found = p;
        }
        walk.layer++; /* The first of each layer is its nearest. */
        walk.next = 0;
    }
    return found;
}

/* Neighbours: the sealed part before, then whatever comes behind. */
static void grow(struct growth *g)
{
    const struct view_parts *sealed = &g->layer[VIEW_SEALED];
    size_t before = view_part_from(sealed, g->period.start_ns);
    if (before > 0) {
        (void)try_with(g, part_period(sealed->at[before - 1]));
    }
    for (struct part *next; (next = find_next(g, g->period.end_ns)) != NULL;) {
        if (!try_with(g, part_period(next))) {
            return;
        }
    }
}

static void gather(const struct growth *g, struct seal_choice *out)
{
    struct walk walk = {0, 0};
    out->period = g->period;
    out->count = 0;
    for (struct part *p; (p = walk_next(g, g->period, &walk)) != NULL;) {
        out->part[out->count++] = p;
    }
}

/* The period of `p` with all that reaches into it. */
static bool start_with(struct growth *g, const struct part *p)
{
    g->period = part_period(p);
    while (measure(g)) {
    }
    return g->count <= SEAL_PARTS_MAX;
}

enum err seal_choose(const struct view_parts layer[VIEW_LAYERS], const struct seal_rules *rules,
                     struct seal_choice *out)
{
    struct growth g = {.layer = layer, .rules = rules, .open = VIEW_ACTIVE};
    if (layer[VIEW_CLOSING].count > 0) { /* Nothing else may be closed over it. */
        g.open = VIEW_CLOSING;
        if (start_with(&g, layer[VIEW_CLOSING].at[0])) {
            gather(&g, out);
            return OK;
        }
        return E_END;
    }
    for (size_t i = 0; i < layer[VIEW_ACTIVE].count; i++) {
        struct part *p = layer[VIEW_ACTIVE].at[i];
        if (part_flush_count(p) > 0 && is_ripe(&g, p) && start_with(&g, p) && is_all_over(&g)) {
            grow(&g);
            gather(&g, out);
            return OK;
        }
    }
    return E_END;
}

static bool may_sweep(const struct part *p, const struct erasure *e)
{
    const struct part_period period = part_period(p);
    return tombs_between(e->tombs, part_position(p, 1), UINT64_MAX, period.start_ns,
                         period.end_ns) ||
           (part_swept(p) != retention_generation(e->retention) &&
            retention_shrinks(e->retention, period.start_ns, period.end_ns));
}

enum err seal_choose_sweep(const struct view_parts *sealed, const struct erasure *erasure,
                           struct seal_choice *out)
{
    for (size_t i = 0; i < sealed->count; i++) {
        if (may_sweep(sealed->at[i], erasure)) {
            out->period = part_period(sealed->at[i]);
            out->count = 1;
            out->part[0] = sealed->at[i];
            return OK;
        }
    }
    return E_END;
}
