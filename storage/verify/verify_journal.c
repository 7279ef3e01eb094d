/* journal.mdb. */

#include "storage/journal/batch.h"
#include "storage/journal/journal_state.h"
#include "storage/journal/record.h"
#include "storage/verify/verify_inside.h"

enum { VERSION_OLD = 1, VERSION = 6, POSITION_BYTES = 8 };

static enum err on_journal_meta(struct verify *v, struct bytes key, struct bytes value)
{
    const struct verify_versions known = {VERSION_OLD, VERSION};
    uint64_t trimmed;
    uint32_t version;
    if (!bytes_equal(key, bytes_of("journal"))) {
        verify_fault(v, "an unknown entry", "table meta");
    } else if (verify_meta(v, value, known, &version, &trimmed)) {
        if (trimmed == 0) {
            verify_fault(v, "trimmed to an impossible position", "table meta");
        }
        v->last_position = trimmed > 0 ? trimmed - 1 : 0;
    }
    return OK;
}

static bool has_texts(const struct verify *v, const struct batch_entry *row)
{
    unsigned i = 0;
    while (i < row->row.count && verify_has_text(v, row->row.values[i])) {
        i++;
    }
    return i == row->row.count;
}

/* The first reason why an entry makes no sense, or NULL. */
static const char *judge_entry(struct verify *v, const struct batch_entry *entry, enum err *e)
{
    const struct series_ref ref = {entry->series.group, entry->series.column};
    const struct group *group;
    unsigned top;
    switch (entry->kind) {
    case BATCH_ROW:
        group = catalogue_group(v->catalogue, entry->row.group);
        top = 64 - (unsigned)__builtin_clzll(entry->row.columns);
        v->totals->rows++;
        return group == NULL || top > atomic_load(&group->columns)
                   ? "a row of a series without a name"
               : !has_texts(v, entry) ? "a row of a text that is not there"
                                      : NULL;
    case BATCH_SERIES:
        *e = catalogue_define(v->catalogue, ref, entry->series.topic, entry->series.name);
        return *e == E_CORRUPT ? "two series claim one place, or one path" : NULL;
    case BATCH_TAG:
        group = catalogue_group(v->catalogue, entry->tag.group);
        return group != NULL && entry->tag.column < atomic_load(&group->columns)
                   ? NULL
                   : "a tag of a series without a name";
    case BATCH_TEXT:
        *e = texts_define(v->texts, entry->text.id, entry->text.at);
        return *e == E_CORRUPT ? "a text that is none, or two of one number" : NULL;
    case BATCH_DELETE:
    case BATCH_RECEIPT:
        return NULL;
    }
    return "an unknown entry";
}

static enum err check_entries(struct verify *v, const struct journal_record *record)
{
    struct batch_reader reader;
    struct batch_entry entry;
    enum err e;
    batch_reader_init(&reader, record->entries);
    while ((e = batch_reader_next(&reader, &entry)) == OK) {
        const char *wrong = judge_entry(v, &entry, &e);
        if (e == E_NO_MEMORY) {
            return e;
        }
        if (wrong != NULL) {
            verify_fault(v, wrong, "position %llu", (unsigned long long)record->position);
        }
    }
    if (e != E_END) {
        verify_fault(v, "a record does not decode", "position %llu",
                     (unsigned long long)record->position);
    }
    return OK;
}

static uint64_t position_of(struct bytes key)
{
    uint64_t position = 0;
    for (size_t i = 0; i < key.size && i < POSITION_BYTES; i++) {
        position = position << 8 | key.at[i];
    }
    return position;
}

static enum err on_record(struct verify *v, struct bytes key, struct bytes value)
{
    struct journal_record record;
    const uint64_t position = position_of(key);
    if (key.size != POSITION_BYTES || position == 0) {
        verify_fault(v, "a key that is no position", "table records");
        return OK;
    }
    /* The first may stand before what was trimmed last only if that was not finished: never. */
    if (position != v->last_position + 1) {
        verify_fault(v, "records are missing before this one", "position %llu",
                     (unsigned long long)position);
    }
    v->last_position = position;
    v->totals->records++;
    enum err e = record_open(position, value, &record);
    if (e == OK) {
        return check_entries(v, &record);
    }
    v->newer |= e == E_VERSION;
    verify_fault(
        v, e == E_VERSION ? "a version this build does not know" : "a record fails its checksum",
        "position %llu", (unsigned long long)position);
    return OK;
}

static enum err on_state(struct verify *v, struct bytes key, struct bytes value)
{
    struct journal_state_value state;
    if (journal_state_read(key, value, &state) != OK) {
        verify_fault(v, "a piece of state fails its checksum", "table state");
    } else {
        v->totals->states++;
        if (batch_space_is_owned(state.put.space)) {
            return verify_session_piece(v, &state.put);
        }
    }
    return OK;
}

static enum err look_into_journal(struct verify *v, struct kv *kv)
{
    static const char *const names[] = {"meta", "records", "state", "graves", NULL};
    TRY(verify_names(v, kv, names));
    TRY(verify_table(v, kv, "meta", on_journal_meta));
    TRY(verify_table(v, kv, "records", on_record));
    return verify_table(v, kv, "state", on_state);
}

enum err verify_journal(struct verify *v)
{
    struct kv *kv;
    enum err e = verify_file(v, "journal.mdb");
    if (e == E_NOT_FOUND) {
        verify_fault(v, "the file is missing", "whole file");
    }
    if (e != OK) {
        return e == E_END || e == E_NOT_FOUND ? OK : e;
    }
    TRY(verify_open(v, &kv));
    e = look_into_journal(v, kv);
    verify_sessions_fini(v);
    kv_close(kv);
    verify_delete_positions(v);
    return e;
}
