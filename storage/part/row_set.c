#include "storage/part/row_set.h"

#include <stdlib.h>

enum { ROWS_FIRST = 1024 };

void row_set_init(struct row_set *s)
{
    *s = (struct row_set){.count = 0};
}

void row_set_fini(struct row_set *s)
{
    free(s->rows);
    free(s->order);
    free(s->buffer);
    cuts_fini(&s->cuts);
    row_set_init(s);
}

static enum err grow(struct row_set *s)
{
    size_t limit = s->limit == 0 ? ROWS_FIRST : s->limit * 2;
    struct head_row *rows = realloc(s->rows, limit * sizeof *rows);
    if (rows == NULL) {
        return E_NO_MEMORY;
    }
    s->rows = rows;
    struct timed *order = realloc(s->order, limit * sizeof *order);
    if (order == NULL) {
        return E_NO_MEMORY;
    }
    s->order = order;
    free(s->buffer);
    s->buffer = NULL;
    s->limit = limit;
    return OK;
}

static enum err gather_head(struct row_set *s, const struct head *h, uint32_t group,
                            struct part_period period)
{
    struct head_cursor cursor;
    struct head_row row;
    int64_t first_ns, last_ns;
    if (!head_group_span(h, group, &first_ns, &last_ns) || first_ns >= period.end_ns ||
        last_ns < period.start_ns) {
        return OK;
    }
    cuts_aim(&s->cuts, h, group);
    head_cursor_init(&cursor, h, group);
    for (uint64_t i = 0; head_cursor_next(&cursor, &row); i++) {
        row.gone = cuts_of_row(&s->cuts, i, row.time_ns);
        if (row.time_ns < period.start_ns || row.time_ns >= period.end_ns ||
            (row.columns & ~row.gone) == 0) {
            continue;
        }
        if (s->count == s->limit) {
            TRY(grow(s));
        }
        s->rows[s->count] = row;
        s->order[s->count] = (struct timed){row.time_ns, s->count};
        s->count++;
    }
    return OK;
}

enum err row_set_gather(struct row_set *s, struct head *const *heads, unsigned head_count,
                        uint32_t group, struct part_period period)
{
    s->count = 0;
    for (unsigned i = 0; i < head_count; i++) {
        TRY(gather_head(s, heads[i], group, period));
    }
    if (timed_is_strict(s->order, s->count)) {
        return OK;
    }
    if (s->buffer == NULL) {
        s->buffer = malloc(s->limit * sizeof *s->buffer);
        if (s->buffer == NULL) {
            return E_NO_MEMORY;
        }
    }
    timed_sort(s->order, s->count, s->buffer);
    return OK;
}

enum err row_set_put(const struct row_set *s, size_t *from, struct columns *c, uint32_t rows)
{
    for (; *from < s->count; (*from)++) {
        const struct head_row *row = row_set_row(s, *from);
        if (c->rows >= rows && row->time_ns != c->times[c->rows - 1]) {
            break;
        }
        TRY(columns_put_row(c, row));
    }
    return OK;
}
