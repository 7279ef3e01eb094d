/* Brief chunks: what a chunk says, for a few rows that stand in a bundle beside others (bundle.h).
 *
 * No magic, version or checksum: those are the bundle's. Times and arrivals count from the bundle's
 * base, a regular beat is a step and no stream, the one column of a scalar needs neither id nor
 * size, integers begin at the first value, which the statistics tell, and an empty stream stands
 * for zeros. Reading gives the same struct chunk as chunk_read(). docs/FORMAT.md, "Bundle". */

#ifndef CODEC_BRIEF_H
#define CODEC_BRIEF_H

#include "codec/chunk.h"

/* What a bundle's brief chunks count from. */
struct brief_base {
    int64_t time_s;
    uint32_t arrival_s;
};

/* Append to `out`, dense. E_LIMIT: no room, or times too far apart or from the base; `out` is as
 * before. */
MUST_USE enum err brief_write(const struct chunk_input *in, const struct brief_base *base,
                              struct chunk_scratch *scratch, struct writer *out);

/* Check everything that can be checked without decoding the streams. `in` is followed by 8 readable
 * bytes. E_CORRUPT. */
MUST_USE enum err brief_read(struct bytes in, const struct brief_base *base, struct chunk *out);

#endif /* CODEC_BRIEF_H */
