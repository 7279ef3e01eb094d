/* Newest values as one pack: (group, column), time and double of many, by ascending places, each as
 * a difference from the one before; doubles as decimals where that gives the same 64 bits.
 * docs/FORMAT.md, "Catalogue". Pure; inside this room only. */

#ifndef STORAGE_MEMORY_LAST_PACK_H
#define STORAGE_MEMORY_LAST_PACK_H

#include "storage/catalogue/catalogue.h"

struct last_entry {
    struct series_ref ref;
    int64_t time_ns;
    uint64_t bits; /* Of the double. */
};

/* What the next entry is told by. Zeroed: at the start of a pack. */
struct last_pack_state {
    bool has_entries;
    unsigned unit; /* Of times: 0 ns, 1 us, 2 ms, 3 s. */
    struct series_ref ref;
    int64_t time_ns;
};

enum { LAST_ENTRY_BYTES_MAX = 40 };

/* Append an entry behind those that made `state`. `w` has room for LAST_ENTRY_BYTES_MAX. */
void last_pack_put(struct last_pack_state *state, struct writer *w, const struct last_entry *entry);

/* E_END, E_CORRUPT. Safe on any bytes. */
MUST_USE enum err last_pack_take(struct last_pack_state *state, struct bytes *in,
                                 struct last_entry *entry);

#endif /* STORAGE_MEMORY_LAST_PACK_H */
