/* The catalogue at rest: table "names" of catalog.mdb, packs of series in the order in which they
 * were defined. The last pack grows until it is full; those before it are never written again.
 * docs/FORMAT.md, "Catalogue".
 *
 * A damaged pack costs its own series their names. Its groups may have points, so no new series
 * gets one of their places: the file says how far ids were given out, and groups that were there
 * before get no further columns. */

#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/log.h"
#include "storage/catalogue/catalogue_inside.h"
#include "storage/catalogue/name_pack.h"
#include "storage/kv.h"

enum { KEY_BYTES = 4, GROUPS_BYTES = 16, PACKS_PER_COMMIT = 1024 };

void catalogue_note_damage(struct catalogue *c, const char *what)
{
    c->damaged++;
    log_line(LOG_ERROR, "storage", "%s", what);
}

/* Saving. */

static struct name_entry entry_at(const struct catalogue *c, uint32_t index)
{
    const struct series_ref ref = catalogue_series(c, index);
    const struct group *g = catalogue_group(c, ref.group);
    const struct series_name *name = group_name(g, ref.column);
    return (struct name_entry){ref, g->topic, {name->at, name->size}};
}

/* Fill a pack with series from `from` on; `*next` is the first that it has not. */
static enum err fill_pack(const struct catalogue *c, uint32_t from, uint32_t count,
                          struct name_pack_writer *p, uint32_t *next)
{
    enum err e = OK;
    name_pack_restart(p);
    for (*next = from; *next < count; ++*next) {
        const struct name_entry entry = entry_at(c, *next);
        e = name_pack_add(p, &entry);
        if (e != OK) {
            break;
        }
    }
    return e == E_LIMIT ? OK : e;
}

static enum err put_pack(struct kv_txn *txn, struct kv_table table, uint32_t number,
                         struct name_pack_writer *p)
{
    uint8_t raw[KEY_BYTES];
    struct writer w = {raw, 0, sizeof raw};
    TRY(writer_put_u32(&w, number));
    const struct bytes key = {raw, w.size};
    TRY(pack_seal(key, &p->out));
    return kv_put(txn, table, key, (struct bytes){p->out.at, p->out.size}, KV_UPSERT);
}

/* How far group ids were given out, in the transaction that names the groups. */
static enum err put_groups(const struct catalogue *c, struct kv_txn *txn, struct kv_table meta)
{
    uint8_t raw[GROUPS_BYTES];
    struct writer w = {raw, 0, sizeof raw};
    TRY(writer_put_le32(&w, catalogue_group_count(c)));
    TRY(writer_put_le32(&w, c->closed_groups));
    TRY(writer_put_le64(&w, hash_bytes((struct bytes){raw, w.size})));
    return kv_put(txn, meta, bytes_of("groups"), (struct bytes){raw, w.size}, KV_UPSERT);
}

/* Packs of one transaction. `at` goes on to the first series that is in none, and its pack. */
static enum err put_packs(struct catalogue *c, struct kv_txn *txn, struct kv_table table,
                          struct name_pack_writer *p, struct names_kept *at)
{
    const uint32_t count = catalogue_series_count(c);
    for (unsigned i = 0; i < PACKS_PER_COMMIT && at->series < count; i++) {
        uint32_t next;
        TRY(fill_pack(c, at->open_from, count, p, &next));
        TRY(put_pack(txn, table, at->open_pack, p));
        at->series = next;
        if (next < count) { /* Full. */
            at->open_pack++;
            at->open_from = next;
        }
    }
    return OK;
}

static enum err save_run(struct catalogue *c, struct kv *kv, struct kv_table names,
                         struct kv_table meta)
{
    struct name_pack_writer p = {.count = 0};
    struct names_kept at = c->kept;
    struct kv_txn *txn;
    TRY(kv_write_begin(kv, &txn));
    enum err e = put_packs(c, txn, names, &p, &at);
    e = e == OK ? put_groups(c, txn, meta) : e;
    name_pack_fini(&p);
    if (e != OK) {
        kv_abort(txn);
        return e;
    }
    TRY(kv_commit(txn));
    c->kept = at;
    return OK;
}

static enum err save_names(struct catalogue *c, struct kv *kv)
{
    struct kv_table names, meta;
    TRY(kv_table_share(kv, "names", &names));
    TRY(kv_table_open(kv, "meta", &meta));
    while (c->kept.series < catalogue_series_count(c)) {
        TRY(save_run(c, kv, names, meta));
    }
    return OK;
}

enum err catalogue_save(struct catalogue *c, struct kv *kv)
{
    TRY(save_names(c, kv));
    return tag_store_save(c, kv);
}

void catalogue_forget_file(struct catalogue *c)
{
    c->kept = (struct names_kept){0, 0, 0};
    pack_table_forget(&c->tags.table);
    c->tags.all_dirty = true;
}

/* Loading. */

struct loading {
    struct catalogue *catalogue;
    struct name_pack_reader reader;
    uint32_t expected; /* Number of the next pack. */
    uint32_t damaged;  /* Packs. */
    bool is_last_sound;
};

/* Series of one pack, up to what is damaged. Whether all were sound. */
static enum err define_all(struct loading *l, struct bytes body, bool *is_sound)
{
    struct name_entry entry;
    enum err e;
    *is_sound = true;
    name_pack_open(&l->reader, body);
    while ((e = name_pack_next(&l->reader, &entry)) == OK) {
        e = catalogue_define(l->catalogue, entry.ref, entry.topic, entry.name);
        *is_sound = *is_sound && e == OK;
        if (e != OK && e != E_CORRUPT) {
            break;
        }
    }
    *is_sound = *is_sound && e == E_END;
    name_pack_close(&l->reader);
    return e == E_END || e == E_CORRUPT ? OK : e;
}

/* Numbers ascend; one that cannot be is damaged. */
static enum err take_number(struct bytes key, uint32_t least, uint32_t *number)
{
    uint32_t n;
    if (bytes_take_u32(&key, &n) != OK || key.size != 0 || n < least || n >= INT32_MAX) {
        return E_CORRUPT;
    }
    *number = n;
    return OK;
}

static enum err load_pack(void *context, struct bytes key, struct bytes value)
{
    struct loading *l = context;
    struct names_kept *kept = &l->catalogue->kept;
    uint32_t number = l->expected;
    struct bytes body;
    kept->open_from = catalogue_series_count(l->catalogue);
    l->is_last_sound = false;
    if (take_number(key, l->expected, &number) == OK && pack_open(key, value, &body) == OK) {
        TRY(define_all(l, body, &l->is_last_sound));
    }
    if (!l->is_last_sound || number != l->expected) {
        l->damaged++;
        catalogue_note_damage(l->catalogue, "names of the catalogue are damaged, left out");
    }
    kept->open_pack = number;
    l->expected = number + 1;
    return OK;
}

/* The groups there were, and those of them that are closed; E_NOT_FOUND: the file does not say. */
static enum err get_groups(struct kv *kv, uint32_t *groups, uint32_t *closed)
{
    struct kv_table meta;
    struct kv_txn *txn;
    struct bytes raw;
    uint64_t checksum;
    TRY(kv_table_open(kv, "meta", &meta));
    TRY(kv_read_begin(kv, &txn));
    enum err e = kv_get(txn, meta, bytes_of("groups"), &raw);
    if (e == OK) {
        const struct bytes covered = {raw.at, GROUPS_BYTES - PACK_SUM_BYTES};
        if (raw.size != GROUPS_BYTES || bytes_take_le32(&raw, groups) != OK ||
            bytes_take_le32(&raw, closed) != OK || bytes_take_le64(&raw, &checksum) != OK ||
            checksum != hash_bytes(covered)) {
            e = E_NOT_FOUND;
        }
    }
    kv_abort(txn);
    return e;
}

/* Places of series that were lost stay theirs. */
static enum err keep_places(struct loading *l, struct kv *kv)
{
    struct catalogue *c = l->catalogue;
    uint32_t groups, closed = 0;
    enum err e = get_groups(kv, &groups, &closed);
    if (e == E_NOT_FOUND) {
        /* No pack has more groups than bytes. */
        groups = catalogue_group_count(c) + l->damaged * PACK_BODY_BYTES_MAX;
        e = OK;
    }
    if (e == OK) {
        catalogue_close_groups(c, groups, l->damaged > 0 ? groups : closed);
    }
    return e;
}

enum err catalogue_load(struct catalogue *c, struct kv *kv)
{
    struct loading *l = calloc(1, sizeof *l);
    if (l == NULL) {
        return E_NO_MEMORY;
    }
    l->catalogue = c;
    l->is_last_sound = true;
    enum err e = kv_each(kv, "names", load_pack, l);
    e = e == OK ? keep_places(l, kv) : e;
    e = e == OK ? tag_store_load(c, kv) : e;
    c->kept.series = catalogue_series_count(c);
    if (!l->is_last_sound) { /* What is left of it stays as it is. */
        c->kept.open_pack = l->expected;
        c->kept.open_from = c->kept.series;
    }
    free(l);
    return e;
}
