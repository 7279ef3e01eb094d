#include "storage/memory/id_set.h"

#include <stdlib.h>

#include "base/check.h"

enum { SLOTS_FIRST = 1024 };

/* A slot is 0 or (upper half of the hash, id + 1): enough to place it again in a bigger table. */
struct id_table {
    struct id_table *older;
    uint32_t mask, used;
    _Atomic uint64_t slots[];
};

bool id_set_find(const struct id_set *s, uint64_t hash, bool (*is_it)(void *context, uint32_t id),
                 void *context, uint32_t *id)
{
    const struct id_table *t = atomic_load_explicit(&s->table, memory_order_acquire);
    uint32_t high = (uint32_t)(hash >> 32);
    if (t == NULL) {
        return false;
    }
    for (uint32_t at = high & t->mask;; at = (at + 1) & t->mask) {
        uint64_t slot = atomic_load_explicit(&t->slots[at], memory_order_acquire);
        if (slot == 0) {
            return false;
        }
        if (slot >> 32 == high && is_it(context, (uint32_t)slot - 1)) {
            *id = (uint32_t)slot - 1;
            return true;
        }
    }
}

static void place(struct id_table *t, uint64_t slot)
{
    uint32_t at = (uint32_t)(slot >> 32) & t->mask;
    while (atomic_load_explicit(&t->slots[at], memory_order_relaxed) != 0) {
        at = (at + 1) & t->mask;
    }
    atomic_store_explicit(&t->slots[at], slot, memory_order_release);
    t->used++;
}

static enum err grow(struct id_set *s, struct id_table *old)
{
    size_t slots = old == NULL ? SLOTS_FIRST : 2 * ((size_t)old->mask + 1);
    struct id_table *t = calloc(1, sizeof *t + slots * sizeof t->slots[0]);
    if (t == NULL) {
        return E_NO_MEMORY;
    }
    t->older = old;
    t->mask = (uint32_t)(slots - 1);
    for (size_t i = 0; old != NULL && i <= old->mask; i++) {
        uint64_t slot = atomic_load_explicit(&old->slots[i], memory_order_relaxed);
        if (slot != 0) {
            place(t, slot);
        }
    }
    atomic_store_explicit(&s->table, t, memory_order_release);
    return OK;
}

enum err id_set_add(struct id_set *s, uint64_t hash, uint32_t id)
{
    struct id_table *t = atomic_load_explicit(&s->table, memory_order_relaxed);
    CHECK(id < UINT32_MAX);
    if (t == NULL || t->used >= t->mask / 2) {
        TRY(grow(s, t));
        t = atomic_load_explicit(&s->table, memory_order_relaxed);
    }
    place(t, (hash & ~(uint64_t)UINT32_MAX) | (id + 1));
    return OK;
}

void id_set_fini(struct id_set *s)
{
    struct id_table *t = atomic_load_explicit(&s->table, memory_order_relaxed);
    while (t != NULL) {
        struct id_table *older = t->older;
        free(t);
        t = older;
    }
    atomic_store_explicit(&s->table, NULL, memory_order_relaxed);
}
