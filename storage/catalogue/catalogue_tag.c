#include "storage/catalogue/catalogue_tag.h"

#include <string.h>

#include "base/check.h"
#include "base/hash.h"
#include "storage/catalogue/catalogue_inside.h"

struct tag_text {
    uint32_t size;
    uint8_t at[];
};

/* Ids of texts. */
struct tag_pair {
    uint32_t key, value;
};

struct tag_set {
    uint32_t count;
    struct tag_pair pairs[]; /* By ascending keys, bytewise. */
};

/* Set id of each column; 0: none. Replaced by a bigger copy when columns come. */
struct tag_columns {
    uint32_t room;
    _Atomic uint32_t at[];
};

struct tag_group {
    _Atomic(struct tag_columns *) columns;
    atomic_bool dirty; /* Not in the file as it is. */
};

const char *catalogue_tag_fault(struct bytes key, struct bytes value)
{
    if (key.size == 0) {
        return "a tag needs a name before the `=`";
    }
    if (key.size > TAG_KEY_BYTES_MAX) {
        return "the name of a tag has at most 64 bytes";
    }
    if (value.size > TAG_VALUE_BYTES_MAX) {
        return "the value of a tag has at most 256 bytes";
    }
    if (key.at[0] == '$' || memchr(key.at, '=', key.size) != NULL) {
        return "the name of a tag neither starts with `$` nor holds `=`";
    }
    return topic_is_utf8(key) && topic_is_utf8(value) ? NULL : "a tag is UTF-8 text";
}

void tag_store_init(struct tag_store *t)
{
    t->table.name = "tags";
}

void tag_store_fini(struct tag_store *t)
{
    pack_table_forget(&t->table);
    id_set_fini(&t->by_text);
    id_set_fini(&t->by_set);
    segments_fini(&t->texts);
    segments_fini(&t->sets);
    segments_fini(&t->groups);
    arena_fini(&t->arena);
}

uint64_t catalogue_tag_bytes(const struct catalogue *c)
{
    return atomic_load_explicit(&c->tags.bytes, memory_order_relaxed);
}

/* Slots of texts and sets; ids are from 1. */
static const void *find_kept(const struct segments *s, uint32_t id)
{
    _Atomic(const void *) *slot = segments_find(s, sizeof *slot, id);
    return slot == NULL ? NULL : atomic_load_explicit(slot, memory_order_acquire);
}

static struct bytes text_at(const struct tag_store *t, uint32_t id)
{
    const struct tag_text *text = find_kept(&t->texts, id);
    CHECK(text != NULL);
    return (struct bytes){text->at, text->size};
}

static uint32_t set_id_of(const struct tag_store *t, struct series_ref ref)
{
    const struct tag_group *g = segments_find(&t->groups, sizeof *g, ref.group);
    const struct tag_columns *columns =
        g == NULL ? NULL : atomic_load_explicit(&g->columns, memory_order_acquire);
    return columns == NULL || ref.column >= columns->room
               ? 0
               : atomic_load_explicit(&columns->at[ref.column], memory_order_acquire);
}

const struct tag_set *catalogue_tags(const struct catalogue *c, struct series_ref ref)
{
    const uint32_t id = set_id_of(&c->tags, ref);
    return id == 0 ? NULL : find_kept(&c->tags.sets, id);
}

atomic_bool *tag_store_dirty(const struct tag_store *t, uint32_t group)
{
    struct tag_group *g = segments_find(&t->groups, sizeof *g, group);
    return g == NULL || atomic_load_explicit(&g->columns, memory_order_acquire) == NULL ? NULL
                                                                                        : &g->dirty;
}

unsigned tag_store_columns(const struct tag_store *t, uint32_t group)
{
    const struct tag_group *g = segments_find(&t->groups, sizeof *g, group);
    const struct tag_columns *columns =
        g == NULL ? NULL : atomic_load_explicit(&g->columns, memory_order_acquire);
    return columns == NULL ? 0 : columns->room;
}

unsigned tag_set_count(const struct tag_set *set)
{
    return set->count;
}

struct tag tag_set_at(const struct catalogue *c, const struct tag_set *set, unsigned index)
{
    CHECK(index < set->count);
    const struct tag_pair *p = &set->pairs[index];
    return (struct tag){text_at(&c->tags, p->key), text_at(&c->tags, p->value)};
}

enum err catalogue_tag_find(const struct catalogue *c, struct series_ref ref, struct bytes key,
                            struct bytes *value)
{
    const struct tag_set *set = catalogue_tags(c, ref);
    for (uint32_t i = 0; set != NULL && i < set->count; i++) {
        if (bytes_equal(text_at(&c->tags, set->pairs[i].key), key)) {
            *value = text_at(&c->tags, set->pairs[i].value);
            return OK;
        }
    }
    return E_NOT_FOUND;
}

/* Changing, under the catalogue's lock. */

struct wanted {
    const struct tag_store *tags;
    struct bytes bytes;
};

static bool is_text(void *context, uint32_t id)
{
    const struct wanted *w = context;
    return bytes_equal(text_at(w->tags, id), w->bytes);
}

static bool is_set(void *context, uint32_t id)
{
    const struct wanted *w = context;
    const struct tag_set *set = find_kept(&w->tags->sets, id);
    CHECK(set != NULL);
    const struct bytes pairs = {(const uint8_t *)set->pairs, set->count * sizeof set->pairs[0]};
    return bytes_equal(pairs, w->bytes);
}

/* Memory for `bytes` more, in the order in which they are published. */
static enum err take(struct tag_store *t, size_t bytes, void **out)
{
    void *at = t->arena.bytes >= TAG_MEMORY_BYTES_MAX ? NULL : arena_take(&t->arena, bytes);
    if (at == NULL) {
        return t->arena.bytes >= TAG_MEMORY_BYTES_MAX ? E_LIMIT : E_NO_MEMORY;
    }
    atomic_store_explicit(&t->bytes, t->arena.bytes, memory_order_relaxed);
    *out = at;
    return OK;
}

/* Make `kept` the item of a new id, for readers and for those who look for it. */
static enum err publish(struct segments *s, struct id_set *by_hash, uint64_t hash, uint32_t id,
                        const void *kept)
{
    void *slot;
    TRY(segments_reserve(s, sizeof(_Atomic(const void *)), id, &slot));
    atomic_store_explicit((_Atomic(const void *) *)slot, kept, memory_order_release);
    return id_set_add(by_hash, hash, id);
}

static enum err intern_text(struct tag_store *t, struct bytes text, uint32_t *id)
{
    struct wanted wanted = {t, text};
    const uint64_t hash = hash_bytes(text);
    void *at;
    if (id_set_find(&t->by_text, hash, is_text, &wanted, id)) {
        return OK;
    }
    struct tag_text *fresh;
    TRY(take(t, sizeof *fresh + text.size, &at));
    fresh = at;
    fresh->size = (uint32_t)text.size;
    memcpy(fresh->at, text.at, text.size);
    TRY(publish(&t->texts, &t->by_text, hash, t->text_count + 1, fresh));
    *id = ++t->text_count;
    return OK;
}

static enum err intern_set(struct tag_store *t, const struct tag_pair *pairs, uint32_t count,
                           uint32_t *id)
{
    const struct bytes bytes = {(const uint8_t *)pairs, count * sizeof *pairs};
    struct wanted wanted = {t, bytes};
    const uint64_t hash = hash_bytes(bytes);
    void *at;
    if (count == 0) {
        *id = 0;
        return OK;
    }
    if (id_set_find(&t->by_set, hash, is_set, &wanted, id)) {
        return OK;
    }
    struct tag_set *fresh;
    TRY(take(t, sizeof *fresh + bytes.size, &at));
    fresh = at;
    fresh->count = count;
    memcpy(fresh->pairs, pairs, bytes.size);
    TRY(publish(&t->sets, &t->by_set, hash, t->set_count + 1, fresh));
    *id = ++t->set_count;
    return OK;
}

static int compare(struct bytes a, struct bytes b)
{
    int order = memcmp(a.at, b.at, a.size < b.size ? a.size : b.size);
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

/* The pairs of `set`, with `tag` as it shall be. */
static enum err change(struct tag_store *t, const struct tag_set *set, const struct tag *tag,
                       struct tag_pair to[TAG_SET_MAX + 1], uint32_t *count)
{
    const uint32_t old = set == NULL ? 0 : set->count;
    uint32_t at = 0;
    while (at < old && compare(text_at(t, set->pairs[at].key), tag->key) < 0) {
        to[at] = set->pairs[at];
        at++;
    }
    uint32_t from = at;
    if (at < old && bytes_equal(text_at(t, set->pairs[at].key), tag->key)) {
        from++;
    }
    if (tag->value.size > 0) {
        TRY(intern_text(t, tag->key, &to[at].key));
        TRY(intern_text(t, tag->value, &to[at].value));
        at++;
    }
    for (; from < old; from++) {
        to[at++] = set->pairs[from];
    }
    *count = at;
    return at <= TAG_SET_MAX ? OK : E_LIMIT;
}

static enum err reserve_columns(struct tag_store *t, struct tag_group *g, uint8_t column,
                                struct tag_columns **out)
{
    struct tag_columns *old = atomic_load_explicit(&g->columns, memory_order_relaxed);
    void *at;
    if (old != NULL && column < old->room) {
        *out = old;
        return OK;
    }
    uint32_t room = old == NULL ? 1 : old->room;
    while (room <= column) {
        room *= 2;
    }
    struct tag_columns *bigger;
    TRY(take(t, sizeof *bigger + room * sizeof bigger->at[0], &at));
    bigger = at;
    bigger->room = room;
    for (uint32_t i = 0; i < room; i++) {
        const bool is_old = old != NULL && i < old->room;
        atomic_init(&bigger->at[i],
                    is_old ? atomic_load_explicit(&old->at[i], memory_order_relaxed) : 0);
    }
    atomic_store_explicit(&g->columns, bigger, memory_order_release);
    *out = bigger;
    return OK;
}

enum err tag_store_give(struct tag_store *t, struct series_ref ref, uint32_t id, bool is_kept)
{
    struct tag_columns *columns;
    void *slot;
    TRY(segments_reserve(&t->groups, sizeof(struct tag_group), ref.group, &slot));
    struct tag_group *g = slot;
    TRY(reserve_columns(t, g, ref.column, &columns));
    atomic_store_explicit(&columns->at[ref.column], id, memory_order_release);
    if (!is_kept) {
        atomic_store_explicit(&g->dirty, true, memory_order_release); /* After the change. */
    }
    if (ref.group >= atomic_load_explicit(&t->group_end, memory_order_relaxed)) {
        atomic_store_explicit(&t->group_end, ref.group + 1, memory_order_release);
    }
    return OK;
}

enum err tag_store_intern(struct tag_store *t, const struct tag *tags, unsigned count, uint32_t *id)
{
    struct tag_pair pairs[TAG_SET_MAX];
    CHECK(count <= TAG_SET_MAX);
    for (unsigned i = 0; i < count; i++) {
        TRY(intern_text(t, tags[i].key, &pairs[i].key));
        TRY(intern_text(t, tags[i].value, &pairs[i].value));
    }
    return intern_set(t, pairs, count, id);
}

static enum err put(struct catalogue *c, struct series_ref ref, const struct tag *tag)
{
    struct tag_store *t = &c->tags;
    struct tag_pair pairs[TAG_SET_MAX + 1];
    uint32_t count, id;
    TRY(change(t, catalogue_tags(c, ref), tag, pairs, &count));
    TRY(intern_set(t, pairs, count, &id));
    return id == set_id_of(t, ref) ? OK : tag_store_give(t, ref, id, false);
}

enum err catalogue_tag_put(struct catalogue *c, struct series_ref ref, const struct tag *tag)
{
    const struct group *g = catalogue_group(c, ref.group);
    CHECK(g != NULL && ref.column < atomic_load(&g->columns));
    lock_take(&c->lock);
    enum err e = put(c, ref, tag);
    lock_drop(&c->lock);
    return e;
}
