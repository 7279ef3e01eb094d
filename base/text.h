/* A text as a value: inside the house it travels as a double whose 64 bits are one reserved NaN and
 * the number the store's dictionary gave the text (storage/catalogue/texts.h).
 *
 * So every place that keeps doubles bit for bit keeps texts too, and whatever leaves NaN out of its
 * sums leaves texts out. Such a double never comes from outside: it would mean another's text. */

#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { TEXT_BYTES_MAX = 1024 };

/* The upper half of the bits; the lower is the number. A quiet NaN, so no machine changes it. */
#define TEXT_BITS_HIGH UINT32_C(0xFFFC0000)

static inline bool text_is_bits(uint64_t bits)
{
    return bits >> 32 == TEXT_BITS_HIGH;
}

static inline bool text_is_value(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return text_is_bits(bits);
}

static inline double text_value(uint32_t id)
{
    const uint64_t bits = (uint64_t)TEXT_BITS_HIGH << 32 | id;
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Of a double for which text_is_value() holds. */
static inline uint32_t text_id(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint32_t)bits;
}

#endif /* BASE_TEXT_H */
