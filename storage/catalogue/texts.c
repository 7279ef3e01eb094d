#include "storage/catalogue/texts.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/topic.h"
#include "storage/catalogue/texts_inside.h"

/* A damaged journal may lose definitions, so ids may skip; further than this no sound one does. */
enum { ID_GAP_MAX = 1 << 20 };

enum err texts_create(uint32_t texts_max, struct texts **out)
{
    struct texts *t = calloc(1, sizeof *t);
    if (t == NULL) {
        return E_NO_MEMORY;
    }
    t->texts_max = texts_max;
    lock_init(&t->lock);
    *out = t;
    return OK;
}

void texts_destroy(struct texts *t)
{
    if (t == NULL) {
        return;
    }
    id_set_fini(&t->by_text);
    segments_fini(&t->slots);
    arena_fini(&t->arena);
    lock_fini(&t->lock);
    free(t);
}

bool texts_is_text(struct bytes text)
{
    return text.size <= TEXT_BYTES_MAX && topic_is_utf8(text);
}

uint32_t texts_end(const struct texts *t)
{
    return atomic_load_explicit(&t->end, memory_order_acquire);
}

bool texts_get(const struct texts *t, uint32_t id, struct bytes *text)
{
    const _Atomic(const struct text *) *slot = segments_find(&t->slots, sizeof *slot, id);
    const struct text *found =
        slot == NULL ? NULL : atomic_load_explicit(slot, memory_order_acquire);
    if (found == NULL) {
        return false;
    }
    *text = (struct bytes){found->at, found->size};
    return true;
}

struct wanted {
    const struct texts *texts;
    struct bytes text;
};

static bool is_text(void *context, uint32_t id)
{
    const struct wanted *w = context;
    struct bytes text;
    return texts_get(w->texts, id, &text) && bytes_equal(text, w->text);
}

enum err texts_find(const struct texts *t, struct bytes text, uint32_t *id)
{
    struct wanted wanted = {t, text};
    return id_set_find(&t->by_text, hash_bytes(text), is_text, &wanted, id) ? OK : E_NOT_FOUND;
}

/* Adding, under the lock. */

static enum err copy_text(struct texts *t, struct bytes text, const struct text **out)
{
    struct text *copy = arena_take(&t->arena, sizeof *copy + text.size + 1);
    if (copy == NULL) {
        return E_NO_MEMORY;
    }
    copy->size = (uint32_t)text.size;
    if (text.size > 0) {
        memcpy(copy->at, text.at, text.size);
    }
    copy->at[text.size] = 0;
    *out = copy;
    return OK;
}

static void move_end(struct texts *t, uint32_t end)
{
    if (end > atomic_load_explicit(&t->end, memory_order_relaxed)) {
        atomic_store_explicit(&t->end, end, memory_order_release);
    }
}

/* It is found by its text last of all: whoever finds it there finds it below texts_end(), too. When
 * memory ends just before that, the id stays without use and the text gets another. */
static enum err add(struct texts *t, uint32_t id, struct bytes text)
{
    const struct text *copy;
    uint32_t other;
    void *slot;
    TRY(segments_reserve(&t->slots, sizeof(_Atomic(const struct text *)), id, &slot));
    TRY(copy_text(t, text, &copy));
    atomic_store_explicit((_Atomic(const struct text *) *)slot, copy, memory_order_release);
    move_end(t, id + 1);
    return texts_find(t, text, &other) == OK ? OK : id_set_add(&t->by_text, hash_bytes(text), id);
}

static enum err intern_new(struct texts *t, struct bytes text, uint32_t *id)
{
    const uint32_t end = texts_end(t);
    if (texts_find(t, text, id) == OK) { /* Another thread was faster. */
        return OK;
    }
    if (end >= t->texts_max) {
        return E_LIMIT;
    }
    TRY(add(t, end, text));
    *id = end;
    return OK;
}

enum err texts_intern(struct texts *t, struct bytes text, uint32_t *id)
{
    if (texts_find(t, text, id) == OK) {
        return OK;
    }
    if (!texts_is_text(text)) {
        return E_MALFORMED;
    }
    lock_take(&t->lock);
    enum err e = intern_new(t, text, id);
    lock_drop(&t->lock);
    return e;
}

static bool is_far(const struct texts *t, uint32_t id)
{
    return id > (uint64_t)texts_end(t) + ID_GAP_MAX;
}

static enum err define(struct texts *t, uint32_t id, struct bytes text)
{
    struct bytes known;
    if (texts_get(t, id, &known)) {
        return bytes_equal(known, text) ? OK : E_CORRUPT;
    }
    return add(t, id, text);
}

enum err texts_define(struct texts *t, uint32_t id, struct bytes text)
{
    if (is_far(t, id) || !texts_is_text(text)) {
        return E_CORRUPT;
    }
    lock_take(&t->lock);
    enum err e = define(t, id, text);
    lock_drop(&t->lock);
    return e;
}

void texts_skip(struct texts *t, uint32_t id)
{
    if (!is_far(t, id)) {
        lock_take(&t->lock);
        move_end(t, id + 1);
        lock_drop(&t->lock);
    }
}
