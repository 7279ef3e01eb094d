/* Selecting: the series in order of their paths are kept as a shared array, brought up to date when
 * a selection finds it behind. A filter reads the run of paths that start as it does. */

#include <stdlib.h>
#include <string.h>

#include "storage/catalogue/catalogue_inside.h"

static int compare(struct bytes a, struct bytes b)
{
    int order = memcmp(a.at, b.at, a.size < b.size ? a.size : b.size);
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static int compare_ids(const void *a, const void *b, void *context)
{
    const struct catalogue *c = context;
    return compare(catalogue_series_at(c, *(const uint32_t *)a)->path,
                   catalogue_series_at(c, *(const uint32_t *)b)->path);
}

/* Old ones in order + new ones sorted -> all in order. */
static void merge(struct catalogue *c, const struct series_order *old, uint32_t *fresh,
                  uint32_t fresh_count, uint32_t *to)
{
    uint32_t old_count = old == NULL ? 0 : old->count, i = 0, k = 0;
    while (i < old_count || k < fresh_count) {
        bool take_old =
            k == fresh_count || (i < old_count && compare_ids(&old->ids[i], &fresh[k], c) < 0);
        *to++ = take_old ? old->ids[i++] : fresh[k++];
    }
}

static struct series_order *build_order(struct catalogue *c, const struct series_order *old,
                                        uint32_t count)
{
    uint32_t from = old == NULL ? 0 : old->count;
    uint32_t *fresh = malloc((size_t)(count - from) * sizeof *fresh);
    struct series_order *order = malloc(sizeof *order + count * sizeof order->ids[0]);
    if (fresh == NULL || order == NULL) {
        free(fresh);
        free(order);
        return NULL;
    }
    for (uint32_t i = from; i < count; i++) {
        fresh[i - from] = i;
    }
    qsort_r(fresh, count - from, sizeof *fresh, compare_ids, c);
    merge(c, old, fresh, count - from, order->ids);
    free(fresh);
    order->holders = 1;
    order->count = count;
    return order;
}

static void drop_locked(struct series_order *order)
{
    if (order != NULL && --order->holders == 0) {
        free(order);
    }
}

/* NULL: out of memory. Give it back with drop_order(). */
static struct series_order *hold_order(struct catalogue *c)
{
    uint32_t count = catalogue_series_count(c);
    lock_take(&c->order_lock);
    struct series_order *order = c->order;
    if (order == NULL || order->count < count) {
        order = build_order(c, c->order, count);
        if (order != NULL) {
            drop_locked(c->order);
            c->order = order;
        }
    }
    if (order != NULL) {
        order->holders++;
    }
    lock_drop(&c->order_lock);
    return order;
}

static void drop_order(struct catalogue *c, struct series_order *order)
{
    lock_take(&c->order_lock);
    drop_locked(order);
    lock_drop(&c->order_lock);
}

/* What every selected path starts with: the levels before the first wildcard, without the slash, as
 * `a/#` selects `a` too. */
static struct bytes literal_start(struct bytes filter)
{
    size_t slash = 0;
    for (size_t i = 0; i < filter.size; i++) {
        if (filter.at[i] == '+' || filter.at[i] == '#') {
            return (struct bytes){filter.at, slash};
        }
        slash = filter.at[i] == '/' ? i : slash;
    }
    return filter;
}

static bool starts_with(struct bytes path, struct bytes start)
{
    return path.size >= start.size && memcmp(path.at, start.at, start.size) == 0;
}

static uint32_t first_not_below(const struct catalogue *c, const struct series_order *order,
                                struct bytes start)
{
    uint32_t low = 0, high = order->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (compare(catalogue_series_at(c, order->ids[middle])->path, start) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static enum err add_ref(struct series_list *l, size_t *room, size_t max, struct series_ref ref)
{
    if (l->count == max) {
        return E_LIMIT;
    }
    if (l->count == *room) {
        size_t wanted = *room == 0 ? 64 : 2 * *room;
        struct series_ref *refs = realloc(l->refs, wanted * sizeof *refs);
        if (refs == NULL) {
            return E_NO_MEMORY;
        }
        l->refs = refs;
        *room = wanted;
    }
    l->refs[l->count++] = ref;
    return OK;
}

static enum err select_run(const struct catalogue *c, const struct series_order *order,
                           struct bytes filter, size_t max, struct series_list *list)
{
    struct bytes start = literal_start(filter);
    size_t room = 0;
    for (uint32_t i = first_not_below(c, order, start); i < order->count; i++) {
        const struct series *s = catalogue_series_at(c, order->ids[i]);
        if (!starts_with(s->path, start)) {
            break;
        }
        if (topic_matches(filter, s->path)) {
            TRY(add_ref(list, &room, max, s->ref));
        }
    }
    return OK;
}

static enum err select_one(struct catalogue *c, struct bytes filter, size_t max,
                           struct series_list *list)
{
    struct series_ref ref;
    size_t room = 0;
    return catalogue_find(c, filter, &ref) == OK ? add_ref(list, &room, max, ref) : OK;
}

enum err catalogue_select(struct catalogue *c, struct bytes filter, size_t max,
                          struct series_list *out)
{
    struct series_list list = {0, NULL};
    enum err e;
    if (literal_start(filter).size == filter.size) {
        e = select_one(c, filter, max, &list);
    } else {
        struct series_order *order = hold_order(c);
        if (order == NULL) {
            return E_NO_MEMORY;
        }
        e = select_run(c, order, filter, max, &list);
        drop_order(c, order);
    }
    if (e != OK) {
        series_list_fini(&list);
        return e;
    }
    *out = list;
    return OK;
}

void series_list_fini(struct series_list *l)
{
    free(l->refs);
    *l = (struct series_list){0, NULL};
}
