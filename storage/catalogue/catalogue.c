#include "storage/catalogue/catalogue.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/hash.h"
#include "storage/catalogue/catalogue_inside.h"

/* A damaged journal may lose definitions, so ids may skip; further than this no sound one does. */
enum { GROUP_GAP_MAX = 1 << 20 };

static const struct series_name no_name = {0};

enum err catalogue_create(const struct catalogue_limits *limits, struct catalogue **out)
{
    struct catalogue *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return E_NO_MEMORY;
    }
    c->series_max = limits->series_max;
    lock_init(&c->lock);
    lock_init(&c->order_lock);
    tag_store_init(&c->tags);
    *out = c;
    return OK;
}

void catalogue_destroy(struct catalogue *c)
{
    if (c == NULL) {
        return;
    }
    id_set_fini(&c->by_path);
    id_set_fini(&c->by_topic);
    segments_fini(&c->series);
    segments_fini(&c->groups);
    arena_fini(&c->arena);
    tag_store_fini(&c->tags);
    lock_fini(&c->lock);
    lock_fini(&c->order_lock);
    free(c->order);
    free(c);
}

uint32_t catalogue_group_count(const struct catalogue *c)
{
    return atomic_load_explicit(&c->group_count, memory_order_acquire);
}

uint32_t catalogue_series_count(const struct catalogue *c)
{
    return atomic_load_explicit(&c->series_count, memory_order_acquire);
}

uint32_t catalogue_damaged(const struct catalogue *c)
{
    return c->damaged;
}

void catalogue_close_groups(struct catalogue *c, uint32_t groups, uint32_t closed)
{
    if (groups > catalogue_group_count(c)) {
        atomic_store_explicit(&c->group_count, groups, memory_order_release);
    }
    c->closed_groups = closed;
}

static struct group *find_group(const struct catalogue *c, uint32_t id)
{
    _Atomic(struct group *) *slot = segments_find(&c->groups, sizeof *slot, id);
    if (slot == NULL) {
        return NULL;
    }
    return atomic_load_explicit(slot, memory_order_acquire);
}

/* A group whose id the house itself handed out. */
static struct group *known_group(const struct catalogue *c, uint32_t id)
{
    struct group *g = find_group(c, id);
    CHECK(g != NULL);
    return g;
}

const struct group *catalogue_group(const struct catalogue *c, uint32_t id)
{
    return find_group(c, id);
}

const struct series *catalogue_series_at(const struct catalogue *c, uint32_t index)
{
    return segments_find(&c->series, sizeof(struct series), index);
}

struct series_ref catalogue_series(const struct catalogue *c, uint32_t index)
{
    const struct series *series = catalogue_series_at(c, index);
    CHECK(index < catalogue_series_count(c) && series != NULL);
    return series->ref;
}

size_t catalogue_path(const struct catalogue *c, struct series_ref ref,
                      uint8_t to[SERIES_PATH_BYTES_MAX])
{
    const struct group *g = find_group(c, ref.group);
    CHECK(g != NULL && ref.column < atomic_load(&g->columns));
    const struct series_name *name = group_name(g, ref.column);
    size_t size = g->topic.size;
    memcpy(to, g->topic.at, size);
    if (name->size > 0) {
        to[size++] = '/';
        memcpy(to + size, name->at, name->size);
    }
    return size + name->size;
}

/* Looking up. */

struct wanted {
    const struct catalogue *c;
    struct bytes text;
};

static bool is_path(void *context, uint32_t id)
{
    const struct wanted *w = context;
    return bytes_equal(catalogue_series_at(w->c, id)->path, w->text);
}

static bool is_topic_with_room(void *context, uint32_t id)
{
    const struct wanted *w = context;
    const struct group *g = known_group(w->c, id);
    return id >= w->c->closed_groups && bytes_equal(g->topic, w->text) &&
           atomic_load(&g->columns) < GROUP_COLUMNS_MAX;
}

enum err catalogue_find(struct catalogue *c, struct bytes path, struct series_ref *out)
{
    struct wanted wanted = {c, path};
    uint32_t id;
    if (!id_set_find(&c->by_path, hash_bytes(path), is_path, &wanted, &id)) {
        return E_NOT_FOUND;
    }
    *out = catalogue_series_at(c, id)->ref;
    return OK;
}

enum err catalogue_join(struct bytes topic, struct bytes name,
                        /* NOLINTNEXTLINE(readability-non-const-parameter): the writer's. */
                        uint8_t to[SERIES_PATH_BYTES_MAX], struct bytes *path)
{
    struct writer w = {to, 0, SERIES_PATH_BYTES_MAX};
    TRY(writer_put(&w, topic.at, topic.size));
    if (name.size > 0) {
        TRY(writer_put_u8(&w, '/'));
        TRY(writer_put(&w, name.at, name.size));
    }
    *path = (struct bytes){to, w.size};
    return topic.size > 0 && topic_is_name(*path) ? OK : E_LIMIT;
}

/* Adding, under the lock. What fails half way leaves memory unused but nothing published. */

static enum err copy_text(struct catalogue *c, struct bytes text, struct bytes *out)
{
    uint8_t *at = arena_take(&c->arena, text.size);
    if (at == NULL) {
        return E_NO_MEMORY;
    }
    memcpy(at, text.at, text.size);
    *out = (struct bytes){at, text.size};
    return OK;
}

static enum err copy_name(struct catalogue *c, struct bytes name, const struct series_name **out)
{
    if (name.size == 0) {
        *out = &no_name;
        return OK;
    }
    struct series_name *n = arena_take(&c->arena, sizeof *n + name.size);
    if (n == NULL) {
        return E_NO_MEMORY;
    }
    n->size = (uint32_t)name.size;
    memcpy(n->at, name.at, name.size);
    *out = n;
    return OK;
}

static enum err add_group(struct catalogue *c, uint32_t id, struct bytes topic, struct group **out)
{
    void *slot;
    TRY(segments_reserve(&c->groups, sizeof(_Atomic(struct group *)), id, &slot));
    struct group *g = arena_take(&c->arena, sizeof *g);
    if (g == NULL) {
        return E_NO_MEMORY;
    }
    *g = (struct group){.id = id};
    TRY(copy_text(c, topic, &g->topic));
    /* Found in the set only after it is published below: nobody looks without the lock. */
    TRY(id_set_add(&c->by_topic, hash_bytes(topic), id));
    atomic_store_explicit((_Atomic(struct group *) *)slot, g, memory_order_release);
    if (id >= catalogue_group_count(c)) {
        atomic_store_explicit(&c->group_count, id + 1, memory_order_release);
    }
    *out = g;
    return OK;
}

static enum err reserve_names(struct catalogue *c, struct group *g, unsigned columns)
{
    unsigned room = g->room == 0 ? 1 : g->room;
    while (room < columns) {
        room *= 2;
    }
    if (room == g->room) {
        return OK;
    }
    const struct series_name **names = arena_take(&c->arena, room * sizeof(struct series_name *));
    if (names == NULL) {
        return E_NO_MEMORY;
    }
    const struct series_name **old = atomic_load_explicit(&g->names, memory_order_relaxed);
    for (unsigned i = 0; i < room; i++) {
        names[i] = i < g->room ? old[i] : &no_name;
    }
    atomic_store_explicit(&g->names, names, memory_order_release);
    g->room = room;
    return OK;
}

static enum err add_series(struct catalogue *c, struct group *g, uint8_t column, struct bytes name,
                           struct bytes path)
{
    uint32_t index = catalogue_series_count(c);
    const struct series_name *kept;
    void *slot;
    TRY(copy_name(c, name, &kept));
    TRY(reserve_names(c, g, column + 1u));
    TRY(segments_reserve(&c->series, sizeof(struct series), index, &slot));
    struct series *s = slot;
    s->ref = (struct series_ref){g->id, column};
    if (name.size == 0) {
        s->path = g->topic;
    } else {
        TRY(copy_text(c, path, &s->path));
    }
    atomic_load_explicit(&g->names, memory_order_relaxed)[column] = kept;
    if (column >= atomic_load(&g->columns)) {
        atomic_store_explicit(&g->columns, column + 1u, memory_order_release);
    }
    TRY(id_set_add(&c->by_path, hash_bytes(path), index));
    atomic_store_explicit(&c->series_count, index + 1, memory_order_release);
    return OK;
}

static enum err intern_new(struct catalogue *c, struct bytes topic, struct bytes name,
                           struct bytes path, struct series_ref *out)
{
    struct wanted wanted = {c, topic};
    struct group *g;
    uint32_t id;
    if (catalogue_find(c, path, out) == OK) { /* Another loop was faster. */
        return OK;
    }
    if (catalogue_series_count(c) >= c->series_max) {
        return E_LIMIT;
    }
    if (id_set_find(&c->by_topic, hash_bytes(topic), is_topic_with_room, &wanted, &id)) {
        g = known_group(c, id);
    } else {
        TRY(add_group(c, catalogue_group_count(c), topic, &g));
    }
    uint8_t column = (uint8_t)atomic_load(&g->columns);
    TRY(add_series(c, g, column, name, path));
    *out = (struct series_ref){g->id, column};
    return OK;
}

enum err catalogue_intern(struct catalogue *c, struct bytes topic, struct bytes name,
                          struct series_ref *out)
{
    uint8_t room[SERIES_PATH_BYTES_MAX];
    struct bytes path;
    TRY(catalogue_join(topic, name, room, &path));
    if (catalogue_find(c, path, out) == OK) {
        return OK;
    }
    lock_take(&c->lock);
    enum err e = intern_new(c, topic, name, path, out);
    lock_drop(&c->lock);
    return e;
}

enum err catalogue_find_below(struct catalogue *c, struct bytes topic, struct bytes name,
                              struct series_ref *out)
{
    uint8_t room[SERIES_PATH_BYTES_MAX];
    struct bytes path;
    TRY(catalogue_join(topic, name, room, &path));
    return catalogue_find(c, path, out);
}

/* A column below the group's count is free only if its definition was lost. */
static bool is_place_free(struct catalogue *c, const struct group *g, uint8_t column)
{
    struct series_ref ref;
    if (column >= atomic_load(&g->columns)) {
        return true;
    }
    return group_name(g, column)->size == 0 &&
           (catalogue_find(c, g->topic, &ref) != OK || ref.group != g->id || ref.column != column);
}

static enum err define(struct catalogue *c, struct series_ref ref, struct bytes topic,
                       struct bytes name, struct bytes path)
{
    struct series_ref found;
    if (catalogue_find(c, path, &found) == OK) {
        return found.group == ref.group && found.column == ref.column ? OK : E_CORRUPT;
    }
    struct group *g = find_group(c, ref.group);
    if (g == NULL) {
        TRY(add_group(c, ref.group, topic, &g));
    } else if (!bytes_equal(g->topic, topic) || !is_place_free(c, g, ref.column)) {
        return E_CORRUPT;
    }
    return add_series(c, g, ref.column, name, path);
}

enum err catalogue_define(struct catalogue *c, struct series_ref ref, struct bytes topic,
                          struct bytes name)
{
    uint8_t room[SERIES_PATH_BYTES_MAX];
    struct bytes path;
    if (ref.column >= GROUP_COLUMNS_MAX || catalogue_join(topic, name, room, &path) != OK ||
        ref.group > (uint64_t)catalogue_group_count(c) + GROUP_GAP_MAX) {
        return E_CORRUPT;
    }
    lock_take(&c->lock);
    enum err e = define(c, ref, topic, name, path);
    lock_drop(&c->lock);
    return e;
}
