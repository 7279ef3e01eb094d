/* Tombs: deletes that some file or head has not carried out yet.
 *
 * A delete says: what these series had at from_ns <= t < to_ns is gone, as far as it was written
 * before journal position `position`. It changes no file. A set of tombs goes with every view, and
 * readers leave out what lies under one; checkpoints and sealing write without it, and when no
 * source has anything under a tomb any more, the tomb goes. A source is told by the position up to
 * which it was written; the heads, which go on growing, by how many rows each group had then.
 *
 * A set never changes: another takes its place. References, any thread; made by the store thread.
 * docs/decisions/0021-deletes.md. */

#ifndef STORAGE_ERASE_TOMBS_H
#define STORAGE_ERASE_TOMBS_H

#include <stdatomic.h>
#include <stdbool.h>

#include "storage/catalogue/catalogue.h"
#include "storage/erase/cuts.h"
#include "storage/memory/head.h"

enum {
    TOMBS_MAX = 1024,         /* Deletes not carried out yet. */
    TOMB_MARKS_MAX = 1 << 20, /* More groups in heads than that: a checkpoint comes first. */
    TOMB_HEADS_MAX = 2        /* As a view has. */
};

/* How many rows groups had in a head when the delete came; ascending, those with none left out. */
struct tomb_mark {
    uint32_t group;
    uint64_t rows;
};

struct tomb_marks {
    atomic_uint holders;
    const struct head *head; /* Only to tell it from others. */
    size_t count;
    struct tomb_mark at[];
};

struct tomb_filter {
    atomic_uint holders;
    size_t size;
    uint8_t at[];
};

struct tomb {
    uint64_t position;
    int64_t from_ns, to_ns;
    struct tomb_filter *filter;
    struct tomb_marks *marks[TOMB_HEADS_MAX]; /* NULL: none. */
};

struct tombs {
    atomic_uint holders;
    uint64_t generation; /* No other set of this process has it; from 1. */
    size_t count;
    struct tomb at[]; /* By position. */
};

/* A delete as it was asked for. */
struct tomb_order {
    uint64_t position;
    int64_t from_ns, to_ns;
    struct bytes filter; /* Valid; at most BATCH_FILTER_BYTES_MAX. */
};

/* The heads at the moment of a delete, and the series it selects there. */
struct tomb_scene {
    struct head *const *heads;
    unsigned head_count;
    const struct series_list *series;
};

/* A set with one more, or with new marks for one that has this position; `old` may be NULL.
 * E_NO_MEMORY. */
MUST_USE enum err tombs_with(const struct tombs *old, const struct tomb_order *order,
                             const struct tomb_scene *scene, struct tombs **out);

/* A set of those that `keep` says, without marks for `gone` (NULL: with all). NULL in `*out`: none
 * are left. E_NO_MEMORY. */
MUST_USE enum err tombs_without(const struct tombs *old,
                                bool (*keep)(void *context, const struct tomb *t), void *context,
                                const struct head *gone, struct tombs **out);

struct tombs *tombs_hold(struct tombs *t); /* NULL stays NULL. */
void tombs_drop(struct tombs *t);          /* NULL is fine. */

static inline size_t tombs_count(const struct tombs *t)
{
    return t == NULL ? 0 : t->count;
}

/* Marks in all of them. */
size_t tombs_marks(const struct tombs *t);

/* Rows of a group in this head that were there when the delete came. */
uint64_t tomb_rows(const struct tomb *t, const struct head *h, uint32_t group);

/* Whether any row of the head may lie under the tomb. */
bool tomb_has_head(const struct tomb *t, const struct head *h);

/* Whether a position lies between: after < position <= upto, in a window that touches
 * from_ns..to_ns. */
bool tombs_between(const struct tombs *t, uint64_t after, uint64_t upto, int64_t from_ns,
                   int64_t to_ns);

/* Add the cuts of one series; of all series of a group. E_NO_MEMORY. */
MUST_USE enum err tombs_cut_series(const struct tombs *t, const struct catalogue *c,
                                   struct series_ref series, struct cuts *out);
MUST_USE enum err tombs_cut_group(const struct tombs *t, const struct catalogue *c, uint32_t group,
                                  struct cuts *out);

static inline struct bytes tomb_filter(const struct tomb *t)
{
    return (struct bytes){t->filter->at, t->filter->size};
}

#endif /* STORAGE_ERASE_TOMBS_H */
