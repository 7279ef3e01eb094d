#include "storage/part/merge.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "storage/part/part_bundle.h"
#include "storage/part/part_meta.h"

/* A chunk of the group, and whose it is: what sorts later wins at equal times. */
struct ref {
    int64_t first_ns;
    uint32_t part, flush;
    bool is_bundled;
};

/* A chunk in memory, as far as it is not used up. */
struct loaded {
    struct columns *columns;
    uint32_t at; /* The next row. */
    struct ref ref;
};

struct merge {
    struct part *const *parts;
    size_t part_count;
    struct merge_damage damage;
    const struct erasure *erasure;
    struct cuts cuts; /* Of the group. */
    uint32_t group;
    struct part_cursor **cursors; /* One a part, open for the group; NULL before the first. */
    struct part_bundle *bundles;  /* One a part. */
    struct ref *refs;             /* By time. */
    size_t ref_count, ref_limit, next;
    struct loaded *loaded; /* By who wins. */
    size_t loaded_count, loaded_limit;
    struct columns **spare;
    size_t spare_count; /* There is room for all that were ever loaded. */
    struct chunk_scratch *scratch;
};

enum err merge_create(const struct merge_sources *sources, const struct merge_damage *damage,
                      struct merge **out)
{
    struct merge *m = calloc(1, sizeof *m);
    if (m == NULL) {
        return E_NO_MEMORY;
    }
    m->parts = sources->parts;
    m->part_count = sources->count;
    m->erasure = sources->erasure;
    m->damage = *damage;
    cuts_init(&m->cuts);
    m->cursors = calloc(m->part_count + 1, sizeof(struct part_cursor *));
    m->bundles = calloc(m->part_count + 1, sizeof *m->bundles);
    if (m->cursors == NULL || m->bundles == NULL || chunk_scratch_create(&m->scratch) != OK) {
        merge_destroy(m);
        return E_NO_MEMORY;
    }
    *out = m;
    return OK;
}

static void close_cursors(struct merge *m)
{
    for (size_t i = 0; m->cursors != NULL && i < m->part_count; i++) {
        if (m->cursors[i] != NULL) {
            part_cursor_close(m->cursors[i]);
            m->cursors[i] = NULL;
        }
    }
}

void merge_destroy(struct merge *m)
{
    if (m == NULL) {
        return;
    }
    close_cursors(m);
    for (size_t i = 0; i < m->loaded_count; i++) {
        columns_destroy(m->loaded[i].columns);
    }
    for (size_t i = 0; i < m->spare_count; i++) {
        columns_destroy(m->spare[i]);
    }
    if (m->scratch != NULL) {
        chunk_scratch_destroy(m->scratch);
    }
    for (size_t i = 0; m->bundles != NULL && i < m->part_count; i++) {
        part_bundle_fini(&m->bundles[i]);
    }
    cuts_fini(&m->cuts);
    free(m->cursors);
    free(m->bundles);
    free(m->refs);
    free(m->loaded);
    free(m->spare);
    free(m);
}

static enum err add_ref(struct merge *m, struct ref ref)
{
    if (m->ref_count == m->ref_limit) {
        size_t limit = m->ref_limit == 0 ? 64 : 2 * m->ref_limit;
        struct ref *refs = realloc(m->refs, limit * sizeof *refs);
        if (refs == NULL) {
            return E_NO_MEMORY;
        }
        m->refs = refs;
        m->ref_limit = limit;
    }
    m->refs[m->ref_count++] = ref;
    return OK;
}

static enum err keep(struct merge *m, uint32_t part, struct bytes key, struct bytes value)
{
    return m->damage.keep(m->damage.context, m->parts[part], key, value);
}

static enum err keep_bundle(struct merge *m, uint32_t part)
{
    uint8_t raw[PART_BUNDLE_KEY_BYTES];
    part_bundle_key(&m->bundles[part], raw);
    return keep(m, part, (struct bytes){raw, sizeof raw}, part_bundle_value(&m->bundles[part]));
}

/* The rows of the group that are bundled. A damaged bundle is kept aside whole, once. E_CORRUPT:
 * there are no bytes to be kept. */
static enum err list_bundled(struct merge *m, uint32_t index)
{
    struct part_bundle *bundle = &m->bundles[index];
    const bool was_known =
        bundle->part_id != 0 && m->group > bundle->from && m->group <= bundle->to;
    struct chunk chunk;
    const enum err e = part_bundle_find(bundle, m->parts[index], m->group, &chunk);
    if (e == E_CORRUPT && (bundle->part_id == 0 || part_bundle_value(bundle).size == 0)) {
        return E_CORRUPT;
    }
    if (e == E_CORRUPT) {
        return bundle->state == E_CORRUPT && was_known ? OK : keep_bundle(m, index);
    }
    if (e == OK) {
        return add_ref(m, (struct ref){chunk.first_ns, index, 1, true});
    }
    return e == E_NOT_FOUND ? OK : e;
}

static enum err open_cursor(struct merge *m, uint32_t index)
{
    struct part_cursor *cursor;
    TRY(part_cursor_open(m->parts[index], m->group, &cursor));
    m->cursors[index] = cursor;
    return OK;
}

static enum err list_chunks(struct merge *m, uint32_t index)
{
    struct bytes key, value;
    struct part_key place;
    uint32_t flush;
    enum err e;
    TRY(open_cursor(m, index));
    while ((e = part_cursor_next(m->cursors[index], &flush, &key, &value)) == OK) {
        TRY(part_key_read(key, &place));
        TRY(add_ref(m, (struct ref){place.first_ns, index, flush, false}));
    }
    return e == E_END ? OK : e;
}

/* After E_CORRUPT from a part: go on with what can be read of it. A transaction that has met damage
 * is of no use any more. */
static enum err go_on(struct merge *m, uint32_t index)
{
    m->damage.lose(m->damage.context, index);
    if (m->cursors[index] != NULL) {
        part_cursor_close(m->cursors[index]);
        m->cursors[index] = NULL;
    }
    const enum err e = open_cursor(m, index);
    return e == E_CORRUPT ? OK : e;
}

static enum err list_part(struct merge *m, uint32_t index)
{
    enum err e = list_bundled(m, index);
    if (e == E_CORRUPT) {
        m->damage.lose(m->damage.context, index);
    } else if (e != OK) {
        return e;
    }
    e = list_chunks(m, index);
    return e == E_CORRUPT ? go_on(m, index) : e;
}

/* Who wins: 1 if `a`. */
static int compare_rank(const struct ref *a, const struct ref *b)
{
    if (a->part != b->part) {
        return a->part > b->part ? 1 : -1;
    }
    return (a->flush > b->flush) - (a->flush < b->flush);
}

static int by_time(const void *a, const void *b)
{
    const struct ref *x = a, *y = b;
    if (x->first_ns != y->first_ns) {
        return x->first_ns > y->first_ns ? 1 : -1;
    }
    return compare_rank(x, y);
}

static void unload(struct merge *m, size_t index)
{
    m->spare[m->spare_count++] = m->loaded[index].columns;
    m->loaded_count--;
    memmove(&m->loaded[index], &m->loaded[index + 1],
            (m->loaded_count - index) * sizeof m->loaded[0]);
}

enum err merge_start(struct merge *m, uint32_t group)
{
    close_cursors(m);
    while (m->loaded_count > 0) {
        unload(m, m->loaded_count - 1);
    }
    m->group = group;
    m->ref_count = m->next = 0;
    TRY(erasure_of_file(m->erasure, group, false, &m->cuts));
    for (uint32_t i = 0; i < m->part_count; i++) {
        TRY(list_part(m, i));
    }
    if (m->ref_count > 0) {
        qsort(m->refs, m->ref_count, sizeof m->refs[0], by_time);
    }
    return OK;
}

/* Room for one more loaded chunk, and for its columns among the spare ones later. */
static enum err make_room(struct merge *m)
{
    if (m->loaded_count < m->loaded_limit) {
        return OK;
    }
    size_t limit = m->loaded_limit == 0 ? 4 : 2 * m->loaded_limit;
    struct loaded *loaded = realloc(m->loaded, limit * sizeof *loaded);
    if (loaded == NULL) {
        return E_NO_MEMORY;
    }
    m->loaded = loaded;
    struct columns **spare = realloc(m->spare, limit * sizeof(struct columns *));
    if (spare == NULL) {
        return E_NO_MEMORY;
    }
    m->spare = spare;
    m->loaded_limit = limit;
    return OK;
}

static enum err take_columns(struct merge *m, struct columns **out)
{
    if (m->spare_count > 0) {
        *out = m->spare[--m->spare_count];
        return OK;
    }
    return columns_create(out);
}

/* What a part has lies in its period: the sealed file could not hold it. */
static bool is_of_part(const struct part *p, const struct chunk *chunk)
{
    const struct part_period period = part_period(p);
    return chunk->first_ns >= period.start_ns && chunk->last_ns < period.end_ns;
}

static enum err decode_bundled(struct merge *m, const struct ref *ref, struct columns *columns)
{
    struct chunk chunk;
    enum err e = part_bundle_find(&m->bundles[ref->part], m->parts[ref->part], m->group, &chunk);
    if (e != OK) {
        m->damage.lose(m->damage.context, ref->part); /* It was there a moment ago. */
        return e;
    }
    e = is_of_part(m->parts[ref->part], &chunk) ? columns_put_chunk(columns, &chunk, m->scratch)
                                                : E_CORRUPT;
    if (e == E_CORRUPT) {
        TRY(keep_bundle(m, ref->part));
    }
    return e;
}

/* What was deleted since it was written goes. */
static void erase(const struct merge *m, const struct ref *ref, struct columns *columns)
{
    const uint64_t position =
        m->cuts.count == 0 ? 0 : part_position(m->parts[ref->part], ref->flush);
    for (size_t i = 0; i < m->cuts.count; i++) {
        const struct cut *cut = &m->cuts.at[i];
        if (position < cut->position) {
            columns_erase(columns, cut->columns, cut->from_ns, cut->to_ns);
        }
    }
}

/* E_CORRUPT: it is listed, and cannot be had. */
static enum err get_chunk(struct merge *m, uint32_t index, struct bytes key, struct bytes *value)
{
    struct part_cursor *cursor = m->cursors[index];
    const enum err e = cursor == NULL ? E_CORRUPT : part_cursor_get(cursor, key, value);
    if (e != E_CORRUPT && e != E_NOT_FOUND) {
        return e;
    }
    TRY(go_on(m, index));
    return E_CORRUPT;
}

static enum err decode(struct merge *m, const struct ref *ref, struct bytes key,
                       struct columns *columns)
{
    struct bytes value;
    struct chunk chunk;
    if (ref->is_bundled) {
        return decode_bundled(m, ref, columns);
    }
    TRY(get_chunk(m, ref->part, key, &value));
    enum err e = chunk_read(key, value, &chunk);
    if (e == OK) {
        e = chunk.first_ns == ref->first_ns && is_of_part(m->parts[ref->part], &chunk)
                ? columns_put_chunk(columns, &chunk, m->scratch)
                : E_CORRUPT;
    }
    if (e == E_CORRUPT) {
        TRY(keep(m, ref->part, key, value));
    }
    return e;
}

static void insert(struct merge *m, struct columns *columns, const struct ref *ref)
{
    size_t at = m->loaded_count++;
    for (; at > 0 && compare_rank(&m->loaded[at - 1].ref, ref) > 0; at--) {
        m->loaded[at] = m->loaded[at - 1];
    }
    m->loaded[at] = (struct loaded){columns, 0, *ref};
}

/* The next chunk by time into memory; a damaged one is left out. */
static enum err load(struct merge *m)
{
    const struct ref *ref = &m->refs[m->next];
    uint8_t raw[PART_KEY_BYTES];
    struct columns *columns;
    part_key_write((struct part_key){ref->flush, m->group, ref->first_ns}, raw);
    TRY(make_room(m));
    TRY(take_columns(m, &columns));
    enum err e = decode(m, ref, (struct bytes){raw, sizeof raw}, columns);
    if (e != OK) {
        m->spare[m->spare_count++] = columns;
        m->next += e == E_CORRUPT;
        return e == E_CORRUPT ? OK : e;
    }
    erase(m, ref, columns);
    if (columns->rows > 0) {
        insert(m, columns, ref);
    } else {
        m->spare[m->spare_count++] = columns;
    }
    m->next++;
    return OK;
}

static int64_t time_of(const struct loaded *l)
{
    return l->columns->times[l->at];
}

/* The first of those with the earliest time; `*then`: the earliest time of the others. */
static size_t find_earliest(const struct merge *m, int64_t *then)
{
    size_t found = 0;
    *then = INT64_MAX;
    for (size_t i = 1; i < m->loaded_count; i++) {
        int64_t time = time_of(&m->loaded[i]), earliest = time_of(&m->loaded[found]);
        if (time < earliest) {
            *then = earliest;
            found = i;
        } else if (time < *then) {
            *then = time;
        }
    }
    return found;
}

static bool used_up(const struct loaded *l)
{
    return l->at == l->columns->rows;
}

/* All rows at `time_ns`, one over the other. */
static enum err put_equal(struct merge *m, struct columns *c, int64_t time_ns)
{
    for (size_t i = 0; i < m->loaded_count; i++) {
        struct loaded *l = &m->loaded[i];
        if (time_of(l) == time_ns) {
            TRY(columns_put_one(c, l->columns, l->at));
            l->at++;
        }
    }
    for (size_t i = m->loaded_count; i-- > 0;) {
        if (used_up(&m->loaded[i])) {
            unload(m, i);
        }
    }
    return OK;
}

/* Rows of one chunk that come before `end_ns`, at most `room`. */
static enum err put_run(struct merge *m, struct columns *c, size_t index, int64_t end_ns,
                        uint32_t room)
{
    struct loaded *l = &m->loaded[index];
    const int64_t *times = l->columns->times + l->at;
    const uint32_t left = l->columns->rows - l->at;
    uint32_t count = left < room ? left : room;
    if (times[count - 1] >= end_ns) {
        for (count = 1; times[count] < end_ns; count++) {
        }
    }
    TRY(columns_put_run(c, l->columns, l->at, count));
    l->at += count;
    if (used_up(l)) {
        unload(m, index);
    }
    return OK;
}

/* Everything that may have rows as early as the earliest in memory comes there, too. */
static enum err load_early(struct merge *m)
{
    while (m->next < m->ref_count) {
        int64_t then;
        if (m->loaded_count > 0 &&
            time_of(&m->loaded[find_earliest(m, &then)]) < m->refs[m->next].first_ns) {
            return OK;
        }
        TRY(load(m));
    }
    return OK;
}

enum err merge_fill(void *merge, struct columns *c, uint32_t rows)
{
    struct merge *m = merge;
    while (c->rows < rows) {
        int64_t then;
        TRY(load_early(m));
        if (m->loaded_count == 0) {
            return OK;
        }
        size_t index = find_earliest(m, &then);
        int64_t time_ns = time_of(&m->loaded[index]);
        if (then == time_ns) {
            TRY(put_equal(m, c, time_ns));
            continue;
        }
        if (m->next < m->ref_count && m->refs[m->next].first_ns < then) {
            then = m->refs[m->next].first_ns;
        }
        TRY(put_run(m, c, index, then, rows - c->rows));
    }
    return OK;
}
