#include "broker/query/query_numbers.h"

#include <stdbool.h>
#include <stdlib.h>

enum { ROOM_LEAST = 64 };

static bool grow(struct query_numbers *n, const struct query_numbers_limits *limits, uint32_t *all)
{
    uint32_t room = n->room == 0 ? ROOM_LEAST : n->room * 2;
    room = room < limits->most ? room : limits->most;
    if (room <= n->room || room - n->room > limits->most_all - *all) {
        return false;
    }
    struct series_ref *refs = realloc(n->refs, room * sizeof *refs);
    if (refs == NULL) {
        return false;
    }
    *all += room - n->room;
    n->refs = refs;
    n->room = room;
    return true;
}

void query_numbers_put(struct query_numbers *n, uint32_t number, struct series_ref ref,
                       const struct query_numbers_limits *limits, uint32_t *all)
{
    if (number == n->count + 1 && (n->count < n->room || grow(n, limits, all))) {
        n->refs[n->count++] = ref;
    }
}

void query_numbers_drop(struct query_numbers *n, uint32_t *all)
{
    *all -= n->room;
    free(n->refs);
    *n = (struct query_numbers){0};
}
