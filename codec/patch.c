#include "codec/patch.h"

enum {
    EXCEPTIONS_FLAG = 0x80,
    EXCEPTION_SHARE = 8, /* At most one value in eight is listed apart. */
    GAP_BITS = 9,        /* What a gap costs in the mean: a byte, rarely two. */
    HEAD_BITS = 8,
    COUNT_BITS = 8
};

/* Bits of the high parts of all values longer than `width`. */
static uint64_t high_cost(const struct patch_histogram *h, unsigned width, unsigned longest)
{
    uint64_t bits = 0;
    for (unsigned length = width + 1; length <= longest; length++) {
        bits += (uint64_t)h->of_length[length] * ((length - width + 6) / 7 * 8);
    }
    return bits;
}

uint64_t patch_cost(const struct patch_histogram *h, uint32_t count, unsigned *width)
{
    unsigned longest = BITS_WIDTH_MAX;
    uint32_t exceptions = 0;

    while (longest > 0 && h->of_length[longest] == 0) {
        longest--;
    }
    uint64_t best = (uint64_t)count * longest;
    *width = longest;
    for (unsigned w = longest; w-- > 0;) {
        exceptions += h->of_length[w + 1];
        if (exceptions > count / EXCEPTION_SHARE) {
            break;
        }
        uint64_t cost = (uint64_t)count * w + COUNT_BITS + (uint64_t)exceptions * GAP_BITS +
                        high_cost(h, w, longest);
        if (cost < best) {
            best = cost;
            *width = w;
        }
    }
    return best + HEAD_BITS;
}

static uint32_t exceptions_count(const uint64_t *residuals, uint32_t count, unsigned width)
{
    uint32_t exceptions = 0;
    uint64_t mask = bits_mask(width);
    for (uint32_t i = 0; i < count; i++) {
        exceptions += residuals[i] > mask;
    }
    return exceptions;
}

static enum err exceptions_write(const uint64_t *residuals, uint32_t count, unsigned width,
                                 struct writer *out)
{
    uint32_t next = 0;
    uint64_t mask = bits_mask(width);
    for (uint32_t i = 0; i < count; i++) {
        if (residuals[i] > mask) {
            TRY(writer_put_varint(out, i - next));
            TRY(writer_put_varint(out, (residuals[i] >> width) - 1));
            next = i + 1;
        }
    }
    return OK;
}

enum err patch_write(const uint64_t *residuals, uint32_t count, unsigned width, struct writer *out)
{
    uint32_t exceptions = exceptions_count(residuals, count, width);
    size_t size = bits_size(count, width);

    TRY(writer_put_u8(out, (uint8_t)(width | (exceptions > 0 ? EXCEPTIONS_FLAG : 0))));
    if (out->limit - out->size < size) {
        return E_LIMIT;
    }
    bits_pack(residuals, count, width, out->at + out->size);
    out->size += size;
    if (exceptions > 0) {
        TRY(writer_put_varint(out, exceptions));
        TRY(exceptions_write(residuals, count, width, out));
    }
    return OK;
}

static enum err exceptions_read(struct bytes *in, uint32_t count, unsigned width,
                                uint64_t *residuals)
{
    uint64_t exceptions, next = 0;

    if (bytes_take_varint(in, &exceptions) != OK || exceptions > count) {
        return E_CORRUPT;
    }
    for (uint64_t i = 0; i < exceptions; i++) {
        uint64_t gap, high;
        if (bytes_take_varint(in, &gap) != OK || bytes_take_varint(in, &high) != OK ||
            gap >= count - next || high >= bits_mask(BITS_WIDTH_MAX - width)) {
            return E_CORRUPT;
        }
        next += gap;
        residuals[next++] |= (high + 1) << width;
    }
    return OK;
}

enum err patch_read(struct bytes *in, uint32_t count, uint64_t *residuals)
{
    uint8_t head;
    struct bytes packed;

    if (bytes_take_u8(in, &head) != OK) {
        return E_CORRUPT;
    }
    unsigned width = head & (EXCEPTIONS_FLAG - 1);
    bool has_exceptions = (head & EXCEPTIONS_FLAG) != 0;
    if (width > BITS_WIDTH_MAX || (width == BITS_WIDTH_MAX && has_exceptions) ||
        bytes_take(in, bits_size(count, width), &packed) != OK) {
        return E_CORRUPT;
    }
    bits_unpack(packed.at, count, width, residuals);
    return has_exceptions ? exceptions_read(in, count, width, residuals) : OK;
}
