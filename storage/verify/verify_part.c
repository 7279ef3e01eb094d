/* One partition: its record, and every chunk decoded. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/timestamp.h"
#include "codec/chunk.h"
#include "storage/part/part.h"
#include "storage/part/part_bundle.h"
#include "storage/part/part_meta.h"
#include "storage/verify/verify_inside.h"

struct part_check {
    struct verify *verify;
    struct part *part;
    struct chunk_scratch *scratch;
    struct part_key last; /* Of the chunk before. */
    int64_t last_end_ns;  /* Its last time. */
    uint64_t group_end;   /* Behind the bundles before. */
    struct chunk chunk;
    int64_t times[CHUNK_ROWS_MAX]; /* Of the chunk, */
    int64_t own[CHUNK_ROWS_MAX];   /* of one column. */
    double values[CHUNK_ROWS_MAX];
    struct chunk_arrivals arrivals;
};

static void fault_chunk(struct part_check *p, struct part_key key, const char *what)
{
    char time[TIMESTAMP_TEXT_BYTES_MAX];
    size_t size = timestamp_write(key.first_ns, TIMESTAMP_RFC3339, time);
    verify_fault(p->verify, what, "flush %u group %u at %.*s", key.flush, key.group, (int)size,
                 time);
}

/* What a column's statistics should be, from its values. */
static struct chunk_stats count_values(const struct part_check *p, uint32_t points,
                                       double *magnitude)
{
    struct chunk_stats s = {.first_ns = p->own[0], .last_ns = p->own[points - 1]};
    double sum = 0, lost = 0;
    *magnitude = 0;
    for (uint32_t i = 0; i < points; i++) {
        double value = p->values[i];
        if (isnan(value)) {
            s.nan_count++;
            continue;
        }
        if (s.count++ == 0) {
            s.min = s.max = s.first = value;
            s.first_ns = p->own[i];
        }
        s.min = value < s.min ? value : s.min;
        s.max = value > s.max ? value : s.max;
        s.last = value;
        s.last_ns = p->own[i];
        double next = sum + value;
        lost += fabs(sum) >= fabs(value) ? (sum - next) + value : (value - next) + sum;
        sum = next;
        *magnitude += fabs(value);
    }
    s.sum = isfinite(sum) ? sum + lost : sum;
    return s;
}

static bool is_same(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

/* The two sums may be rounded at different places. */
static bool is_same_sum(double a, double b, double magnitude)
{
    return is_same(a, b) || fabs(a - b) <= 1e-12 * magnitude;
}

static const char *judge_column(struct part_check *p, unsigned index)
{
    const struct chunk_stats *said = &p->chunk.column[index].stats;
    double magnitude;
    uint32_t points;
    if (chunk_points(&p->chunk, index, p->times, p->scratch, p->own, p->values, &points) != OK ||
        points == 0) {
        return "a column does not decode";
    }
    p->verify->totals->points += points;
    for (uint32_t i = 0; i < points; i++) {
        if (!verify_has_text(p->verify, p->values[i])) {
            return "a value of a text that is not there";
        }
    }
    struct chunk_stats found = count_values(p, points, &magnitude);
    if (said->count != found.count || said->nan_count != found.nan_count ||
        said->first_ns != found.first_ns || said->last_ns != found.last_ns) {
        return "a column has other values than its statistics say";
    }
    if (found.count > 0 &&
        (!is_same(said->min, found.min) || !is_same(said->max, found.max) ||
         !is_same(said->first, found.first) || !is_same(said->last, found.last) ||
         !is_same_sum(said->sum, found.sum, magnitude))) {
        return "a column has other values than its statistics say";
    }
    return NULL;
}

/* The first reason why a chunk that reads well is wrong in its place, or NULL. */
static const char *judge_place(const struct part_check *p, struct part_key key)
{
    const struct chunk *c = &p->chunk;
    const struct part_period period = part_period(p->part);
    const struct group *group = catalogue_group(p->verify->catalogue, key.group);
    unsigned columns = group != NULL ? atomic_load(&group->columns) : 0;
    if (c->first_ns != key.first_ns) {
        return "a chunk starts at another time than its key says";
    }
    if (c->first_ns < period.start_ns || c->last_ns >= period.end_ns) {
        return "a chunk reaches outside of its partition's period";
    }
    if (key.flush == p->last.flush && key.group == p->last.group && c->first_ns <= p->last_end_ns) {
        return "a chunk starts before the one before it ends";
    }
    if (c->columns == 0 || c->column[c->columns - 1].id >= columns) {
        return "a chunk of a series without a name";
    }
    return NULL;
}

static const char *judge_content(struct part_check *p)
{
    const struct chunk *c = &p->chunk;
    if (chunk_times(c, p->scratch, p->times) != OK) {
        return "the times do not decode";
    }
    for (uint32_t i = 1; i < c->rows; i++) {
        if (p->times[i] <= p->times[i - 1]) {
            return "times do not ascend";
        }
    }
    if (p->times[0] != c->first_ns || p->times[c->rows - 1] != c->last_ns) {
        return "the times are others than the chunk's head says";
    }
    for (unsigned i = 0; i < c->columns; i++) {
        const char *wrong = judge_column(p, i);
        if (wrong != NULL) {
            return wrong;
        }
    }
    return chunk_arrivals(c, p->times, p->scratch, &p->arrivals) == OK
               ? NULL
               : "the arrivals do not decode";
}

/* A chunk that reads well. */
static void judge_chunk(struct part_check *p, struct part_key key)
{
    const char *wrong = judge_place(p, key);
    wrong = wrong != NULL ? wrong : judge_content(p);
    if (wrong != NULL) {
        fault_chunk(p, key, wrong);
    }
    p->last = key;
    p->last_end_ns = p->chunk.last_ns;
}

static void check_chunk(struct part_check *p, struct bytes raw, struct bytes value)
{
    struct part_key key;
    if (part_key_read(raw, &key) != OK || key.flush == 0) {
        verify_fault(p->verify, "a key that is none", "table chunks");
        return;
    }
    p->verify->totals->chunks++;
    enum err e = chunk_read(raw, value, &p->chunk);
    if (e != OK) {
        p->verify->newer |= e == E_VERSION;
        fault_chunk(p, key,
                    e == E_VERSION ? "a version this build does not know"
                                   : "a chunk fails its checksum");
        return;
    }
    judge_chunk(p, key);
}

static enum err check_chunks(struct part_check *p)
{
    struct part_cursor *walk;
    struct bytes key, value;
    uint32_t flush, group;
    enum err e;
    TRY(part_walk_open(p->part, &walk));
    while ((e = part_walk_next(walk, &flush, &group, &key, &value)) == OK) {
        check_chunk(p, key, value);
    }
    part_cursor_close(walk);
    if (e == E_CORRUPT) {
        verify_fault(p->verify, "a key that is none", "table chunks");
        return OK;
    }
    return e == E_END ? OK : e;
}

/* Whether a group that is bundled has chunks, too. */
static enum err find_twice(const struct part_check *p, uint32_t group, bool *found)
{
    struct part_cursor *cursor;
    struct bytes key, value;
    uint32_t flush;
    TRY(part_cursor_open(p->part, group, &cursor));
    const enum err e = part_cursor_next(cursor, &flush, &key, &value);
    part_cursor_close(cursor);
    *found = e == OK;
    return e == E_END ? OK : e;
}

static enum err check_bundled(struct part_check *p, const struct brief_base *base, uint32_t group,
                              struct bytes body)
{
    struct part_key key = {1, group, 0};
    bool is_twice;
    p->verify->totals->chunks++;
    if (brief_read(body, base, &p->chunk) != OK) {
        fault_chunk(p, key, "a bundled group that does not read");
        return OK;
    }
    key.first_ns = p->chunk.first_ns;
    judge_chunk(p, key);
    TRY(find_twice(p, group, &is_twice));
    if (is_twice) {
        fault_chunk(p, key, "a group that is bundled and has chunks");
    }
    return OK;
}

static enum err check_bundle(void *context, struct bytes key, struct bytes value)
{
    struct part_check *p = context;
    struct bundle_view view;
    struct bytes body;
    uint32_t group;
    enum err e = bundle_open(key, value, &view);
    if (e != OK) {
        p->verify->newer |= e == E_VERSION;
        verify_fault(p->verify,
                     e == E_VERSION ? "a version this build does not know"
                                    : "a bundle fails its checksum",
                     "table bundles");
        return OK;
    }
    if (!part_bundle_is_key(key, view.last) || view.first < p->group_end) {
        verify_fault(p->verify, "a bundle in a wrong place", "table bundles, group %u", view.last);
    }
    p->group_end = (uint64_t)view.last + 1;
    while ((e = bundle_next(&view, &group, &body)) == OK) {
        TRY(check_bundled(p, &view.base, group, body));
    }
    return e == E_END ? OK : e;
}

static enum err check_part(struct verify *v, struct part *part)
{
    struct part_check *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return E_NO_MEMORY;
    }
    p->verify = v;
    p->part = part;
    enum err e = chunk_scratch_create(&p->scratch);
    if (e == OK) {
        e = check_chunks(p);
        e = e == OK ? part_bundle_each(part, check_bundle, p) : e;
        chunk_scratch_destroy(p->scratch);
    }
    free(p);
    v->totals->flushes += part_flush_count(part);
    if (v->last_position > 0 && part_applied(part) > v->last_position) {
        verify_fault(v, "covers a journal position that was never written", "position %llu",
                     (unsigned long long)part_applied(part));
    }
    return e;
}

/* Whether the table of chunks is absent or empty. */
static enum err find_chunks(struct verify *v, bool *found)
{
    struct kv *kv;
    struct kv_table table;
    struct kv_txn *txn;
    struct kv_cursor *cursor;
    struct bytes key, value;
    TRY(verify_open(v, &kv));
    enum err e = kv_table_open(kv, "chunks", &table);
    if (e == OK && (e = kv_read_begin(kv, &txn)) == OK) {
        if ((e = kv_cursor_open(txn, table, &cursor)) == OK) {
            e = kv_cursor_seek(cursor, (struct bytes){NULL, 0}, &key, &value);
            kv_cursor_close(cursor);
        }
        kv_abort(txn);
    }
    kv_close(kv);
    *found = e == OK;
    return e == E_NOT_FOUND || e == E_END ? OK : e;
}

/* A crash while the file was being made leaves one without a record; it has no chunks then, and the
 * next start makes it whole. */
static bool is_unborn(struct verify *v)
{
    bool found = true;
    return find_chunks(v, &found) == OK && !found;
}

static enum err open_part(struct verify *v, struct part_name name, struct part **out)
{
    static const char *const wrong[ERR_COUNT] = {
        [E_CORRUPT] = "what the file says of itself is wrong",
        [E_VERSION] = "a version this build does not know",
        [E_NOT_FOUND] = "the file says nothing of itself",
    };
    char directory[VERIFY_PATH_BYTES_MAX];
    (void)snprintf(directory, sizeof directory, "%s/parts", v->directory);
    enum err e = part_open_read_only(directory, name, out);
    if (wrong[e] == NULL || (e == E_NOT_FOUND && is_unborn(v))) {
        return e;
    }
    v->newer |= e == E_VERSION;
    verify_fault(v, wrong[e], "table meta");
    return E_END;
}

static enum err check_names(struct verify *v)
{
    static const char *const names[] = {"meta", "chunks", "bundles", "rollups", "damaged", NULL};
    struct kv *kv;
    TRY(verify_open(v, &kv));
    enum err e = verify_names(v, kv, names);
    kv_close(kv);
    return e;
}

static bool has_good_length(const struct verify *v, const struct part_name *name)
{
    const int64_t length_s = (name->period.end_ns - name->period.start_ns) / NS_PER_S;
    return name->kind == PART_SEALED ? part_period_is_whole(name->period, v->partition_s)
                                     : length_s == v->partition_s;
}

enum err verify_part(struct verify *v, const char *file_name)
{
    char file[sizeof v->file];
    struct part_name name;
    struct part *part;
    if (part_name_read(file_name, &name) != OK) {
        return OK;
    }
    (void)snprintf(file, sizeof file, "parts/%s", file_name);
    v->totals->partitions++;
    enum err e = verify_file(v, file);
    if (e == OK && v->partition_s > 0 && !has_good_length(v, &name)) {
        verify_fault(v, "a period of another length than the store's", "file name");
    }
    e = e == OK ? check_names(v) : e;
    e = e == OK ? open_part(v, name, &part) : e;
    if (e != OK) {
        return e == E_END || e == E_NOT_FOUND ? OK : e;
    }
    e = check_part(v, part);
    e = e == OK ? verify_rollups(v, part) : e;
    part_drop(part);
    return e;
}
