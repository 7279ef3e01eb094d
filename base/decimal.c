#include "base/decimal.h"

#include "base/check.h"

enum { EXPONENT_MAX = 1000000000 };

/* Below this one more digit fits 64 bits. */
#define ROOM_FOR_A_DIGIT UINT64_C(1000000000000000000)

/* Where the scan is; `decimal` grows as digits pass. */
struct scan {
    const uint8_t *at, *end;
    struct decimal decimal;
};

uint64_t decimal_power(unsigned power)
{
    static const uint64_t powers[] = {
        UINT64_C(1),
        UINT64_C(10),
        UINT64_C(100),
        UINT64_C(1000),
        UINT64_C(10000),
        UINT64_C(100000),
        UINT64_C(1000000),
        UINT64_C(10000000),
        UINT64_C(100000000),
        UINT64_C(1000000000),
        UINT64_C(10000000000),
        UINT64_C(100000000000),
        UINT64_C(1000000000000),
        UINT64_C(10000000000000),
        UINT64_C(100000000000000),
        UINT64_C(1000000000000000),
        UINT64_C(10000000000000000),
        UINT64_C(100000000000000000),
        UINT64_C(1000000000000000000),
        UINT64_C(10000000000000000000),
    };
    CHECK(power < sizeof powers / sizeof powers[0]);
    return powers[power];
}

static inline bool is_digit(const struct scan *s)
{
    return s->at < s->end && (uint8_t)(*s->at - '0') <= 9;
}

/* Pass the digits at hand; returns how many were kept in `decimal.digits`, tells of the others. */
static inline int64_t pass_digits(struct scan *s, int64_t *cut)
{
    const uint8_t *start = s->at;
    uint64_t digits = s->decimal.digits;

    while (is_digit(s) && digits < ROOM_FOR_A_DIGIT) {
        digits = digits * 10 + (uint64_t)(*s->at++ - '0');
    }
    s->decimal.digits = digits;
    const uint8_t *full = s->at;
    while (is_digit(s)) {
        s->decimal.is_exact = s->decimal.is_exact && *s->at == '0';
        s->at++;
    }
    *cut = s->at - full;
    return full - start;
}

/* The exponent's digits; at least one has to be there. */
static bool pass_exponent(struct scan *s)
{
    int64_t exponent = 0;
    bool is_negative = false;

    if (s->at < s->end && (*s->at == '+' || *s->at == '-')) {
        is_negative = *s->at++ == '-';
    }
    if (!is_digit(s)) {
        return false;
    }
    for (; is_digit(s); s->at++) {
        exponent = exponent * 10 + (*s->at - '0');
        exponent = exponent < EXPONENT_MAX ? exponent : EXPONENT_MAX;
    }
    s->decimal.exponent += is_negative ? -exponent : exponent;
    return true;
}

enum err decimal_take(struct bytes *in, struct decimal *out)
{
    if (in->size == 0) {
        return E_MALFORMED;
    }
    struct scan s = {in->at, in->at + in->size, {.is_exact = true}};
    int64_t cut;
    if (*s.at == '-') {
        s.decimal.is_negative = true;
        s.at++;
    }
    if (!is_digit(&s)) {
        return E_MALFORMED;
    }
    if (*s.at == '0') {
        s.at++; /* Nothing but a zero may start with one: "01" ends here, before the 1. */
    } else {
        (void)pass_digits(&s, &cut);
        s.decimal.exponent = cut;
    }
    if (s.at < s.end && *s.at == '.') {
        s.at++;
        if (!is_digit(&s)) {
            return E_MALFORMED;
        }
        s.decimal.exponent -= pass_digits(&s, &cut);
    }
    if (s.at < s.end && (*s.at | 0x20) == 'e') {
        s.at++;
        if (!pass_exponent(&s)) {
            return E_MALFORMED;
        }
    }
    *out = s.decimal;
    in->size = (size_t)(s.end - s.at);
    in->at = s.at;
    return OK;
}

size_t decimal_write(bool is_negative, uint64_t digits, unsigned places, char *to)
{
    char reversed[DECIMAL_TEXT_BYTES_MAX];
    size_t count = 0, size = 0;

    CHECK(places <= DECIMAL_PLACES_MAX);
    while (digits > 0 || count <= places) {
        reversed[count++] = (char)('0' + digits % 10);
        digits /= 10;
    }
    if (is_negative) {
        to[size++] = '-';
    }
    while (count > 0) {
        if (count == places) {
            to[size++] = '.';
        }
        to[size++] = reversed[--count];
    }
    return size;
}
