/* A number as a sensor wrote it: an IEEE double, and its decimal form where that is exact.
 *
 * Sensors speak decimals. Keeping mantissa and scale from the text spares every later stage the
 * search for them: the journal stores fewer bytes and the codec starts from integers. IEEE division
 * is exact here: value == (double)mantissa / 10^scale bit for bit (Clinger, PLDI 1990). */

#ifndef BASE_NUMBER_H
#define BASE_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

enum { NUMBER_SCALE_MAX = 22, NUMBER_RAW = 255, NUMBER_TEXT_BYTES_MAX = 32 };

struct number {
    double value;
    int64_t mantissa; /* |mantissa| <= 2^53; undefined when scale is NUMBER_RAW. */
    uint8_t scale;    /* 0..NUMBER_SCALE_MAX, or NUMBER_RAW: only `value` counts. */
};

/* 10^scale for scale 0..NUMBER_SCALE_MAX, exactly. */
double number_power(uint8_t scale);

/* A double with its decimal form looked for where that is cheap (whole numbers), else raw. */
struct number number_of(double value);

/* Read a JSON number (RFC 8259, section 6) that fills all of `text`. Correctly rounded.
 * E_MALFORMED: not a number by that grammar. E_LIMIT: beyond the range of a double. */
MUST_USE enum err number_read(struct bytes text, struct number *out);

/* Cut a number off the start of `in`, as number_read() does with all of a text. `in` is untouched
 * on failure. */
MUST_USE enum err number_take(struct bytes *in, struct number *out);

/* Write the shortest text that reads back as the same double, without exponent where |value| is
 * between 1e-6 and 1e17 ("31.5", "-0", "1e300", "NaN", "Infinity"). Returns its length; no 0 byte
 * is added. `to` has room for NUMBER_TEXT_BYTES_MAX. */
size_t number_write(double value, char *to);

#endif /* BASE_NUMBER_H */
