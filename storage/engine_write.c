/* The way of a batch: definitions of new series and texts, the records, one commit, then memory.
 *
 * Nothing is shown before it is durable, and nothing durable is left unshown (promise P1). */

#include "base/check.h"
#include "storage/engine_inside.h"

static struct bytes entries_of(const struct batch *b)
{
    return (struct bytes){b->record + BATCH_HEADER_BYTES, b->record_bytes - BATCH_HEADER_BYTES};
}

static enum err append(struct engine *e, struct batch *b)
{
    const struct journal_record header = {
        .producer = b->producer, .counter = b->counter, .arrival_ns = b->arrival_ns};
    uint64_t position;
    if (b->record_bytes == BATCH_HEADER_BYTES) {
        return OK;
    }
    return e->journal->calls->append(e->journal, b->record, b->record_bytes, &header, &position);
}

/* The definitions gathered so far become a record. */
static enum err append_definitions(struct engine *e)
{
    TRY(append(e, e->scratch));
    batch_reset(e->scratch);
    return OK;
}

static enum err define_column(struct engine *e, uint32_t group, uint8_t column)
{
    const struct group *g = catalogue_group(e->catalogue, group);
    CHECK(g != NULL && column < atomic_load_explicit(&g->columns, memory_order_acquire));
    const struct series_name *n = group_name(g, column);
    const struct bytes name = {n->at, n->size};
    enum err result = batch_put_series(e->scratch, group, column, g->topic, name);
    if (result == E_LIMIT) {
        TRY(append_definitions(e));
        result = batch_put_series(e->scratch, group, column, g->topic, name);
    }
    return result;
}

/* The columns an entry is about; 0: none. */
static uint64_t columns_of(const struct batch_entry *entry, uint32_t *group)
{
    if (entry->kind == BATCH_ROW) {
        *group = entry->row.group;
        return entry->row.columns;
    }
    if (entry->kind == BATCH_TAG) {
        *group = entry->tag.group;
        return UINT64_C(1) << entry->tag.column;
    }
    return 0;
}

/* Columns of this entry that neither journal nor catalogue file knows get a definition. */
static enum err define_columns(struct engine *e, const struct batch_entry *entry)
{
    uint32_t group = 0;
    const uint64_t columns = columns_of(entry, &group);
    uint64_t known = group < e->defined_end ? e->defined[group] : 0;
    uint64_t fresh = columns & ~known;
    if (fresh == 0) {
        return OK;
    }
    for (uint64_t left = fresh; left != 0; left &= left - 1) {
        TRY(define_column(e, group, (uint8_t)__builtin_ctzll(left)));
    }
    return engine_mark_defined(e, group, fresh);
}

static enum err define_series(struct engine *e, const struct batch *b)
{
    struct batch_reader reader;
    struct batch_entry entry;
    enum err result;
    if (e->defined_count == catalogue_series_count(e->catalogue)) {
        return OK; /* The usual case spares reading the batch. */
    }
    batch_reader_init(&reader, entries_of(b));
    while ((result = batch_reader_next(&reader, &entry)) == OK) {
        TRY(define_columns(e, &entry));
    }
    CHECK(result == E_END); /* A batch was written by our own hand. */
    return OK;
}

static enum err define_text(struct engine *e, uint32_t id)
{
    struct bytes text;
    if (!texts_get(e->texts, id, &text)) {
        return OK; /* Lost with a damaged file. */
    }
    enum err result = batch_put_text(e->scratch, id, text);
    if (result == E_LIMIT) {
        TRY(append_definitions(e));
        result = batch_put_text(e->scratch, id, text);
    }
    return result;
}

/* Ids are dense, and a batch has only such as were given before it came: so all of them, and no
 * value needs to be looked at. */
static enum err define_texts(struct engine *e)
{
    const uint32_t end = texts_end(e->texts);
    for (; e->texts_defined < end; e->texts_defined++) {
        TRY(define_text(e, e->texts_defined));
    }
    return OK;
}

static enum err put_state(struct engine *e, const struct batch *b)
{
    struct bytes in = {b->state.at, b->state.size};
    struct batch_state state;
    enum err result;
    while ((result = batch_state_next(&in, &state)) == OK) {
        CHECK(state.space != ENGINE_SPACE);
        TRY(e->journal->calls->put_state(e->journal, &state));
    }
    CHECK(result == E_END);
    return OK;
}

static enum err append_all(struct engine *e, struct batch *const *batches, unsigned count)
{
    batch_reset(e->scratch);
    TRY(define_texts(e));
    for (unsigned i = 0; i < count; i++) {
        TRY(define_series(e, batches[i]));
    }
    TRY(append_definitions(e));
    for (unsigned i = 0; i < count; i++) {
        TRY(append(e, batches[i]));
        TRY(put_state(e, batches[i]));
    }
    return OK;
}

static enum err commit(struct engine *e, struct batch *const *batches, unsigned count,
                       uint64_t *durable)
{
    if (e->journal->calls->live_bytes(e->journal) >= e->options.journal_map) {
        return E_NO_SPACE; /* No checkpoint gets through; memory must not fill instead. */
    }
    TRY(append_all(e, batches, count));
    return e->journal->calls->sync(e->journal, durable);
}

/* Positions were given out in order and without gaps: the last batch's record is the last one. */
static void show(struct engine *e, struct batch *const *batches, unsigned count, uint64_t durable)
{
    uint64_t position = durable;
    for (unsigned i = 0; i < count; i++) {
        position -= batches[i]->record_bytes > BATCH_HEADER_BYTES;
    }
    CHECK(position >= e->applied);
    for (unsigned i = 0; i < count; i++) {
        if (batches[i]->record_bytes > BATCH_HEADER_BYTES) {
            struct journal_record record = {.position = ++position,
                                            .arrival_ns = batches[i]->arrival_ns,
                                            .entries = entries_of(batches[i])};
            engine_apply(e, &record, false);
        }
    }
    e->applied = durable;
}

static void note_journal(struct engine *e)
{
    atomic_store_explicit(&e->counters.journal_bytes, e->journal->calls->live_bytes(e->journal),
                          memory_order_relaxed);
    atomic_store_explicit(&e->counters.journal_position, e->applied, memory_order_relaxed);
}

/* What these batches marked as defined is not. What was defined before is defined again: that does
 * no harm. */
static void undo_definitions(struct engine *e, struct batch *const *batches, unsigned count)
{
    struct batch_entry entry;
    for (unsigned i = 0; i < count; i++) {
        struct batch_reader reader;
        batch_reader_init(&reader, entries_of(batches[i]));
        while (batch_reader_next(&reader, &entry) == OK) {
            uint32_t group = 0;
            const uint64_t columns = columns_of(&entry, &group);
            if (columns != 0 && group < e->defined_end) {
                uint64_t *defined = &e->defined[group];
                e->defined_count -= (uint32_t)__builtin_popcountll(*defined & columns);
                *defined &= ~columns;
            }
        }
    }
}

static void on_failure(struct engine *e, enum err result, struct batch *const *batches,
                       unsigned count)
{
    undo_definitions(e, batches, count);
    if (result != E_NO_SPACE) {
        e->is_broken = true;
        (void)!engine_mend(e); /* If not now, then before the next write. */
    }
}

static enum err try_write(struct engine *e, struct batch *const *batches, unsigned count)
{
    uint64_t durable = 0;
    TRY(engine_mend(e));
    const uint32_t texts_defined = e->texts_defined;
    enum err result = commit(e, batches, count, &durable);
    if (result == OK) {
        const bool missed_before = e->missed_rows;
        engine_count(&e->counters.commits, 1);
        e->missed_rows = false;
        show(e, batches, count, durable);
        result = e->missed_rows ? E_NO_MEMORY : OK; /* Durable, but not visible. */
        e->missed_rows |= missed_before;
        return result;
    }
    e->texts_defined = texts_defined;
    on_failure(e, result, batches, count);
    return result;
}

enum err engine_write(struct engine *e, struct batch *const *batches, unsigned count)
{
    enum err result = try_write(e, batches, count);
    engine_count(&e->counters.commit_failures, result != OK);
    note_journal(e);
    for (unsigned i = 0; i < count; i++) {
        batches[i]->result = result;
    }
    return result;
}
