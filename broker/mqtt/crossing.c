#include "broker/mqtt/crossing.h"

#include <stdlib.h>

enum { ITEMS_FIRST = 32, BACKLOG_BYTES_MAX = 64 << 20 };

void crossing_init(struct crossing *c, unsigned self, unsigned loops,
                   struct mailbox *const *mailboxes, atomic_size_t *backlog)
{
    *c =
        (struct crossing){.self = self, .loops = loops, .mailboxes = mailboxes, .backlog = backlog};
}

void crossing_letter_free(struct crossing_letter *l)
{
    atomic_fetch_sub_explicit(l->backlog, l->bytes, memory_order_relaxed);
    for (uint32_t i = 0; i < l->count; i++) {
        message_drop(l->items[i].message);
        message_drop(l->items[i].filter);
    }
    free(l);
}

void crossing_fini(struct crossing *c)
{
    for (unsigned i = 0; i < c->loops; i++) {
        if (c->filling[i] != NULL) {
            crossing_letter_free(c->filling[i]);
            c->filling[i] = NULL;
        }
    }
}

/* The letter for `loop`, with room for one more item. */
static struct crossing_letter *letter_for(struct crossing *c, unsigned loop)
{
    struct crossing_letter *l = c->filling[loop];
    if (l != NULL && l->count < l->capacity) {
        return l;
    }
    uint32_t capacity = l == NULL ? ITEMS_FIRST : l->capacity * 2;
    struct crossing_letter *grown =
        realloc(l, sizeof *grown + capacity * sizeof(struct crossing_item));
    if (grown == NULL) {
        return NULL;
    }
    if (l == NULL) {
        *grown = (struct crossing_letter){
            .letter.kind = LETTER_CROSSING, .from = c->self, .backlog = &c->backlog[loop]};
    }
    grown->capacity = capacity;
    c->filling[loop] = grown;
    return grown;
}

static enum err add(struct crossing *c, unsigned loop, const struct crossing_item *item)
{
    struct crossing_letter *l = letter_for(c, loop);
    size_t bytes = message_bytes(item->message);
    if (l == NULL) {
        return E_NO_MEMORY;
    }
    (void)message_hold(item->message);
    if (item->filter != NULL) {
        (void)message_hold(item->filter);
    }
    l->items[l->count++] = *item;
    l->bytes += bytes;
    atomic_fetch_add_explicit(l->backlog, bytes, memory_order_relaxed);
    return OK;
}

enum err crossing_add(struct crossing *c, uint64_t loops, unsigned kind, struct message *message)
{
    const struct crossing_item item = {message, NULL, kind};
    enum err result = OK;
    for (unsigned i = 0; i < c->loops; i++) {
        if (i != c->self && (loops >> i & 1) != 0 && add(c, i, &item) != OK) {
            result = E_NO_MEMORY;
        }
    }
    return result;
}

enum err crossing_add_shared(struct crossing *c, unsigned loop, struct message *message,
                             struct message *filter)
{
    const struct crossing_item item = {message, filter, CROSSING_SHARED};
    return add(c, loop, &item);
}

void crossing_post(struct crossing *c)
{
    c->is_waiting = false;
    for (unsigned i = 0; i < c->loops; i++) {
        if (c->filling[i] == NULL) {
            continue;
        }
        if (mailbox_post(c->mailboxes[i], c->filling[i]) == OK) {
            c->filling[i] = NULL;
        } else {
            c->is_waiting = true;
        }
    }
}

bool crossing_is_pressed(const struct crossing *c)
{
    for (unsigned i = 0; i < c->loops; i++) {
        if (atomic_load_explicit(&c->backlog[i], memory_order_relaxed) > BACKLOG_BYTES_MAX) {
            return true;
        }
    }
    return false;
}
