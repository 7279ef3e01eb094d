/* The head: rows that are durable in the journal but not in a partition yet, in memory.
 *
 * A head is one generation: the store thread appends, any thread reads what is published, and a
 * checkpoint freezes it, writes it to the partitions and drops it whole. Rows of a group stay in
 * journal order; who reads sorts and merges. Rows never move and are never changed. */

#ifndef STORAGE_MEMORY_HEAD_H
#define STORAGE_MEMORY_HEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/journal/batch.h"

struct head;

MUST_USE enum err head_create(struct head **out);
void head_destroy(struct head *h);

/* Copy a row in and publish it. `arrival_s`: when it came, in unix seconds, or 0: on time. An
 * arrival other than that of the group's row before takes 8 bytes. Store thread only. E_NO_MEMORY.
 */
MUST_USE enum err head_append(struct head *h, const struct batch_entry *row, int64_t arrival_s);

/* Have the processor fetch what head_append() will touch of a group: first where the group is, a
 * while later, when that has come, where its next row goes. Store thread only. */
void head_fetch_group(const struct head *h, uint32_t group);
void head_fetch_row(const struct head *h, uint32_t group);

/* Bytes and rows it holds. Any thread. */
uint64_t head_bytes(const struct head *h);
uint64_t head_rows(const struct head *h);

/* Ids of groups with rows are below this. */
uint32_t head_group_end(const struct head *h);

/* Rows of a group. Any thread; stable for the one that appends. */
uint64_t head_group_rows(const struct head *h, uint32_t group);

/* Earliest and latest time of a group's rows. False: it has none. Any thread. */
bool head_group_span(const struct head *h, uint32_t group, int64_t *first_ns, int64_t *last_ns);

/* One row, as it lies in memory. */
struct head_row {
    int64_t time_ns;
    int64_t arrival_s;    /* 0: on time. */
    uint64_t columns;     /* Bit c: column c has a value. */
    const double *values; /* One for each set bit, by ascending column. */
    uint64_t gone;        /* Bits of `columns` whose values are to be left out: deleted since. */
};

/* Walks the rows of one group in journal order, as far as they were published at init. */
struct head_cursor {
    const struct head_segment *segment;
    uint32_t offset;
    uint64_t columns;  /* Of rows that do not name theirs, */
    int64_t arrival_s; /* and of those that do not say. */
    uint64_t left;     /* Rows still to come. */
};
void head_cursor_init(struct head_cursor *c, const struct head *h, uint32_t group);
bool head_cursor_next(struct head_cursor *c, struct head_row *out);

#endif /* STORAGE_MEMORY_HEAD_H */
