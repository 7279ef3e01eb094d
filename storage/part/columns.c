#include "storage/part/columns.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

enum { WORD_BITS = 64 };

enum err columns_create(struct columns **out)
{
    struct columns *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return E_NO_MEMORY;
    }
    *out = c;
    return OK;
}

void columns_destroy(struct columns *c)
{
    if (c == NULL) {
        return;
    }
    for (unsigned i = 0; i < CHUNK_COLUMNS_MAX; i++) {
        free(c->values[i]);
    }
    free(c->revisions);
    free(c->decoded);
    free(c);
}

void columns_clear(struct columns *c)
{
    c->rows = 0;
    c->used = 0;
    c->revision_count = 0;
}

static enum err use_column(struct columns *c, unsigned id)
{
    if ((c->used >> id & 1) != 0) {
        return OK;
    }
    if (c->values[id] == NULL) {
        c->values[id] = calloc(CHUNK_ROWS_MAX, sizeof *c->values[id]);
        if (c->values[id] == NULL) {
            return E_NO_MEMORY;
        }
    }
    memset(c->present[id], 0, sizeof c->present[id]);
    c->used |= UINT64_C(1) << id;
    return OK;
}

static enum err use_columns(struct columns *c, uint64_t columns)
{
    for (uint64_t left = columns & ~c->used; left != 0; left &= left - 1) {
        TRY(use_column(c, (unsigned)__builtin_ctzll(left)));
    }
    return OK;
}

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static bool has(const struct columns *c, unsigned id, uint32_t at)
{
    return (c->present[id][at / WORD_BITS] >> (at % WORD_BITS) & 1) != 0;
}

/* Lay a value over what row `at` holds already, and count it if it came again. */
static void count_again(struct columns *c, uint32_t at, unsigned id, double value)
{
    if (has(c, id, at)) {
        bool equal = bits_of(c->values[id][at]) == bits_of(value);
        (equal ? c->duplicates : c->overwritten)[at]++;
    }
}

/* Index of the first revision at or behind (row, column). */
static uint32_t find_revision(const struct columns *c, uint32_t row, unsigned column)
{
    uint32_t low = 0, high = c->revision_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct chunk_revision *r = &c->revisions[middle];
        if (r->row < row || (r->row == row && r->column < column)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static enum err reserve_revisions(struct columns *c, uint32_t more)
{
    uint32_t limit = c->revision_limit == 0 ? 16 : c->revision_limit;
    while (limit < c->revision_count + more) {
        limit *= 2;
    }
    if (more == 0 || limit == c->revision_limit) {
        return OK;
    }
    struct chunk_revision *revisions = realloc(c->revisions, limit * sizeof *revisions);
    if (revisions == NULL) {
        return E_NO_MEMORY;
    }
    c->revisions = revisions;
    c->revision_limit = limit;
    return OK;
}

static void remove_revision(struct columns *c, uint32_t at)
{
    c->revision_count--;
    memmove(&c->revisions[at], &c->revisions[at + 1],
            (c->revision_count - at) * sizeof c->revisions[0]);
}

static void insert_revision(struct columns *c, uint32_t at, struct chunk_revision r)
{
    memmove(&c->revisions[at + 1], &c->revisions[at],
            (c->revision_count - at) * sizeof c->revisions[0]);
    c->revisions[at] = r;
    c->revision_count++;
}

/* The last row's value in column `id` came at `arrival_s`, and replaced `old` unless NULL. */
static enum err revise(struct columns *c, unsigned id, const double *old, uint32_t arrival_s)
{
    const uint32_t row = c->rows - 1;
    struct chunk_revision r = {.row = row, .column = (uint8_t)id, .arrival_s = c->arrivals[row]};
    TRY(reserve_revisions(c, 2));
    const uint32_t first = find_revision(c, row, id);
    uint32_t end = first;
    while (end < c->revision_count && c->revisions[end].row == row &&
           c->revisions[end].column == id) {
        end++;
    }
    if (end > first && c->revisions[end - 1].is_current) {
        r.arrival_s = c->revisions[--end].arrival_s;
        remove_revision(c, end);
    }
    if (old != NULL) {
        r.value = *old;
        insert_revision(c, end++, r);
    }
    if (end - first > COLUMNS_VERSIONS_MAX) {
        remove_revision(c, first + 1);
        end--;
    }
    r = (struct chunk_revision){row, (uint8_t)id, true, arrival_s, 0};
    insert_revision(c, end, r);
    return OK;
}

/* The last row's value gets one more version, which came at `arrival_s`. */
static enum err put_version(struct columns *c, unsigned id, double value, uint32_t arrival_s)
{
    const uint32_t at = c->rows - 1;
    if (!has(c, id, at)) {
        c->present[id][at / WORD_BITS] |= UINT64_C(1) << (at % WORD_BITS);
        c->values[id][at] = value;
        return arrival_s == c->arrivals[at] ? OK : revise(c, id, NULL, arrival_s);
    }
    const double old = c->values[id][at];
    if (bits_of(old) == bits_of(value)) {
        return OK; /* What came again counts from the first time. */
    }
    TRY(revise(c, id, &old, arrival_s));
    c->values[id][at] = value;
    return OK;
}

/* The place of a row at `time_ns`: the last one, or one behind it. */
static uint32_t place(struct columns *c, int64_t time_ns, uint32_t arrival_s)
{
    if (c->rows > 0 && c->times[c->rows - 1] == time_ns) {
        return c->rows - 1;
    }
    CHECK(c->rows < CHUNK_ROWS_MAX && (c->rows == 0 || c->times[c->rows - 1] < time_ns));
    c->times[c->rows] = time_ns;
    c->arrivals[c->rows] = arrival_s;
    c->duplicates[c->rows] = c->overwritten[c->rows] = 0;
    return c->rows++;
}

enum err columns_put_row(struct columns *c, const struct head_row *row)
{
    const double *value = row->values;
    const uint32_t arrival_s = (uint32_t)row->arrival_s;
    TRY(use_columns(c, row->columns & ~row->gone));
    const uint32_t at = place(c, row->time_ns, arrival_s);
    for (uint64_t left = row->columns; left != 0; left &= left - 1, value++) {
        const unsigned id = (unsigned)__builtin_ctzll(left);
        if ((row->gone >> id & 1) != 0) {
            continue;
        }
        count_again(c, at, id, *value);
        TRY(put_version(c, id, *value, arrival_s));
    }
    return OK;
}

/* All versions of one value of `from`, the oldest first, over the last row of `c`. */
static enum err put_versions(struct columns *c, const struct columns *from, uint32_t at,
                             unsigned id)
{
    uint32_t arrival_s = from->arrivals[at];
    for (uint32_t i = find_revision(from, at, id); i < from->revision_count; i++) {
        const struct chunk_revision *r = &from->revisions[i];
        if (r->row != at || r->column != id) {
            break;
        }
        if (r->is_current) {
            arrival_s = r->arrival_s;
        } else {
            TRY(put_version(c, id, r->value, r->arrival_s));
        }
    }
    return put_version(c, id, from->values[id][at], arrival_s);
}

enum err columns_put_one(struct columns *c, const struct columns *from, uint32_t at)
{
    TRY(use_columns(c, from->used));
    const uint32_t to = place(c, from->times[at], from->arrivals[at]);
    c->duplicates[to] += from->duplicates[at];
    c->overwritten[to] += from->overwritten[at];
    for (uint64_t left = from->used; left != 0; left &= left - 1) {
        unsigned id = (unsigned)__builtin_ctzll(left);
        if (has(from, id, at)) {
            count_again(c, to, id, from->values[id][at]);
            TRY(put_versions(c, from, at, id));
        }
    }
    return OK;
}

/* Up to 64 bits of a map from bit `at` on. */
static uint64_t take_bits(const uint64_t *map, uint32_t at, uint32_t count)
{
    const uint32_t word = at / WORD_BITS, shift = at % WORD_BITS;
    uint64_t bits = map[word] >> shift;
    if (shift > 0 && word + 1 < CHUNK_PRESENT_WORDS) {
        bits |= map[word + 1] << (WORD_BITS - shift);
    }
    return count == WORD_BITS ? bits : bits & ((UINT64_C(1) << count) - 1);
}

static void put_bits(uint64_t *map, uint32_t at, uint64_t bits)
{
    const uint32_t word = at / WORD_BITS, shift = at % WORD_BITS;
    map[word] |= bits << shift;
    if (shift > 0 && word + 1 < CHUNK_PRESENT_WORDS) {
        map[word + 1] |= bits >> (WORD_BITS - shift);
    }
}

static void copy_bits(uint64_t *to, uint32_t to_at, const uint64_t *from, uint32_t from_at,
                      uint32_t count)
{
    while (count > 0) {
        uint32_t some = count < WORD_BITS ? count : WORD_BITS;
        put_bits(to, to_at, take_bits(from, from_at, some));
        to_at += some;
        from_at += some;
        count -= some;
    }
}

/* Those of a run of rows, as they are. */
static enum err put_revisions(struct columns *c, const struct columns *from, uint32_t at,
                              uint32_t count)
{
    const uint32_t first = find_revision(from, at, 0), end = find_revision(from, at + count, 0);
    TRY(reserve_revisions(c, end - first));
    for (uint32_t i = first; i < end; i++) {
        struct chunk_revision *r = &c->revisions[c->revision_count++];
        *r = from->revisions[i];
        r->row = r->row - at + c->rows;
    }
    return OK;
}

enum err columns_put_run(struct columns *c, const struct columns *from, uint32_t at, uint32_t count)
{
    CHECK(count <= CHUNK_ROWS_MAX - c->rows && at + count <= from->rows);
    CHECK(count == 0 || c->rows == 0 || c->times[c->rows - 1] < from->times[at]);
    TRY(use_columns(c, from->used));
    TRY(put_revisions(c, from, at, count));
    memcpy(c->times + c->rows, from->times + at, count * sizeof c->times[0]);
    memcpy(c->arrivals + c->rows, from->arrivals + at, count * sizeof c->arrivals[0]);
    memcpy(c->duplicates + c->rows, from->duplicates + at, count * sizeof c->duplicates[0]);
    memcpy(c->overwritten + c->rows, from->overwritten + at, count * sizeof c->overwritten[0]);
    for (uint64_t left = from->used; left != 0; left &= left - 1) {
        unsigned id = (unsigned)__builtin_ctzll(left);
        memcpy(c->values[id] + c->rows, from->values[id] + at, count * sizeof(double));
        copy_bits(c->present[id], c->rows, from->present[id], at, count);
    }
    c->rows += count;
    return OK;
}

/* The first `count` values of a column to the rows they belong to; both lists of times ascend. From
 * behind, so that a value never lands on one that is still to move. */
static enum err spread(struct columns *c, unsigned id, const int64_t *times, uint32_t count)
{
    uint32_t row = c->rows;
    for (uint32_t i = count; i-- > 0;) {
        while (row > 0 && c->times[row - 1] != times[i]) {
            row--;
        }
        if (row-- == 0) {
            return E_CORRUPT;
        }
        c->values[id][row] = c->values[id][i];
        c->present[id][row / WORD_BITS] |= UINT64_C(1) << (row % WORD_BITS);
    }
    return OK;
}

static enum err put_column(struct columns *c, const struct chunk *chunk, unsigned index,
                           struct chunk_scratch *scratch)
{
    const unsigned id = chunk->column[index].id;
    uint32_t count;
    TRY(use_column(c, id));
    TRY(chunk_points(chunk, index, c->times, scratch, c->own_times, c->values[id], &count));
    return spread(c, id, c->own_times, count);
}

static enum err put_arrivals(struct columns *c, const struct chunk *chunk,
                             struct chunk_scratch *scratch)
{
    if (chunk->arrivals.size == 0) {
        memset(c->arrivals, 0, chunk->rows * sizeof c->arrivals[0]);
        return OK;
    }
    if (c->decoded == NULL && (c->decoded = malloc(sizeof *c->decoded)) == NULL) {
        return E_NO_MEMORY;
    }
    TRY(chunk_arrivals(chunk, c->times, scratch, c->decoded));
    TRY(reserve_revisions(c, c->decoded->revision_count));
    memcpy(c->arrivals, c->decoded->arrivals, chunk->rows * sizeof c->arrivals[0]);
    for (; c->revision_count < c->decoded->revision_count; c->revision_count++) {
        c->revisions[c->revision_count] = c->decoded->revisions[c->revision_count];
    }
    return OK;
}

static enum err put_chunk(struct columns *c, const struct chunk *chunk,
                          struct chunk_scratch *scratch)
{
    TRY(chunk_times(chunk, scratch, c->times));
    TRY(put_arrivals(c, chunk, scratch));
    c->rows = chunk->rows;
    memset(c->duplicates, 0, chunk->rows * sizeof c->duplicates[0]);
    memset(c->overwritten, 0, chunk->rows * sizeof c->overwritten[0]);
    for (unsigned i = 0; i < chunk->columns; i++) {
        TRY(put_column(c, chunk, i, scratch));
    }
    return OK;
}

enum err columns_put_chunk(struct columns *c, const struct chunk *chunk,
                           struct chunk_scratch *scratch)
{
    columns_clear(c);
    enum err e = put_chunk(c, chunk, scratch);
    if (e != OK) {
        columns_clear(c);
    }
    return e;
}

/* Bits `rows` and up of a map move to the front; true: there are some. */
static bool shift_bits(uint64_t *map, uint32_t rows, uint32_t left)
{
    uint64_t any = 0;
    uint32_t at = 0;
    for (; at < left; at += WORD_BITS) {
        uint32_t some = left - at < WORD_BITS ? left - at : WORD_BITS;
        map[at / WORD_BITS] = take_bits(map, rows + at, some);
        any |= map[at / WORD_BITS];
    }
    memset(map + at / WORD_BITS, 0, (CHUNK_PRESENT_WORDS - at / WORD_BITS) * sizeof map[0]);
    return any != 0;
}

static void drop_revisions(struct columns *c, uint32_t rows)
{
    const uint32_t gone = find_revision(c, rows, 0);
    c->revision_count -= gone;
    for (uint32_t i = 0; i < c->revision_count; i++) {
        c->revisions[i] = c->revisions[i + gone];
        c->revisions[i].row -= rows;
    }
}

void columns_drop(struct columns *c, uint32_t rows)
{
    const uint32_t left = c->rows - rows;
    CHECK(rows <= c->rows);
    memmove(c->times, c->times + rows, left * sizeof c->times[0]);
    drop_revisions(c, rows);
    memmove(c->arrivals, c->arrivals + rows, left * sizeof c->arrivals[0]);
    memmove(c->duplicates, c->duplicates + rows, left * sizeof c->duplicates[0]);
    memmove(c->overwritten, c->overwritten + rows, left * sizeof c->overwritten[0]);
    for (uint64_t used = c->used; used != 0; used &= used - 1) {
        unsigned id = (unsigned)__builtin_ctzll(used);
        memmove(c->values[id], c->values[id] + rows, left * sizeof(double));
        if (!shift_bits(c->present[id], rows, left)) {
            c->used &= ~(UINT64_C(1) << id);
        }
    }
    c->rows = left;
}

static bool is_any_late(const struct columns *c, uint32_t rows)
{
    uint32_t any = 0;
    for (uint32_t i = 0; i < rows; i++) {
        any |= c->arrivals[i];
    }
    return any != 0;
}

/* Presence in the first `rows` rows: 0 none, 1 some, 2 all. */
static int presence(const uint64_t *present, uint32_t rows)
{
    uint32_t set = 0;
    for (uint32_t i = 0; i * WORD_BITS < rows; i++) {
        set += (uint32_t)__builtin_popcountll(present[i]);
    }
    return set == 0 ? 0 : set < rows ? 1 : 2;
}

void columns_describe(struct columns *c, uint32_t rows, struct chunk_input_column *list,
                      struct chunk_input *out, struct columns_mask *mask)
{
    const uint32_t tail = rows % WORD_BITS;
    const uint64_t keep = tail == 0 ? UINT64_MAX : (UINT64_C(1) << tail) - 1;
    CHECK(rows >= 1 && rows <= c->rows);
    *out = (struct chunk_input){.rows = rows,
                                .times = c->times,
                                .arrivals = is_any_late(c, rows) ? c->arrivals : NULL,
                                .revisions = c->revisions,
                                .revision_count = find_revision(c, rows, 0),
                                .column = list};
    mask->word = (rows - 1) / WORD_BITS;
    for (uint64_t left = c->used; left != 0; left &= left - 1) {
        unsigned id = (unsigned)__builtin_ctzll(left);
        mask->saved[id] = c->present[id][mask->word];
        c->present[id][mask->word] &= keep;
        int has = presence(c->present[id], rows);
        if (has > 0) {
            list[out->columns++] = (struct chunk_input_column){(uint8_t)id, c->values[id],
                                                               has == 2 ? NULL : c->present[id]};
        }
    }
}

void columns_unmask(struct columns *c, const struct columns_mask *mask)
{
    for (uint64_t left = c->used; left != 0; left &= left - 1) {
        unsigned id = (unsigned)__builtin_ctzll(left);
        c->present[id][mask->word] = mask->saved[id];
    }
}
