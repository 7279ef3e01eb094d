#include "storage/read/value_set.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "storage/read/sketch.h"

enum { LIMIT_FIRST = 64 };

void value_set_init(struct value_set *v)
{
    *v = (struct value_set){.count = 0};
}

void value_set_fini(struct value_set *v)
{
    free(v->values);
    sketch_destroy(v->sketch);
    value_set_init(v);
}

void value_set_clear(struct value_set *v)
{
    sketch_destroy(v->sketch);
    v->sketch = NULL;
    v->count = 0;
}

size_t value_set_bytes(const struct value_set *v)
{
    return v->limit * sizeof v->values[0] + (v->sketch != NULL ? sketch_bytes() : 0);
}

static enum err grow(struct value_set *v, size_t need)
{
    size_t limit = v->limit == 0 ? LIMIT_FIRST : v->limit;
    while (limit < need) {
        limit *= 2;
    }
    double *values = realloc(v->values, limit * sizeof *values);
    if (values == NULL) {
        return E_NO_MEMORY;
    }
    v->values = values;
    v->limit = limit;
    return OK;
}

/* They became too many. */
static enum err turn_to_sketch(struct value_set *v)
{
    TRY(sketch_create(&v->sketch));
    sketch_add(v->sketch, v->values, v->count);
    free(v->values);
    v->values = NULL;
    v->count = v->limit = 0;
    return OK;
}

enum err value_set_add(struct value_set *v, const double *values, size_t count)
{
    if (v->sketch == NULL && v->count + count > VALUE_SET_EXACT_MAX) {
        TRY(turn_to_sketch(v));
    }
    if (v->sketch != NULL) {
        sketch_add(v->sketch, values, count);
        return OK;
    }
    if (v->count + count > v->limit) {
        TRY(grow(v, v->count + count));
    }
    for (size_t i = 0; i < count; i++) {
        v->values[v->count] = values[i];
        v->count += isnan(values[i]) ? 0 : 1;
    }
    return OK;
}

enum err value_set_merge(struct value_set *v, const struct value_set *other)
{
    if (other->sketch == NULL) {
        return value_set_add(v, other->values, other->count);
    }
    if (v->sketch == NULL) {
        TRY(turn_to_sketch(v));
    }
    sketch_merge(v->sketch, other->sketch);
    return OK;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void swap(double *a, double *b)
{
    const double kept = *a;
    *a = *b;
    *b = kept;
}

/* Part values[low..high] around the middle of three; returns where the pivot came to lie. */
static size_t part(double *values, size_t low, size_t high)
{
    const size_t middle = low + (high - low) / 2;
    if (values[middle] < values[low]) {
        swap(&values[middle], &values[low]);
    }
    if (values[high] < values[low]) {
        swap(&values[high], &values[low]);
    }
    if (values[high] < values[middle]) {
        swap(&values[high], &values[middle]);
    }
    const double pivot = values[middle];
    swap(&values[middle], &values[high]);
    size_t left = low, right = high;
    for (;;) {
        while (values[left] < pivot) {
            left++;
        }
        do {
            right--;
        } while (right > left && values[right] > pivot);
        if (left >= right) {
            swap(&values[left], &values[high]);
            return left;
        }
        swap(&values[left++], &values[right]);
    }
}

/* Put the value of rank `rank` in its place, no greater ones before it, no smaller ones behind it
 * (Hoare, CACM 1961). An order made to be slow is met by sorting what is left. */
static void select_rank(double *values, size_t count, size_t rank)
{
    size_t low = 0, high = count - 1;
    for (unsigned turns = 0; low < high; turns++) {
        if (turns == 40) {
            qsort(values + low, high - low + 1, sizeof *values, compare);
            return;
        }
        const size_t pivot = part(values, low, high);
        if (pivot == rank) {
            return;
        }
        if (pivot < rank) {
            low = pivot + 1;
        } else {
            high = pivot - 1;
        }
    }
}

static double least(const double *values, size_t count)
{
    double found = values[0];
    for (size_t i = 1; i < count; i++) {
        found = values[i] < found ? values[i] : found;
    }
    return found;
}

double value_set_percentile(struct value_set *v, double percent)
{
    if (v->count == 0 && (v->sketch == NULL || sketch_count(v->sketch) == 0)) {
        return (double)NAN;
    }
    if (v->sketch != NULL) {
        const uint64_t last = sketch_count(v->sketch) - 1;
        const double place = rint(percent / 100 * (double)last);
        return sketch_at(v->sketch, place >= (double)last ? last : (uint64_t)place);
    }
    const double place = percent / 100 * (double)(v->count - 1);
    const size_t rank = (size_t)place;
    select_rank(v->values, v->count, rank);
    const double below = v->values[rank], share = place - (double)rank;
    if (share == 0 || rank + 1 >= v->count) {
        return below;
    }
    const double above = least(v->values + rank + 1, v->count - rank - 1);
    return above == below || isinf(below) ? below : below + share * (above - below);
}
