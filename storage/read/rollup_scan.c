#include "storage/read/rollup_scan.h"

#include <stdlib.h>
#include <string.h>

#include "base/civil.h"
#include "base/clock.h"
#include "storage/part/part_rollup.h"
#include "storage/read/aggregate.h"

/* Buckets that do not begin and end with rollups had better be so many times as long, so that their
 * ends, which are read from chunks, are the smaller part. */
enum { WORTH = 4 };

void rollup_scan_init(struct rollup_scan *r)
{
    *r = (struct rollup_scan){.part_id = 0};
}

void rollup_scan_fini(struct rollup_scan *r)
{
    for (int i = 0; i < ROLLUP_LEVELS; i++) {
        free(r->held[i].rows);
    }
    spans_fini(&r->covered);
    free(r->stats);
    rollup_scan_init(r);
}

static bool level_fits(enum rollup_level level, const struct buckets *b)
{
    const int64_t length_ns = rollup_length_ns(level);
    if (b->unit == BUCKET_FIXED) {
        return b->length % length_ns == 0 || b->length / length_ns >= WORTH;
    }
    return b->unit > BUCKET_DAY || b->zone == NULL || level == ROLLUP_HOUR || b->length >= WORTH;
}

bool rollup_scan_fits(const struct buckets *buckets)
{
    return level_fits(ROLLUP_HOUR, buckets);
}

/* -- Values ----------------------------------------------------------------------------------- */

/* The first value at or behind `key`, which becomes its own, into memory. Where there is none, or
 * the table cannot be read, `count` is 0. E_CORRUPT, E_VERSION: this one is damaged. */
static enum err read_value(struct rollup_held *h, struct part_rollups *from, struct rollup_key *key,
                           struct chunk_scratch *scratch)
{
    struct bytes raw, value;
    struct rollup_key found;
    h->count = 0;
    h->to_ns = INT64_MAX;
    enum err e = part_rollups_find(from, *key, &raw, &value);
    e = e == OK ? rollup_key_read(raw, &found) : e;
    if (e != OK) {
        return e == E_END || e == E_CORRUPT ? OK : e; /* The offline check tells more. */
    }
    if (found.group != key->group || found.level != key->level || found.column != key->column) {
        return OK;
    }
    *key = found;
    TRY(rollup_read(raw, value, scratch, h->rows, &h->count));
    h->to_ns = found.last_ns;
    return OK;
}

/* Damaged values are passed by: their times are left to the chunks. */
static enum err find_value(struct rollup_scan *r, const struct rollup_window *w,
                           struct rollup_held *h, struct rollup_key key)
{
    struct part_rollups *from;
    TRY(part_rollups_open(w->part, &from));
    enum err e = read_value(h, from, &key, w->scratch);
    while (e == E_CORRUPT || e == E_VERSION) {
        r->damaged++;
        if (key.last_ns >= w->end_ns) {
            e = OK; /* None is of use for this window. */
            break;
        }
        key.last_ns++;
        e = read_value(h, from, &key, w->scratch);
    }
    part_rollups_close(from);
    return e;
}

/* Make the value that holds the bucket at `time_ns`, or the next one, the one held. */
static enum err hold(struct rollup_scan *r, const struct rollup_window *w, enum rollup_level level,
                     int64_t time_ns)
{
    struct rollup_held *h = &r->held[level];
    if (h->is_held && h->from_ns <= time_ns && time_ns <= h->to_ns) {
        return OK;
    }
    h->is_held = false;
    if (h->rows == NULL && (h->rows = malloc(ROLLUP_ROWS_MAX * sizeof h->rows[0])) == NULL) {
        return E_NO_MEMORY;
    }
    const struct rollup_key key = {w->series.group, level, w->series.column, time_ns};
    TRY(find_value(r, w, h, key));
    h->from_ns = time_ns;
    h->is_held = true;
    return OK;
}

static void forget(struct rollup_scan *r, const struct rollup_window *w)
{
    if (r->part_id != part_id(w->part) || r->series.group != w->series.group ||
        r->series.column != w->series.column) {
        r->part_id = part_id(w->part);
        r->series = w->series;
        for (int i = 0; i < ROLLUP_LEVELS; i++) {
            r->held[i].is_held = false;
        }
    }
}

/* -- Which may stand -------------------------------------------------------------------------- */

/* The first bucket of a level from `from_ns` on that may stand and ends by `limit_ns`; INT64_MAX:
 * none. */
static enum err find_usable(struct rollup_scan *r, const struct rollup_window *w,
                            enum rollup_level level, int64_t limit_ns, int64_t *out)
{
    const int64_t length_ns = rollup_length_ns(level);
    const struct rollup_held *h = &r->held[level];
    int64_t at_ns = rollup_ceil(level, w->at_ns);
    *out = INT64_MAX;
    while (level_fits(level, w->buckets) && at_ns <= limit_ns - length_ns) {
        TRY(hold(r, w, level, at_ns));
        if (h->count == 0) {
            return OK;
        }
        if (at_ns < h->rows[0].start_ns) {
            at_ns = h->rows[0].start_ns;
            continue;
        }
        const struct bucket asked = buckets_find(w->buckets, at_ns);
        const struct time_span *over = spans_find(&r->covered, at_ns, at_ns + length_ns);
        if (asked.end_ns >= at_ns + length_ns && over == NULL) {
            *out = at_ns;
            return OK;
        }
        at_ns = rollup_ceil(level, over != NULL ? over->last_ns + 1 : asked.end_ns);
    }
    return OK;
}

/* -- Joining ---------------------------------------------------------------------------------- */

/* Rollups of one asked bucket become one. */
struct joining {
    struct rollup_scan *scan;
    size_t count;
    struct aggregate sum; /* Of those not given yet. */
    struct bucket asked;
};

static void give(struct joining *j)
{
    const struct aggregate *a = &j->sum;
    if (a->count > 0) {
        j->scan->stats[j->count++] = (struct chunk_stats){.count = (uint32_t)a->count,
                                                          .min = a->min,
                                                          .max = a->max,
                                                          .sum = aggregate_get(a, QUERY_SUM),
                                                          .first = a->first,
                                                          .last = a->last,
                                                          .first_ns = a->first_ns,
                                                          .last_ns = a->last_ns};
    }
    aggregate_init(&j->sum, AGGREGATE_SUM);
}

static void take(struct joining *j, const struct rollup_row *row)
{
    if (j->sum.count + row->stats.count > UINT32_MAX) {
        give(j);
    }
    aggregate_add_stats(&j->sum, &row->stats);
}

static uint32_t find_row(const struct rollup_held *h, int64_t time_ns)
{
    uint32_t low = 0, high = h->count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (h->rows[middle].start_ns < time_ns) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Buckets from `at_ns` on, as far as they may stand, are in the value held and end by `limit_ns`.
 * Returns where they end. */
static int64_t gather(struct joining *j, const struct rollup_window *w, enum rollup_level level,
                      int64_t at_ns, int64_t limit_ns)
{
    const int64_t length_ns = rollup_length_ns(level);
    const struct rollup_held *h = &j->scan->held[level];
    const struct time_span *over = spans_find(&j->scan->covered, at_ns, limit_ns);
    uint32_t row = find_row(h, at_ns);
    limit_ns = over != NULL ? over->first_ns : limit_ns;
    for (; at_ns <= h->to_ns && at_ns <= limit_ns - length_ns; at_ns += length_ns) {
        if (at_ns >= j->asked.end_ns) {
            give(j);
            j->asked = buckets_find(w->buckets, at_ns);
        }
        if (at_ns + length_ns > j->asked.end_ns) {
            break;
        }
        if (h->rows[row].start_ns == at_ns) {
            take(j, &h->rows[row++]);
        }
    }
    return at_ns;
}

enum err rollup_scan_next(struct rollup_scan *r, const struct rollup_window *w,
                          struct rollup_answer *out)
{
    int64_t day_ns, hour_ns;
    if (r->stats == NULL && (r->stats = malloc(ROLLUP_ROWS_MAX * sizeof r->stats[0])) == NULL) {
        return E_NO_MEMORY;
    }
    forget(r, w);
    TRY(find_usable(r, w, ROLLUP_DAY, w->end_ns, &day_ns));
    const int64_t limit_ns = day_ns < w->end_ns ? day_ns : w->end_ns;
    TRY(find_usable(r, w, ROLLUP_HOUR, limit_ns, &hour_ns));
    const int64_t first_ns = hour_ns < limit_ns ? hour_ns : limit_ns;
    *out = (struct rollup_answer){.end_ns = first_ns};
    if (first_ns > w->at_ns) {
        return OK;
    }
    struct joining j = {.scan = r, .asked = buckets_find(w->buckets, w->at_ns)};
    const bool days = day_ns == w->at_ns;
    aggregate_init(&j.sum, AGGREGATE_SUM);
    out->is_answered = true;
    out->end_ns =
        gather(&j, w, days ? ROLLUP_DAY : ROLLUP_HOUR, w->at_ns, days ? w->end_ns : limit_ns);
    give(&j);
    out->stats = r->stats;
    out->count = j.count;
    return OK;
}
