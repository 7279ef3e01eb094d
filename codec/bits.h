/* Integers of one width packed side by side, least significant bit first.
 *
 * Value i takes the bits i*width .. (i+1)*width-1 of a little-endian bit string. Eight values are
 * exactly `width` bytes, so unpacking works in groups of eight with every shift a constant of the
 * compiler: one function for each width. No intrinsics; measured faster than memory fills. */

#ifndef CODEC_BITS_H
#define CODEC_BITS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bytes behind the packed ones that bits_unpack() may load (never use): they must be readable. */
enum { BITS_WIDTH_MAX = 64, BITS_SLACK_BYTES = 8 };

/* Bits needed to write `value`: 0 for 0, 64 for the largest. */
static inline unsigned bits_length(uint64_t value)
{
    return value == 0 ? 0 : 64 - (unsigned)__builtin_clzll(value);
}

/* Ones in the lowest `width` bits, for width 0..64. */
static inline uint64_t bits_mask(unsigned width)
{
    return width == 0 ? 0 : ~UINT64_C(0) >> (64 - width);
}

/* Bytes that `count` values of `width` bits fill. */
static inline size_t bits_size(uint32_t count, unsigned width)
{
    return ((size_t)count * width + 7) / 8;
}

/* A bit string on its way to memory, least significant bit first, 8 bytes at a time. */
struct bits_writer {
    uint8_t *to;
    uint64_t word;
    unsigned used; /* Bits of `word`, always below 64. */
};

/* Append `value`, which has at most `width` (0..64) bits. */
static inline void bits_put(struct bits_writer *w, uint64_t value, unsigned width)
{
    w->word |= value << w->used;
    w->used += width;
    if (w->used >= 64) {
        memcpy(w->to, &w->word, sizeof w->word);
        w->to += sizeof w->word;
        w->used -= 64;
        w->word = w->used == 0 ? 0 : value >> (width - w->used);
    }
}

/* Fill up the last byte with zeros and write what is left. */
static inline void bits_flush(struct bits_writer *w)
{
    memcpy(w->to, &w->word, (w->used + 7) / 8);
}

/* The 64 bits that start at bit `at` (its top 7 are 0 unless at % 8 is 0), from memory with
 * BITS_SLACK_BYTES behind that byte. */
static inline uint64_t bits_peek(const uint8_t *from, size_t at)
{
    uint64_t word;
    memcpy(&word, from + at / 8, sizeof word);
    return word >> at % 8;
}

/* Write the low `width` bits of each value: exactly bits_size() bytes at `to`. Unused bits are 0.
 */
void bits_pack(const uint64_t *values, uint32_t count, unsigned width, uint8_t *to);

/* Read `count` values of `width` (0..64) bits from the bits_size() bytes at `from`. */
void bits_unpack(const uint8_t *from, uint32_t count, unsigned width, uint64_t *values);

#endif /* CODEC_BITS_H */
