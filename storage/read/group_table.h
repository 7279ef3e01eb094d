/* The buckets of a group being gathered: cells in order of time, each the sum of its series'.
 *
 * Series are put one after another, each in order of time, so that a cell is mostly found where the
 * one before was. Cells new to the table wait apart until their series is done. */

#ifndef STORAGE_READ_GROUP_TABLE_H
#define STORAGE_READ_GROUP_TABLE_H

#include "storage/read/cell.h"

struct cell_list {
    size_t count, limit;
    struct cell *cells;
};

struct group_table {
    struct cell_list all, late; /* Late: of the series being put, not among all. */
    size_t at;                  /* Cells before it are before the last one put. */
    size_t value_bytes;         /* Of value sets. */
};

void group_table_init(struct group_table *t);
void group_table_fini(struct group_table *t);
void group_table_clear(struct group_table *t);
void group_table_rest(struct group_table *t); /* The same, and gives up what is large. */

/* The next cell of a series; what its value set holds is taken over. E_LIMIT: beyond
 * QUERY_GROUP_BYTES_MAX. E_NO_MEMORY. After an error the table is only good to be cleared. */
MUST_USE enum err group_table_put(struct group_table *t, struct cell *c);

/* The series is done; the next begins at any time. E_NO_MEMORY. */
MUST_USE enum err group_table_end_series(struct group_table *t);

#endif /* STORAGE_READ_GROUP_TABLE_H */
