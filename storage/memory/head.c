#include "storage/memory/head.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "storage/memory/arena.h"
#include "storage/memory/segments.h"

/* Rows lie packed: time, columns, values. A time no row has says: go on in the next segment. */
enum { ROW_FIXED_BYTES = 16, SEGMENT_BYTES_MAX = 1 << 16, FIRST_ROWS = 4 };
#define SEGMENT_END INT64_MIN

/* Written once, before the rows in it (or behind it) are published. */
struct head_segment {
    struct head_segment *next;
    uint32_t capacity;
    uint32_t unused; /* Keeps `at` aligned. */
    uint8_t at[];
};

struct head_group {
    _Atomic uint64_t rows;       /* Published; all below is written before it grows. */
    struct head_segment *first;  /* Fixed once there are rows. */
    struct head_segment *newest; /* The writer's. */
    uint32_t used;               /* Of the newest; the writer's. */
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

/* Segments double, so a group of few rows stays small and one of many is one run of memory. */
static uint32_t next_capacity(const struct head_group *g, uint32_t row_bytes)
{
    uint32_t capacity = g->newest == NULL ? FIRST_ROWS * row_bytes : 2 * g->newest->capacity;
    if (capacity > SEGMENT_BYTES_MAX) {
        capacity = SEGMENT_BYTES_MAX;
    }
    return capacity < row_bytes ? row_bytes : capacity;
}

static enum err add_segment(struct head *h, struct head_group *g, uint32_t row_bytes)
{
    const int64_t end = SEGMENT_END;
    uint32_t capacity = next_capacity(g, row_bytes);
    struct head_segment *s = arena_take(&h->arena, sizeof *s + capacity);
    if (s == NULL) {
        return E_NO_MEMORY;
    }
    atomic_store_explicit(&h->arena_bytes, h->arena.bytes, memory_order_relaxed);
    s->next = NULL;
    s->capacity = capacity;
    if (g->newest == NULL) {
        g->first = s;
    } else {
        g->newest->next = s;
        if (g->newest->capacity - g->used >= sizeof end) {
            memcpy(g->newest->at + g->used, &end, sizeof end);
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

static void put_row(struct head_group *g, const struct batch_entry *row)
{
    uint8_t *at = g->newest->at + g->used;
    memcpy(at, &row->row.time_ns, 8);
    memcpy(at + 8, &row->row.columns, 8);
    memcpy(at + ROW_FIXED_BYTES, row->row.values, 8 * (size_t)row->row.count);
}

enum err head_append(struct head *h, const struct batch_entry *row)
{
    uint32_t row_bytes = ROW_FIXED_BYTES + 8 * row->row.count;
    void *slot;
    TRY(segments_reserve(&h->groups, sizeof(struct head_group), row->row.group, &slot));
    struct head_group *g = slot;
    if (g->newest == NULL || g->newest->capacity - g->used < row_bytes) {
        TRY(add_segment(h, g, row_bytes));
    }
    uint64_t rows = atomic_load_explicit(&g->rows, memory_order_relaxed);
    put_row(g, row);
    g->used += row_bytes;
    widen_span(g, row->row.time_ns, rows == 0);
    atomic_store_explicit(&g->rows, rows + 1, memory_order_release);

    if (row->row.group >= atomic_load_explicit(&h->group_end, memory_order_relaxed)) {
        atomic_store_explicit(&h->group_end, row->row.group + 1, memory_order_release);
    }
    atomic_store_explicit(&h->rows, atomic_load_explicit(&h->rows, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    return OK;
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
    const struct head_segment *s = rows == 0 ? NULL : g->first;
    *c = (struct head_cursor){s, 0, s == NULL ? 0 : s->capacity, rows};
}

static bool is_at_end(const struct head_cursor *c)
{
    int64_t time;
    if (c->end - c->offset < sizeof time) {
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
        c->end = c->segment->capacity;
    }
    const uint8_t *at = c->segment->at + c->offset;
    memcpy(&out->time_ns, at, 8);
    memcpy(&out->columns, at + 8, 8);
    out->values = (const double *)(const void *)(at + ROW_FIXED_BYTES);
    c->offset += ROW_FIXED_BYTES + 8 * (uint32_t)__builtin_popcountll(out->columns);
    c->left--;
    return true;
}
