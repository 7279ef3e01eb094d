#include "broker/mqtt/session_table.h"

#include <stdlib.h>

enum { SLOTS_FIRST = 64 };

enum err session_table_init(struct session_table *t)
{
    *t = (struct session_table){.slot_count = SLOTS_FIRST};
    t->slots = calloc(SLOTS_FIRST, sizeof(struct session *));
    return t->slots == NULL ? E_NO_MEMORY : OK;
}

void session_table_fini(struct session_table *t)
{
    free((void *)t->slots);
    *t = (struct session_table){0};
}

static struct session **slot_of(struct session **slots, size_t count, uint64_t hash)
{
    return &slots[hash >> 6 & (count - 1)]; /* The lowest bits chose the loop. */
}

struct session *session_table_find(const struct session_table *t, struct bytes client_id,
                                   uint64_t hash)
{
    struct session *s = *slot_of(t->slots, t->slot_count, hash);
    while (s != NULL && !(s->hash == hash && bytes_equal(session_id(s), client_id))) {
        s = s->chained;
    }
    return s;
}

/* Twice the slots; staying small on lack of memory only costs time. */
static void grow(struct session_table *t)
{
    size_t count = t->slot_count * 2;
    struct session **slots = calloc(count, sizeof(struct session *));
    if (slots == NULL) {
        return;
    }
    for (size_t i = 0; i < t->slot_count; i++) {
        for (struct session *s = t->slots[i], *after; s != NULL; s = after) {
            struct session **slot = slot_of(slots, count, s->hash);
            after = s->chained;
            s->chained = *slot;
            *slot = s;
        }
    }
    free((void *)t->slots);
    t->slots = slots;
    t->slot_count = count;
}

void session_table_add(struct session_table *t, struct session *s)
{
    if (t->count >= t->slot_count) {
        grow(t);
    }
    struct session **slot = slot_of(t->slots, t->slot_count, s->hash);
    s->chained = *slot;
    *slot = s;
    t->count++;
}

void session_table_remove(struct session_table *t, struct session *s)
{
    struct session **at = slot_of(t->slots, t->slot_count, s->hash);
    while (*at != s) {
        at = &(*at)->chained;
    }
    *at = s->chained;
    t->count--;
}

void session_table_each(struct session_table *t,
                        void (*visit)(void *context, struct session *session), void *context)
{
    for (size_t i = 0; i < t->slot_count; i++) {
        for (struct session *s = t->slots[i], *after; s != NULL; s = after) {
            after = s->chained;
            visit(context, s);
        }
    }
}
