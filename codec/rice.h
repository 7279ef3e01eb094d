/* Rice codes: few residuals, without a table.
 *
 * A residual is its low k bits and, before them, the rest in unary. For a hundred residuals that
 * scatter around nothing this takes a tenth of a bit each more than their entropy, where the table
 * of tans.h alone would take more than one. R. F. Rice, JPL 79-22, 1979.
 * Bytes: u8 k, then one bit string, least significant first, ended by the next whole byte: for each
 * residual q zero bits, a one bit and k low bits, q < RICE_UNARY_MAX being the residual >> k; or,
 * where that is more, RICE_UNARY_MAX zero bits and all 64 bits of the residual. */

#ifndef CODEC_RICE_H
#define CODEC_RICE_H

#include "base/bytes.h"

enum { RICE_UNARY_MAX = 24, RICE_LOW_BITS_MAX = 32 };

/* Bits that rice_write() will take, and the k that makes them fewest. */
uint64_t rice_cost(const uint64_t *residuals, uint32_t count, unsigned *k);

/* E_LIMIT: no room in `out`, which may then hold a part of the stream. */
MUST_USE enum err rice_write(const uint64_t *residuals, uint32_t count, unsigned k,
                             struct writer *out);

/* `in` is followed by BITS_SLACK_BYTES readable bytes. E_CORRUPT: no such stream. */
MUST_USE enum err rice_read(struct bytes *in, uint32_t count, uint64_t *residuals);

#endif /* CODEC_RICE_H */
