#include "storage/read/query.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "storage/read/query_inside.h"

/* Leave those of the selected series for which `where` holds. */
static void keep_those(struct query *q, const struct catalogue *c)
{
    size_t kept = 0;
    for (size_t i = 0; i < q->series.count; i++) {
        if (predicate_holds(q->request.where, c, q->series.refs[i])) {
            q->series.refs[kept++] = q->series.refs[i];
        }
    }
    q->series.count = kept;
}

static enum err select_series(struct query *q, struct catalogue *c)
{
    const struct query_request *r = &q->request;
    if (r->where == NULL) {
        return catalogue_select(c, r->filter, r->series_max, &q->series);
    }
    TRY(catalogue_select(c, r->filter, SIZE_MAX, &q->series));
    keep_those(q, c);
    return q->series.count > r->series_max ? E_LIMIT : OK;
}

static enum err prepare(struct query *q)
{
    const struct query_request *r = &q->request;
    struct catalogue *c = engine_catalogue(q->engine);
    if (query_fill_is_long(r)) {
        return E_LIMIT;
    }
    TRY(select_series(q, c));
    return r->key_count > 0 ? query_groups_make(c, r, &q->series, &q->groups) : OK;
}

enum err query_open(struct engine *e, const struct query_request *request, struct query **out)
{
    CHECK(request->key_count == 0 || request->buckets.length > 0);
    struct query *q = calloc(1, sizeof *q);
    if (q == NULL) {
        return E_NO_MEMORY;
    }
    q->engine = e;
    q->request = *request;
    q->rows_left = request->rows_max > 0 ? request->rows_max : UINT64_MAX;
    q->columns = request->buckets.length == 0 ? 1
                                              : (unsigned)__builtin_popcount(request->aggregates) +
                                                    request->percentile_count;
    const enum err error = prepare(q);
    if (error != OK) {
        query_close(q);
        return error;
    }
    q->request.filter = (struct bytes){NULL, 0}; /* The caller's; done with. */
    q->request.where = NULL;
    *out = q;
    return OK;
}

void query_close(struct query *q)
{
    if (q == NULL) {
        return;
    }
    query_cursor_destroy(q->own);
    query_groups_fini(&q->groups);
    series_list_fini(&q->series);
    free(q);
}

size_t query_series(const struct query *q)
{
    return q->series.count;
}

size_t query_units(const struct query *q)
{
    return q->request.key_count > 0 ? q->groups.count : q->series.count;
}

struct bytes query_key_value(const struct query *q, size_t unit, unsigned key)
{
    return query_groups_value(&q->groups, unit, key);
}

/* A value inside a name: what would part or end it is written %XX. */
static void put_escaped(struct writer *to, struct bytes value)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < value.size; i++) {
        const uint8_t c = value.at[i];
        if (c >= ' ' && c != ',' && c != '=' && c != '%' && c != 0x7f) {
            to->at[to->size++] = c;
        } else {
            to->at[to->size++] = '%';
            to->at[to->size++] = (uint8_t)digits[c >> 4];
            to->at[to->size++] = (uint8_t)digits[c & 15];
        }
    }
}

static void put_key(struct writer *to, const struct query_key *key)
{
    if (key->level == 0) {
        memcpy(to->at + to->size, key->tag, key->tag_bytes);
        to->size += key->tag_bytes;
        return;
    }
    char text[16];
    const int size = snprintf(text, sizeof text, "$%d", key->level);
    memcpy(to->at + to->size, text, (size_t)size);
    to->size += (size_t)size;
}

size_t query_name(const struct query *q, size_t unit, uint8_t to[QUERY_NAME_BYTES_MAX])
{
    if (q->request.key_count == 0) {
        return catalogue_path(engine_catalogue(q->engine), q->series.refs[unit], to);
    }
    struct writer w = {to, 0, QUERY_NAME_BYTES_MAX};
    for (unsigned i = 0; i < q->request.key_count; i++) {
        if (i > 0) {
            to[w.size++] = ',';
        }
        put_key(&w, &q->request.keys[i]);
        to[w.size++] = '=';
        put_escaped(&w, query_key_value(q, unit, i));
    }
    return w.size;
}

enum err query_step(struct query *q, struct query_block *out)
{
    if (q->own == NULL) {
        TRY(query_cursor_create(q, &q->own));
        query_cursor_start(q->own, 0, query_units(q));
    }
    if (q->rows_left == 0) {
        return E_END;
    }
    TRY(query_cursor_next(q->own, out));
    out->rows = out->rows < q->rows_left ? out->rows : (size_t)q->rows_left;
    q->rows_left -= out->rows;
    return OK;
}
