/* Which rows of a column have a value.
 *
 * Bytes: u8 kind; BITMAP: bit i of byte i/8, (rows + 7) / 8 bytes, unused bits 0; RUNS: varint
 * number of runs, integer stream of their lengths, present and absent in turn, present first (that
 * one may be empty); SAME: u8 place in the directory of the earlier column with the same map. */

#ifndef CODEC_PRESENT_H
#define CODEC_PRESENT_H

#include <stdbool.h>

#include "codec/scratch.h"

/* Numbers stand in files: never change or reuse one. */
enum present_kind { PRESENT_BITMAP = 0, PRESENT_RUNS = 1, PRESENT_SAME = 2 };

/* Copy a map of `rows` bits, unused bits cleared. NULL: all are present. Returns how many are. */
uint32_t present_copy(const uint64_t *from, uint32_t rows, uint64_t *to);

/* Whether two maps (NULL: all) say the same of `rows` rows. */
bool present_equal(const uint64_t *a, const uint64_t *b, uint32_t rows);

/* Bring the elements (8 bytes each) whose bit is set together. `from` may be `to`. Returns how many
 * there are. */
uint32_t present_gather(const uint64_t *map, uint32_t rows, const void *from, void *to);

/* First and last row that is present; the map has one. */
uint32_t present_first(const uint64_t *map);
uint32_t present_last(const uint64_t *map, uint32_t rows);

/* Append a copied map as BITMAP or RUNS. Uses s->q. E_LIMIT. */
MUST_USE enum err present_write(const uint64_t *map, uint32_t rows, struct chunk_scratch *s,
                                struct writer *out);

/* Read a map of the first two kinds into s->present; it must have `count` bits. Uses s->q.
 * E_CORRUPT. */
MUST_USE enum err present_read(struct bytes in, uint32_t rows, uint32_t count,
                               struct chunk_scratch *s);

#endif /* CODEC_PRESENT_H */
