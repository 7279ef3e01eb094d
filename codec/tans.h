/* Entropy coding of residuals: tabled asymmetric numeral systems over tokens.
 *
 * A residual below 16 is its own token; a larger one is the token of its highest two bits and the
 * bits below them as they are. Tokens are coded by tANS (Duda, arXiv:1311.2540) with a table of 2^L
 * states, L = 5..10 by the count, and four states in turn, so that four look-ups run at once.
 * Bits, least significant first: u8 first token; frequencies of it and the next ones until they sum
 * to 2^L, each as Elias gamma code of frequency + 1; four states of L bits; for each residual
 * state bits, then own bits. Ends at the next whole byte; every state must end as 0. */

#ifndef CODEC_TANS_H
#define CODEC_TANS_H

#include "base/bytes.h"
#include "codec/scratch.h"

enum { TANS_COUNT_MIN = 8, TANS_TOKENS = 136 };

/* More than any stream costs. */
#define TANS_IMPOSSIBLE (UINT64_MAX / 2)

/* Bits that tans_write() will take, about; TANS_IMPOSSIBLE when it can't: too many different
 * tokens. */
uint64_t tans_cost(const uint64_t *residuals, uint32_t count);

/* Append the first `count` residuals in s->z; tans_cost() gave a number for them. E_LIMIT. */
MUST_USE enum err tans_write(uint32_t count, struct chunk_scratch *s, struct writer *out);

/* Take `count` residuals off `in`, to s->z. `in` is followed by BITS_SLACK_BYTES readable bytes.
 * E_CORRUPT. */
MUST_USE enum err tans_read(struct bytes *in, uint32_t count, struct chunk_scratch *s);

#endif /* CODEC_TANS_H */
