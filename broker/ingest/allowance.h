/* How many new series a client may bring: so many at once, and so many a second after that. A
 * client that never repeats a topic fills a store with names; others go on. Pure. */

#ifndef BROKER_INGEST_ALLOWANCE_H
#define BROKER_INGEST_ALLOWANCE_H

#include <stdbool.h>
#include <stdint.h>

struct allowance_limits {
    int64_t burst; /* 0: any number. */
    int64_t per_s;
};

struct allowance { /* Zeroed: nothing taken yet. */
    int64_t taken_milli;
    int64_t at_ms;
};

/* Take one at the monotonic time `now_ms`. False: none is left. */
bool allowance_take(struct allowance *a, const struct allowance_limits *limits, int64_t now_ms);

#endif /* BROKER_INGEST_ALLOWANCE_H */
