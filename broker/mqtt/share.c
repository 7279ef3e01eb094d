#include "broker/mqtt/share.h"

#include <stdlib.h>

#include "base/topic.h"

enum { PREFIX_BYTES = 7 }; /* "$share/" */

enum err members_add(struct members *m, struct subscription *new)
{
    if (m->count == m->capacity) {
        uint32_t capacity = m->capacity == 0 ? 1 : m->capacity * 2;
        struct subscription **grown =
            realloc((void *)m->items, (size_t)capacity * sizeof(struct subscription *));
        if (grown == NULL) {
            return E_NO_MEMORY;
        }
        m->items = grown;
        m->capacity = capacity;
    }
    new->index = m->count;
    m->items[m->count++] = new;
    return OK;
}

void members_remove(struct members *m, const struct subscription *old)
{
    struct subscription *last = m->items[--m->count];
    m->items[old->index] = last;
    last->index = old->index;
}

void members_fini(struct members *m)
{
    free((void *)m->items);
    *m = (struct members){0};
}

bool share_is_shared(struct bytes text)
{
    return text.size >= PREFIX_BYTES && memcmp(text.at, "$share/", PREFIX_BYTES) == 0;
}

static bool is_group(struct bytes group)
{
    for (size_t i = 0; i < group.size; i++) {
        if (group.at[i] == '+' || group.at[i] == '#') {
            return false;
        }
    }
    return group.size > 0;
}

bool share_split(struct bytes text, struct bytes *group, struct bytes *filter)
{
    if (!share_is_shared(text)) {
        return false;
    }
    struct bytes rest = {text.at + PREFIX_BYTES, text.size - PREFIX_BYTES};
    const uint8_t *slash = rest.size == 0 ? NULL : memchr(rest.at, '/', rest.size);
    if (slash == NULL) {
        return false;
    }
    size_t size = (size_t)(slash - rest.at);
    *group = (struct bytes){rest.at, size};
    *filter = (struct bytes){slash + 1, rest.size - size - 1};
    return is_group(*group) && filter->size > 0 && topic_is_filter(*filter);
}

enum err share_create(struct bytes text, struct share **out)
{
    const struct publication view = {.topic = text};
    struct bytes filter;
    struct share *s = calloc(1, sizeof *s);
    if (s == NULL || message_create(&view, &s->filter) != OK) {
        free(s);
        return E_NO_MEMORY;
    }
    (void)share_split(s->filter->view.topic, &s->group, &filter);
    *out = s;
    return OK;
}

void share_destroy(struct share *s)
{
    members_fini(&s->members);
    message_drop(s->filter);
    free(s);
}

static void set(uint32_t *sum, uint32_t *one, uint32_t count)
{
    *sum += count - *one;
    *one = count;
}

void share_set(struct share *s, unsigned loop, uint64_t interest)
{
    set(&s->elsewhere, &s->on_loop[loop], (uint32_t)interest);
    set(&s->elsewhere_here, &s->here_on_loop[loop], (uint32_t)(interest >> 32));
}

/* The loop that has number `place`, counted from the `own` ones of `self` through all others. */
static unsigned loop_at(uint32_t place, uint32_t own, const uint32_t *on_loop, unsigned self)
{
    for (unsigned i = 0; i < LOOPS_MAX && place >= own; i++) {
        if (place - own < on_loop[i]) {
            return i;
        }
        place -= on_loop[i];
    }
    return self;
}

unsigned share_choose_loop(struct share *s, unsigned self)
{
    const uint32_t turn = s->turn++, here = s->here + s->elsewhere_here;
    if (here > 0) {
        return loop_at(turn % here, s->here, s->here_on_loop, self);
    }
    return loop_at(turn % (s->members.count + s->elsewhere), s->members.count, s->on_loop, self);
}

struct subscription *share_choose_member(struct share *s)
{
    for (uint32_t i = 0; i < s->members.count; i++) {
        struct subscription *at = s->members.items[s->member_turn++ % s->members.count];
        if (at->subscriber->is_here) {
            return at;
        }
    }
    return s->members.count == 0 ? NULL : s->members.items[s->member_turn++ % s->members.count];
}
