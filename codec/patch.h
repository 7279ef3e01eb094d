/* Patched bit packing: most residuals in few bits, the rare large ones listed apart.
 *
 * Bytes: u8 width | 0x80 if there are exceptions; bits_size(count, width) packed bytes; then, with
 * exceptions only, varint how many, and for each: varint values skipped since the last exception,
 * varint (value >> width) - 1. The idea is PFOR's (Zukowski et al., ICDE 2006). */

#ifndef CODEC_PATCH_H
#define CODEC_PATCH_H

#include "base/bytes.h"
#include "codec/bits.h"

/* How many residuals there are of each bit length. */
struct patch_histogram {
    uint32_t of_length[BITS_WIDTH_MAX + 1];
};

static inline void patch_histogram_add(struct patch_histogram *h, uint64_t residual)
{
    h->of_length[bits_length(residual)]++;
}

/* Bits the residuals will take, about, and the width that makes them fewest. */
uint64_t patch_cost(const struct patch_histogram *h, uint32_t count, unsigned *width);

/* E_LIMIT: no room in `out`, which may then hold a part of the stream. */
MUST_USE enum err patch_write(const uint64_t *residuals, uint32_t count, unsigned width,
                              struct writer *out);

/* `in` is followed by BITS_SLACK_BYTES readable bytes. E_CORRUPT: no such stream. */
MUST_USE enum err patch_read(struct bytes *in, uint32_t count, uint64_t *residuals);

#endif /* CODEC_PATCH_H */
