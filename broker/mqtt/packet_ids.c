#include "broker/mqtt/packet_ids.h"

#include <stdlib.h>
#include <string.h>

enum { CAPACITY_FIRST = 8 };

/* Where `id` is, or would be. */
static uint32_t place_of(const struct packet_ids *s, uint16_t id)
{
    uint32_t from = 0, to = s->count;
    if (to > 0 && s->at[to - 1] < id) {
        return to;
    }
    while (from < to) {
        uint32_t middle = (from + to) / 2;
        if (s->at[middle] < id) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from;
}

static bool is_at(const struct packet_ids *s, uint32_t place, uint16_t id)
{
    return place < s->count && s->at[place] == id;
}

static enum err grow(struct packet_ids *s)
{
    uint32_t wanted = s->capacity == 0 ? CAPACITY_FIRST : s->capacity * 2;
    uint16_t *grown = realloc(s->at, wanted * sizeof *grown);
    if (grown == NULL) {
        return E_NO_MEMORY;
    }
    s->at = grown;
    s->capacity = wanted;
    return OK;
}

enum err packet_ids_add(struct packet_ids *s, uint16_t id)
{
    uint32_t place = place_of(s, id);
    if (is_at(s, place, id)) {
        return OK;
    }
    if (s->count == s->capacity) {
        TRY(grow(s));
    }
    memmove(s->at + place + 1, s->at + place, (s->count - place) * sizeof *s->at);
    s->at[place] = id;
    s->count++;
    return OK;
}

bool packet_ids_has(const struct packet_ids *s, uint16_t id)
{
    return is_at(s, place_of(s, id), id);
}

bool packet_ids_remove(struct packet_ids *s, uint16_t id)
{
    uint32_t place = place_of(s, id);
    if (!is_at(s, place, id)) {
        return false;
    }
    s->count--;
    memmove(s->at + place, s->at + place + 1, (s->count - place) * sizeof *s->at);
    return true;
}

void packet_ids_trim(struct packet_ids *s)
{
    if (s->count == 0) {
        packet_ids_clear(s);
    }
}

void packet_ids_clear(struct packet_ids *s)
{
    free(s->at);
    *s = (struct packet_ids){0};
}
