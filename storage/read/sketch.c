#include "storage/read/sketch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

/* Of bins: bin i holds factor^(i-1) < x <= factor^i. */
#define FACTOR ((1 + SKETCH_ERROR) / (1 - SKETCH_ERROR))

struct row {
    int low;        /* Index of bins[0]. */
    uint64_t count; /* Of all bins. */
    uint64_t bins[SKETCH_BINS];
};

struct sketch {
    uint64_t count, zeros, below, above; /* Below and above: infinities. */
    struct row negative, positive;       /* By magnitude. */
};

enum err sketch_create(struct sketch **out)
{
    struct sketch *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return E_NO_MEMORY;
    }
    *out = s;
    return OK;
}

void sketch_destroy(struct sketch *s)
{
    free(s);
}

size_t sketch_bytes(void)
{
    return sizeof(struct sketch);
}

uint64_t sketch_count(const struct sketch *s)
{
    return s->count;
}

/* Move the row up until bin `index` is its last; what falls off at its start becomes the first. */
static void move_up(struct row *r, int index)
{
    const int by = index - (r->low + SKETCH_BINS - 1);
    const int gone = by < SKETCH_BINS ? by : SKETCH_BINS;
    uint64_t lost = 0;
    for (int i = 0; i < gone; i++) {
        lost += r->bins[i];
    }
    memmove(r->bins, r->bins + gone, (size_t)(SKETCH_BINS - gone) * sizeof r->bins[0]);
    memset(r->bins + (SKETCH_BINS - gone), 0, (size_t)gone * sizeof r->bins[0]);
    r->bins[0] += lost;
    r->low += by;
}

/* Move the row down towards bin `index`, as far as its last bins are empty. */
static void move_down(struct row *r, int index)
{
    int by = 0;
    while (by < r->low - index && by < SKETCH_BINS - 1 && r->bins[SKETCH_BINS - 1 - by] == 0) {
        by++;
    }
    memmove(r->bins + by, r->bins, (size_t)(SKETCH_BINS - by) * sizeof r->bins[0]);
    memset(r->bins, 0, (size_t)by * sizeof r->bins[0]);
    r->low -= by;
}

static void add_bin(struct row *r, int index, uint64_t count)
{
    if (r->count == 0) {
        r->low = index - SKETCH_BINS / 2;
    } else if (index >= r->low + SKETCH_BINS) {
        move_up(r, index);
    } else if (index < r->low) {
        move_down(r, index);
    }
    r->bins[index < r->low ? 0 : index - r->low] += count;
    r->count += count;
}

void sketch_add(struct sketch *s, const double *values, size_t count)
{
    const double scale = 1 / log(FACTOR);
    for (size_t i = 0; i < count; i++) {
        const double value = values[i];
        if (isnan(value)) {
            continue;
        }
        s->count++;
        if (isinf(value)) {
            s->below += value < 0;
            s->above += value > 0;
        } else if (value == 0) {
            s->zeros++;
        } else {
            add_bin(value < 0 ? &s->negative : &s->positive, (int)ceil(log(fabs(value)) * scale),
                    1);
        }
    }
}

static void merge_row(struct row *r, const struct row *other)
{
    for (int i = SKETCH_BINS - 1; i >= 0 && other->count > 0; i--) {
        if (other->bins[i] > 0) {
            add_bin(r, other->low + i, other->bins[i]);
        }
    }
}

void sketch_merge(struct sketch *s, const struct sketch *other)
{
    s->count += other->count;
    s->zeros += other->zeros;
    s->below += other->below;
    s->above += other->above;
    merge_row(&s->negative, &other->negative);
    merge_row(&s->positive, &other->positive);
}

/* The point of a bin that is as near to its both ends, in proportion. */
static double bin_value(const struct row *r, int i)
{
    const double value = 2 * exp(log(FACTOR) * (r->low + i)) / (FACTOR + 1);
    return isinf(value) ? HUGE_VAL : value;
}

/* Of the magnitudes of a row, by rank from the smallest. */
static double row_at(const struct row *r, uint64_t rank)
{
    int i = 0;
    while (rank >= r->bins[i]) {
        rank -= r->bins[i++];
        CHECK(i < SKETCH_BINS);
    }
    return bin_value(r, i);
}

double sketch_at(const struct sketch *s, uint64_t rank)
{
    CHECK(rank < s->count);
    if (rank < s->below) {
        return -HUGE_VAL;
    }
    rank -= s->below;
    if (rank < s->negative.count) {
        return -row_at(&s->negative, s->negative.count - 1 - rank);
    }
    rank -= s->negative.count;
    if (rank < s->zeros) {
        return 0;
    }
    rank -= s->zeros;
    return rank < s->positive.count ? row_at(&s->positive, rank) : HUGE_VAL;
}
