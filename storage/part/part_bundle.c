#include "storage/part/part_bundle.h"

#include <stdlib.h>

#include "storage/part/part_env.h"

static void write_key(uint32_t last, uint8_t to[PART_BUNDLE_KEY_BYTES])
{
    for (int i = 0; i < PART_BUNDLE_KEY_BYTES; i++) {
        to[i] = (uint8_t)(last >> (24 - 8 * i));
    }
}

static enum err read_key(struct bytes key, uint32_t *last)
{
    if (key.size != PART_BUNDLE_KEY_BYTES) {
        return E_CORRUPT;
    }
    *last = 0;
    for (int i = 0; i < PART_BUNDLE_KEY_BYTES; i++) {
        *last = *last << 8 | key.at[i];
    }
    return OK;
}

void part_bundle_init(struct part_bundle *k)
{
    *k = (struct part_bundle){.part_id = 0};
}

void part_bundle_fini(struct part_bundle *k)
{
    free(k->bytes);
    part_bundle_init(k);
}

struct bytes part_bundle_value(const struct part_bundle *k)
{
    return (struct bytes){k->bytes, k->size};
}

void part_bundle_key(const struct part_bundle *k, uint8_t key[PART_BUNDLE_KEY_BYTES])
{
    write_key(k->to, key);
}

static enum err copy(struct part_bundle *k, struct bytes value)
{
    if (value.size > k->limit) {
        uint8_t *bytes = realloc(k->bytes, value.size);
        if (bytes == NULL) {
            return E_NO_MEMORY;
        }
        k->bytes = bytes;
        k->limit = value.size;
    }
    if (value.size > 0) {
        memcpy(k->bytes, value.at, value.size);
    }
    k->size = value.size;
    return OK;
}

/* The bundle that would have `group`: from there on to its last one all is known then. */
static enum err look(struct part_bundle *k, struct part *p, struct kv_txn *txn, uint32_t group)
{
    uint8_t raw[PART_BUNDLE_KEY_BYTES];
    struct kv_cursor *cursor;
    struct bytes key, value;
    uint32_t last = UINT32_MAX;
    write_key(group, raw);
    TRY(kv_cursor_open(txn, p->bundles, &cursor));
    enum err e = kv_cursor_seek(cursor, (struct bytes){raw, sizeof raw}, &key, &value);
    enum err state = E_NOT_FOUND;
    if (e == OK) {
        e = copy(k, kv_touch(value) == OK ? value : (struct bytes){NULL, 0});
        if (e == OK && read_key(key, &last) != OK) {
            last = group; /* Whatever it is, it is in the way. */
            state = E_CORRUPT;
        } else if (e == OK) {
            state = bundle_open(key, part_bundle_value(k), &k->view);
            state = state == OK && k->view.last != last ? E_CORRUPT : state;
        }
    }
    kv_cursor_close(cursor);
    if (e == OK || e == E_END) {
        k->part_id = part_id(p);
        k->from = group;
        k->to = last;
        k->walk = k->view;
        k->state = state;
    }
    return e == E_END ? OK : e;
}

static enum err load(struct part_bundle *k, struct part *p, uint32_t group)
{
    struct kv_txn *txn;
    k->part_id = 0;
    TRY(part_env_enter(p, PART_READ));
    enum err e = kv_read_begin(p->kv, &txn);
    if (e == OK) {
        e = look(k, p, txn, group);
        kv_abort(txn);
    }
    part_env_leave(p);
    return e;
}

/* Neighbours are asked for one after another: go on from the last one where that will do. */
static enum err walk_to(struct part_bundle *k, uint32_t group)
{
    struct bundle_view walk = k->walk;
    uint32_t at = walk.group;
    enum err e = OK;
    if (walk.is_walking && at == group) {
        return OK;
    }
    if (!walk.is_walking || at > group) {
        walk = k->view;
        at = 0;
    }
    do {
        e = bundle_next(&walk, &at, &k->body);
    } while (e == OK && at < group);
    k->walk = e == OK ? walk : k->view;
    return e == OK && at == group ? OK : E_NOT_FOUND;
}

enum err part_bundle_find(struct part_bundle *k, struct part *p, uint32_t group, struct chunk *out)
{
    if (!atomic_load_explicit(&p->has_bundles, memory_order_relaxed)) {
        return E_NOT_FOUND;
    }
    if (k->part_id != part_id(p) || group < k->from || group > k->to) {
        TRY(load(k, p, group));
    }
    TRY(k->state);
    TRY(walk_to(k, group));
    return brief_read(k->body, &k->view.base, out);
}

bool part_bundle_is_key(struct bytes key, uint32_t last)
{
    uint32_t said;
    return read_key(key, &said) == OK && said == last;
}

enum err part_bundle_each(struct part *p,
                          enum err (*visit)(void *context, struct bytes key, struct bytes value),
                          void *context)
{
    if (!atomic_load_explicit(&p->has_bundles, memory_order_relaxed)) {
        return OK;
    }
    TRY(part_env_enter(p, PART_READ));
    const enum err e = kv_each(p->kv, "bundles", visit, context);
    part_env_leave(p);
    return e;
}

struct part_bundler {
    struct part_flush *flush;
    struct bundle *bundle;
    struct chunk_scratch *scratch;
};

enum err part_bundler_create(struct part_flush *f, struct part_bundler **out)
{
    struct part_bundler *k = calloc(1, sizeof *k);
    if (k == NULL || bundle_create(&k->bundle) != OK || chunk_scratch_create(&k->scratch) != OK) {
        part_bundler_destroy(k);
        return E_NO_MEMORY;
    }
    k->flush = f;
    *out = k;
    return OK;
}

void part_bundler_destroy(struct part_bundler *k)
{
    if (k == NULL) {
        return;
    }
    bundle_destroy(k->bundle);
    if (k->scratch != NULL) {
        chunk_scratch_destroy(k->scratch);
    }
    free(k);
}

enum err part_bundler_end(struct part_bundler *k)
{
    uint8_t raw[PART_BUNDLE_KEY_BYTES];
    const struct bytes key = {raw, sizeof raw};
    if (bundle_is_empty(k->bundle)) {
        return OK;
    }
    write_key(bundle_last(k->bundle), raw);
    return part_flush_put_bundle(k->flush, key, bundle_finish(k->bundle, key));
}

enum err part_bundler_offer(struct part_bundler *k, uint32_t group, const struct chunk_input *in,
                            bool *is_bundled)
{
    enum bundle_fit fit = BUNDLE_LARGE;
    if ((uint64_t)in->rows * in->columns <= BUNDLE_VALUES_MAX) {
        TRY(bundle_put(k->bundle, group, in, k->scratch, &fit));
    }
    if (fit == BUNDLE_FULL) {
        TRY(part_bundler_end(k));
        TRY(bundle_put(k->bundle, group, in, k->scratch, &fit));
    }
    *is_bundled = fit == BUNDLE_FITS;
    return OK;
}
