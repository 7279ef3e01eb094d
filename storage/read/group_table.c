#include "storage/read/group_table.h"

#include <stdlib.h>

enum { CELLS_FIRST = 64, CELLS_KEPT = 4096 };

void group_table_init(struct group_table *t)
{
    *t = (struct group_table){.at = 0};
}

static void clear_list(struct cell_list *l)
{
    for (size_t i = 0; i < l->count; i++) {
        if (!value_set_is_unused(&l->cells[i].values)) {
            cell_fini(&l->cells[i]);
        }
    }
    l->count = 0;
}

void group_table_clear(struct group_table *t)
{
    clear_list(&t->all);
    clear_list(&t->late);
    t->at = t->value_bytes = 0;
}

void group_table_fini(struct group_table *t)
{
    group_table_clear(t);
    free(t->all.cells);
    free(t->late.cells);
    group_table_init(t);
}

void group_table_rest(struct group_table *t)
{
    group_table_clear(t);
    if (t->all.limit + t->late.limit > CELLS_KEPT) {
        group_table_fini(t);
    }
}

static enum err reserve(struct cell_list *l, size_t count)
{
    size_t limit = l->limit == 0 ? CELLS_FIRST : l->limit;
    if (count <= l->limit) {
        return OK;
    }
    while (limit < count) {
        limit *= 2;
    }
    struct cell *cells = realloc(l->cells, limit * sizeof *cells);
    if (cells == NULL) {
        return E_NO_MEMORY;
    }
    l->cells = cells;
    l->limit = limit;
    return OK;
}

static enum err check_bytes(const struct group_table *t)
{
    const size_t cells = (t->all.count + t->late.count) * sizeof(struct cell);
    return cells + t->value_bytes > QUERY_GROUP_BYTES_MAX ? E_LIMIT : OK;
}

static enum err merge(struct group_table *t, struct cell *into, const struct cell *c)
{
    if (value_set_is_unused(&c->values)) {
        return cell_merge(into, c);
    }
    t->value_bytes -= value_set_bytes(&into->values);
    TRY(cell_merge(into, c));
    t->value_bytes += value_set_bytes(&into->values);
    return check_bytes(t);
}

enum err group_table_put(struct group_table *t, struct cell *c)
{
    struct cell_list *all = &t->all;
    while (t->at < all->count && all->cells[t->at].span.start_ns < c->span.start_ns) {
        t->at++;
    }
    if (t->at < all->count && all->cells[t->at].span.start_ns == c->span.start_ns) {
        return merge(t, &all->cells[t->at], c);
    }
    TRY(reserve(&t->late, t->late.count + 1));
    t->late.cells[t->late.count++] = *c;
    if (!value_set_is_unused(&c->values)) {
        t->value_bytes += value_set_bytes(&c->values);
        value_set_init(&c->values);
    }
    return check_bytes(t);
}

static void swap(struct group_table *t)
{
    const struct cell_list all = t->all;
    t->all = t->late;
    t->late = all;
}

enum err group_table_end_series(struct group_table *t)
{
    size_t old = t->all.count, fresh = t->late.count;
    t->at = 0;
    if (old == 0 || fresh == 0) { /* Of the first series, all are new; of most, none. */
        if (old == 0) {
            swap(t);
        }
        return OK;
    }
    TRY(reserve(&t->all, old + fresh));
    struct cell *cells = t->all.cells;
    t->all.count = old + fresh;
    for (size_t to = old + fresh; fresh > 0; to--) { /* From behind, so that none is overwritten. */
        const struct cell *late = &t->late.cells[fresh - 1];
        if (old > 0 && cells[old - 1].span.start_ns > late->span.start_ns) {
            cells[to - 1] = cells[--old];
        } else {
            cells[to - 1] = *late;
            fresh--;
        }
    }
    t->late.count = 0;
    return OK;
}
