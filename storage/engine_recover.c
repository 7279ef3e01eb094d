/* From the journal back into memory: at start, and after the journal had to be opened again.
 *
 * A row is left out when its partition says that its flushes cover the record's position; so what
 * is where depends on positions only (promises P2, P7). Last values and receipts take in every
 * record again: they come out the same. */

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "storage/engine_inside.h"

enum err engine_mark_defined(struct engine *e, uint32_t group, uint64_t columns)
{
    if (group >= e->defined_end) {
        uint32_t end = group < 512 ? 1024 : 2 * (group + 1);
        uint64_t *grown = realloc(e->defined, end * sizeof *grown);
        if (grown == NULL) {
            return E_NO_MEMORY;
        }
        memset(grown + e->defined_end, 0, (end - e->defined_end) * sizeof *grown);
        e->defined = grown;
        e->defined_end = end;
    }
    e->defined_count += (uint32_t)__builtin_popcountll(columns & ~e->defined[group]);
    e->defined[group] |= columns;
    return OK;
}

enum err engine_mark_catalogue(struct engine *e)
{
    uint32_t count = catalogue_series_count(e->catalogue);
    for (uint32_t i = 0; i < count; i++) {
        struct series_ref ref = catalogue_series(e->catalogue, i);
        TRY(engine_mark_defined(e, ref.group, UINT64_C(1) << ref.column));
    }
    return OK;
}

/* Whether all its columns have names: rows whose definition was lost belong to nobody. */
static bool is_known(const struct engine *e, const struct batch_entry *row)
{
    const struct group *g = catalogue_group(e->catalogue, row->row.group);
    unsigned top = 64 - (unsigned)__builtin_clzll(row->row.columns);
    return g != NULL && top <= atomic_load_explicit(&g->columns, memory_order_acquire);
}

static bool is_in_part(struct engine *e, int64_t time_ns, uint64_t position)
{
    for (int i = 0; i < VIEW_LAYERS; i++) {
        const struct part *p = view_part_find(&e->view->view.layer[i], time_ns);
        if (p != NULL && part_applied(p) >= position) {
            return true;
        }
    }
    return false;
}

/* Texts whose definition was lost keep their ids, or others would speak for them. */
static void note_texts(struct engine *e, const struct batch_entry *row)
{
    for (unsigned i = 0; i < row->row.count; i++) {
        if (text_is_value(row->row.values[i])) {
            texts_skip(e->texts, text_id(row->row.values[i]));
        }
    }
}

/* Whole seconds, rounded up: a point is never said to have been known before it was. */
static int64_t round_up_s(int64_t time_ns)
{
    return time_ns / NS_PER_S + (time_ns % NS_PER_S > 0);
}

/* When a row came, if that is worth keeping: 0 when it came about at its own time, the newest of
 * its series. What may be a correction is kept however quick it was. */
static int64_t arrival_of(const struct engine *e, const struct batch_entry *row, int64_t arrival_ns)
{
    const int64_t apart_ns = arrival_ns - row->row.time_ns; /* Both are at most 2^63 - 1. */
    if (arrival_ns <= 0 || round_up_s(arrival_ns) > UINT32_MAX) {
        return 0; /* A clock that was never set. */
    }
    if (apart_ns >= -ENGINE_ON_TIME_NS && apart_ns <= ENGINE_ON_TIME_NS &&
        last_is_newest(e->last, row)) {
        return 0;
    }
    return round_up_s(arrival_ns);
}

static enum err apply_row(struct engine *e, const struct batch_entry *row,
                          const struct journal_record *record, bool is_replay)
{
    if (is_replay && !is_known(e, row)) {
        return E_CORRUPT;
    }
    if (is_replay) {
        note_texts(e, row);
    }
    if (!is_replay || !is_in_part(e, row->row.time_ns, record->position)) {
        const int64_t arrival_s = arrival_of(e, row, record->arrival_ns);
        TRY(head_append(engine_active_head(e)->head, row, arrival_s));
    }
    return last_put_row(e->last, row); /* Second: who has seen it finds the row, too. */
}

static enum err apply_series(struct engine *e, const struct batch_entry *entry)
{
    struct series_ref ref = {entry->series.group, entry->series.column};
    TRY(catalogue_define(e->catalogue, ref, entry->series.topic, entry->series.name));
    return engine_mark_defined(e, ref.group, UINT64_C(1) << ref.column);
}

static enum err apply_text(struct engine *e, const struct batch_entry *entry)
{
    TRY(texts_define(e->texts, entry->text.id, entry->text.at));
    if (e->texts_defined <= entry->text.id) {
        e->texts_defined = entry->text.id + 1;
    }
    return OK;
}

/* Again and again with the same outcome: what the last entry of a key says. */
static enum err apply_tag(struct engine *e, const struct batch_entry *entry)
{
    const struct series_ref ref = {entry->tag.group, entry->tag.column};
    const struct group *g = catalogue_group(e->catalogue, ref.group);
    if (g == NULL || ref.column >= atomic_load_explicit(&g->columns, memory_order_acquire)) {
        return E_CORRUPT;
    }
    enum err result =
        catalogue_tag_put(e->catalogue, ref, &(struct tag){entry->tag.key, entry->tag.value});
    if (result == E_LIMIT) {
        engine_count(&e->counters.tags_refused, 1);
        log_line(LOG_ERROR, "storage", "tags take all the memory they may, one is left out");
        return OK;
    }
    return result;
}

static enum err apply_entry(struct engine *e, const struct batch_entry *entry,
                            const struct journal_record *record, bool is_replay)
{
    switch (entry->kind) {
    case BATCH_ROW:
        return apply_row(e, entry, record, is_replay);
    case BATCH_RECEIPT:
        receipts_add(e->receipts, &entry->receipt);
        return OK;
    case BATCH_SERIES:
        return is_replay ? apply_series(e, entry) : OK;
    case BATCH_TAG:
        return apply_tag(e, entry);
    case BATCH_TEXT:
        return is_replay ? apply_text(e, entry) : OK;
    case BATCH_DELETE:
        return engine_apply_delete(e, &entry->erased, record->position);
    }
    return E_CORRUPT;
}

/* Entries read ahead of the one that is applied: rows of many series come from all over memory, and
 * waiting for each in turn would take longer than all else. So what a row touches is fetched while
 * those before it are put in. */
enum { AHEAD = 16 };
struct lookahead {
    struct batch_reader reader;
    unsigned read, taken;
    enum err end; /* Of reading; OK: there may be more. */
    struct batch_entry ring[AHEAD];
};

static void fetch(const struct engine *e, const struct batch_entry *entry,
                  void (*what)(const struct head *, uint32_t))
{
    if (entry->kind == BATCH_ROW) {
        what(engine_active_head(e)->head, entry->row.group);
    }
}

/* NULL: that was the last; `end` says why. */
static const struct batch_entry *next_entry(const struct engine *e, struct lookahead *l)
{
    while (l->end == OK && l->read - l->taken < AHEAD) {
        struct batch_entry *entry = &l->ring[l->read % AHEAD];
        l->end = batch_reader_next(&l->reader, entry);
        if (l->end == OK) {
            l->read++;
            fetch(e, entry, head_fetch_group);
        }
    }
    if (l->read - l->taken > AHEAD / 2) {
        fetch(e, &l->ring[(l->taken + AHEAD / 2) % AHEAD], head_fetch_row);
    }
    return l->taken == l->read ? NULL : &l->ring[l->taken++ % AHEAD];
}

void engine_apply(struct engine *e, const struct journal_record *record, bool is_replay)
{
    struct lookahead ahead = {.end = OK};
    const struct batch_entry *entry;
    uint64_t rows = 0, points = 0, lost = 0;
    batch_reader_init(&ahead.reader, record->entries);
    while ((entry = next_entry(e, &ahead)) != NULL) {
        enum err done = apply_entry(e, entry, record, is_replay);
        if (done == OK && entry->kind == BATCH_ROW) {
            rows++;
            points += entry->row.count;
        }
        lost += done == E_CORRUPT;
        e->missed_rows |= done == E_NO_MEMORY;
    }
    if (ahead.end == E_CORRUPT || lost > 0) {
        engine_count(&e->counters.corrupt_records, 1);
        log_line(LOG_ERROR, "storage",
                 "journal record is damaged position=%llu entries_lost=%llu%s",
                 (unsigned long long)record->position, (unsigned long long)lost,
                 ahead.end == E_CORRUPT ? " and its end" : "");
    }
    if (!is_replay) {
        engine_count(&e->counters.rows, rows);
        engine_count(&e->counters.points, points);
    }
    e->applied = record->position;
    if (record->arrival_ns > atomic_load_explicit(&e->clock_ns, memory_order_relaxed)) {
        atomic_store_explicit(&e->clock_ns, record->arrival_ns, memory_order_relaxed);
    }
}

enum err engine_replay(struct engine *e)
{
    struct journal_record record;
    enum err result;
    while ((result = e->journal->calls->read(e->journal, e->applied + 1, &record)) != E_END) {
        if (result == OK) {
            engine_apply(e, &record, true);
        } else if (result == E_CORRUPT && record.position > e->applied) {
            engine_count(&e->counters.corrupt_records, 1);
            log_line(LOG_ERROR, "storage", "journal record fails its checksum position=%llu",
                     (unsigned long long)record.position);
            TRY(engine_mend_delete(e, record.position));
            e->applied = record.position;
        } else {
            return result;
        }
    }
    return e->missed_rows ? E_NO_MEMORY : OK;
}

enum err engine_mend(struct engine *e)
{
    uint64_t durable;
    if (!e->is_broken) {
        return OK;
    }
    TRY(e->journal->calls->reopen(e->journal));
    TRY(e->journal->calls->sync(e->journal, &durable));
    if (durable < e->applied) {
        return E_CORRUPT; /* Positions may not be given twice; a restart tells what is left. */
    }
    TRY(engine_replay(e));
    e->is_broken = false;
    return OK;
}
