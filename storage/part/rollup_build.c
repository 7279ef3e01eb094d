#include "storage/part/rollup_build.h"

#include <math.h>
#include <stdlib.h>

#include "storage/part/part_rollup.h"
#include "storage/part/rollup.h"

enum {
    SHELF_BYTES = 1 << 20,
    FILE_PAGE_BYTES = 4096,
    NODE_BYTES = 8 + ROLLUP_KEY_BYTES,      /* What a pair takes beside its value. */
    VALUE_BYTES_MAX = 16 * CHUNK_PAGE_BYTES /* Much more than is kept, to learn by how much. */
};

/* A bucket being filled. The sum is both together (Neumaier, ZAMM 1974). */
struct open_bucket {
    bool is_open;
    int64_t start_ns;
    uint64_t count, nan_count;
    double sum, lost;
    double min, max, first, last;
    int64_t first_ns, last_ns;
    int64_t nan_first_ns, nan_last_ns;
};

/* One level of one column. */
struct lane {
    struct open_bucket open;
    uint32_t count;
    struct rollup_row rows[ROLLUP_ROWS_MAX]; /* Finished. */
};

struct shelved {
    uint8_t key[ROLLUP_KEY_BYTES];
    size_t at, size;
    uint32_t group;
    uint64_t points;
};

struct rollup_build {
    struct part_flush *flush;
    struct part_period period;
    uint32_t group;
    uint64_t used;                                       /* Columns of the group. */
    struct lane *lane[CHUNK_COLUMNS_MAX][ROLLUP_LEVELS]; /* NULL until needed. */
    struct chunk_scratch *scratch;
    uint8_t *shelf; /* Encoded values of the group. */
    size_t shelf_bytes, shelf_limit;
    struct shelved *values;
    size_t value_count, value_limit;
    bool is_spilled; /* Values of the group are in the file already. */
    uint64_t points; /* That values stand for; enough of them pay for the table's own page. */
    uint64_t bytes;
};

enum err rollup_build_create(struct part_flush *flush, struct part_period period,
                             struct rollup_build **out)
{
    struct rollup_build *b = calloc(1, sizeof *b);
    if (b == NULL) {
        return E_NO_MEMORY;
    }
    b->flush = flush;
    b->period = period;
    enum err e = chunk_scratch_create(&b->scratch);
    if (e != OK) {
        free(b);
        return e;
    }
    *out = b;
    return OK;
}

void rollup_build_destroy(struct rollup_build *b)
{
    if (b == NULL) {
        return;
    }
    for (unsigned id = 0; id < CHUNK_COLUMNS_MAX; id++) {
        for (unsigned level = 0; level < ROLLUP_LEVELS; level++) {
            free(b->lane[id][level]);
        }
    }
    chunk_scratch_destroy(b->scratch);
    free(b->shelf);
    free(b->values);
    free(b);
}

uint64_t rollup_build_bytes(const struct rollup_build *b)
{
    return b->bytes;
}

/* -- Encoded values of a group, until it is complete ------------------------------------------ */

static int by_key(const void *a, const void *b)
{
    const struct shelved *x = a, *y = b;
    return memcmp(x->key, y->key, sizeof x->key);
}

/* In order of keys, which fills the file's pages; once a part had to go early, in no such order. */
static enum err put_shelf(struct rollup_build *b, bool is_all)
{
    if (is_all && b->points < (uint64_t)ROLLUP_POINTS_PER_BYTE * FILE_PAGE_BYTES) {
        return OK; /* They wait for those of further groups, and are left out without. */
    }
    const bool append = is_all && !b->is_spilled;
    if (b->value_count > 0) {
        qsort(b->values, b->value_count, sizeof b->values[0], by_key);
    }
    for (size_t i = 0; i < b->value_count; i++) {
        const struct shelved *v = &b->values[i];
        const struct bytes value = {b->shelf + v->at, v->size};
        TRY(part_flush_rollup(b->flush, (struct bytes){v->key, sizeof v->key}, value, append));
        b->bytes += sizeof v->key + v->size;
    }
    b->is_spilled = !is_all;
    b->value_count = b->shelf_bytes = 0;
    return OK;
}

/* Room for one more value of VALUE_BYTES_MAX. */
static enum err reserve_shelf(struct rollup_build *b)
{
    if (b->shelf_bytes + VALUE_BYTES_MAX > SHELF_BYTES) {
        TRY(put_shelf(b, false));
    }
    if (b->value_count == b->value_limit) {
        const size_t limit = b->value_limit == 0 ? 16 : 2 * b->value_limit;
        struct shelved *values = realloc(b->values, limit * sizeof *values);
        if (values == NULL) {
            return E_NO_MEMORY;
        }
        b->values = values;
        b->value_limit = limit;
    }
    if (b->shelf_limit < b->shelf_bytes + VALUE_BYTES_MAX) {
        const size_t limit = 2 * (b->shelf_bytes + VALUE_BYTES_MAX);
        uint8_t *shelf = realloc(b->shelf, limit);
        if (shelf == NULL) {
            return E_NO_MEMORY;
        }
        b->shelf = shelf;
        b->shelf_limit = limit;
    }
    return OK;
}

/* -- Finished buckets become values ----------------------------------------------------------- */

static uint64_t points_of(const struct lane *l, uint32_t rows)
{
    uint64_t points = 0;
    for (uint32_t i = 0; i < rows; i++) {
        points += (uint64_t)l->rows[i].stats.count + l->rows[i].stats.nan_count;
    }
    return points;
}

static bool pays(uint64_t points, size_t value_bytes)
{
    const size_t cost =
        NODE_BYTES + (value_bytes <= CHUNK_INLINE_BYTES ? value_bytes : FILE_PAGE_BYTES);
    return points >= (uint64_t)ROLLUP_POINTS_PER_BYTE * cost;
}

static void drop_rows(struct lane *l, uint32_t rows)
{
    l->count -= rows;
    memmove(l->rows, l->rows + rows, l->count * sizeof l->rows[0]);
}

/* Encode as many of `*rows` rows as fill a page, behind what is on the shelf. */
static enum err encode(struct rollup_build *b, const struct lane *l, struct rollup_key place,
                       uint32_t *rows)
{
    struct shelved *v = &b->values[b->value_count];
    struct writer to = {b->shelf + b->shelf_bytes, 0, VALUE_BYTES_MAX};
    for (;;) {
        to.size = 0;
        place.last_ns = l->rows[*rows - 1].start_ns;
        rollup_key_write(place, v->key);
        TRY(rollup_write(l->rows, *rows, (struct bytes){v->key, sizeof v->key}, b->scratch, &to));
        if (to.size <= CHUNK_PAGE_BYTES || *rows == 1) {
            break;
        }
        const uint32_t fit = (uint32_t)((uint64_t)*rows * (CHUNK_PAGE_BYTES - 64) / to.size);
        *rows = fit < 1 ? 1 : fit >= *rows ? *rows - 1 : fit;
    }
    v->at = b->shelf_bytes;
    v->size = to.size;
    return OK;
}

/* Cut one value off the front of a lane, and keep it if it pays. */
static enum err cut(struct rollup_build *b, unsigned column, enum rollup_level level)
{
    struct lane *l = b->lane[column][level];
    const struct rollup_key place = {b->group, level, (uint8_t)column, 0};
    uint32_t rows = l->count;
    if (points_of(l, rows) < (uint64_t)ROLLUP_POINTS_MIN * rows) {
        drop_rows(l, rows);
        return OK;
    }
    TRY(reserve_shelf(b));
    TRY(encode(b, l, place, &rows));
    const uint64_t points = points_of(l, rows);
    struct shelved *v = &b->values[b->value_count];
    if (pays(points, v->size)) {
        v->group = b->group;
        v->points = points;
        b->shelf_bytes += v->size;
        b->value_count++;
        b->points += points;
    }
    drop_rows(l, rows);
    return OK;
}

/* -- Values become buckets -------------------------------------------------------------------- */

static void add_to_sum(struct open_bucket *o, double value)
{
    const double sum = o->sum + value;
    o->lost += fabs(o->sum) >= fabs(value) ? (o->sum - sum) + value : (value - sum) + o->sum;
    o->sum = sum;
}

static void add_nan(struct open_bucket *o, int64_t time_ns)
{
    o->nan_first_ns = o->nan_count == 0 ? time_ns : o->nan_first_ns;
    o->nan_last_ns = time_ns;
    o->nan_count++;
}

static void add_value(struct open_bucket *o, int64_t time_ns, double value)
{
    if (isnan(value)) {
        add_nan(o, time_ns);
        return;
    }
    if (o->count == 0) {
        o->min = o->max = o->first = value;
        o->first_ns = time_ns;
    }
    o->min = value < o->min ? value : o->min;
    o->max = value > o->max ? value : o->max;
    o->last = value;
    o->last_ns = time_ns;
    o->count++;
    add_to_sum(o, value);
}

/* What an hour says, to its day. */
static void join(struct open_bucket *o, const struct open_bucket *hour)
{
    if (hour->nan_count > 0) {
        o->nan_first_ns = o->nan_count == 0 ? hour->nan_first_ns : o->nan_first_ns;
        o->nan_last_ns = hour->nan_last_ns;
        o->nan_count += hour->nan_count;
    }
    if (hour->count == 0) {
        return;
    }
    if (o->count == 0) {
        o->min = hour->min;
        o->max = hour->max;
        o->first = hour->first;
        o->first_ns = hour->first_ns;
    }
    o->min = hour->min < o->min ? hour->min : o->min;
    o->max = hour->max > o->max ? hour->max : o->max;
    o->last = hour->last;
    o->last_ns = hour->last_ns;
    o->count += hour->count;
    add_to_sum(o, hour->sum);
    o->lost += hour->lost;
}

static struct rollup_row row_of(const struct open_bucket *o)
{
    const bool numbers = o->count > 0;
    return (struct rollup_row){
        o->start_ns,
        {.count = (uint32_t)o->count,
         .nan_count = (uint32_t)o->nan_count,
         .min = o->min,
         .max = o->max,
         .sum = isfinite(o->sum) ? o->sum + o->lost : o->sum, /* Infinities: nothing was lost. */
         .first = o->first,
         .last = o->last,
         .first_ns = numbers ? o->first_ns : o->nan_first_ns,
         .last_ns = numbers ? o->last_ns : o->nan_last_ns}};
}

/* Whether a rollup can say it: the whole bucket is the file's, and its numbers have room. */
static bool is_sayable(const struct rollup_build *b, const struct open_bucket *o,
                       enum rollup_level level)
{
    return o->start_ns >= b->period.start_ns &&
           o->start_ns <= b->period.end_ns - rollup_length_ns(level) && o->count <= UINT32_MAX &&
           o->nan_count <= UINT32_MAX;
}

/* The bucket is complete. A value must not reach over one that cannot be said. */
static enum err finish(struct rollup_build *b, unsigned column, enum rollup_level level)
{
    struct lane *l = b->lane[column][level];
    l->open.is_open = false;
    if (is_sayable(b, &l->open, level)) {
        l->rows[l->count++] = row_of(&l->open);
        return l->count == ROLLUP_ROWS_MAX ? cut(b, column, level) : OK;
    }
    while (l->count > 0) {
        TRY(cut(b, column, level));
    }
    return OK;
}

/* Make the bucket that holds `time_ns` the one being filled. */
static enum err turn_to(struct rollup_build *b, unsigned column, enum rollup_level level,
                        int64_t time_ns)
{
    struct open_bucket *o = &b->lane[column][level]->open;
    const int64_t start_ns = rollup_floor(level, time_ns);
    if (o->is_open && o->start_ns == start_ns) {
        return OK;
    }
    if (o->is_open) {
        TRY(finish(b, column, level));
    }
    *o = (struct open_bucket){.is_open = true, .start_ns = start_ns};
    return OK;
}

static enum err finish_hour(struct rollup_build *b, unsigned column)
{
    const struct open_bucket *hour = &b->lane[column][ROLLUP_HOUR]->open;
    TRY(turn_to(b, column, ROLLUP_DAY, hour->start_ns));
    join(&b->lane[column][ROLLUP_DAY]->open, hour);
    return finish(b, column, ROLLUP_HOUR);
}

static enum err use_column(struct rollup_build *b, unsigned column)
{
    if ((b->used >> column & 1) != 0) {
        return OK;
    }
    for (unsigned level = 0; level < ROLLUP_LEVELS; level++) {
        struct lane **l = &b->lane[column][level];
        if (*l == NULL && (*l = malloc(sizeof **l)) == NULL) {
            return E_NO_MEMORY;
        }
        (*l)->open.is_open = false;
        (*l)->count = 0;
    }
    b->used |= UINT64_C(1) << column;
    return OK;
}

/* Values of one column in rows from <= i < end, all of one hour. */
static enum err add_run(struct rollup_build *b, const struct columns *c, unsigned column,
                        uint32_t from, uint32_t end)
{
    const double *values = c->values[column];
    const uint64_t *present = c->present[column];
    const int64_t start_ns = rollup_floor(ROLLUP_HOUR, c->times[from]);
    struct open_bucket *o;
    TRY(use_column(b, column));
    o = &b->lane[column][ROLLUP_HOUR]->open;
    if (o->is_open && o->start_ns != start_ns) {
        TRY(finish_hour(b, column));
    }
    for (uint32_t i = from; i < end; i++) {
        if ((present[i / 64] >> (i % 64) & 1) == 0) {
            continue;
        }
        if (!o->is_open) {
            *o = (struct open_bucket){.is_open = true, .start_ns = start_ns};
        }
        add_value(o, c->times[i], values[i]);
    }
    return OK;
}

enum err rollup_build_add(struct rollup_build *b, uint32_t group, const struct columns *c,
                          uint32_t from)
{
    b->group = group;
    for (uint32_t at = from, end; at < c->rows; at = end) {
        const int64_t start_ns = rollup_floor(ROLLUP_HOUR, c->times[at]);
        end = at + 1;
        while (end < c->rows && c->times[end] - start_ns < rollup_length_ns(ROLLUP_HOUR)) {
            end++;
        }
        for (uint64_t left = c->used; left != 0; left &= left - 1) {
            TRY(add_run(b, c, (unsigned)__builtin_ctzll(left), at, end));
        }
    }
    return OK;
}

static enum err end_column(struct rollup_build *b, unsigned column)
{
    if (b->lane[column][ROLLUP_HOUR]->open.is_open) {
        TRY(finish_hour(b, column));
    }
    if (b->lane[column][ROLLUP_DAY]->open.is_open) {
        TRY(finish(b, column, ROLLUP_DAY));
    }
    for (unsigned level = 0; level < ROLLUP_LEVELS; level++) {
        while (b->lane[column][level]->count > 0) {
            TRY(cut(b, column, (enum rollup_level)level));
        }
    }
    return OK;
}

enum err rollup_build_end(struct rollup_build *b)
{
    for (uint64_t left = b->used; left != 0; left &= left - 1) {
        TRY(end_column(b, (unsigned)__builtin_ctzll(left)));
    }
    b->used = 0;
    return put_shelf(b, true);
}

void rollup_build_skip(struct rollup_build *b)
{
    while (b->value_count > 0 && b->values[b->value_count - 1].group == b->group) {
        const struct shelved *v = &b->values[--b->value_count];
        b->shelf_bytes -= v->size;
        b->points -= v->points;
    }
    b->used = 0;
}
