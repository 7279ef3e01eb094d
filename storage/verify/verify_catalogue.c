/* catalog.mdb, of all versions. */

#include <stdlib.h>

#include "storage/catalogue/name_pack.h"
#include "storage/catalogue/tag_pack.h"
#include "storage/memory/last_pack.h"
#include "storage/verify/verify_inside.h"

enum { VERSION_OLD = 1, VERSION = 3, GROUPS_BYTES = 16, OLD_LAST_BYTES = 17 };

static enum err on_meta(struct verify *v, struct bytes key, struct bytes value)
{
    const struct verify_versions known = {VERSION_OLD, VERSION};
    uint64_t partition_s;
    uint32_t version;
    if (bytes_equal(key, bytes_of("groups"))) {
        if (value.size != GROUPS_BYTES || !verify_is_summed(value)) {
            verify_fault(v, "the number of groups fails its checksum", "table meta");
        }
    } else if (!bytes_equal(key, bytes_of("store"))) {
        verify_fault(v, "an unknown entry", "table meta");
    } else if (verify_meta(v, value, known, &version, &partition_s)) {
        v->partition_s = partition_s <= INT32_MAX ? (int64_t)partition_s : 0;
        v->catalogue_is_old = version == VERSION_OLD;
    }
    return OK;
}

static bool has_place(const struct verify *v, struct series_ref ref)
{
    const struct group *g = catalogue_group(v->catalogue, ref.group);
    return g != NULL && ref.column < atomic_load(&g->columns);
}

/* How a pack is called: by the number in its key. */
static unsigned number_of_pack(struct bytes key)
{
    uint32_t number = 0;
    (void)!bytes_take_u32(&key, &number);
    return number;
}

/* What is said twice is found by counting, once all are loaded. */
static enum err on_names(struct verify *v, struct bytes key, struct bytes value)
{
    struct name_entry entry;
    struct bytes body;
    uint64_t count = 0;
    if (pack_open(key, value, &body) != OK) {
        verify_fault(v, "names of series fail their checksum", "pack %u", number_of_pack(key));
        return OK;
    }
    struct name_pack_reader *r = malloc(sizeof *r);
    if (r == NULL) {
        return E_NO_MEMORY;
    }
    name_pack_open(r, body);
    enum err e;
    while ((e = name_pack_next(r, &entry)) == OK) {
        count++;
    }
    name_pack_close(r);
    free(r);
    if (e == E_CORRUPT) {
        verify_fault(v, "names of series do not decode", "pack %u", number_of_pack(key));
    }
    v->names += count;
    return e == E_NO_MEMORY ? e : OK;
}

static enum err on_texts(struct verify *v, struct bytes key, struct bytes value)
{
    if (!verify_is_sealed(key, value)) {
        verify_fault(v, "texts fail their checksum", "table texts");
    }
    return OK;
}

/* A store of before there were texts has no such table. */
static bool has_table(struct kv *kv, const char *name)
{
    struct kv_table table;
    return kv_table_find(kv, name, &table) == OK;
}

static enum err look_into_texts(struct verify *v, struct kv *kv)
{
    const uint64_t before = v->totals->faults;
    if (!has_table(kv, "texts")) {
        return OK;
    }
    TRY(verify_table(v, kv, "texts", on_texts));
    TRY(texts_load(v->texts, kv));
    const uint64_t packs = ((uint64_t)texts_end(v->texts) + TEXTS_PACK - 1) / TEXTS_PACK;
    if (before == v->totals->faults && packs != v->pairs) {
        verify_fault(v, "texts are missing or do not decode", "table texts");
    }
    return OK;
}

static bool has_text(const struct verify *v, const struct last_entry *entry)
{
    double value;
    memcpy(&value, &entry->bits, sizeof value);
    return verify_has_text(v, value);
}

static enum err on_newest(struct verify *v, struct bytes key, struct bytes value)
{
    struct last_pack_state state = {.has_entries = false};
    struct last_entry entry;
    struct bytes body;
    bool is_named = true, has_texts = true;
    uint64_t group = UINT64_MAX;
    if (pack_open(key, value, &body) != OK) {
        verify_fault(v, "newest values fail their checksum", "from group %u", number_of_pack(key));
        return OK;
    }
    enum err e;
    while ((e = last_pack_take(&state, &body, &entry)) == OK) {
        is_named = is_named && has_place(v, entry.ref);
        has_texts = has_texts && has_text(v, &entry);
        v->totals->last_values += entry.ref.group != group;
        group = entry.ref.group;
    }
    if (e != E_END) {
        verify_fault(v, "newest values do not decode", "from group %u", number_of_pack(key));
    } else if (!is_named) {
        verify_fault(v, "newest values of series without a name", "from group %u",
                     number_of_pack(key));
    } else if (!has_texts) {
        verify_fault(v, "a newest value of a text that is not there", "from group %u",
                     number_of_pack(key));
    }
    return OK;
}

/* What is wrong with a pack of tags, or NULL. */
static const char *judge_tags(const struct verify *v, struct tag_pack_reader *r, struct bytes body)
{
    struct tag_pack_entry entry;
    bool is_named = true;
    enum err e;
    tag_pack_open(r, body);
    while ((e = tag_pack_next(r, &entry)) == OK) {
        is_named = is_named && has_place(v, entry.ref);
        v->totals->tagged++;
    }
    tag_pack_close(r);
    return e != E_END ? "tags do not decode" : is_named ? NULL : "tags of series without a name";
}

static enum err on_tags(struct verify *v, struct bytes key, struct bytes value)
{
    const char *wrong = "tags fail their checksum";
    struct bytes body;
    if (pack_open(key, value, &body) == OK) {
        struct tag_pack_reader *r = malloc(sizeof *r);
        if (r == NULL) {
            return E_NO_MEMORY;
        }
        wrong = judge_tags(v, r, body);
        free(r);
    }
    if (wrong != NULL) {
        verify_fault(v, wrong, "from group %u", number_of_pack(key));
    }
    return OK;
}

static enum err on_old_series(struct verify *v, struct bytes key, struct bytes value)
{
    if (!verify_is_sealed(key, value)) {
        verify_fault(v, "a series fails its checksum", "table series");
    }
    v->names++;
    return OK;
}

static bool have_texts(const struct verify *v, struct bytes last)
{
    for (size_t at = 0; at + OLD_LAST_BYTES <= last.size; at += OLD_LAST_BYTES) {
        double value;
        memcpy(&value, last.at + at + OLD_LAST_BYTES - sizeof value, sizeof value);
        if (!verify_has_text(v, value)) {
            return false;
        }
    }
    return true;
}

static enum err on_old_last(struct verify *v, struct bytes key, struct bytes value)
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

/* Names first: who uses them comes after. */
static enum err load_names(struct verify *v, struct kv *kv)
{
    const uint64_t before = v->totals->faults;
    const bool is_old = v->catalogue_is_old;
    TRY(verify_table(v, kv, is_old ? "series" : "names", is_old ? on_old_series : on_names));
    enum err e = is_old ? catalogue_load_v1(v->catalogue, kv) : catalogue_load(v->catalogue, kv);
    if (e != OK && e != E_NOT_FOUND) {
        return e;
    }
    if (before == v->totals->faults && catalogue_series_count(v->catalogue) != v->names) {
        verify_fault(v, "two series claim one place, or one path",
                     is_old ? "table series" : "table names");
    }
    return OK;
}

static enum err look_into(struct verify *v, struct kv *kv)
{
    static const char *const names[] = {"meta",    "names",  "newest", "tags", "texts",
                                        "deletes", "series", "last",   NULL};
    TRY(verify_names(v, kv, names));
    TRY(verify_table(v, kv, "meta", on_meta));
    if (v->partition_s == 0) {
        verify_fault(v, "the length of a partition is missing", "table meta");
    }
    TRY(load_names(v, kv));
    TRY(look_into_texts(v, kv));
    if (has_table(kv, "tags")) {
        TRY(verify_table(v, kv, "tags", on_tags));
    }
    TRY(verify_deletes(v, kv));
    return verify_table(v, kv, v->catalogue_is_old ? "last" : "newest",
                        v->catalogue_is_old ? on_old_last : on_newest);
}

enum err verify_catalogue(struct verify *v)
{
    struct kv *kv;
    enum err e = verify_file(v, "catalog.mdb");
    if (e != OK) {
        return e == E_END ? OK : e;
    }
    TRY(verify_open(v, &kv));
    e = look_into(v, kv);
    kv_close(kv);
    return e;
}
