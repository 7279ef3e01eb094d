#include "storage/memory/head.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "storage/memory/arena.h"
#include "storage/memory/segments.h"

/* Rows lie packed: time, then as they need it arrival and columns, then values. Most groups have
 * rows of one shape, the columns of the group's first row: their segments leave the columns out.
 * When another shape comes, the group goes on in mixed segments, whose rows name theirs. A time no
 * row has says: go on in the next segment. A row whose time is turned round, which makes it
 * negative, says when it came, and so for those behind it. */
enum { SEGMENT_BYTES_MAX = 1 << 16, ROWS_FIRST = 4, ROWS_STEP = 8, GROWTH = 8 };
#define SEGMENT_END INT64_MIN

/* Written once, before the rows in it (or behind it) are published. */
struct head_segment {
    struct head_segment *next;
    uint32_t capacity;
    uint32_t mixed; /* 0 or 1; keeps `at` aligned. */
    uint8_t at[];
};

struct head_group {
    _Atomic uint64_t rows;       /* Published; all below is written before it grows. */
    struct head_segment *first;  /* Fixed once there are rows, as are: */
    uint64_t columns;            /* Of every row in segments that are not mixed. */
    struct head_segment *newest; /* The writer's. */
    uint32_t used, bytes;        /* Of the newest; of all before it. The writer's, as is: */
    int64_t arrival_s;           /* Of the last row. */
    _Atomic int64_t first_ns, last_ns;
};

struct head {
    struct segments groups; /* struct head_group */
    struct arena arena;
    atomic_uint group_end;
    _Atomic uint64_t rows, arena_bytes;
};

enum err head_create(struct head **out)
{
    struct head *h = calloc(1, sizeof *h);
    if (h == NULL) {
        return E_NO_MEMORY;
    }
    *out = h;
    return OK;
}

void head_destroy(struct head *h)
{
    if (h != NULL) {
        segments_fini(&h->groups);
        arena_fini(&h->arena);
        free(h);
    }
}

/* Few rows take little memory, and of many an eighth at most is not yet used. */
static uint32_t next_capacity(const struct head_group *g, uint32_t row_bytes)
{
    uint32_t rows = g->newest == NULL ? ROWS_FIRST : 2 * g->newest->capacity / row_bytes;
    if (rows > ROWS_STEP) {
        rows = ROWS_STEP;
    }
    if (rows < g->bytes / GROWTH / row_bytes) {
        rows = g->bytes / GROWTH / row_bytes;
    }
    if (rows > SEGMENT_BYTES_MAX / row_bytes) {
        rows = SEGMENT_BYTES_MAX / row_bytes;
    }
    return (rows == 0 ? 1 : rows) * row_bytes;
}

static enum err add_segment(struct head *h, struct head_group *g, uint32_t row_bytes, bool mixed)
{
    const int64_t end = SEGMENT_END;
    struct head_segment *old = g->newest;
    g->bytes += old != NULL && g->bytes < GROWTH * SEGMENT_BYTES_MAX ? old->capacity : 0;
    uint32_t capacity = next_capacity(g, row_bytes);
    struct head_segment *s = arena_take(&h->arena, sizeof *s + capacity);
    if (s == NULL) {
        return E_NO_MEMORY;
    }
    atomic_store_explicit(&h->arena_bytes, h->arena.bytes, memory_order_relaxed);
    s->next = NULL;
    s->capacity = capacity;
    s->mixed = mixed;
    if (old == NULL) {
        g->first = s;
    } else {
        old->next = s;
        if (old->capacity - g->used >= sizeof end) {
            memcpy(old->at + g->used, &end, sizeof end);
        }
    }
    g->newest = s;
    g->used = 0;
    return OK;
}

static void widen_span(struct head_group *g, int64_t time_ns, bool is_first)
{
    if (is_first || time_ns < atomic_load_explicit(&g->first_ns, memory_order_relaxed)) {
        atomic_store_explicit(&g->first_ns, time_ns, memory_order_relaxed);
    }
    if (is_first || time_ns > atomic_load_explicit(&g->last_ns, memory_order_relaxed)) {
        atomic_store_explicit(&g->last_ns, time_ns, memory_order_relaxed);
    }
}

/* Rows of a group start with one shape, and go on mixed when another comes. */
static bool is_mixed(struct head_group *g, uint64_t columns)
{
    if (g->newest == NULL) {
        g->columns = columns;
        return false;
    }
    return g->newest->mixed != 0 || columns != g->columns;
}

static void put_row(struct head_group *g, const struct batch_entry *row, int64_t arrival_s)
{
    uint8_t *at = g->newest->at + g->used;
    const int64_t time = arrival_s == g->arrival_s ? row->row.time_ns : ~row->row.time_ns;
    memcpy(at, &time, 8);
    at += 8;
    if (arrival_s != g->arrival_s) {
        g->arrival_s = arrival_s;
        memcpy(at, &arrival_s, 8);
        at += 8;
    }
    if (g->newest->mixed != 0) {
        memcpy(at, &row->row.columns, 8);
        at += 8;
    }
    memcpy(at, row->row.values, 8 * (size_t)row->row.count);
}

static enum err append(struct head *h, struct head_group *g, const struct batch_entry *row,
                       int64_t arrival_s)
{
    const bool mixed = is_mixed(g, row->row.columns);
    const uint32_t row_bytes = 8 * (1U + (arrival_s != g->arrival_s) + mixed + row->row.count);
    if (g->newest == NULL || g->newest->mixed != mixed ||
        g->newest->capacity - g->used < row_bytes) {
        TRY(add_segment(h, g, row_bytes, mixed));
    }
    put_row(g, row, arrival_s);
    g->used += row_bytes;
    return OK;
}

enum err head_append(struct head *h, const struct batch_entry *row, int64_t arrival_s)
{
    void *slot;
    CHECK(row->row.time_ns >= 0);
    TRY(segments_reserve(&h->groups, sizeof(struct head_group), row->row.group, &slot));
    struct head_group *g = slot;
    TRY(append(h, g, row, arrival_s));
    uint64_t rows = atomic_load_explicit(&g->rows, memory_order_relaxed);
    widen_span(g, row->row.time_ns, rows == 0);
    atomic_store_explicit(&g->rows, rows + 1, memory_order_release);

    if (row->row.group >= atomic_load_explicit(&h->group_end, memory_order_relaxed)) {
        atomic_store_explicit(&h->group_end, row->row.group + 1, memory_order_release);
    }
    atomic_store_explicit(&h->rows, atomic_load_explicit(&h->rows, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    return OK;
}

void head_fetch_group(const struct head *h, uint32_t group)
{
    const struct head_group *g = segments_find(&h->groups, sizeof *g, group);
    if (g != NULL) {
        __builtin_prefetch(g, 1);
        __builtin_prefetch((const uint8_t *)(g + 1) - 1, 1);
    }
}

void head_fetch_row(const struct head *h, uint32_t group)
{
    const struct head_group *g = segments_find(&h->groups, sizeof *g, group);
    if (g != NULL && g->newest != NULL) {
        __builtin_prefetch(g->newest);
        __builtin_prefetch(g->newest->at + g->used, 1);
    }
}

uint64_t head_bytes(const struct head *h)
{
    return atomic_load_explicit(&h->arena_bytes, memory_order_relaxed) +
           segments_bytes(&h->groups, sizeof(struct head_group));
}

uint64_t head_rows(const struct head *h)
{
    return atomic_load_explicit(&h->rows, memory_order_relaxed);
}

uint32_t head_group_end(const struct head *h)
{
    return atomic_load_explicit(&h->group_end, memory_order_acquire);
}

static const struct head_group *find_group(const struct head *h, uint32_t group, uint64_t *rows)
{
    const struct head_group *g = segments_find(&h->groups, sizeof *g, group);
    *rows = g == NULL ? 0 : atomic_load_explicit(&g->rows, memory_order_acquire);
    return g;
}

uint64_t head_group_rows(const struct head *h, uint32_t group)
{
    uint64_t rows;
    (void)find_group(h, group, &rows);
    return rows;
}

bool head_group_span(const struct head *h, uint32_t group, int64_t *first_ns, int64_t *last_ns)
{
    uint64_t rows;
    const struct head_group *g = find_group(h, group, &rows);
    if (rows == 0) {
        return false;
    }
    *first_ns = atomic_load_explicit(&g->first_ns, memory_order_relaxed);
    *last_ns = atomic_load_explicit(&g->last_ns, memory_order_relaxed);
    return true;
}

void head_cursor_init(struct head_cursor *c, const struct head *h, uint32_t group)
{
    uint64_t rows;
    const struct head_group *g = find_group(h, group, &rows);
    *c = (struct head_cursor){.left = rows};
    if (rows > 0) {
        c->segment = g->first;
        c->columns = g->columns;
    }
}

static bool is_at_end(const struct head_cursor *c)
{
    int64_t time;
    if (c->segment->capacity - c->offset < sizeof time) {
        return true;
    }
    memcpy(&time, c->segment->at + c->offset, sizeof time);
    return time == SEGMENT_END;
}

bool head_cursor_next(struct head_cursor *c, struct head_row *out)
{
    if (c->left == 0) {
        return false;
    }
    if (is_at_end(c)) {
        c->segment = c->segment->next;
        c->offset = 0;
    }
    const uint8_t *at = c->segment->at + c->offset;
    *out = (struct head_row){.columns = c->columns};
    memcpy(&out->time_ns, at, 8);
    at += 8;
    if (out->time_ns < 0) {
        out->time_ns = ~out->time_ns;
        memcpy(&c->arrival_s, at, 8);
        at += 8;
    }
    out->arrival_s = c->arrival_s;
    if (c->segment->mixed != 0) {
        memcpy(&out->columns, at, 8);
        at += 8;
    }
    out->values = (const double *)(const void *)at;
    at += 8 * (size_t)__builtin_popcountll(out->columns);
    c->offset = (uint32_t)(at - c->segment->at);
    c->left--;
    return true;
}
