#include "broker/query/query_lane.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/zone.h"
#include "broker/query/query_words.h"
#include "proto/block_write.h"

/* Steps of storage that gave no block, before the worker looks at other work. */
enum { STEPS_EMPTY_MAX = 16 };

#define LIMIT HEJNAL__V1__ERROR__CODE__LIMIT

_Static_assert((int)QUERY_COLUMNS_MAX <= (int)BLOCK_COLUMNS_MAX &&
                   (int)QUERY_KEYS_MAX <= (int)BLOCK_KEYS_MAX,
               "a block has room for all columns and keys");
_Static_assert((int)QUERY_BLOCK_ROWS_MAX <= (int)QUERY_WORDS_ROWS_MAX, "a block is packed at once");

enum err query_lane_create(struct query_lane **out)
{
    struct query_lane *l = calloc(1, sizeof *l);
    if (l == NULL) {
        return E_NO_MEMORY;
    }
    *out = l;
    return OK;
}

void query_lane_aim(struct query_lane *l, struct query_plan *plan, const struct query_conn *conn,
                    uint32_t id)
{
    l->plan = plan;
    l->is_held = l->has_run = l->has_frame = l->is_done = l->is_bound = false;
    l->at = 0;
    l->rows = 0;
    l->result = OK;
    query_frame_aim(&l->frames[0], conn, id);
    query_frame_aim(&l->frames[1], conn, id);
}

void query_lane_rest(struct query_lane *l)
{
    query_frame_rest(&l->frames[0]);
    query_frame_rest(&l->frames[1]);
    if (l->cursor != NULL) {
        query_cursor_rest(l->cursor);
    }
}

void query_lane_destroy(struct query_lane *l)
{
    query_cursor_destroy(l->cursor);
    query_frame_fini(&l->frames[0]);
    query_frame_fini(&l->frames[1]);
    free(l);
}

void query_lane_start(struct query_lane *l, uint64_t turn, size_t from, size_t end)
{
    l->has_run = true;
    l->has_frame = l->is_done = false;
    l->turn = turn;
    l->from = from;
    l->end = end;
    l->named = SIZE_MAX;
    l->busy_ns = 0;
    if (l->is_bound) {
        query_cursor_start(l->cursor, from, end);
    }
}

/* -- Opening the plan ------------------------------------------------------------------------- */

static enum err tell_series(struct query_lane *l)
{
    const struct query_request *r = &l->plan->request;
    struct query_request all = *r;
    struct query *query;
    all.series_max = SIZE_MAX;
    all.key_count = 0;
    TRY(query_open(l->plan->engine, &all, &query));
    const size_t series = query_series(query);
    if (series > r->series_max) {
        query_fault_set(
            &l->fault, LIMIT, "filter",
            "the filter selects %zu series, a query may select %zu; take a narrower one", series,
            r->series_max);
    } else {
        query_fault_set(&l->fault, LIMIT, "group_by",
                        "the keys of %zu series need more than %d MiB; select or group by less",
                        series, QUERY_GROUP_KEYS_BYTES_MAX >> 20);
    }
    query_close(query);
    return E_MALFORMED;
}

static enum err tell_limit(struct query_lane *l)
{
    if (query_fill_is_long(&l->plan->request)) {
        query_fault_set(&l->fault, LIMIT, "fill",
                        "a filled window has at most %d buckets; a shorter one or longer buckets",
                        QUERY_FILL_BUCKETS_MAX);
        return E_MALFORMED;
    }
    return tell_series(l);
}

static enum err open_zone(struct query_lane *l)
{
    struct query_plan *p = l->plan;
    if (p->zone_name[0] == 0) {
        return OK;
    }
    const enum err e = zone_open(bytes_of(p->zone_name), &p->zone);
    if (e == E_NOT_FOUND || e == E_MALFORMED) {
        query_fault_set(&l->fault, HEJNAL__V1__ERROR__CODE__INVALID, "time_zone",
                        "the server knows no time zone `%s`; one is Europe/Warsaw", p->zone_name);
        return E_MALFORMED;
    }
    p->request.buckets.zone = p->zone;
    return e;
}

static enum err open_plan(struct query_lane *l)
{
    Hejnal__V1__Estimate estimate = HEJNAL__V1__ESTIMATE__INIT;
    frame_response part = HEJNAL__V1__RESPONSE__INIT;
    struct query_plan *p = l->plan;
    TRY(open_zone(l));
    const enum err e = query_open(p->engine, &p->request, &p->query);
    if (e == E_LIMIT) {
        return tell_limit(l);
    }
    TRY(e);
    estimate.series = query_units(p->query);
    part.body_case = HEJNAL__V1__RESPONSE__BODY_ESTIMATE;
    part.estimate = &estimate;
    return query_frame_put(&l->frames[l->at], &part);
}

/* -- Blocks ----------------------------------------------------------------------------------- */

/* Only points may be texts: no aggregate is one. */
static enum err fill_columns(struct query_lane *l, const struct query_block *block,
                             struct block *out, frame_response *words)
{
    struct query_frame *frame = &l->frames[l->at];
    struct query_packed packed;
    out->columns = block->columns;
    for (unsigned i = 0; i < block->columns; i++) {
        out->column[i] = (struct block_column){.numbers = block->rows, .number = block->column[i]};
    }
    if (l->plan->request.buckets.length > 0) {
        return OK;
    }
    TRY(query_words_pack(frame, block->column[0], block->rows, &packed));
    query_words_tell(frame, words);
    out->column[0] = (struct block_column){packed.numbers, packed.runs, packed.number, packed.run};
    return OK;
}

/* Path and keys, where the unit is another than that of the block before. */
static void name_unit(struct query_lane *l, size_t unit, struct block *out)
{
    const struct query *q = l->plan->query;
    if (unit == l->named) {
        return;
    }
    out->path = (struct bytes){l->name, query_name(q, unit, l->name)};
    out->keys = l->plan->request.key_count;
    for (unsigned i = 0; i < out->keys; i++) {
        out->key[i] = query_key_value(q, unit, i);
    }
    l->named = unit;
}

static enum err put_block(struct query_lane *l, const struct query_block *block)
{
    struct block out = {.series = (uint32_t)block->unit + 1,
                        .series_done = block->unit,
                        .rows = block->rows,
                        .times = block->times};
    frame_response words = HEJNAL__V1__RESPONSE__INIT;
    struct query_frame *frame = &l->frames[l->at];
    TRY(fill_columns(l, block, &out, &words));
    if (words.n_words > 0) {
        TRY(query_frame_put(frame, &words));
    }
    name_unit(l, block->unit, &out);
    TRY(query_conn_reserve(&frame->bytes, block_room(&out)));
    TRY(block_write(&frame->bytes, &out));
    l->rows += block->rows;
    return OK;
}

/* Take the block's rows from those that may still be sent. */
static void cut_rows(struct query_lane *l, struct query_block *block)
{
    struct query_plan *p = l->plan;
    if (p->request.rows_max > 0) {
        block->rows = block->rows < p->rows_left ? block->rows : (size_t)p->rows_left;
        p->rows_left -= block->rows;
    }
}

static bool has_all_rows(const struct query_lane *l)
{
    return l->plan->request.rows_max > 0 && l->plan->rows_left == 0;
}

static enum err next_block(struct query_lane *l, struct query_block *block)
{
    const enum err e = query_cursor_next(l->cursor, block);
    if (e == E_LIMIT) {
        query_fault_set(&l->fault, LIMIT, "group_by",
                        "a group needs more than %d MiB; ask for a shorter time, longer buckets "
                        "or fewer percentiles",
                        QUERY_GROUP_BYTES_MAX >> 20);
        return E_MALFORMED;
    }
    return e;
}

/* The lane's cursor, for this query from now on. */
static enum err bind_cursor(struct query_lane *l)
{
    TRY(l->cursor == NULL ? query_cursor_create(l->plan->query, &l->cursor)
                          : query_cursor_reuse(l->cursor, l->plan->query));
    query_cursor_start(l->cursor, l->from, l->end);
    l->is_bound = true;
    return OK;
}

/* Blocks until the frame is full. E_END: the run is done. */
static enum err make_blocks(struct query_lane *l)
{
    struct query_block block;
    unsigned empty = 0;
    if (!l->is_bound) {
        TRY(bind_cursor(l));
    }
    while (l->frames[l->at].bytes.size < QUERY_FRAME_BYTES) {
        const enum err e = has_all_rows(l) ? E_END : next_block(l, &block);
        if (e == E_MORE) {
            if (++empty >= STEPS_EMPTY_MAX) {
                return OK; /* So that a cancel is heard. */
            }
            continue;
        }
        TRY(e);
        cut_rows(l, &block);
        TRY(put_block(l, &block));
    }
    return OK;
}

static enum err make_frame(struct query_lane *l)
{
    TRY(query_frame_begin(&l->frames[l->at]));
    if (l->plan->query == NULL) {
        TRY(open_plan(l));
        const size_t units = query_units(l->plan->query);
        const bool is_alone = l->plan->request.rows_max > 0;
        query_lane_start(l, 0, 0, is_alone || units < 2 ? units : 1);
    }
    return make_blocks(l);
}

void query_lane_step(struct query_lane *l)
{
    l->rows = 0;
    if (atomic_load_explicit(&l->plan->is_idle, memory_order_relaxed)) {
        l->is_done = true;
        return;
    }
    const int64_t start_ns = clock_now_ns();
    l->result = make_frame(l);
    l->busy_ns += clock_now_ns() - start_ns;
    if (l->result == OK || l->result == E_END) {
        l->is_done = l->result == E_END;
        l->result = OK;
        l->has_frame = query_frame_end(&l->frames[l->at]).size > 0;
    }
}
