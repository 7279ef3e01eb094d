#include "codec/bits.h"

#include "base/check.h"

enum { GROUP = 8 };

/* NOLINTNEXTLINE(readability-non-const-parameter): written through, by bits_put(). */
void bits_pack(const uint64_t *values, uint32_t count, unsigned width, uint8_t *to)
{
    uint64_t mask = bits_mask(width);
    struct bits_writer w = {.to = to};

    CHECK(width <= BITS_WIDTH_MAX);
    for (uint32_t i = 0; i < count; i++) {
        bits_put(&w, values[i] & mask, width);
    }
    bits_flush(&w);
}

/* The value at `bit` of `from`; a ninth byte is needed only above 57 bits. */
static inline __attribute__((always_inline)) uint64_t field(const uint8_t *from, size_t bit,
                                                            unsigned width)
{
    uint64_t low = bits_peek(from, bit);
    if (width > 57 && bit % 8 > 0) {
        low |= (uint64_t)from[bit / 8 + 8] << (64 - bit % 8);
    }
    return low & bits_mask(width);
}

static inline __attribute__((always_inline)) void unpack(const uint8_t *from, uint32_t count,
                                                         unsigned width, uint64_t *values)
{
    for (; count >= GROUP; count -= GROUP, from += width, values += GROUP) {
        for (unsigned i = 0; i < GROUP; i++) {
            values[i] = field(from, (size_t)i * width, width);
        }
    }
    for (unsigned i = 0; i < count; i++) {
        values[i] = field(from, (size_t)i * width, width);
    }
}

static void unpack_0(const uint8_t *from, uint32_t count, uint64_t *values)
{
    (void)from;
    memset(values, 0, count * sizeof *values);
}

#define EIGHT(X, a, b, c, d, e, f, g, h) X(a) X(b) X(c) X(d) X(e) X(f) X(g) X(h)
#define WIDTHS(X)                                                                                  \
    EIGHT(X, 1, 2, 3, 4, 5, 6, 7, 8)                                                               \
    EIGHT(X, 9, 10, 11, 12, 13, 14, 15, 16)                                                        \
    EIGHT(X, 17, 18, 19, 20, 21, 22, 23, 24)                                                       \
    EIGHT(X, 25, 26, 27, 28, 29, 30, 31, 32)                                                       \
    EIGHT(X, 33, 34, 35, 36, 37, 38, 39, 40)                                                       \
    EIGHT(X, 41, 42, 43, 44, 45, 46, 47, 48)                                                       \
    EIGHT(X, 49, 50, 51, 52, 53, 54, 55, 56)                                                       \
    EIGHT(X, 57, 58, 59, 60, 61, 62, 63, 64)

#define UNPACK_FUNCTION(width)                                                                     \
    static void unpack_##width(const uint8_t *from, uint32_t count, uint64_t *values)              \
    {                                                                                              \
        unpack(from, count, width, values);                                                        \
    }
WIDTHS(UNPACK_FUNCTION)

#define UNPACK_NAME(width) unpack_##width,
static void (*const unpackers[BITS_WIDTH_MAX + 1])(const uint8_t *, uint32_t,
                                                   uint64_t *) = {unpack_0, WIDTHS(UNPACK_NAME)};

void bits_unpack(const uint8_t *from, uint32_t count, unsigned width, uint64_t *values)
{
    CHECK(width <= BITS_WIDTH_MAX);
    unpackers[width](from, count, values);
}
