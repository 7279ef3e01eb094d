#include "storage/read/query_groups.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/hash.h"
#include "storage/catalogue/catalogue_tag.h"
#include "storage/read/path_level.h"

enum {
    VALUE_BYTES_MAX = SERIES_PATH_BYTES_MAX,
    KEY_BYTES_MAX = QUERY_KEYS_MAX * (VALUE_BYTES_MAX + 2),
    GROUPS_FIRST = 64
};

_Static_assert((int)TAG_VALUE_BYTES_MAX <= (int)VALUE_BYTES_MAX &&
                   (int)TAG_KEY_BYTES_MAX == (int)QUERY_TAG_BYTES_MAX,
               "a tag fits a key");

struct maker {
    const struct catalogue *catalogue;
    const struct query_request *request;
    struct query_groups out;
    size_t *slots; /* Index of a group + 1 by hash; twice as many as groups have room. */
};

static struct bytes value_of(const struct maker *m, const struct query_key *key,
                             struct series_ref ref, struct bytes path)
{
    struct bytes value;
    if (key->level != 0) {
        return path_level(path, key->level);
    }
    const struct bytes tag = {key->tag, key->tag_bytes};
    return catalogue_tag_find(m->catalogue, ref, tag, &value) == OK ? value
                                                                    : (struct bytes){path.at, 0};
}

/* The key of a series, as it stands in `keys`. */
static void write_key(const struct maker *m, struct series_ref ref, struct writer *to)
{
    uint8_t raw[SERIES_PATH_BYTES_MAX];
    const struct bytes path = {raw, catalogue_path(m->catalogue, ref, raw)};
    to->size = 0;
    for (unsigned i = 0; i < m->request->key_count; i++) {
        const struct bytes value = value_of(m, &m->request->keys[i], ref, path);
        CHECK(value.size <= VALUE_BYTES_MAX);
        CHECK(writer_put_le16(to, (uint16_t)value.size) == OK &&
              writer_put(to, value.at, value.size) == OK);
    }
}

static struct bytes take_value(struct bytes *in)
{
    uint16_t size = 0;
    struct bytes value = {NULL, 0};
    CHECK(bytes_take_le16(in, &size) == OK && bytes_take(in, size, &value) == OK);
    return value;
}

struct bytes query_groups_value(const struct query_groups *g, size_t group, unsigned key)
{
    const size_t at = g->groups[group].key;
    struct bytes in = {g->keys + at, g->key_bytes - at}, value = take_value(&in);
    for (; key > 0; key--) {
        value = take_value(&in);
    }
    return value;
}

/* Of the group whose key begins at `at`. */
static struct bytes key_at(const struct maker *m, size_t at)
{
    CHECK(m->out.keys != NULL);
    struct bytes in = {m->out.keys + at, m->out.key_bytes - at};
    const struct bytes whole = in;
    for (unsigned i = 0; i < m->request->key_count; i++) {
        (void)take_value(&in);
    }
    return (struct bytes){whole.at, whole.size - in.size};
}

static size_t slot_of(const struct maker *m, struct bytes key)
{
    const size_t mask = 2 * m->out.limit - 1;
    size_t at = hash_bytes(key) & mask;
    while (m->slots[at] != 0 && !bytes_equal(key_at(m, m->out.groups[m->slots[at] - 1].key), key)) {
        at = (at + 1) & mask;
    }
    return at;
}

static enum err grow_groups(struct maker *m)
{
    const size_t limit = m->out.limit == 0 ? GROUPS_FIRST : 2 * m->out.limit;
    struct query_group *groups = realloc(m->out.groups, limit * sizeof *groups);
    if (groups == NULL) {
        return E_NO_MEMORY;
    }
    memset(groups + m->out.limit, 0, (limit - m->out.limit) * sizeof *groups);
    m->out.groups = groups;
    size_t *slots = calloc(2 * limit, sizeof *slots);
    if (slots == NULL) {
        return E_NO_MEMORY;
    }
    free(m->slots);
    m->slots = slots;
    m->out.limit = limit;
    for (size_t i = 0; i < m->out.count; i++) {
        slots[slot_of(m, key_at(m, groups[i].key))] = i + 1;
    }
    return OK;
}

static enum err keep_key(struct maker *m, struct bytes key)
{
    const size_t need = m->out.key_bytes + key.size;
    size_t limit = m->out.key_limit == 0 ? KEY_BYTES_MAX : m->out.key_limit;
    if (need > QUERY_GROUP_KEYS_BYTES_MAX) {
        return E_LIMIT;
    }
    while (limit < need) {
        limit *= 2;
    }
    if (limit > m->out.key_limit) {
        uint8_t *keys = realloc(m->out.keys, limit);
        if (keys == NULL) {
            return E_NO_MEMORY;
        }
        m->out.keys = keys;
        m->out.key_limit = limit;
    }
    memcpy(m->out.keys + m->out.key_bytes, key.at, key.size);
    m->out.key_bytes = need;
    return OK;
}

/* The group with a key, made if new. */
static enum err intern(struct maker *m, struct bytes key, size_t *group)
{
    if (m->out.count == m->out.limit) {
        TRY(grow_groups(m));
    }
    const size_t slot = slot_of(m, key);
    if (m->slots[slot] == 0) {
        const size_t at = m->out.key_bytes;
        TRY(keep_key(m, key));
        m->out.groups[m->out.count++] = (struct query_group){.key = at};
        m->slots[slot] = m->out.count;
    }
    *group = m->slots[slot] - 1;
    return OK;
}

static int compare(struct bytes a, struct bytes b)
{
    const size_t shorter = a.size < b.size ? a.size : b.size;
    const int order = shorter == 0 ? 0 : memcmp(a.at, b.at, shorter);
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static int by_key(const void *a, const void *b, void *context)
{
    const struct maker *m = context;
    struct bytes x = key_at(m, m->out.groups[*(const size_t *)a].key);
    struct bytes y = key_at(m, m->out.groups[*(const size_t *)b].key);
    int order = 0;
    while (order == 0 && x.size > 0) {
        order = compare(take_value(&x), take_value(&y));
    }
    return order;
}

/* Put the series behind one another, group by group; `group_of` says of each where it belongs. */
static enum err gather(struct maker *m, const struct series_list *series, const size_t *group_of)
{
    struct query_groups *g = &m->out;
    size_t first = 0, *order = malloc((g->count + 1) * sizeof *order);
    struct query_group *groups = malloc((g->count + 1) * sizeof *groups);
    g->members = malloc((series->count + 1) * sizeof *g->members);
    if (order == NULL || groups == NULL || g->members == NULL) {
        free(order);
        free(groups);
        return E_NO_MEMORY;
    }
    for (size_t i = 0; i < series->count; i++) {
        g->groups[group_of[i]].count++;
    }
    for (size_t i = 0; i < g->count; i++) {
        order[i] = i;
    }
    qsort_r(order, g->count, sizeof *order, by_key, m);
    for (size_t i = 0; i < g->count; i++) {
        struct query_group *group = &g->groups[order[i]];
        group->first = first;
        first += group->count;
        groups[i] = *group;
    }
    for (size_t i = 0; i < series->count; i++) {
        g->members[g->groups[group_of[i]].first++] = series->refs[i];
    }
    free(order);
    free(g->groups);
    g->groups = groups;
    return OK;
}

static enum err make(struct maker *m, const struct series_list *series, size_t *group_of)
{
    uint8_t raw[KEY_BYTES_MAX];
    struct writer key = {raw, 0, sizeof raw};
    for (size_t i = 0; i < series->count; i++) {
        write_key(m, series->refs[i], &key);
        TRY(intern(m, (struct bytes){raw, key.size}, &group_of[i]));
    }
    return gather(m, series, group_of);
}

enum err query_groups_make(const struct catalogue *c, const struct query_request *r,
                           const struct series_list *series, struct query_groups *out)
{
    struct maker m = {.catalogue = c, .request = r};
    size_t *group_of = calloc(series->count + 1, sizeof *group_of);
    enum err e = group_of == NULL ? E_NO_MEMORY : make(&m, series, group_of);
    free(group_of);
    free(m.slots);
    if (e != OK) {
        query_groups_fini(&m.out);
        return e;
    }
    *out = m.out;
    return OK;
}

void query_groups_fini(struct query_groups *g)
{
    free(g->groups);
    free(g->members);
    free(g->keys);
    *g = (struct query_groups){.count = 0};
}
