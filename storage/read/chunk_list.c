#include "storage/read/chunk_list.h"

#include <stdlib.h>
#include <string.h>

#include "storage/kv.h"
#include "storage/part/part_meta.h"

enum { ENTRIES_FIRST = 64, ENTRIES_MANY = 4096 };

void chunk_list_init(struct chunk_list *l)
{
    *l = (struct chunk_list){.is_made = false};
    part_bundle_init(&l->bundle);
}

void chunk_list_fini(struct chunk_list *l)
{
    free(l->entries);
    part_bundle_fini(&l->bundle);
    chunk_list_init(l);
}

static bool is_same(const struct chunk_list *l, const struct chunk_source *source)
{
    for (int i = 0; i < VIEW_LAYERS; i++) {
        const struct part *p = source->layer[i];
        if (l->part_id[i] != (p == NULL ? 0 : part_id(p)) ||
            (p != NULL && l->flushes[i] != part_flush_count(p))) {
            return false;
        }
    }
    return true;
}

bool chunk_list_is_for(const struct chunk_list *l, const struct chunk_source *source,
                       struct series_ref series, int64_t from_ns)
{
    return l->is_made && is_same(l, source) && l->series.group == series.group &&
           l->series.column == series.column && l->from_ns <= from_ns && from_ns < l->to_ns;
}

static int compare(const void *a, const void *b)
{
    const struct chunk_entry *x = a, *y = b;
    if (x->first_ns != y->first_ns) {
        return x->first_ns < y->first_ns ? -1 : 1;
    }
    if (x->layer != y->layer) {
        return x->layer < y->layer ? -1 : 1;
    }
    return (x->flush > y->flush) - (x->flush < y->flush);
}

static void sort(struct chunk_list *l)
{
    for (size_t i = 1; i < l->count; i++) {
        if (compare(&l->entries[i - 1], &l->entries[i]) > 0) {
            qsort(l->entries, l->count, sizeof *l->entries, compare);
            return;
        }
    }
}

/* Room for one more. Of very many, only the earlier half is kept and the list ends where the other
 * half begins, if that leaves it something to answer for. */
static enum err make_room(struct chunk_list *l)
{
    if (l->count < l->limit) {
        return OK;
    }
    if (l->count >= ENTRIES_MANY) {
        sort(l);
        int64_t middle_ns = l->entries[l->count / 2].first_ns;
        if (middle_ns > l->from_ns) {
            while (l->entries[l->count - 1].first_ns >= middle_ns) {
                l->count--;
            }
            l->to_ns = middle_ns;
            return OK;
        }
    }
    size_t limit = l->limit == 0 ? ENTRIES_FIRST : l->limit * 2;
    struct chunk_entry *entries = realloc(l->entries, limit * sizeof *entries);
    if (entries == NULL) {
        return E_NO_MEMORY;
    }
    l->entries = entries;
    l->limit = limit;
    return OK;
}

/* Add a chunk if it has points of the column in the range. */
static enum err add(struct chunk_list *l, uint8_t layer, uint32_t flush, const struct chunk *chunk)
{
    int index = chunk_column_find(chunk, l->series.column);
    if (index < 0) {
        return OK;
    }
    if (chunk->last_ns < l->from_ns || chunk->first_ns >= l->to_ns) {
        return OK;
    }
    const struct chunk_stats *stats = &chunk->column[index].stats;
    TRY(make_room(l));
    l->entries[l->count++] = (struct chunk_entry){.layer = layer,
                                                  .flush = flush,
                                                  .first_ns = chunk->first_ns,
                                                  .last_ns = chunk->last_ns,
                                                  .points = stats->count + stats->nan_count,
                                                  .stats = *stats};
    return OK;
}

/* A chunk whose key may fit. */
static enum err consider(struct chunk_list *l, uint8_t layer, struct bytes key, struct bytes value)
{
    struct part_key place;
    struct chunk chunk;
    if (kv_touch(value) != OK || chunk_read(key, value, &chunk) != OK ||
        part_key_read(key, &place) != OK || chunk.first_ns != place.first_ns ||
        chunk.last_ns < chunk.first_ns) {
        l->damaged[layer]++;
        return OK;
    }
    return add(l, layer, place.flush, &chunk);
}

/* Each chunk of a flush ends before the next begins, so a look at the next key spares reading those
 * that lie before the range. */
static enum err walk(struct chunk_list *l, uint8_t layer, struct part_cursor *c)
{
    struct bytes key, value, held_key = {NULL, 0}, held_value = {NULL, 0};
    uint32_t flush, held_flush = 0;
    struct part_key place;
    enum err e;
    while ((e = part_cursor_next(c, &flush, &key, &value)) == OK) {
        TRY(part_key_read(key, &place));
        if (held_flush != 0 && (held_flush != flush || place.first_ns > l->from_ns)) {
            TRY(consider(l, layer, held_key, held_value));
        }
        held_flush = flush;
        held_key = key;
        held_value = value;
        if (place.first_ns >= l->to_ns) {
            held_flush = 0;
            part_cursor_skip_flush(c);
        }
    }
    if (e == E_END && held_flush != 0) {
        TRY(consider(l, layer, held_key, held_value));
    }
    return e == E_END ? OK : e;
}

static void mark_overlaps(struct chunk_list *l)
{
    size_t widest = 0; /* Of those before, the one that reaches furthest. */
    for (size_t i = 0; i < l->count; i++) {
        struct chunk_entry *e = &l->entries[i], *w = &l->entries[widest];
        e->overlapped = false;
        if (i > 0 && w->last_ns >= e->first_ns) {
            e->overlapped = w->overlapped = true;
        }
        if (e->last_ns >= w->last_ns) {
            widest = i;
        }
    }
}

/* All rows of the group, if they are bundled: `*found`. Where that can't be told, they may yet be
 * found as chunks: `*damaged`. */
static enum err load_bundled(struct chunk_list *l, struct part *p, bool *found, bool *damaged)
{
    struct chunk chunk;
    const enum err e = part_bundle_find(&l->bundle, p, l->series.group, &chunk);
    *found = e == OK;
    *damaged = e == E_CORRUPT || e == E_VERSION;
    if (e == OK) {
        return add(l, VIEW_SEALED, 1, &chunk);
    }
    return *damaged || e == E_NOT_FOUND ? OK : e;
}

/* Up to where the values of the layer's chunks were written. */
static void note_positions(struct chunk_list *l, uint8_t layer, const struct part *p)
{
    for (size_t i = 0; i < l->count; i++) {
        if (l->entries[i].layer == layer) {
            l->entries[i].position = part_position(p, l->entries[i].flush);
        }
    }
}

static enum err load_part(struct chunk_list *l, uint8_t layer, struct part *p)
{
    struct part_cursor *cursor;
    const size_t before = l->count;
    bool is_bundled = false, is_damaged = false;
    l->part_id[layer] = p == NULL ? 0 : part_id(p);
    if (p == NULL) {
        return OK;
    }
    l->flushes[layer] = part_flush_count(p); /* Before the cursor opens: it sees no fewer. */
    if (layer == VIEW_SEALED) {
        TRY(load_bundled(l, p, &is_bundled, &is_damaged));
        if (is_bundled) {
            note_positions(l, layer, p);
            return OK;
        }
    }
    enum err e = part_cursor_open(p, l->series.group, &cursor);
    if (e == OK) {
        e = walk(l, layer, cursor);
        part_cursor_close(cursor);
    }
    note_positions(l, layer, p);
    if (e == E_CORRUPT) { /* Between the chunks: those that can be found are shown. */
        l->damaged[layer]++;
        return OK;
    }
    l->damaged[layer] += is_damaged && l->count == before;
    return e;
}

enum err chunk_list_load(struct chunk_list *l, const struct chunk_source *source,
                         struct series_ref series, int64_t from_ns, int64_t to_ns)
{
    l->is_made = false;
    l->count = 0;
    l->series = series;
    l->from_ns = from_ns;
    l->to_ns = to_ns;
    memset(l->damaged, 0, sizeof l->damaged);
    for (uint8_t i = 0; i < VIEW_LAYERS; i++) {
        TRY(load_part(l, i, source->layer[i]));
    }
    sort(l);
    mark_overlaps(l);
    l->is_made = true;
    return OK;
}
