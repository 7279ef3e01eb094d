#include "storage/erase/tombs.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

/* -- Lifetimes -------------------------------------------------------------------------------- */

static void drop_filter(struct tomb_filter *f)
{
    if (f != NULL && atomic_fetch_sub(&f->holders, 1) == 1) {
        free(f);
    }
}

static void drop_marks(struct tomb_marks *m)
{
    if (m != NULL && atomic_fetch_sub(&m->holders, 1) == 1) {
        free(m);
    }
}

static struct tombs *make(size_t room)
{
    static atomic_ullong next_generation = 1;
    struct tombs *t = calloc(1, sizeof *t + room * sizeof t->at[0]);
    if (t != NULL) {
        atomic_init(&t->holders, 1);
        t->generation = atomic_fetch_add(&next_generation, 1);
    }
    return t;
}

struct tombs *tombs_hold(struct tombs *t)
{
    if (t != NULL) {
        atomic_fetch_add(&t->holders, 1);
    }
    return t;
}

void tombs_drop(struct tombs *t)
{
    if (t == NULL || atomic_fetch_sub(&t->holders, 1) != 1) {
        return;
    }
    for (size_t i = 0; i < t->count; i++) {
        drop_filter(t->at[i].filter);
        for (unsigned k = 0; k < TOMB_HEADS_MAX; k++) {
            drop_marks(t->at[i].marks[k]);
        }
    }
    free(t);
}

/* Behind those `to` has, which has room. `gone`: without marks for it. */
static void copy(struct tombs *to, const struct tomb *from, const struct head *gone)
{
    struct tomb *t = &to->at[to->count++];
    *t = *from;
    atomic_fetch_add(&t->filter->holders, 1);
    for (unsigned k = 0; k < TOMB_HEADS_MAX; k++) {
        struct tomb_marks *m = t->marks[k];
        if (m != NULL && m->head == gone) {
            t->marks[k] = NULL;
        } else if (m != NULL) {
            atomic_fetch_add(&m->holders, 1);
        }
    }
}

/* -- Making ----------------------------------------------------------------------------------- */

static int by_group(const void *a, const void *b)
{
    const struct tomb_mark *x = a, *y = b;
    return (x->group > y->group) - (x->group < y->group);
}

static size_t sort_marks(struct tomb_mark *at, size_t count)
{
    size_t kept = 0;
    if (count > 0) {
        qsort(at, count, sizeof *at, by_group);
    }
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || at[kept - 1].group != at[i].group) {
            at[kept++] = at[i];
        }
    }
    return kept;
}

/* Series of one group mostly follow one another. */
static size_t count_runs(const struct series_list *series)
{
    size_t runs = 0;
    for (size_t i = 0; i < series->count; i++) {
        runs += i == 0 || series->refs[i].group != series->refs[i - 1].group;
    }
    return runs;
}

/* NULL in `*out`: the head has no row of these series' groups. */
static enum err mark_head(const struct head *h, const struct series_list *series,
                          struct tomb_marks **out)
{
    struct tomb_marks *m = malloc(sizeof *m + count_runs(series) * sizeof m->at[0]);
    if (m == NULL) {
        return E_NO_MEMORY;
    }
    atomic_init(&m->holders, 1);
    m->head = h;
    m->count = 0;
    for (size_t i = 0; i < series->count; i++) {
        const uint32_t group = series->refs[i].group;
        const uint64_t rows =
            i > 0 && group == series->refs[i - 1].group ? 0 : head_group_rows(h, group);
        if (rows > 0) {
            m->at[m->count++] = (struct tomb_mark){group, rows};
        }
    }
    m->count = sort_marks(m->at, m->count);
    if (m->count == 0) {
        free(m);
        m = NULL;
    }
    *out = m;
    return OK;
}

static enum err mark(struct tomb *t, const struct tomb_scene *scene)
{
    CHECK(scene->head_count <= TOMB_HEADS_MAX);
    for (unsigned k = 0; k < scene->head_count; k++) {
        TRY(mark_head(scene->heads[k], scene->series, &t->marks[k]));
    }
    return OK;
}

static enum err fill(struct tomb *t, const struct tomb_order *order, const struct tomb_scene *scene)
{
    struct tomb_filter *f = malloc(sizeof *f + order->filter.size);
    if (f == NULL) {
        return E_NO_MEMORY;
    }
    atomic_init(&f->holders, 1);
    f->size = order->filter.size;
    memcpy(f->at, order->filter.at, f->size);
    *t = (struct tomb){order->position, order->from_ns, order->to_ns, f, {NULL}};
    return mark(t, scene);
}

enum err tombs_with(const struct tombs *old, const struct tomb_order *order,
                    const struct tomb_scene *scene, struct tombs **out)
{
    struct tombs *t = make(tombs_count(old) + 1);
    if (t == NULL) {
        return E_NO_MEMORY;
    }
    size_t i = 0;
    for (; i < tombs_count(old) && old->at[i].position < order->position; i++) {
        copy(t, &old->at[i], NULL);
    }
    enum err e = fill(&t->at[t->count++], order, scene);
    i += i < tombs_count(old) && old->at[i].position == order->position;
    for (; i < tombs_count(old); i++) {
        copy(t, &old->at[i], NULL);
    }
    if (e != OK) {
        tombs_drop(t);
        return e;
    }
    *out = t;
    return OK;
}

enum err tombs_without(const struct tombs *old, bool (*keep)(void *context, const struct tomb *t),
                       void *context, const struct head *gone, struct tombs **out)
{
    struct tombs *t = make(tombs_count(old));
    if (t == NULL) {
        return E_NO_MEMORY;
    }
    for (size_t i = 0; i < tombs_count(old); i++) {
        if (keep(context, &old->at[i])) {
            copy(t, &old->at[i], gone);
        }
    }
    if (t->count == 0) {
        tombs_drop(t);
        t = NULL;
    }
    *out = t;
    return OK;
}

/* -- Asking ----------------------------------------------------------------------------------- */

size_t tombs_marks(const struct tombs *t)
{
    size_t marks = 0;
    for (size_t i = 0; i < tombs_count(t); i++) {
        for (unsigned k = 0; k < TOMB_HEADS_MAX; k++) {
            marks += t->at[i].marks[k] == NULL ? 0 : t->at[i].marks[k]->count;
        }
    }
    return marks;
}

static const struct tomb_marks *marks_of(const struct tomb *t, const struct head *h)
{
    for (unsigned k = 0; k < TOMB_HEADS_MAX; k++) {
        if (t->marks[k] != NULL && t->marks[k]->head == h) {
            return t->marks[k];
        }
    }
    return NULL;
}

uint64_t tomb_rows(const struct tomb *t, const struct head *h, uint32_t group)
{
    const struct tomb_marks *m = marks_of(t, h);
    const struct tomb_mark key = {.group = group};
    const struct tomb_mark *found =
        m == NULL ? NULL : bsearch(&key, m->at, m->count, sizeof m->at[0], by_group);
    return found == NULL ? 0 : found->rows;
}

bool tomb_has_head(const struct tomb *t, const struct head *h)
{
    return marks_of(t, h) != NULL;
}

bool tombs_between(const struct tombs *t, uint64_t after, uint64_t upto, int64_t from_ns,
                   int64_t to_ns)
{
    for (size_t i = 0; i < tombs_count(t); i++) {
        const struct tomb *tomb = &t->at[i];
        if (tomb->position > after && tomb->position <= upto && tomb->from_ns < to_ns &&
            from_ns < tomb->to_ns) {
            return true;
        }
    }
    return false;
}

static enum err add(struct cuts *out, const struct tomb *t, uint64_t columns)
{
    const struct cut cut = {t->position, t->from_ns, t->to_ns, columns, t, 0};
    return columns == 0 ? OK : cuts_add(out, &cut);
}

enum err tombs_cut_series(const struct tombs *t, const struct catalogue *c,
                          struct series_ref series, struct cuts *out)
{
    uint8_t path[SERIES_PATH_BYTES_MAX];
    const size_t size = tombs_count(t) == 0 ? 0 : catalogue_path(c, series, path);
    for (size_t i = 0; i < tombs_count(t); i++) {
        if (topic_matches(tomb_filter(&t->at[i]), (struct bytes){path, size})) {
            TRY(add(out, &t->at[i], UINT64_C(1) << series.column));
        }
    }
    return OK;
}

/* Columns of a group that a filter selects. */
static uint64_t select_columns(struct bytes filter, const struct catalogue *c,
                               const struct group *g)
{
    const unsigned end = atomic_load_explicit(&g->columns, memory_order_acquire);
    uint8_t path[SERIES_PATH_BYTES_MAX];
    uint64_t columns = 0;
    for (unsigned i = 0; i < end; i++) {
        const size_t size = catalogue_path(c, (struct series_ref){g->id, (uint8_t)i}, path);
        if (topic_matches(filter, (struct bytes){path, size})) {
            columns |= UINT64_C(1) << i;
        }
    }
    return columns;
}

enum err tombs_cut_group(const struct tombs *t, const struct catalogue *c, uint32_t group,
                         struct cuts *out)
{
    const struct group *g = tombs_count(t) == 0 ? NULL : catalogue_group(c, group);
    for (size_t i = 0; g != NULL && i < t->count; i++) {
        TRY(add(out, &t->at[i], select_columns(tomb_filter(&t->at[i]), c, g)));
    }
    return OK;
}
