/* What the files of last share. Nobody else includes this. */

#ifndef STORAGE_MEMORY_LAST_INSIDE_H
#define STORAGE_MEMORY_LAST_INSIDE_H

#include <stdatomic.h>

#include "storage/catalogue/pack_table.h"
#include "storage/memory/arena.h"
#include "storage/memory/last.h"
#include "storage/memory/last_pack.h"
#include "storage/memory/segments.h"

#define LAST_NEVER INT64_MIN

/* A cell whose newest value was deleted has the time -bound: what is left is before `bound`. Its
 * bits are a token, another one whenever what is left may have changed. */
static inline bool last_is_bound(int64_t time_ns)
{
    return time_ns < 0 && time_ns != LAST_NEVER;
}

/* A value at or after this is the newest. */
static inline int64_t last_least(int64_t time_ns)
{
    return last_is_bound(time_ns) ? -time_ns : time_ns;
}

struct last_cell {
    _Atomic int64_t time_ns;
    _Atomic uint64_t bits;
};

/* The values of a group under a sequence lock: odd while the writer is inside. */
struct last_cells {
    atomic_uint sequence;
    unsigned room;
    struct last_cell at[];
};

struct last {
    struct segments groups; /* _Atomic(struct last_cells *); replaced when columns come. */
    struct segments dirty;  /* atomic_bool: the file has the group otherwise. */
    struct arena arena;     /* Cells; the putting thread's. */
    atomic_uint group_end;
    uint64_t tokens; /* Given to bounds; the putting thread's. */

    /* The saving thread's. */
    struct pack_table table;
    bool all_dirty; /* A save failed half way, or the file is another. */
    uint32_t damaged;
};

/* NULL: the group has no value. */
const struct last_cells *last_cells_find(const struct last *l, uint32_t group);
/* The time of a value, or LAST_NEVER. Any thread. */
int64_t last_cell_read(const struct last_cells *cells, unsigned column, uint64_t *bits);
/* Put one value back as it was kept; `columns` are known of its group. Before anyone else. */
MUST_USE enum err last_restore(struct last *l, const struct last_entry *entry, unsigned columns);
/* NULL: it never had a value. */
atomic_bool *last_dirty(const struct last *l, uint32_t group);

#endif /* STORAGE_MEMORY_LAST_INSIDE_H */
