#include "storage/read/scan.h"

#include <stdlib.h>

#include "base/log.h"
#include "storage/part/part_meta.h"
#include "storage/part/part_rollup.h"
#include "storage/read/chunk_list.h"
#include "storage/read/known.h"
#include "storage/read/points.h"
#include "storage/read/rollup_scan.h"
#include "storage/view.h"

/* Memory a scan at rest may keep: points, entries of lists. */
enum { POINTS_KEPT = 1 << 15, ENTRIES_KEPT = 1024 };

struct chosen {
    uint8_t layer;
    struct part_key key;
};

struct scan {
    struct engine *engine;
    struct series_ref series;
    int64_t at_ns, to_ns;            /* Still to be read. */
    const struct buckets *buckets;   /* Of this step; NULL: no statistics wanted. */
    int64_t known_ns;                /* INT64_MAX: whatever is known now. */
    struct chunk_arrivals *arrivals; /* NULL until needed. */
    struct chunk_scratch *scratch;
    struct chunk_list list;
    struct chunk_list over; /* What lies over rollups. */
    struct rollup_scan rollups;
    int64_t chunks_to_ns; /* No rollup is of use before. */
    struct cuts cuts;     /* Of the series, out of the tombs of this generation; 0: none yet. */
    uint64_t cuts_of;
    struct points points;
    struct chosen *chosen; /* The chunks to decode now. */
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
    s->known_ns = INT64_MAX;
    chunk_list_init(&s->list);
    chunk_list_init(&s->over);
    rollup_scan_init(&s->rollups);
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
    chunk_list_fini(&s->over);
    rollup_scan_fini(&s->rollups);
    points_fini(&s->points);
    cuts_fini(&s->cuts);
    free(s->arrivals);
    free(s->chosen);
    free(s);
}

void scan_rest(struct scan *s)
{
    if (s->points.limit > POINTS_KEPT || s->points.items != NULL) {
        points_fini(&s->points);
    }
    if (s->list.limit > ENTRIES_KEPT || s->over.limit > ENTRIES_KEPT) {
        chunk_list_fini(&s->list);
        chunk_list_fini(&s->over);
    }
    cuts_fini(&s->cuts);
    s->cuts_of = 0;
    free(s->arrivals);
    s->arrivals = NULL;
}

void scan_set_known(struct scan *s, int64_t known_ns)
{
    s->known_ns = known_ns;
}

void scan_start(struct scan *s, struct series_ref ref, int64_t from_ns, int64_t to_ns)
{
    const int64_t horizon_ns = engine_horizon(s->engine, ref);
    s->series = ref;
    s->cuts_of = 0;
    s->cuts.count = 0;
    s->at_ns = from_ns > horizon_ns ? from_ns : horizon_ns;
    s->to_ns = to_ns;
    s->chunks_to_ns = from_ns;
}

static void report_damage(struct scan *s, struct part *p, uint32_t chunks)
{
    char name[PART_NAME_BYTES_MAX];
    for (uint32_t i = 0; i < chunks; i++) {
        view_count_corrupt(s->engine);
    }
    if (chunks > 0 && part_mark_damaged(p)) {
        part_name_write(part_name(p), name);
        log_line(LOG_ERROR, "storage", "damaged chunks are left out partition=%s", name);
    }
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
    cuts_aim(&s->cuts, h, s->series.group);
    head_cursor_init(&cursor, h, s->series.group);
    for (uint64_t i = 0; head_cursor_next(&cursor, &row); i++) {
        if ((row.columns & bit) == 0 || cuts_of_row(&s->cuts, i, row.time_ns) != 0) {
            continue;
        }
        if (p->count == p->limit || p->count == POINTS_MAX) {
            TRY(points_reserve(p, 1));
        }
        if (!known_is(row.time_ns, row.arrival_s, s->known_ns)) {
            continue;
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

/* Of `count` points behind those gathered, leave what was known then. */
static enum err keep_known(struct scan *s, const struct chunk *chunk, uint32_t *count)
{
    struct points *p = &s->points;
    if (s->known_ns == INT64_MAX) {
        return OK;
    }
    if (s->arrivals == NULL && (s->arrivals = malloc(sizeof *s->arrivals)) == NULL) {
        return E_NO_MEMORY;
    }
    TRY(chunk_arrivals(chunk, s->times, s->scratch, s->arrivals));
    const struct known_rows rows = {s->times, s->arrivals, s->series.column, s->known_ns};
    *count = known_keep(&rows, p->times + p->count, p->values + p->count, *count);
    return OK;
}

/* Decode the series' points of one chunk behind those gathered already. */
static enum err decode(struct scan *s, const struct chunk *chunk, uint64_t position)
{
    struct points *p = &s->points;
    uint32_t count;
    int index = chunk_column_find(chunk, s->series.column);
    if (index < 0) {
        return E_CORRUPT; /* It had the column when the list was made. */
    }
    TRY(points_reserve(p, chunk->rows));
    TRY(chunk_times(chunk, s->scratch, s->times));
    TRY(chunk_points(chunk, (unsigned)index, s->times, s->scratch, p->times + p->count,
                     p->values + p->count, &count));
    TRY(keep_known(s, chunk, &count));
    count = cuts_keep(&s->cuts, position, p->times + p->count, p->values + p->count, count);
    points_take(p, count);
    return OK;
}

static enum err add_chunk(struct scan *s, struct part *part, struct part_cursor *cursor,
                          struct part_key place)
{
    uint8_t raw[PART_KEY_BYTES];
    const struct bytes key = {raw, sizeof raw};
    struct bytes value;
    struct chunk chunk;
    part_key_write(place, raw);
    enum err e = part_cursor_get(cursor, key, &value);
    if (e == OK) {
        e = chunk_read(key, value, &chunk);
    }
    if (e == OK) {
        e = decode(s, &chunk, part_position(part, place.flush));
    }
    if (e == E_CORRUPT || e == E_VERSION || e == E_NOT_FOUND) {
        report_damage(s, part, 1);
        e = OK;
    }
    return e;
}

/* The group's one chunk, if it is bundled. E_NOT_FOUND. */
static enum err add_bundled(struct scan *s, struct part *part)
{
    struct chunk chunk;
    enum err e = part_bundle_find(&s->list.bundle, part, s->series.group, &chunk);
    if (e == OK && (e = decode(s, &chunk, part_position(part, 1))) == E_CORRUPT) {
        report_damage(s, part, 1);
        e = OK;
    }
    return e == E_CORRUPT || e == E_VERSION ? E_NOT_FOUND : e; /* Then it has chunks. */
}

/* Chunks of one layer from the `from`th chosen on; returns where the next layer begins. */
static enum err add_layer(struct scan *s, struct part *part, size_t *from)
{
    const uint8_t layer = s->chosen[*from].layer;
    struct part_cursor *cursor;
    enum err e = layer == VIEW_SEALED ? add_bundled(s, part) : E_NOT_FOUND;
    if (e != E_NOT_FOUND) {
        (*from)++; /* The only one: it is all rows of the group. */
        return e;
    }
    e = OK;
    TRY(part_cursor_open(part, s->series.group, &cursor));
    while (e == OK && *from < s->chosen_count && s->chosen[*from].layer == layer) {
        e = add_chunk(s, part, cursor, s->chosen[(*from)++].key);
    }
    part_cursor_close(cursor);
    return e;
}

static enum err add_chunks(struct scan *s, const struct chunk_source *source)
{
    for (size_t from = 0; from < s->chosen_count;) {
        TRY(add_layer(s, source->layer[s->chosen[from].layer], &from));
    }
    return OK;
}

static int by_rank(const void *a, const void *b)
{
    const struct chosen *x = a, *y = b;
    if (x->layer != y->layer) {
        return x->layer < y->layer ? -1 : 1;
    }
    if (x->key.flush != y->key.flush) {
        return x->key.flush < y->key.flush ? -1 : 1;
    }
    return (x->key.first_ns > y->key.first_ns) - (x->key.first_ns < y->key.first_ns);
}

/* Whether the statistics of `e` may stand for all points of the series in its span. */
static bool is_whole(const struct scan *s, const struct view *view, const struct chunk_entry *e,
                     int64_t end_ns)
{
    return s->buckets != NULL && !e->overlapped &&
           !cuts_touch(&s->cuts, e->position, e->first_ns, e->last_ns) && e->first_ns >= s->at_ns &&
           e->last_ns < end_ns && e->last_ns < buckets_find(s->buckets, e->first_ns).end_ns &&
           !heads_touch(s, view, e->first_ns, e->last_ns + 1);
}

static enum err choose(struct scan *s, const struct chunk_entry *e)
{
    if (s->chosen_count == s->chosen_limit) {
        size_t limit = s->chosen_limit == 0 ? 64 : s->chosen_limit * 2;
        struct chosen *chosen = realloc(s->chosen, limit * sizeof *chosen);
        if (chosen == NULL) {
            return E_NO_MEMORY;
        }
        s->chosen = chosen;
        s->chosen_limit = limit;
    }
    s->chosen[s->chosen_count++] =
        (struct chosen){e->layer, {e->flush, s->series.group, e->first_ns}};
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
        if (e->last_ns < s->at_ns || cuts_cover(&s->cuts, e->position, e->first_ns, e->last_ns)) {
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
        qsort(s->chosen, s->chosen_count, sizeof s->chosen[0], by_rank);
    }
    return OK;
}

/* The parts that hold the time the scan is at, and where one of them ends or another begins. */
static struct chunk_source find_source(const struct scan *s, const struct view *view,
                                       int64_t *end_ns)
{
    struct chunk_source source = {{NULL}};
    *end_ns = s->to_ns;
    for (int i = 0; i < VIEW_LAYERS; i++) {
        const struct view_parts *l = &view->layer[i];
        const size_t at = view_part_from(l, s->at_ns);
        if (at < l->count) {
            const struct part_period period = part_period(l->at[at]);
            const bool inside = period.start_ns <= s->at_ns;
            const int64_t border_ns = inside ? period.end_ns : period.start_ns;
            *end_ns = border_ns < *end_ns ? border_ns : *end_ns;
            source.layer[i] = inside ? l->at[at] : NULL;
        }
    }
    return source;
}

/* Make sure that `list` is for a window that begins where the scan is. */
static enum err load_list(struct scan *s, struct chunk_list *list,
                          const struct chunk_source *source, int64_t end_ns)
{
    if (!chunk_list_is_for(list, source, s->series, s->at_ns)) {
        TRY(chunk_list_load(list, source, s->series, s->at_ns, end_ns));
        for (int i = 0; i < VIEW_LAYERS; i++) {
            report_damage(s, source->layer[i], list->damaged[i]);
        }
    }
    return OK;
}

/* Rows of the series in a head, at times of the window, lie over its rollups. */
static enum err cover_by_head(struct scan *s, const struct head *h, int64_t end_ns)
{
    const uint64_t bit = UINT64_C(1) << s->series.column;
    struct head_cursor cursor;
    struct head_row row;
    head_cursor_init(&cursor, h, s->series.group);
    while (head_cursor_next(&cursor, &row)) {
        if ((row.columns & bit) != 0 && row.time_ns >= s->at_ns && row.time_ns < end_ns) {
            TRY(spans_add(&s->rollups.covered, row.time_ns, row.time_ns));
        }
    }
    return OK;
}

/* A rollup knows nothing of what was deleted after it was made. */
static enum err cover_by_cuts(struct scan *s, const struct part *sealed)
{
    for (size_t i = 0; i < s->cuts.count; i++) {
        const struct cut *cut = &s->cuts.at[i];
        if (part_position(sealed, 1) < cut->position) {
            TRY(spans_add(&s->rollups.covered, cut->from_ns, cut->to_ns - 1));
        }
    }
    return OK;
}

/* Find what lies over the sealed layer before `*end_ns`, which may come nearer. */
static enum err cover(struct scan *s, const struct view *view, const struct chunk_source *source,
                      int64_t *end_ns)
{
    struct chunk_source upper = *source;
    struct spans *covered = &s->rollups.covered;
    upper.layer[VIEW_SEALED] = NULL;
    spans_clear(covered);
    TRY(cover_by_cuts(s, source->layer[VIEW_SEALED]));
    if (upper.layer[VIEW_CLOSING] != NULL || upper.layer[VIEW_ACTIVE] != NULL) {
        TRY(load_list(s, &s->over, &upper, *end_ns));
        *end_ns = s->over.to_ns < *end_ns ? s->over.to_ns : *end_ns;
        for (size_t i = 0; i < s->over.count; i++) {
            TRY(spans_add(covered, s->over.entries[i].first_ns, s->over.entries[i].last_ns));
        }
    }
    for (unsigned i = 0; heads_touch(s, view, s->at_ns, *end_ns) && i < view->heads; i++) {
        TRY(cover_by_head(s, view->head[i], *end_ns));
    }
    spans_settle(covered);
    return OK;
}

/* A beginning of the window may be answered by rollups; else `*end_ns` comes nearer, to where
 * rollups can go on. */
static enum err step_rollups(struct scan *s, const struct view *view,
                             const struct chunk_source *source, int64_t *end_ns, struct piece *out)
{
    struct rollup_window window = {
        source->layer[VIEW_SEALED], s->series, s->buckets, s->at_ns, *end_ns, s->scratch};
    struct rollup_answer answer;
    if (s->at_ns < s->chunks_to_ns) {
        *end_ns = s->chunks_to_ns < *end_ns ? s->chunks_to_ns : *end_ns;
        return OK;
    }
    TRY(cover(s, view, source, &window.end_ns));
    TRY(rollup_scan_next(&s->rollups, &window, &answer));
    report_damage(s, window.part, s->rollups.damaged);
    s->rollups.damaged = 0;
    if (answer.is_answered) {
        out->stats = answer.stats;
        out->stats_count = answer.count;
        s->at_ns = answer.end_ns;
    } else {
        s->chunks_to_ns = answer.end_ns;
        *end_ns = answer.end_ns;
    }
    return OK;
}

static bool may_roll_up(const struct scan *s, const struct chunk_source *source)
{
    struct part *sealed = source->layer[VIEW_SEALED];
    return s->buckets != NULL && sealed != NULL && part_has_rollups(sealed) &&
           rollup_scan_fits(s->buckets);
}

/* A window where the same parts lie over one another. */
static enum err step_parts(struct scan *s, const struct view *view,
                           const struct chunk_source *source, const struct chunk_entry **whole)
{
    TRY(load_list(s, &s->list, source, s->points.end_ns));
    s->points.end_ns = s->list.to_ns < s->points.end_ns ? s->list.to_ns : s->points.end_ns;
    s->chosen_count = 0;
    TRY(choose_chunks(s, view, whole));
    return *whole == NULL && s->chosen_count > 0 ? add_chunks(s, source) : OK;
}

/* Mostly there are none, or they are known from the step before. */
static enum err find_cuts(struct scan *s, const struct view *view)
{
    const uint64_t generation = view->tombs == NULL ? 0 : view->tombs->generation;
    if (s->cuts_of != generation) {
        s->cuts.count = 0;
        TRY(tombs_cut_series(view->tombs, engine_catalogue(s->engine), s->series, &s->cuts));
        s->cuts_of = generation;
    }
    return OK;
}

/* Read one window, which may turn out empty, and move behind it. */
static enum err step(struct scan *s, const struct view *view, struct piece *out)
{
    const struct chunk_entry *whole = NULL;
    int64_t end_ns;
    const struct chunk_source source = find_source(s, view, &end_ns);
    TRY(find_cuts(s, view));
    if (may_roll_up(s, &source)) {
        TRY(step_rollups(s, view, &source, &end_ns, out));
        if (out->stats != NULL) {
            return OK;
        }
    }
    points_start(&s->points, s->at_ns, end_ns);
    if (source.layer[VIEW_SEALED] != NULL || source.layer[VIEW_CLOSING] != NULL ||
        source.layer[VIEW_ACTIVE] != NULL) {
        TRY(step_parts(s, view, &source, &whole));
    }
    if (whole != NULL) {
        out->stats = &whole->stats;
        out->stats_count = 1;
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
    s->buckets = s->known_ns == INT64_MAX ? buckets : NULL;
    while (piece.stats_count == 0 && piece.span.count == 0) {
        piece.stats = NULL; /* Rollups may say that there is nothing. */
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
