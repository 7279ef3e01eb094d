/* The numbers a connection's client gave to series, so that it need not say their paths again:
 * docs/PROTOCOL.md, "Numbers for series". Dense from 1, never taken back while the connection
 * lives; bounded, and what is not kept costs the client nothing but its paths. Places in the
 * catalogue are for ever, so a number needs no more than one. */

#ifndef BROKER_QUERY_QUERY_NUMBERS_H
#define BROKER_QUERY_QUERY_NUMBERS_H

#include <stdint.h>

#include "storage/catalogue/catalogue.h"

struct query_numbers {
    uint32_t count, room;
    struct series_ref *refs; /* Of number 1, 2, ...; of malloc. */
};

struct query_numbers_limits {
    uint32_t most, most_all; /* Of one connection; of all that share the `all` below. */
};

/* Keep `number` for `ref`, when it is the next one, there is room below the limits, and memory.
 * `*all`: numbers for which all connections have memory. */
void query_numbers_put(struct query_numbers *n, uint32_t number, struct series_ref ref,
                       const struct query_numbers_limits *limits, uint32_t *all);

/* Forget all. */
void query_numbers_drop(struct query_numbers *n, uint32_t *all);

/* `number` is 1..count. */
static inline struct series_ref query_numbers_find(const struct query_numbers *n, uint32_t number)
{
    return n->refs[number - 1];
}

#endif /* BROKER_QUERY_QUERY_NUMBERS_H */
