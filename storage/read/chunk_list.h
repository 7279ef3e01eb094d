/* The chunks that hold points of one series where the partitions of a view lie over one another, as
 * far as their headers tell.
 *
 * Made by one walk and used for many steps of a scan: the chunks of complete flushes never change,
 * so the list stays true as long as the parts are the same and have no new flush. It holds no part
 * and no transaction, only keys to come back with. */

#ifndef STORAGE_READ_CHUNK_LIST_H
#define STORAGE_READ_CHUNK_LIST_H

#include <stdbool.h>

#include "codec/chunk.h"
#include "storage/catalogue/catalogue.h"
#include "storage/part/part_bundle.h"
#include "storage/view_parts.h"

/* Where to look: the parts of each layer that hold a time; NULL: none. Borrowed. */
struct chunk_source {
    struct part *layer[VIEW_LAYERS];
};

struct chunk_entry {
    uint8_t layer;
    uint32_t flush;
    uint32_t points;   /* NaN included. */
    uint64_t position; /* Its values were written up to there: part_position(). */
    bool overlapped;   /* Another entry of the list has times between first_ns and last_ns. */
    /* Of all rows, those without this column or with NaN in it too; first_ns is in the key. */
    int64_t first_ns, last_ns;
    struct chunk_stats stats; /* Of the series' column. */
};

struct chunk_list {
    bool is_made;
    uint64_t part_id[VIEW_LAYERS]; /* 0: no part. */
    uint32_t flushes[VIEW_LAYERS];
    struct series_ref series;
    int64_t from_ns, to_ns; /* What it was made for; to_ns is nearer when there were too many. */
    size_t count, limit;
    struct chunk_entry *entries;   /* By first_ns, then layer and flush: the last wins. */
    struct part_bundle bundle;     /* Of the sealed layer; good beyond the list. */
    uint32_t damaged[VIEW_LAYERS]; /* Chunks skipped because they could not be read. */
};

void chunk_list_init(struct chunk_list *l);
void chunk_list_fini(struct chunk_list *l);

/* Whether the list can answer for times from `from_ns` on. */
bool chunk_list_is_for(const struct chunk_list *l, const struct chunk_source *source,
                       struct series_ref series, int64_t from_ns);

/* Make the list of chunks of `series` with points from_ns <= t < to_ns. Whoever has consumed it up
 * to its own `to_ns` loads it again from there. E_NO_MEMORY, errors of part.h. */
MUST_USE enum err chunk_list_load(struct chunk_list *l, const struct chunk_source *source,
                                  struct series_ref series, int64_t from_ns, int64_t to_ns);

#endif /* STORAGE_READ_CHUNK_LIST_H */
