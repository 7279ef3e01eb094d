/* The rollups of one sealed part: every value read, and worked out again from the chunks. */

#include <math.h>
#include <stdlib.h>

#include "base/timestamp.h"
#include "storage/part/part_rollup.h"
#include "storage/verify/verify_inside.h"

/* What a row should say, from points. */
struct tally {
    struct chunk_stats stats;
    double lost, magnitude;
    int64_t nan_first_ns, nan_last_ns;
};

struct rollup_check {
    struct verify *verify;
    struct part *part;
    struct chunk_scratch *scratch;
    struct rollup_key key; /* Of the value at hand. */
    uint32_t count;
    struct rollup_row rows[ROLLUP_ROWS_MAX];
    struct tally tallies[ROLLUP_ROWS_MAX];
    uint32_t row;    /* Where the last point belonged. */
    bool is_unknown; /* A chunk cannot be read: nothing can be said. */
    bool is_lost;    /* A point in a bucket that has no row. */
    struct chunk chunk;
    int64_t times[CHUNK_ROWS_MAX], own[CHUNK_ROWS_MAX];
    double values[CHUNK_ROWS_MAX];
};

static void fault(struct rollup_check *c, const char *what)
{
    char time[TIMESTAMP_TEXT_BYTES_MAX];
    const size_t size = timestamp_write(c->key.last_ns, TIMESTAMP_RFC3339, time);
    verify_fault(c->verify, what, "rollups of %s, group %u column %u up to %.*s",
                 c->key.level == ROLLUP_DAY ? "days" : "hours", c->key.group, c->key.column,
                 (int)size, time);
}

/* -- From the chunks -------------------------------------------------------------------------- */

static void count_point(struct tally *t, int64_t time_ns, double value)
{
    struct chunk_stats *s = &t->stats;
    if (isnan(value)) {
        t->nan_first_ns = s->nan_count == 0 ? time_ns : t->nan_first_ns;
        t->nan_last_ns = time_ns;
        s->nan_count++;
        return;
    }
    if (s->count++ == 0) {
        s->min = s->max = s->first = value;
        s->first_ns = time_ns;
    }
    s->min = value < s->min ? value : s->min;
    s->max = value > s->max ? value : s->max;
    s->last = value;
    s->last_ns = time_ns;
    const double sum = s->sum + value;
    t->lost += fabs(s->sum) >= fabs(value) ? (s->sum - sum) + value : (value - sum) + s->sum;
    t->magnitude += fabs(value);
    s->sum = sum;
}

/* Points come in order of time. */
static void count_points(struct rollup_check *c, uint32_t points)
{
    const int64_t length_ns = rollup_length_ns(c->key.level);
    for (uint32_t i = 0; i < points; i++) {
        const int64_t time_ns = c->own[i];
        if (time_ns < c->rows[0].start_ns || time_ns - c->key.last_ns >= length_ns) {
            continue;
        }
        while (c->row + 1 < c->count && c->rows[c->row + 1].start_ns <= time_ns) {
            c->row++;
        }
        if (time_ns - c->rows[c->row].start_ns >= length_ns) {
            c->is_lost = true;
            return;
        }
        count_point(&c->tallies[c->row], time_ns, c->values[i]);
    }
}

/* False: the chunk lies behind the rollups, as do all that follow. */
static bool count_chunk(struct rollup_check *c, struct bytes key, struct bytes value)
{
    uint32_t points;
    if (chunk_read(key, value, &c->chunk) != OK) {
        c->is_unknown = true; /* Said where chunks are checked. */
        return true;
    }
    if (c->chunk.first_ns - c->key.last_ns >= rollup_length_ns(c->key.level)) {
        return false;
    }
    const int index = chunk_column_find(&c->chunk, c->key.column);
    if (index < 0 || c->chunk.last_ns < c->rows[0].start_ns) {
        return true;
    }
    if (chunk_times(&c->chunk, c->scratch, c->times) != OK ||
        chunk_points(&c->chunk, (unsigned)index, c->times, c->scratch, c->own, c->values,
                     &points) != OK) {
        c->is_unknown = true;
        return true;
    }
    count_points(c, points);
    return true;
}

static enum err count_chunks(struct rollup_check *c)
{
    struct part_cursor *cursor;
    struct bytes key, value;
    uint32_t flush;
    enum err e;
    c->row = 0;
    c->is_unknown = c->is_lost = false;
    for (uint32_t i = 0; i < c->count; i++) {
        c->tallies[i] = (struct tally){.lost = 0};
    }
    TRY(part_cursor_open(c->part, c->key.group, &cursor));
    while ((e = part_cursor_next(cursor, &flush, &key, &value)) == OK) {
        if (!count_chunk(c, key, value)) {
            break;
        }
    }
    part_cursor_close(cursor);
    return e == E_END ? OK : e;
}

/* -- Judging ---------------------------------------------------------------------------------- */

static bool is_same(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

/* The two sums may be rounded at different places. */
static bool is_same_sum(double said, const struct tally *t)
{
    const double sum = isfinite(t->stats.sum) ? t->stats.sum + t->lost : t->stats.sum;
    return is_same(said, sum) || fabs(said - sum) <= 1e-12 * t->magnitude;
}

static bool is_right(const struct chunk_stats *said, const struct tally *t)
{
    const struct chunk_stats *s = &t->stats;
    if (said->count != s->count || said->nan_count != s->nan_count) {
        return false;
    }
    if (s->count == 0) {
        return s->nan_count > 0 && said->first_ns == t->nan_first_ns &&
               said->last_ns == t->nan_last_ns;
    }
    return said->first_ns == s->first_ns && said->last_ns == s->last_ns &&
           is_same(said->min, s->min) && is_same(said->max, s->max) &&
           is_same(said->first, s->first) && is_same(said->last, s->last) &&
           is_same_sum(said->sum, t);
}

static enum err judge_content(struct rollup_check *c)
{
    TRY(count_chunks(c));
    if (c->is_unknown) {
        return OK;
    }
    for (uint32_t i = 0; i < c->count && !c->is_lost; i++) {
        c->is_lost = !is_right(&c->rows[i].stats, &c->tallies[i]);
    }
    if (c->is_lost) {
        fault(c, "rollups say other than the chunks");
    }
    return OK;
}

/* The first reason why a value that reads well is wrong in its place, or NULL. */
static const char *judge_place(const struct rollup_check *c, const struct rollup_key *before)
{
    const struct part_period period = part_period(c->part);
    const struct group *group = catalogue_group(c->verify->catalogue, c->key.group);
    if (group == NULL || c->key.column >= atomic_load(&group->columns)) {
        return "rollups of a series without a name";
    }
    if (c->rows[0].start_ns < period.start_ns ||
        c->key.last_ns > period.end_ns - rollup_length_ns(c->key.level)) {
        return "rollups reach outside of their partition's period";
    }
    if (before->group == c->key.group && before->level == c->key.level &&
        before->column == c->key.column && c->rows[0].start_ns <= before->last_ns) {
        return "rollups begin before those before them end";
    }
    return NULL;
}

/* The first value at or behind `from` becomes the one at hand. E_CORRUPT: not if its key is none;
 * else it was found and is bad. */
static enum err find(struct rollup_check *c, struct rollup_key from, enum err *value_is)
{
    struct part_rollups *table;
    struct bytes key, value;
    TRY(part_rollups_open(c->part, &table));
    enum err e = part_rollups_find(table, from, &key, &value);
    e = e == OK ? rollup_key_read(key, &c->key) : e;
    if (e == OK) {
        *value_is = rollup_read(key, value, c->scratch, c->rows, &c->count);
    }
    part_rollups_close(table);
    return e;
}

static enum err check_value(struct rollup_check *c, const struct rollup_key *before, enum err is)
{
    c->verify->totals->rollups++;
    if (is != OK) {
        c->verify->newer |= is == E_VERSION;
        fault(c, is == E_VERSION ? "a version this build does not know"
                                 : "rollups fail their checksum, or are none");
        return OK;
    }
    const char *wrong = judge_place(c, before);
    if (wrong != NULL) {
        fault(c, wrong);
        return OK;
    }
    return judge_content(c);
}

static enum err check_all(struct rollup_check *c)
{
    struct rollup_key from = {0, ROLLUP_HOUR, 0, INT64_MIN}, before = {.last_ns = INT64_MIN};
    enum err e, value_is = OK;
    while ((e = find(c, from, &value_is)) == OK) {
        TRY(check_value(c, &before, value_is));
        before = from = c->key;
        if (from.last_ns == INT64_MAX) {
            e = E_CORRUPT;
            break;
        }
        from.last_ns++;
    }
    if (e == E_CORRUPT) {
        verify_fault(c->verify, "a key that is none", "table rollups");
        return OK;
    }
    return e == E_END ? OK : e;
}

enum err verify_rollups(struct verify *v, struct part *part)
{
    struct rollup_check *c;
    if (!part_has_rollups(part)) {
        return OK;
    }
    c = calloc(1, sizeof *c);
    if (c == NULL) {
        return E_NO_MEMORY;
    }
    c->verify = v;
    c->part = part;
    enum err e = chunk_scratch_create(&c->scratch);
    if (e == OK) {
        e = check_all(c);
        chunk_scratch_destroy(c->scratch);
    }
    free(c);
    return e;
}
