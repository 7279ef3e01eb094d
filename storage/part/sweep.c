#include "storage/part/sweep.h"

#include <stdlib.h>

#include "codec/chunk.h"
#include "storage/kv.h"
#include "storage/part/part_bundle.h"

struct look {
    const struct sweep *sweep;
    uint64_t position; /* Of the part. */
    struct cuts cuts;  /* Of the group. */
    struct chunk_scratch *scratch;
    struct part_bundle bundle;
    struct chunk chunk;
    int64_t times[CHUNK_ROWS_MAX], own[CHUNK_ROWS_MAX];
    double values[CHUNK_ROWS_MAX];
};

/* Whether the group at hand may have lost anything in the part's period. */
static bool may_touch(const struct look *l)
{
    const struct part_period period = part_period(l->sweep->part);
    return cuts_touch(&l->cuts, l->position, period.start_ns, period.end_ns - 1);
}

static enum err look_at_column(struct look *l, unsigned index, const struct cut *cut, bool *found)
{
    uint32_t count;
    TRY(chunk_times(&l->chunk, l->scratch, l->times));
    TRY(chunk_points(&l->chunk, index, l->times, l->scratch, l->own, l->values, &count));
    for (uint32_t i = 0; i < count && !*found; i++) {
        *found = l->own[i] >= cut->from_ns && l->own[i] < cut->to_ns;
    }
    return OK;
}

static enum err look_at_cut(struct look *l, const struct cut *cut, bool *found)
{
    const struct chunk *c = &l->chunk;
    if (l->position >= cut->position || cut->from_ns > c->last_ns || cut->to_ns <= c->first_ns) {
        return OK;
    }
    const bool whole = cut->from_ns <= c->first_ns && c->last_ns < cut->to_ns;
    for (unsigned i = 0; i < c->columns && !*found; i++) {
        if ((cut->columns >> c->column[i].id & 1) == 0) {
            continue;
        }
        if (whole) {
            *found = true;
        } else {
            TRY(look_at_column(l, i, cut, found));
        }
    }
    return OK;
}

static enum err look_at_cuts(struct look *l, bool *found)
{
    for (size_t i = 0; i < l->cuts.count && !*found; i++) {
        TRY(look_at_cut(l, &l->cuts.at[i], found));
    }
    return OK;
}

/* What the disk does not give may have it: sealing sets such a file aside. */
static enum err look_at_chunk(struct look *l, struct bytes key, struct bytes value, bool *found)
{
    if (kv_touch(value) != OK) {
        *found = true;
        return OK;
    }
    TRY(chunk_read(key, value, &l->chunk));
    return look_at_cuts(l, found);
}

static enum err look_at_group(struct look *l, uint32_t group, bool *found)
{
    struct part_cursor *cursor;
    struct bytes key, value;
    uint32_t flush;
    TRY(part_cursor_open(l->sweep->part, group, &cursor));
    enum err e = OK;
    while (!*found && (e = part_cursor_next(cursor, &flush, &key, &value)) == OK) {
        e = look_at_chunk(l, key, value, found);
        if (e != OK && e != E_CORRUPT && e != E_VERSION) {
            break;
        }
    }
    part_cursor_close(cursor);
    return e == E_END || e == E_CORRUPT || e == E_VERSION ? OK : e;
}

/* A group is bundled, or has chunks. */
static enum err look_at_rows(struct look *l, uint32_t group, bool *found)
{
    enum err e = part_bundle_find(&l->bundle, l->sweep->part, group, &l->chunk);
    e = e == OK ? look_at_cuts(l, found) : e;
    if (e == E_NOT_FOUND) {
        return look_at_group(l, group, found);
    }
    *found = *found || (e == E_CORRUPT && part_bundle_value(&l->bundle).size == 0);
    return e == E_CORRUPT || e == E_VERSION ? OK : e;
}

static enum err look_at_all(struct look *l, bool *found)
{
    const struct sweep *s = l->sweep;
    for (uint32_t group = 0; group < s->group_end && !*found; group++) {
        if (atomic_load_explicit(s->stop, memory_order_relaxed)) {
            return E_BUSY;
        }
        TRY(erasure_of_file(s->erasure, group, true, &l->cuts));
        if (may_touch(l)) {
            TRY(look_at_rows(l, group, found));
        }
    }
    return OK;
}

enum err sweep_look(const struct sweep *s, bool *found)
{
    struct look *l = calloc(1, sizeof *l);
    if (l == NULL) {
        return E_NO_MEMORY;
    }
    l->sweep = s;
    part_bundle_init(&l->bundle);
    l->position = part_position(s->part, 1);
    bool any = false;
    enum err e = chunk_scratch_create(&l->scratch);
    if (e == OK) {
        e = look_at_all(l, &any);
        chunk_scratch_destroy(l->scratch);
    }
    cuts_fini(&l->cuts);
    part_bundle_fini(&l->bundle);
    free(l);
    if (e == OK) {
        *found = any;
    }
    return e;
}
