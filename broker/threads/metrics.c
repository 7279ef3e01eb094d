#include "broker/threads/metrics.h"

#include <stdalign.h>

enum { SHARDS = 128, CACHE_LINE_BYTES = 64 };

/* One for each thread that counts, as long as there are enough; then threads share one. */
struct shard {
    alignas(CACHE_LINE_BYTES) _Atomic int64_t values[METRICS];
};

static struct shard shards[SHARDS];
static atomic_uint threads;
static _Thread_local unsigned mine; /* Index + 1; 0: not given yet. */

void metrics_add(enum metric metric, int64_t delta)
{
    if (mine == 0) {
        mine = atomic_fetch_add(&threads, 1) % SHARDS + 1;
    }
    atomic_fetch_add_explicit(&shards[mine - 1].values[metric], delta, memory_order_relaxed);
}

int64_t metrics_read(enum metric metric)
{
    int64_t sum = 0;
    for (unsigned i = 0; i < SHARDS; i++) {
        sum += atomic_load_explicit(&shards[i].values[metric], memory_order_relaxed);
    }
    return sum;
}

#define METRICS_DOTTED(name, dotted, unit, sentence) dotted,
#define METRICS_UNIT(name, dotted, unit, sentence)   unit,

const char *metrics_name(enum metric metric)
{
    static const char *const names[] = {METRICS_MAP(METRICS_DOTTED)};
    return names[metric];
}

const char *metrics_unit(enum metric metric)
{
    static const char *const units[] = {METRICS_MAP(METRICS_UNIT)};
    return units[metric];
}
