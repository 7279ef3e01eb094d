#include "storage/part/rollup.h"

#include <math.h>

#include "base/check.h"
#include "base/civil.h"
#include "base/clock.h"

/* Columns of the chunk, by their ids. */
enum field { COUNT, NAN_COUNT, SUM, MIN, MAX, FIRST, LAST, FIRST_AT, LAST_AT, FIELDS };

enum {
    ALWAYS = 1 << COUNT | 1 << FIRST_AT | 1 << LAST_AT,
    OF_NUMBERS = 1 << SUM | 1 << MIN | 1 << MAX | 1 << FIRST | 1 << LAST,
    WORDS = ROLLUP_ROWS_MAX / 64
};

int64_t rollup_length_ns(enum rollup_level level)
{
    return (level == ROLLUP_DAY ? DAY_S : 3600) * (int64_t)NS_PER_S;
}

int64_t rollup_floor(enum rollup_level level, int64_t time_ns)
{
    const int64_t length_ns = rollup_length_ns(level);
    return civil_floor(time_ns, length_ns) * length_ns;
}

int64_t rollup_ceil(enum rollup_level level, int64_t time_ns)
{
    return rollup_floor(level, time_ns + rollup_length_ns(level) - 1);
}

static void put_be(uint8_t *to, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        to[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
    }
}

static uint64_t take_be(const uint8_t *from, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++) {
        value = value << 8 | from[i];
    }
    return value;
}

void rollup_key_write(struct rollup_key key, uint8_t to[ROLLUP_KEY_BYTES])
{
    put_be(to, key.group, 4);
    to[4] = (uint8_t)key.level;
    to[5] = key.column;
    put_be(to + 6, (uint64_t)key.last_ns ^ UINT64_C(1) << 63, 8);
}

enum err rollup_key_read(struct bytes key, struct rollup_key *out)
{
    if (key.size != ROLLUP_KEY_BYTES || key.at[4] >= ROLLUP_LEVELS ||
        key.at[5] >= CHUNK_COLUMNS_MAX) {
        return E_CORRUPT;
    }
    *out = (struct rollup_key){(uint32_t)take_be(key.at, 4), (enum rollup_level)key.at[4],
                               key.at[5], (int64_t)(take_be(key.at + 6, 8) ^ UINT64_C(1) << 63)};
    return OK;
}

/* -- Writing ---------------------------------------------------------------------------------- */

/* The rows as columns. */
struct fields {
    int64_t starts[ROLLUP_ROWS_MAX];
    double values[FIELDS][ROLLUP_ROWS_MAX];
    uint64_t present[FIELDS][WORDS];
};

static void put(struct fields *f, enum field id, uint32_t row, double value)
{
    f->values[id][row] = value;
    f->present[id][row / 64] |= UINT64_C(1) << (row % 64);
}

static void put_row(struct fields *f, uint32_t at, const struct rollup_row *row)
{
    const struct chunk_stats *s = &row->stats;
    f->starts[at] = row->start_ns;
    put(f, COUNT, at, s->count);
    put(f, FIRST_AT, at, (double)(s->first_ns - row->start_ns));
    put(f, LAST_AT, at, (double)(s->last_ns - row->start_ns));
    if (s->nan_count > 0) {
        put(f, NAN_COUNT, at, s->nan_count);
    }
    if (s->count > 0) {
        put(f, SUM, at, s->sum);
        put(f, MIN, at, s->min);
        put(f, MAX, at, s->max);
        put(f, FIRST, at, s->first);
        put(f, LAST, at, s->last);
    }
}

enum err rollup_write(const struct rollup_row *rows, uint32_t count, struct bytes key,
                      struct chunk_scratch *scratch, struct writer *out)
{
    struct fields fields = {.present = {{0}}};
    struct chunk_input_column list[FIELDS];
    CHECK(count >= 1 && count <= ROLLUP_ROWS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        put_row(&fields, i, &rows[i]);
    }
    for (unsigned id = 0; id < FIELDS; id++) {
        list[id] = (struct chunk_input_column){(uint8_t)id, fields.values[id], fields.present[id]};
    }
    const struct chunk_input input = {
        .rows = count, .times = fields.starts, .columns = FIELDS, .column = list, .dense = true};
    return chunk_write(&input, key, scratch, out);
}

/* -- Reading ---------------------------------------------------------------------------------- */

struct decoding {
    enum rollup_level level;
    const struct chunk *chunk;
    struct chunk_scratch *scratch;
    struct rollup_row *rows;
    int64_t starts[ROLLUP_ROWS_MAX], times[ROLLUP_ROWS_MAX];
    double values[ROLLUP_ROWS_MAX];
    uint16_t has[ROLLUP_ROWS_MAX]; /* Bit: the row has this field. */
};

static bool is_whole(double value, double limit)
{
    return value >= 0 && value < limit && value == floor(value);
}

static enum err set_field(const struct decoding *d, enum field id, struct rollup_row *row,
                          double value)
{
    struct chunk_stats *s = &row->stats;
    const double counts = (double)UINT32_MAX + 1;
    const double offsets = (double)rollup_length_ns(d->level);
    switch (id) {
    case COUNT:
        s->count = is_whole(value, counts) ? (uint32_t)value : 0;
        return is_whole(value, counts) ? OK : E_CORRUPT;
    case NAN_COUNT:
        s->nan_count = is_whole(value, counts) ? (uint32_t)value : 0;
        return s->nan_count > 0 ? OK : E_CORRUPT;
    case FIRST_AT:
        s->first_ns = row->start_ns + (is_whole(value, offsets) ? (int64_t)value : 0);
        return is_whole(value, offsets) ? OK : E_CORRUPT;
    case LAST_AT:
        s->last_ns = row->start_ns + (is_whole(value, offsets) ? (int64_t)value : 0);
        return is_whole(value, offsets) ? OK : E_CORRUPT;
    case SUM:
        s->sum = value;
        return OK;
    case MIN:
        s->min = value;
        return OK;
    case MAX:
        s->max = value;
        return OK;
    case FIRST:
        s->first = value;
        return OK;
    case LAST:
        s->last = value;
        return OK;
    case FIELDS:
    default:
        return E_CORRUPT;
    }
}

static enum err read_field(struct decoding *d, unsigned index)
{
    const enum field id = (enum field)d->chunk->column[index].id;
    uint32_t count, row = 0;
    TRY(chunk_points(d->chunk, index, d->starts, d->scratch, d->times, d->values, &count));
    for (uint32_t i = 0; i < count; i++, row++) {
        while (row < d->chunk->rows && d->starts[row] != d->times[i]) {
            row++;
        }
        if (row == d->chunk->rows) {
            return E_CORRUPT;
        }
        TRY(set_field(d, id, &d->rows[row], d->values[i]));
        d->has[row] |= (uint16_t)(1U << id);
    }
    return OK;
}

static bool is_complete(const struct rollup_row *row, unsigned has)
{
    const struct chunk_stats *s = &row->stats;
    const unsigned wanted = ALWAYS | (s->count > 0 ? OF_NUMBERS : 1U << NAN_COUNT);
    const unsigned allowed = wanted | 1U << NAN_COUNT;
    return (has & wanted) == wanted && (has & ~allowed) == 0 && s->first_ns <= s->last_ns;
}

static enum err read_rows(struct decoding *d)
{
    TRY(chunk_times(d->chunk, d->scratch, d->starts));
    for (uint32_t i = 0; i < d->chunk->rows; i++) {
        if (d->starts[i] != rollup_floor(d->level, d->starts[i]) ||
            (i > 0 && d->starts[i] <= d->starts[i - 1])) {
            return E_CORRUPT;
        }
        d->rows[i] = (struct rollup_row){
            d->starts[i],
            {.min = (double)NAN, .max = (double)NAN, .first = (double)NAN, .last = (double)NAN}};
    }
    if (d->starts[d->chunk->rows - 1] != d->chunk->last_ns) {
        return E_CORRUPT;
    }
    for (unsigned i = 0; i < d->chunk->columns; i++) {
        TRY(read_field(d, i));
    }
    for (uint32_t i = 0; i < d->chunk->rows; i++) {
        if (!is_complete(&d->rows[i], d->has[i])) {
            return E_CORRUPT;
        }
    }
    return OK;
}

enum err rollup_read(struct bytes key, struct bytes value, struct chunk_scratch *scratch,
                     struct rollup_row *rows, uint32_t *count)
{
    struct rollup_key place;
    struct chunk chunk;
    TRY(rollup_key_read(key, &place));
    TRY(chunk_read(key, value, &chunk));
    if (chunk.rows > ROLLUP_ROWS_MAX || chunk.last_ns != place.last_ns) {
        return E_CORRUPT;
    }
    struct decoding d = {.level = place.level, .chunk = &chunk, .scratch = scratch, .rows = rows};
    TRY(read_rows(&d));
    *count = chunk.rows;
    return OK;
}
