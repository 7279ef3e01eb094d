/* When the rows of a chunk came, and what they replaced: only of those that did not come on time.
 *
 * Bytes, behind the last column: varint number of rows with an arrival; if there are some and not
 * all, varint size and the map of them (present.h); if there are some, integer stream of their
 * arrivals, unix seconds. Then varint number of revisions, and for each: varint rows since the one
 * before, u8 column | 64 when current | 128 when on time, zigzag varint arrival minus the row's
 * time in seconds unless on time, 8 bytes of the value unless current. */

#ifndef CODEC_ARRIVALS_H
#define CODEC_ARRIVALS_H

#include "codec/scratch.h"

/* Append what `in` says of arrivals; those of rows count from `base_s`. E_LIMIT: no room, or too
 * many revisions. */
MUST_USE enum err arrivals_write(const struct chunk_input *in, uint32_t base_s,
                                 struct chunk_scratch *s, struct writer *out);

#endif /* CODEC_ARRIVALS_H */
