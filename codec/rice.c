#include "codec/rice.h"

#include "codec/bits.h"

enum { HEAD_BITS = 8, LONG_BITS = 64, HALF_BITS = 32 };

static uint64_t bits_with(const uint64_t *residuals, uint32_t count, unsigned k)
{
    uint64_t bits = HEAD_BITS;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t unary = residuals[i] >> k;
        bits += unary < RICE_UNARY_MAX ? unary + 1 + k : RICE_UNARY_MAX + LONG_BITS;
    }
    return bits;
}

uint64_t rice_cost(const uint64_t *residuals, uint32_t count, unsigned *k)
{
    uint64_t sum = 0, best = UINT64_MAX;
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t next = sum + residuals[i];
        sum = next < sum ? UINT64_MAX : next;
    }
    /* The best k is near the logarithm of the mean; a few outliers pull that up. */
    const unsigned top = bits_length(count == 0 ? 0 : sum / count);
    const unsigned last = top < RICE_LOW_BITS_MAX ? top : RICE_LOW_BITS_MAX;
    for (unsigned i = last < 3 ? 0 : last - 3; i <= last; i++) {
        const uint64_t bits = bits_with(residuals, count, i);
        if (bits < best) {
            best = bits;
            *k = i;
        }
    }
    return best;
}

enum err rice_write(const uint64_t *residuals, uint32_t count, unsigned k, struct writer *out)
{
    const uint64_t size = (bits_with(residuals, count, k) + 7) / 8;
    if (out->limit - out->size < size) {
        return E_LIMIT;
    }
    struct bits_writer w = {.to = out->at + out->size};
    bits_put(&w, k, HEAD_BITS);
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t unary = residuals[i] >> k;
        if (unary < RICE_UNARY_MAX) {
            bits_put(&w, UINT64_C(1) << unary, (unsigned)unary + 1);
            bits_put(&w, residuals[i] & bits_mask(k), k);
        } else {
            bits_put(&w, 0, RICE_UNARY_MAX);
            bits_put(&w, residuals[i], LONG_BITS);
        }
    }
    bits_flush(&w);
    out->size += size;
    return OK;
}

/* A residual written in full. E_CORRUPT: it is not there. */
static enum err take_long(const uint8_t *from, size_t *at, size_t end, uint64_t *residual)
{
    *at += RICE_UNARY_MAX;
    if (*at > end || end - *at < LONG_BITS) {
        return E_CORRUPT;
    }
    const uint64_t low = bits_peek(from, *at) & bits_mask(HALF_BITS);
    *residual = (bits_peek(from, *at + HALF_BITS) & bits_mask(HALF_BITS)) << HALF_BITS | low;
    *at += LONG_BITS;
    return OK;
}

enum err rice_read(struct bytes *in, uint32_t count, uint64_t *residuals)
{
    uint8_t k;
    if (bytes_take_u8(in, &k) != OK || k > RICE_LOW_BITS_MAX) {
        return E_CORRUPT;
    }
    const uint8_t *from = in->at;
    const size_t end = in->size * 8;
    size_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (at >= end) {
            return E_CORRUPT;
        }
        const uint64_t word = bits_peek(from, at);
        const unsigned unary = (unsigned)__builtin_ctzll(word | UINT64_C(1) << RICE_UNARY_MAX);
        if (unary == RICE_UNARY_MAX) {
            TRY(take_long(from, &at, end, &residuals[i]));
            continue;
        }
        residuals[i] = (uint64_t)unary << k | (word >> (unary + 1) & bits_mask(k));
        at += unary + 1 + k;
    }
    if (at > end) {
        return E_CORRUPT;
    }
    const size_t used = (at + 7) / 8;
    *in = (struct bytes){in->at + used, in->size - used};
    return OK;
}
