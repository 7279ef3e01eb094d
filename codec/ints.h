/* The one integer pipeline: times, decimals, dictionary ids and run lengths all go through it.
 *
 * Constant? Linear? Else the common divisor goes out, then the cheapest of runs and the stages of
 * stage.h, whose residuals are packed. A stream tells its own length but not its count. Bytes:
 * docs/FORMAT.md, "Integer stream". Exact for every int64, in any order. */

#ifndef CODEC_INTS_H
#define CODEC_INTS_H

#include "codec/scratch.h"

/* Tag byte: stage in bits 0-3, packing in 4-5, bit 6: divisor and base follow. */
enum { INTS_STAGE_MASK = 0x0f, INTS_PACK_SHIFT = 4, INTS_PACK_MASK = 0x03, INTS_DIVISOR_FLAG = 64 };

/* Append `count` (1..CHUNK_ROWS_MAX) values; s->is_dense allows tANS. `values` may be any array of
 * the scratch but those of ints. E_LIMIT: no room in `out`, which may then hold a part of the
 * stream. */
MUST_USE enum err ints_write(const int64_t *values, uint32_t count, struct chunk_scratch *s,
                             struct writer *out);

/* Take one stream of `count` (0..CHUNK_ROWS_MAX) values off `in`, which is followed by
 * BITS_SLACK_BYTES readable bytes. E_CORRUPT: no such stream; `values` may then hold anything. */
MUST_USE enum err ints_read(struct bytes *in, uint32_t count, struct chunk_scratch *s,
                            int64_t *values);

/* The same of a stream whose value i is first + step * i, without writing them all out.
 * E_NOT_FOUND: it is none, nothing is taken. */
MUST_USE enum err ints_read_line(struct bytes *in, int64_t *first, int64_t *step);

#endif /* CODEC_INTS_H */
