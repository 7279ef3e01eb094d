#include "storage/read/known.h"

/* The version of a point that was known: `*value` is the current one before. False: none was.
 * `*next` runs through the revisions. */
static bool version_of(const struct known_rows *k, uint32_t row, uint32_t *next, double *value)
{
    const struct chunk_arrivals *a = k->arrivals;
    uint32_t arrival_s = a->arrivals[row];
    bool found = false;
    double older = 0;
    while (*next < a->revision_count && a->revisions[*next].row < row) {
        (*next)++;
    }
    for (uint32_t i = *next; i < a->revision_count && a->revisions[i].row == row; i++) {
        const struct chunk_revision *r = &a->revisions[i];
        if (r->column != k->column) {
            continue;
        }
        if (r->is_current) {
            arrival_s = r->arrival_s;
        } else if (known_is(k->times[row], r->arrival_s, k->known_ns)) {
            found = true;
            older = r->value;
        }
    }
    if (known_is(k->times[row], arrival_s, k->known_ns)) {
        return true;
    }
    *value = found ? older : *value;
    return found;
}

uint32_t known_keep(const struct known_rows *rows, int64_t *times, double *values, uint32_t count)
{
    uint32_t kept = 0, row = 0, next = 0;
    for (uint32_t i = 0; i < count; i++) {
        while (rows->times[row] != times[i]) {
            row++; /* Every point has its row. */
        }
        double value = values[i];
        if (version_of(rows, row, &next, &value)) {
            times[kept] = times[i];
            values[kept++] = value;
        }
    }
    return kept;
}
