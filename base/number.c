#include "base/number.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/decimal.h"

/* Every whole number up to here is a double, and so is 10^22; one division of the two rounds once.
 * An extended precision of the processor would round twice. */
#define MANTISSA_MAX (UINT64_C(1) << 53)
_Static_assert(FLT_EVAL_METHOD == 0, "arithmetic on doubles is done in doubles");

/* The middle between two doubles has fewer significant digits than these: what follows them tells
 * at most that a number lies above it. */
enum { DIGITS_MAX = 768 };

/* What plain digits, without an exponent, are written for. */
enum { POINT_MIN = -6, POINT_MAX = 17 };

static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
_Static_assert(sizeof powers / sizeof powers[0] == NUMBER_SCALE_MAX + 1, "one a scale");

double number_power(uint8_t scale)
{
    CHECK(scale <= NUMBER_SCALE_MAX);
    return powers[scale];
}

struct number number_of(double value)
{
    const double limit = (double)MANTISSA_MAX;
    struct number n = {value, 0, NUMBER_RAW};

    if (value >= -limit && value <= limit && (double)(int64_t)value == value &&
        !(value == 0 && signbit(value))) {
        n.mantissa = (int64_t)value;
        n.scale = 0;
    }
    return n;
}

/* Bring an exact decimal into the bounds of mantissa and scale, if it can be, without changing what
 * it says: exponents fold into the mantissa, zeros at the end give way. */
static bool fit_decimal(struct decimal *d)
{
    if (d->digits == 0) {
        d->exponent = d->exponent > 0 ? 0 : d->exponent;
        d->exponent = d->exponent < -NUMBER_SCALE_MAX ? -NUMBER_SCALE_MAX : d->exponent;
        return !d->is_negative;
    }
    while (d->exponent > 0 && d->digits <= MANTISSA_MAX / 10) {
        d->digits *= 10;
        d->exponent--;
    }
    while ((d->digits > MANTISSA_MAX || d->exponent < -NUMBER_SCALE_MAX) && d->exponent < 0 &&
           d->digits % 10 == 0) {
        d->digits /= 10;
        d->exponent++;
    }
    return d->digits <= MANTISSA_MAX && d->exponent <= 0 && d->exponent >= -NUMBER_SCALE_MAX;
}

/* Put the digits of `text` that found no room in its decimal, as many as fit. A 1 in the last place
 * stands for all the others: they only tell "a bit more". */
static void put_tail(struct bytes text, struct writer *tail)
{
    unsigned significant = 0;
    bool is_more = false;

    for (size_t i = 0; i < text.size && (text.at[i] | 0x20) != 'e'; i++) {
        uint8_t c = text.at[i];
        if (c == '-' || c == '.' || (c == '0' && significant == 0)) {
            continue;
        }
        significant += significant <= DECIMAL_DIGITS_MAX;
        if (significant > DECIMAL_DIGITS_MAX && writer_put_u8(tail, c) != OK) {
            is_more = is_more || c != '0';
        }
    }
    if (is_more) {
        tail->at[tail->size - 1] = '1';
    }
}

/* The double nearest to `text`, which says `d`, by strtod() on a bounded copy. It rounds correctly
 * in the C locale, and no process of the house calls setlocale(). */
static double round_text(struct bytes text, const struct decimal *d)
{
    char copy[DIGITS_MAX + 64];

    if (text.size < sizeof copy) {
        memcpy(copy, text.at, text.size);
        copy[text.size] = 0;
    } else {
        uint8_t digits[DIGITS_MAX];
        struct writer tail = {digits, 0, sizeof digits};
        put_tail(text, &tail);
        snprintf(copy, sizeof copy, "%s%" PRIu64 ".%.*se%" PRId64, d->is_negative ? "-" : "",
                 d->digits, (int)tail.size, (const char *)digits, d->exponent);
    }
    return strtod(copy, NULL);
}

/* The number that `text` says, whose decimal is `d`. E_LIMIT. */
static enum err number_from(struct bytes text, struct decimal d, struct number *out)
{
    struct decimal fit = d;

    if (d.is_exact && fit_decimal(&fit)) {
        uint8_t scale = (uint8_t)-fit.exponent;
        double value = (double)fit.digits / number_power(scale);
        int64_t mantissa = (int64_t)fit.digits;
        *out = (struct number){d.is_negative ? -value : value, d.is_negative ? -mantissa : mantissa,
                               scale};
        return OK;
    }
    double value = round_text(text, &d);
    if (!isfinite(value)) {
        return E_LIMIT;
    }
    *out = number_of(value);
    return OK;
}

/* Pass the digits at `at`, adding them to `mantissa`. */
static inline const uint8_t *pass_digits(const uint8_t *at, const uint8_t *end, uint64_t *mantissa)
{
    for (; at < end && (uint8_t)(*at - '0') <= 9; at++) {
        *mantissa = *mantissa * 10 + (uint64_t)(*at - '0');
    }
    return at;
}

/* What nearly all sensors send: up to 15 digits, no exponent. The end of such a number that is not
 * -0, or NULL: it may still be another number, or none. */
static const uint8_t *take_short(struct bytes in, struct number *out)
{
    if (in.size == 0) {
        return NULL;
    }
    const uint8_t *end = in.at + in.size;
    bool is_negative = in.at[0] == '-';
    const uint8_t *start = in.at + is_negative;
    uint64_t mantissa = 0;
    size_t places = 0;

    const uint8_t *at = pass_digits(start, end, &mantissa);
    size_t digits = (size_t)(at - start);
    if (digits == 0 || (digits > 1 && *start == '0')) {
        return NULL;
    }
    if (at < end && *at == '.') {
        const uint8_t *point = at++;
        at = pass_digits(at, end, &mantissa);
        places = (size_t)(at - point) - 1;
        if (places == 0) {
            return NULL;
        }
    }
    bool has_exponent = at < end && (*at | 0x20) == 'e';
    if (has_exponent || digits + places > DBL_DIG || (is_negative && mantissa == 0)) {
        return NULL;
    }
    out->mantissa = is_negative ? -(int64_t)mantissa : (int64_t)mantissa;
    out->value = (double)out->mantissa / powers[places];
    out->scale = (uint8_t)places;
    return at;
}

enum err number_take(struct bytes *in, struct number *out)
{
    const uint8_t *end = take_short(*in, out);
    if (end != NULL) {
        in->size -= (size_t)(end - in->at);
        in->at = end;
        return OK;
    }
    struct bytes rest = *in;
    struct decimal d;
    TRY(decimal_take(&rest, &d));
    TRY(number_from((struct bytes){in->at, in->size - rest.size}, d, out));
    *in = rest;
    return OK;
}

enum err number_read(struct bytes text, struct number *out)
{
    struct bytes rest = text;
    struct number found;
    struct decimal d;

    const uint8_t *end = take_short(text, &found);
    if (end != NULL && end == text.at + text.size) {
        *out = found;
        return OK;
    }
    TRY(decimal_take(&rest, &d));
    return rest.size > 0 ? E_MALFORMED : number_from(text, d, out);
}

/* The places after the point that a finite value below 1e15 takes, when it has at most 15 digits:
 * so few digits and doubles name each other one to one. False: it has more. */
static bool find_places(double magnitude, uint64_t *whole, unsigned *places)
{
    for (unsigned p = 0; p <= NUMBER_SCALE_MAX; p++) {
        double shifted = magnitude * number_power((uint8_t)p);
        if (shifted >= 1e15) {
            return false;
        }
        uint64_t nearest = (uint64_t)(shifted + 0.5);
        if ((double)nearest / number_power((uint8_t)p) == magnitude) {
            *whole = nearest;
            *places = p;
            return true;
        }
    }
    return false;
}

/* The fewest digits, of at least `least`, that name `magnitude`, as "d.ddde[+-]dd". printf's are
 * the nearest to it; only around a power of two the doubles are closer below than above, and fewer
 * digits may be found around the middle of what rounds to it. */
static void print_shortest(double magnitude, int least, char *text, size_t size)
{
    int exponent;
    bool is_power = frexp(magnitude, &exponent) == 0.5;
    double ulp = nextafter(magnitude, (double)INFINITY) - magnitude;

    for (int digits = least; digits <= DBL_DECIMAL_DIG; digits++) {
        snprintf(text, size, "%.*e", digits - 1, magnitude);
        if (strtod(text, NULL) == magnitude) {
            return;
        }
        if (is_power) {
            snprintf(text, size, "%.*Le", digits - 1,
                     (long double)magnitude + (long double)ulp / 8);
            if (strtod(text, NULL) == magnitude) {
                return;
            }
        }
    }
}

/* Lay "d.ddde[+-]dd" out as number.h says. */
static size_t lay_out(bool is_negative, const char *text, char *to)
{
    uint64_t digits = 0;
    size_t size = 0;
    const char *at = text;
    int places = 0;

    for (; *at != 'e'; at++) {
        if (*at != '.') {
            digits = digits * 10 + (uint64_t)(*at - '0');
            places++;
        }
    }
    for (places--; digits % 10 == 0; places--) {
        digits /= 10;
    }
    int exponent = (int)strtol(at + 1, NULL, 10);
    if (exponent >= POINT_MIN && exponent < POINT_MAX) {
        return decimal_write(is_negative, digits, (unsigned)(places - exponent), to);
    }
    size = decimal_write(is_negative, digits, (unsigned)places, to);
    return size + (size_t)snprintf(to + size, NUMBER_TEXT_BYTES_MAX - size, "e%d", exponent);
}

size_t number_write(double value, char *to)
{
    char text[48];
    uint64_t whole;
    unsigned places;
    bool is_negative = signbit(value) != 0;
    double magnitude = fabs(value);

    if (isnan(value) || isinf(value)) {
        const char *word = isnan(value) ? "NaN" : is_negative ? "-Infinity" : "Infinity";
        return (size_t)snprintf(to, NUMBER_TEXT_BYTES_MAX, "%s", word);
    }
    if (magnitude < 1e17 && (double)(uint64_t)magnitude == magnitude) {
        return decimal_write(is_negative, (uint64_t)magnitude, 0, to);
    }
    bool is_plain = magnitude >= 1e-6 && magnitude < 1e15;
    if (is_plain && find_places(magnitude, &whole, &places)) {
        return decimal_write(is_negative, whole, places, to);
    }
    int least = is_plain ? DBL_DIG + 1 : magnitude < DBL_MIN ? 1 : DBL_DIG;
    print_shortest(magnitude, least, text, sizeof text);
    return lay_out(is_negative, text, to);
}
