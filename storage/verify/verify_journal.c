/* catalog.mdb and journal.mdb. */

#include "storage/journal/batch.h"
#include "storage/journal/journal_state.h"
#include "storage/journal/record.h"
#include "storage/verify/verify_inside.h"

enum {
    META_BYTES = 24,
    CATALOGUE_VERSION = 1,
    JOURNAL_VERSION = 2,
    POSITION_BYTES = 8,
    LAST_BYTES = 17 /* Column, time, value. */
};

static enum err on_series(struct verify *v, struct bytes key, struct bytes value)
{
    if (!verify_is_sealed(key, value)) {
        verify_fault(v, "a series fails its checksum", "table series");
    }
    return OK;
}

static enum err on_texts(struct verify *v, struct bytes key, struct bytes value)
{
    if (!verify_is_sealed(key, value)) {
        verify_fault(v, "texts fail their checksum", "table texts");
    }
    return OK;
}

static bool have_texts(const struct verify *v, struct bytes last)
{
    for (size_t at = 0; at + LAST_BYTES <= last.size; at += LAST_BYTES) {
        double value;
        memcpy(&value, last.at + at + LAST_BYTES - sizeof value, sizeof value);
        if (!verify_has_text(v, value)) {
            return false;
        }
    }
    return true;
}

/* Sealed, and of a series that is there. */
static enum err on_last(struct verify *v, struct bytes key, struct bytes value)
{
    uint32_t group;
    if (!verify_is_sealed(key, value)) {
        verify_fault(v, "last values fail their checksum", "table last");
    } else if (bytes_take_u32(&key, &group) != OK || key.size != 0 ||
               catalogue_group(v->catalogue, group) == NULL) {
        verify_fault(v, "last values of a group without a name", "table last");
    } else if (!have_texts(v, value)) {
        verify_fault(v, "a last value of a text that is not there", "table last");
    } else {
        v->totals->last_values++;
    }
    return OK;
}

/* Version, nothing, a number, checksum: the shape both files say in what they are. */
static bool read_meta(struct verify *v, struct bytes value, uint32_t newest, uint64_t *number)
{
    struct bytes in = value;
    uint32_t version, spare;
    if (value.size != META_BYTES || !verify_is_summed(value) ||
        bytes_take_le32(&in, &version) != OK || bytes_take_le32(&in, &spare) != OK ||
        bytes_take_le64(&in, number) != OK) {
        verify_fault(v, "what the file says of itself fails its checksum", "table meta");
        return false;
    }
    if (version == 0 || version > newest) {
        v->newer = true;
        verify_fault(v, "a version this build does not know", "table meta");
        return false;
    }
    return true;
}

static enum err on_store_meta(struct verify *v, struct bytes key, struct bytes value)
{
    uint64_t partition_s;
    if (!bytes_equal(key, bytes_of("store"))) {
        verify_fault(v, "an unknown entry", "table meta");
    } else if (read_meta(v, value, CATALOGUE_VERSION, &partition_s)) {
        v->partition_s = partition_s <= INT32_MAX ? (int64_t)partition_s : 0;
    }
    return OK;
}

/* A store of before there were texts has no such table. */
static enum err look_into_texts(struct verify *v, struct kv *kv)
{
    struct kv_table table;
    enum err e = kv_table_open(kv, "texts", &table);
    if (e != OK) {
        return e == E_NOT_FOUND ? OK : e;
    }
    const uint64_t before = v->totals->faults;
    TRY(verify_table(v, kv, "texts", on_texts));
    TRY(texts_load(v->texts, kv));
    const uint64_t packs = ((uint64_t)texts_end(v->texts) + TEXTS_PACK - 1) / TEXTS_PACK;
    if (before == v->totals->faults && packs != v->pairs) {
        verify_fault(v, "texts are missing or do not decode", "table texts");
    }
    return OK;
}

static enum err look_into_catalogue(struct verify *v, struct kv *kv)
{
    TRY(verify_table(v, kv, "meta", on_store_meta));
    if (v->partition_s == 0) {
        verify_fault(v, "the length of a partition is missing", "table meta");
    }
    uint64_t before = v->totals->faults;
    TRY(verify_table(v, kv, "series", on_series));
    enum err e = catalogue_load(v->catalogue, kv);
    if (e != OK && e != E_NOT_FOUND) {
        return e;
    }
    if (before == v->totals->faults && catalogue_series_count(v->catalogue) != v->pairs) {
        verify_fault(v, "two series claim one place, or one path", "table series");
    }
    TRY(look_into_texts(v, kv));
    return verify_table(v, kv, "last", on_last);
}

enum err verify_catalogue(struct verify *v)
{
    struct kv *kv;
    enum err e = verify_file(v, "catalog.mdb");
    if (e != OK) {
        return e == E_END ? OK : e;
    }
    TRY(verify_open(v, &kv));
    e = look_into_catalogue(v, kv);
    kv_close(kv);
    return e;
}

static enum err on_journal_meta(struct verify *v, struct bytes key, struct bytes value)
{
    uint64_t trimmed;
    if (!bytes_equal(key, bytes_of("journal"))) {
        verify_fault(v, "an unknown entry", "table meta");
    } else if (read_meta(v, value, JOURNAL_VERSION, &trimmed)) {
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
    case BATCH_TEXT:
        *e = texts_define(v->texts, entry->text.id, entry->text.at);
        return *e == E_CORRUPT ? "a text that is none, or two of one number" : NULL;
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
    }
    return OK;
}

static enum err look_into_journal(struct verify *v, struct kv *kv)
{
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
    kv_close(kv);
    return e;
}
