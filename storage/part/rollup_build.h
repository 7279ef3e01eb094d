/* Rollups made while the rows of a file being sealed pass by, and put where they pay.
 *
 * Of each column at hand the bucket being filled and up to ROLLUP_ROWS_MAX finished ones are in
 * memory, and up to about a MiB of encoded values of the group. What a value costs is weighed
 * against the points it stands for when it is cut: a value that does not pay is left out. */

#ifndef STORAGE_PART_ROLLUP_BUILD_H
#define STORAGE_PART_ROLLUP_BUILD_H

#include "storage/part/columns.h"
#include "storage/part/part.h"

/* A bucket of fewer points on average is as well read from chunks, and for each byte of rollups
 * there must be so many points: sealed, these take some 8 bytes or more themselves. */
enum { ROLLUP_POINTS_MIN = 64, ROLLUP_POINTS_PER_BYTE = 16 };

struct rollup_build;

/* Buckets that reach outside of `period` are left out. E_NO_MEMORY. */
MUST_USE enum err rollup_build_create(struct part_flush *flush, struct part_period period,
                                      struct rollup_build **out);
void rollup_build_destroy(struct rollup_build *b); /* NULL is fine. */

/* Rows of the group from number `from` on, behind all that came before. E_NO_MEMORY, and what
 * rollup_build_end() returns. */
MUST_USE enum err rollup_build_add(struct rollup_build *b, uint32_t group, const struct columns *c,
                                   uint32_t from);

/* The group has no more rows: what pays is put. Groups come in ascending order. E_NO_MEMORY, errors
 * of part_flush_put(). */
MUST_USE enum err rollup_build_end(struct rollup_build *b);

/* The group has no more rows, and shall have no rollups. */
void rollup_build_skip(struct rollup_build *b);

/* Bytes put so far, keys included. */
uint64_t rollup_build_bytes(const struct rollup_build *b);

#endif /* STORAGE_PART_ROLLUP_BUILD_H */
