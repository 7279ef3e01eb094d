#include "broker/mqtt/octets.h"

#include <stdlib.h>

#include "base/check.h"

enum { CAPACITY_FIRST = 512 };

enum err octets_reserve(struct octets *o, size_t size, struct writer *w)
{
    size_t used = octets_size(o);
    if (o->capacity - o->end < size) {
        size_t capacity = o->capacity == 0 ? CAPACITY_FIRST : o->capacity;
        while (capacity < used + size) {
            capacity *= 2;
        }
        if (o->start > 0) {
            memmove(o->at, o->at + o->start, used);
            o->start = 0;
            o->end = used;
        }
        if (capacity > o->capacity) {
            uint8_t *grown = realloc(o->at, capacity);
            if (grown == NULL) {
                return E_NO_MEMORY;
            }
            o->at = grown;
            o->capacity = capacity;
        }
    }
    *w = (struct writer){o->at, o->end, o->capacity};
    return OK;
}

void octets_commit(struct octets *o, const struct writer *w)
{
    CHECK(w->at == o->at && w->size <= o->capacity);
    o->end = w->size;
}

enum err octets_put(struct octets *o, struct bytes in)
{
    struct writer w;
    TRY(octets_reserve(o, in.size, &w));
    TRY(writer_put(&w, in.at, in.size));
    octets_commit(o, &w);
    return OK;
}

void octets_skip(struct octets *o, size_t size)
{
    CHECK(size <= octets_size(o));
    o->start += size;
    if (o->start == o->end) {
        octets_clear(o);
    }
}

void octets_clear(struct octets *o)
{
    free(o->at);
    *o = (struct octets){0};
}
