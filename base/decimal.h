/* Decimal text taken apart: the grammar of JSON numbers, and what they say before any rounding.
 *
 * Numbers and unix times both start here; nanoseconds since 1970 do not fit a double, so a time is
 * made from these digits and never from `struct number`. */

#ifndef BASE_DECIMAL_H
#define BASE_DECIMAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

enum { DECIMAL_DIGITS_MAX = 19, DECIMAL_PLACES_MAX = 24, DECIMAL_TEXT_BYTES_MAX = 28 };

/* The text says (-)digits * 10^exponent. */
struct decimal {
    uint64_t digits;  /* Up to DECIMAL_DIGITS_MAX significant ones, zeros at the end as written. */
    int64_t exponent; /* Clamped to about +-10^9, far beyond what a double tells apart. */
    bool is_negative; /* Also of "-0". */
    bool is_exact;    /* False: there were further digits, cut off, and not all of them zeros. */
};

/* 10^power for power 0..DECIMAL_DIGITS_MAX. */
uint64_t decimal_power(unsigned power);

/* Cut the longest JSON number (RFC 8259, section 6) off the start of `in`. E_MALFORMED: it does not
 * start with one; a number that breaks off ("1.", "1e") is none. */
MUST_USE enum err decimal_take(struct bytes *in, struct decimal *out);

/* Write digits / 10^places without exponent ("-0.05"); returns the length, no 0 byte is added. `to`
 * has room for DECIMAL_TEXT_BYTES_MAX; `places` <= DECIMAL_PLACES_MAX. */
size_t decimal_write(bool is_negative, uint64_t digits, unsigned places, char *to);

#endif /* BASE_DECIMAL_H */
