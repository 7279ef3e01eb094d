/* Values leave rows that are in memory, and rows without values leave altogether. */

#include "storage/part/columns.h"

enum { WORD_BITS = 64 };

struct range {
    uint32_t from, to;
};

static uint32_t find_row(const struct columns *c, int64_t time_ns)
{
    uint32_t low = 0, high = c->rows;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (c->times[middle] < time_ns) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool has(const struct columns *c, unsigned id, uint32_t row)
{
    return (c->present[id][row / WORD_BITS] >> (row % WORD_BITS) & 1) != 0;
}

static void set(struct columns *c, unsigned id, uint32_t row, bool present)
{
    const uint64_t bit = UINT64_C(1) << (row % WORD_BITS);
    uint64_t *word = &c->present[id][row / WORD_BITS];
    *word = present ? *word | bit : *word & ~bit;
}

static bool is_empty(const struct columns *c, uint32_t row)
{
    for (uint64_t left = c->used; left != 0; left &= left - 1) {
        if (has(c, (unsigned)__builtin_ctzll(left), row)) {
            return false;
        }
    }
    return true;
}

static void clear_values(struct columns *c, uint64_t columns, struct range r)
{
    for (uint64_t left = columns & c->used; left != 0; left &= left - 1) {
        const unsigned id = (unsigned)__builtin_ctzll(left);
        uint64_t any = 0;
        for (uint32_t row = r.from; row < r.to; row++) {
            set(c, id, row, false);
        }
        for (uint32_t word = 0; word < (c->rows + WORD_BITS - 1) / WORD_BITS; word++) {
            any |= c->present[id][word];
        }
        c->used &= any == 0 ? ~(UINT64_C(1) << id) : UINT64_MAX;
    }
}

/* What such values were before goes, too. */
static void drop_revisions(struct columns *c, uint64_t columns, struct range r)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < c->revision_count; i++) {
        const struct chunk_revision *v = &c->revisions[i];
        if (v->row < r.from || v->row >= r.to || (columns >> v->column & 1) == 0) {
            c->revisions[kept++] = *v;
        }
    }
    c->revision_count = kept;
}

static void move_row(struct columns *c, uint32_t from, uint32_t to)
{
    c->times[to] = c->times[from];
    c->arrivals[to] = c->arrivals[from];
    c->duplicates[to] = c->duplicates[from];
    c->overwritten[to] = c->overwritten[from];
    for (uint64_t left = c->used; left != 0; left &= left - 1) {
        const unsigned id = (unsigned)__builtin_ctzll(left);
        c->values[id][to] = c->values[id][from];
        set(c, id, to, has(c, id, from));
    }
}

/* Rows of the range without a value go; those behind them move up, with their revisions. */
static void close_gaps(struct columns *c, struct range r)
{
    uint32_t to = r.from, revision = 0;
    while (revision < c->revision_count && c->revisions[revision].row < r.from) {
        revision++;
    }
    for (uint32_t from = r.from; from < c->rows; from++) {
        if (from < r.to && is_empty(c, from)) {
            continue;
        }
        if (from != to) {
            move_row(c, from, to);
        }
        for (; revision < c->revision_count && c->revisions[revision].row == from; revision++) {
            c->revisions[revision].row = to;
        }
        to++;
    }
    for (uint64_t left = c->used; left != 0; left &= left - 1) {
        for (uint32_t row = to; row < c->rows; row++) {
            set(c, (unsigned)__builtin_ctzll(left), row, false);
        }
    }
    c->rows = to;
}

void columns_erase(struct columns *c, uint64_t columns, int64_t from_ns, int64_t to_ns)
{
    const struct range r = {find_row(c, from_ns), find_row(c, to_ns)};
    if (r.from < r.to && (columns & c->used) != 0) {
        clear_values(c, columns, r);
        drop_revisions(c, columns, r);
        close_gaps(c, r);
    }
}
