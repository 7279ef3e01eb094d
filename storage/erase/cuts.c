#include "storage/erase/cuts.h"

#include <stdlib.h>

#include "storage/erase/tombs.h"

void cuts_init(struct cuts *c)
{
    *c = (struct cuts){.count = 0};
}

void cuts_fini(struct cuts *c)
{
    free(c->at);
    cuts_init(c);
}

enum err cuts_add(struct cuts *c, const struct cut *cut)
{
    if (c->count == c->limit) {
        const size_t limit = c->limit == 0 ? 4 : 2 * c->limit;
        struct cut *at = realloc(c->at, limit * sizeof *at);
        if (at == NULL) {
            return E_NO_MEMORY;
        }
        c->at = at;
        c->limit = limit;
    }
    c->at[c->count++] = *cut;
    return OK;
}

bool cuts_touch(const struct cuts *c, uint64_t position, int64_t first_ns, int64_t last_ns)
{
    for (size_t i = 0; i < c->count; i++) {
        const struct cut *cut = &c->at[i];
        if (position < cut->position && cut->from_ns <= last_ns && first_ns < cut->to_ns) {
            return true;
        }
    }
    return false;
}

bool cuts_cover(const struct cuts *c, uint64_t position, int64_t first_ns, int64_t last_ns)
{
    for (size_t i = 0; i < c->count; i++) {
        const struct cut *cut = &c->at[i];
        if (position < cut->position && cut->from_ns <= first_ns && last_ns < cut->to_ns) {
            return true;
        }
    }
    return false;
}

static bool is_cut(const struct cuts *c, uint64_t position, int64_t time_ns)
{
    return cuts_cover(c, position, time_ns, time_ns);
}

uint32_t cuts_keep(const struct cuts *c, uint64_t position, int64_t *times, double *values,
                   uint32_t count)
{
    uint32_t kept = 0;
    if (count == 0 || !cuts_touch(c, position, times[0], times[count - 1])) {
        return count;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!is_cut(c, position, times[i])) {
            times[kept] = times[i];
            values[kept++] = values[i];
        }
    }
    return kept;
}

void cuts_aim(struct cuts *c, const struct head *h, uint32_t group)
{
    for (size_t i = 0; i < c->count; i++) {
        struct cut *cut = &c->at[i];
        cut->rows = cut->tomb == NULL ? UINT64_MAX : tomb_rows(cut->tomb, h, group);
    }
}
