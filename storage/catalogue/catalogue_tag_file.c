/* Tags at rest: table "tags" of catalog.mdb, in packs by group. docs/FORMAT.md, "Catalogue". */

#include <stdlib.h>

#include "storage/catalogue/catalogue_inside.h"
#include "storage/catalogue/tag_pack.h"
#include "storage/kv.h"

/* The pack being made. */
struct making {
    struct catalogue *catalogue;
    struct tag_pack_writer pack;
};

static bool is_dirty(void *context, uint32_t group)
{
    const struct making *m = context;
    atomic_bool *dirty = tag_store_dirty(&m->catalogue->tags, group);
    return dirty != NULL &&
           (m->catalogue->tags.all_dirty || atomic_load_explicit(dirty, memory_order_relaxed));
}

static void restart(void *context)
{
    struct making *m = context;
    tag_pack_restart(&m->pack);
}

static enum err put_group(struct making *m, uint32_t group)
{
    const unsigned columns = tag_store_columns(&m->catalogue->tags, group);
    for (unsigned i = 0; i < columns; i++) {
        const struct series_ref ref = {group, (uint8_t)i};
        const struct tag_set *set = catalogue_tags(m->catalogue, ref);
        if (set != NULL) {
            TRY(tag_pack_put(&m->pack, m->catalogue, ref, set));
        }
    }
    return OK;
}

static enum err add_group(void *context, uint32_t group)
{
    struct making *m = context;
    struct tag_pack_writer *p = &m->pack;
    const size_t size = p->out.size;
    const uint32_t words = p->words.count, sets = p->sets.count;
    const struct series_ref before = p->before;
    atomic_bool *dirty = tag_store_dirty(&m->catalogue->tags, group);
    if (dirty == NULL) {
        return OK;
    }
    (void)atomic_exchange(dirty, false); /* Before the tags are read. */
    enum err e = put_group(m, group);
    if (e == OK && size > 0 && p->out.size > PACK_BODY_BYTES_MAX) {
        e = E_LIMIT;
    }
    if (e != OK) {
        p->out.size = size;
        p->words.count = words;
        p->sets.count = sets;
        p->before = before;
    }
    return e;
}

enum err tag_store_save(struct catalogue *c, struct kv *kv)
{
    struct making m = {.catalogue = c};
    const struct pack_source source = {
        .context = &m,
        .end = atomic_load_explicit(&c->tags.group_end, memory_order_acquire),
        .is_dirty = is_dirty,
        .add = add_group,
        .restart = restart,
        .out = &m.pack.out};
    enum err e = pack_table_save(&c->tags.table, kv, &source);
    tag_pack_fini(&m.pack);
    c->tags.all_dirty = e != OK;
    return e;
}

/* Loading. */

struct loading {
    struct catalogue *catalogue;
    struct tag_pack_reader reader;
    uint32_t *ids; /* In memory, of the sets of this pack. */
    uint32_t room;
};

static enum err keep_id(struct loading *l, uint32_t set, uint32_t id)
{
    if (set >= l->room) {
        const uint32_t room = set < 32 ? 64 : 2 * set;
        uint32_t *ids = realloc(l->ids, room * sizeof *ids);
        if (ids == NULL) {
            return E_NO_MEMORY;
        }
        l->ids = ids;
        l->room = room;
    }
    l->ids[set] = id;
    return OK;
}

/* E_CORRUPT: of no series that is known. */
static enum err load_entry(struct loading *l, const struct tag_pack_entry *entry)
{
    struct catalogue *c = l->catalogue;
    const struct group *g = catalogue_group(c, entry->ref.group);
    if (entry->is_new) {
        uint32_t id;
        TRY(tag_store_intern(&c->tags, entry->tags, entry->count, &id));
        TRY(keep_id(l, entry->set, id));
    }
    if (g == NULL || entry->ref.column >= atomic_load(&g->columns)) {
        return E_CORRUPT;
    }
    return tag_store_give(&c->tags, entry->ref, l->ids[entry->set], true);
}

static enum err load_entries(struct loading *l, struct bytes body)
{
    struct tag_pack_entry entry;
    bool is_strange = false;
    enum err e = OK;
    tag_pack_open(&l->reader, body);
    while (e == OK && (e = tag_pack_next(&l->reader, &entry)) == OK) {
        e = load_entry(l, &entry);
        is_strange = is_strange || e == E_CORRUPT;
        e = e == E_CORRUPT ? OK : e;
    }
    tag_pack_close(&l->reader);
    return e == E_END && is_strange ? E_CORRUPT : e;
}

static enum err load_pack(void *context, struct bytes key, struct bytes value)
{
    struct loading *l = context;
    struct bytes body;
    enum err e = pack_open(key, value, &body);
    e = e == OK ? load_entries(l, body) : e;
    if (e == E_CORRUPT) {
        catalogue_note_damage(l->catalogue, "tags of some series are damaged, left out");
    }
    return e == E_CORRUPT || e == E_END ? OK : e;
}

enum err tag_store_load(struct catalogue *c, struct kv *kv)
{
    struct loading *l = calloc(1, sizeof *l);
    if (l == NULL) {
        return E_NO_MEMORY;
    }
    l->catalogue = c;
    enum err e = kv_each(kv, c->tags.table.name, load_pack, l);
    free(l->ids);
    free(l);
    return e == E_NOT_FOUND ? OK : e; /* A file that is only read, and never had any. */
}
