#include "storage/read/scan.h"

#include <stdlib.h>

#include "base/log.h"
#include "storage/part/part_meta.h"
#include "storage/read/chunk_list.h"
#include "storage/read/points.h"
#include "storage/view.h"

struct scan {
    struct engine *engine;
    struct series_ref series;
    int64_t at_ns, to_ns;          /* Still to be read. */
    const struct buckets *buckets; /* Of this step; NULL: no statistics wanted. */
    struct chunk_scratch *scratch;
    struct chunk_list list;
    struct points points;
    struct part_key *chosen; /* Of the chunks to decode now. */
    size_t chosen_count, chosen_limit;
    int64_t times[CHUNK_ROWS_MAX]; /* All times of a chunk. */
};

enum err scan_create(struct engine *e, struct scan **out)
{
    struct scan *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return E_NO_MEMORY;
    }
    s->engine = e;
    chunk_list_init(&s->list);
    points_init(&s->points);
    enum err error = chunk_scratch_create(&s->scratch);
    if (error != OK) {
        free(s);
        return error;
    }
    *out = s;
    return OK;
}

void scan_destroy(struct scan *s)
{
    if (s == NULL) {
        return;
    }
    chunk_scratch_destroy(s->scratch);
    chunk_list_fini(&s->list);
    points_fini(&s->points);
    free(s->chosen);
    free(s);
}

void scan_start(struct scan *s, struct series_ref ref, int64_t from_ns, int64_t to_ns)
{
    s->series = ref;
    s->at_ns = from_ns;
    s->to_ns = to_ns;
}

static void report_damage(struct scan *s, struct part *p, uint32_t chunks)
{
    char name[PART_NAME_BYTES_MAX];
    for (uint32_t i = 0; i < chunks; i++) {
        view_count_corrupt(s->engine);
    }
    if (chunks > 0 && part_mark_damaged(p)) {
        part_name_write(part_period(p), name);
        log_line(LOG_ERROR, "storage", "damaged chunks are left out partition=%s", name);
    }
}

/* The first partition that ends after `time_ns`, or NULL. */
static struct part *find_part(const struct view *view, int64_t time_ns)
{
    size_t low = 0, high = view->parts;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (part_period(view->part[middle]).end_ns > time_ns) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low < view->parts ? view->part[low] : NULL;
}

/* Whether a head may have rows of the series from_ns <= t < to_ns. */
static bool heads_touch(const struct scan *s, const struct view *view, int64_t from_ns,
                        int64_t to_ns)
{
    int64_t first_ns, last_ns;
    for (unsigned i = 0; i < view->heads; i++) {
        if (head_group_span(view->head[i], s->series.group, &first_ns, &last_ns) &&
            first_ns < to_ns && last_ns >= from_ns) {
            return true;
        }
    }
    return false;
}

static enum err add_head(struct scan *s, const struct head *h)
{
    const uint64_t bit = UINT64_C(1) << s->series.column;
    struct head_cursor cursor;
    struct head_row row;
    struct points *p = &s->points;
    head_cursor_init(&cursor, h, s->series.group);
    while (head_cursor_next(&cursor, &row)) {
        if ((row.columns & bit) == 0) {
            continue;
        }
        if (p->count == p->limit || p->count == POINTS_MAX) {
            TRY(points_reserve(p, 1));
        }
        points_add(p, row.time_ns, row.values[__builtin_popcountll(row.columns & (bit - 1))]);
    }
    return OK;
}

static enum err add_heads(struct scan *s, const struct view *view)
{
    if (heads_touch(s, view, s->points.from_ns, s->points.end_ns)) {
        for (unsigned i = 0; i < view->heads; i++) {
            TRY(add_head(s, view->head[i]));
        }
    }
    return OK;
}

/* Decode the series' points of one chunk behind those gathered already. */
static enum err decode(struct scan *s, struct bytes key, struct bytes value)
{
    struct points *p = &s->points;
    struct chunk chunk;
    uint32_t count;
    TRY(chunk_read(key, value, &chunk));
    int index = chunk_column_find(&chunk, s->series.column);
    if (index < 0) {
        return E_CORRUPT; /* It had the column when the list was made. */
    }
    TRY(points_reserve(p, chunk.rows));
    TRY(chunk_times(&chunk, s->scratch, s->times));
    TRY(chunk_points(&chunk, (unsigned)index, s->times, s->scratch, p->times + p->count,
                     p->values + p->count, &count));
    points_take(p, count);
    return OK;
}

static enum err add_chunks(struct scan *s, struct part *part)
{
    struct part_cursor *cursor;
    enum err e = OK;
    TRY(part_cursor_open(part, s->series.group, &cursor));
    for (size_t i = 0; i < s->chosen_count && e == OK; i++) {
        uint8_t raw[PART_KEY_BYTES];
        const struct bytes key = {raw, sizeof raw};
        struct bytes value;
        part_key_write(s->chosen[i], raw);
        e = part_cursor_get(cursor, key, &value);
        if (e == OK) {
            e = decode(s, key, value);
        }
        if (e == E_CORRUPT || e == E_VERSION || e == E_NOT_FOUND) {
            report_damage(s, part, 1);
            e = OK;
        }
    }
    part_cursor_close(cursor);
    return e;
}

static int by_key(const void *a, const void *b)
{
    const struct part_key *x = a, *y = b;
    if (x->flush != y->flush) {
        return x->flush < y->flush ? -1 : 1;
    }
    return (x->first_ns > y->first_ns) - (x->first_ns < y->first_ns);
}

/* Whether the statistics of `e` may stand for all points of the series in its span. */
static bool is_whole(const struct scan *s, const struct view *view, const struct chunk_entry *e,
                     int64_t end_ns)
{
    return s->buckets != NULL && !e->overlapped && e->first_ns >= s->at_ns && e->last_ns < end_ns &&
           e->last_ns < buckets_find(s->buckets, e->first_ns).end_ns &&
           !heads_touch(s, view, e->first_ns, e->last_ns + 1);
}

static enum err choose(struct scan *s, const struct chunk_entry *e)
{
    if (s->chosen_count == s->chosen_limit) {
        size_t limit = s->chosen_limit == 0 ? 64 : s->chosen_limit * 2;
        struct part_key *chosen = realloc(s->chosen, limit * sizeof *chosen);
        if (chosen == NULL) {
            return E_NO_MEMORY;
        }
        s->chosen = chosen;
        s->chosen_limit = limit;
    }
    s->chosen[s->chosen_count++] = (struct part_key){e->flush, s->series.group, e->first_ns};
    return OK;
}

/* Choose the chunks to decode in this step and shorten the window to what they cover, or find that
 * the next thing is a whole chunk: `*whole`. */
static enum err choose_chunks(struct scan *s, const struct view *view,
                              const struct chunk_entry **whole)
{
    int64_t *end_ns = &s->points.end_ns;
    uint64_t points = 0;
    bool overlapped = false;
    for (size_t i = 0; i < s->list.count; i++) {
        const struct chunk_entry *e = &s->list.entries[i];
        if (e->last_ns < s->at_ns) {
            continue;
        }
        if (e->first_ns >= *end_ns) {
            break;
        }
        bool is_new = e->first_ns > s->at_ns;
        bool can_stand_alone = is_whole(s, view, e, *end_ns);
        if (can_stand_alone && s->chosen_count == 0 &&
            !(is_new && heads_touch(s, view, s->at_ns, e->first_ns))) {
            *whole = e;
            return OK;
        }
        if (is_new && (can_stand_alone || points >= SCAN_POINTS_TARGET)) {
            *end_ns = e->first_ns;
            break;
        }
        points += e->points;
        overlapped |= e->overlapped;
        TRY(choose(s, e));
    }
    if (overlapped) {
        qsort(s->chosen, s->chosen_count, sizeof s->chosen[0], by_key);
    }
    return OK;
}

/* A window inside a partition's period. */
static enum err step_part(struct scan *s, const struct view *view, struct part *part,
                          const struct chunk_entry **whole)
{
    if (!chunk_list_is_for(&s->list, part, s->series, s->at_ns)) {
        TRY(chunk_list_load(&s->list, part, s->series, s->at_ns, s->points.end_ns));
        report_damage(s, part, s->list.damaged);
    }
    s->points.end_ns = s->list.to_ns < s->points.end_ns ? s->list.to_ns : s->points.end_ns;
    s->chosen_count = 0;
    TRY(choose_chunks(s, view, whole));
    return *whole == NULL && s->chosen_count > 0 ? add_chunks(s, part) : OK;
}

/* Read one window, which may turn out empty, and move behind it. */
static enum err step(struct scan *s, const struct view *view, struct piece *out)
{
    struct part *part = find_part(view, s->at_ns);
    const struct chunk_entry *whole = NULL;
    int64_t end_ns = s->to_ns;
    if (part != NULL) {
        const struct part_period period = part_period(part);
        bool inside = period.start_ns <= s->at_ns;
        int64_t border_ns = inside ? period.end_ns : period.start_ns;
        end_ns = border_ns < end_ns ? border_ns : end_ns;
        part = inside ? part : NULL;
    }
    points_start(&s->points, s->at_ns, end_ns);
    if (part != NULL) {
        TRY(step_part(s, view, part, &whole));
    }
    if (whole != NULL) {
        out->stats = &whole->stats;
        out->first_ns = whole->first_ns;
        s->at_ns = whole->last_ns + 1;
        return OK;
    }
    TRY(add_heads(s, view));
    TRY(points_settle(&s->points));
    out->span = (struct span){s->points.count, s->points.times, s->points.values};
    s->at_ns = s->points.end_ns;
    return OK;
}

enum err scan_next_piece(struct scan *s, const struct buckets *buckets, struct piece *out)
{
    struct piece piece = {.stats = NULL};
    s->buckets = buckets;
    while (piece.stats == NULL && piece.span.count == 0) {
        if (s->at_ns >= s->to_ns) {
            return E_END;
        }
        const struct view *view = view_hold(s->engine);
        enum err e = step(s, view, &piece);
        view_drop(s->engine, view);
        if (e != OK) {
            return e;
        }
    }
    *out = piece;
    return OK;
}

enum err scan_next(struct scan *s, struct span *out)
{
    struct piece piece;
    TRY(scan_next_piece(s, NULL, &piece));
    *out = piece.span;
    return OK;
}
