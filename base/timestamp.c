#include "base/timestamp.h"

#include <math.h>
#include <stdio.h>

#include "base/check.h"
#include "base/civil.h"
#include "base/decimal.h"
#include "base/number.h"

#define SECOND_NS INT64_C(1000000000)

static enum err check_range(int64_t time_ns)
{
    return time_ns < TIMESTAMP_MIN_NS || time_ns > TIMESTAMP_MAX_NS ? E_LIMIT : OK;
}

/* Cut one of the characters in `any` off. */
static bool take_any(struct bytes *in, const char *any, char *taken)
{
    if (in->size == 0 || in->at[0] == 0 || strchr(any, in->at[0]) == NULL) {
        return false;
    }
    *taken = (char)in->at[0];
    in->at++;
    in->size--;
    return true;
}

/* Cut `count` digits off. */
static bool take_digits(struct bytes *in, unsigned count, unsigned *value)
{
    unsigned sum = 0;
    if (in->size < count) {
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        unsigned digit = in->at[i] - (unsigned)'0';
        if (digit > 9) {
            return false;
        }
        sum = sum * 10 + digit;
    }
    in->at += count;
    in->size -= count;
    *value = sum;
    return true;
}

/* ".5" and the like, if it is there, in nanoseconds. */
static bool take_fraction(struct bytes *in, int64_t *ns)
{
    unsigned digit;
    char point;
    int64_t unit = SECOND_NS / 10;

    *ns = 0;
    if (!take_any(in, ".", &point)) {
        return true;
    }
    if (!take_digits(in, 1, &digit)) {
        return false;
    }
    do {
        *ns += digit * unit;
        unit /= 10;
    } while (take_digits(in, 1, &digit));
    return true;
}

/* "Z" or "+02:00", as the seconds by which the clock there is ahead of UTC. */
static bool take_offset(struct bytes *in, int64_t *ahead_s)
{
    unsigned hours, minutes;
    char sign, colon;

    if (!take_any(in, "Zz+-", &sign)) {
        return false;
    }
    *ahead_s = 0;
    if (sign == 'Z' || sign == 'z') {
        return true;
    }
    if (!take_digits(in, 2, &hours) || !take_any(in, ":", &colon) ||
        !take_digits(in, 2, &minutes) || hours > 23 || minutes > 59) {
        return false;
    }
    *ahead_s = (int64_t)hours * 3600 + (int64_t)minutes * 60;
    *ahead_s = sign == '-' ? -*ahead_s : *ahead_s;
    return true;
}

/* "2026-11-23", as its first second. */
static bool take_date(struct bytes *in, int64_t *time_s)
{
    struct civil c = {0};
    unsigned year;
    char dash;

    if (!take_digits(in, 4, &year) || !take_any(in, "-", &dash) || !take_digits(in, 2, &c.month) ||
        !take_any(in, "-", &dash) || !take_digits(in, 2, &c.day)) {
        return false;
    }
    c.year = year;
    *time_s = civil_days(c) * DAY_S;
    return civil_is_date(c);
}

/* "05:16:51", as the seconds since midnight; :60 passes here. */
static bool take_clock(struct bytes *in, int64_t *time_s, bool *is_leap)
{
    unsigned hour, minute, second;
    char colon;

    if (!take_digits(in, 2, &hour) || !take_any(in, ":", &colon) || !take_digits(in, 2, &minute) ||
        !take_any(in, ":", &colon) || !take_digits(in, 2, &second)) {
        return false;
    }
    *time_s = (int64_t)hour * 3600 + (int64_t)minute * 60 + second;
    *is_leap = second == 60;
    return hour <= 23 && minute <= 59 && second <= 60;
}

enum err timestamp_read_rfc3339(struct bytes text, int64_t *time_ns)
{
    int64_t date_s, clock_s, fraction_ns, ahead_s;
    bool is_leap;
    char separator;

    if (!take_date(&text, &date_s) || !take_any(&text, "Tt ", &separator) ||
        !take_clock(&text, &clock_s, &is_leap) || !take_fraction(&text, &fraction_ns) ||
        !take_offset(&text, &ahead_s) || text.size > 0) {
        return E_MALFORMED;
    }
    int64_t time_s = date_s + clock_s - ahead_s;
    if (is_leap && time_s % DAY_S != 0) {
        return E_MALFORMED; /* Leap seconds end a day of UTC (RFC 3339, section 5.7). */
    }
    if (time_s < 0 || time_s > TIMESTAMP_MAX_NS / SECOND_NS) {
        return E_LIMIT;
    }
    int64_t found_ns = time_s * SECOND_NS + fraction_ns;
    TRY(check_range(found_ns));
    *time_ns = found_ns;
    return OK;
}

/* digits * 10^power for digits > 0, cut to a whole number. E_LIMIT: beyond every time. */
static enum err shift_decimal(uint64_t digits, int64_t power, int64_t *out)
{
    uint64_t whole = digits;
    if (power > DECIMAL_DIGITS_MAX) {
        return E_LIMIT;
    }
    if (power < -DECIMAL_DIGITS_MAX) {
        whole = 0;
    } else if (power < 0) {
        whole = digits / decimal_power((unsigned)-power);
    } else if (__builtin_mul_overflow(digits, decimal_power((unsigned)power), &whole)) {
        return E_LIMIT;
    }
    if (whole > (uint64_t)TIMESTAMP_MAX_NS) {
        return E_LIMIT;
    }
    *out = (int64_t)whole;
    return OK;
}

/* Decimal digits of value > 0: log10(2) is a little more than 1233 / 4096. */
static unsigned count_digits(uint64_t value)
{
    unsigned bits = 64 - (unsigned)__builtin_clzll(value);
    unsigned least = bits * 1233 >> 12;
    return least + (value >= decimal_power(least));
}

/* A unix time. The limits between the units are powers of ten, so the place of the first digit
 * tells which it is: the decimal is below 10^order. */
static enum err read_decimal(const struct decimal *d, int64_t least_order, int64_t *time_ns)
{
    if (d->digits == 0 || d->is_negative) {
        return E_NOT_FOUND;
    }
    int64_t order = d->exponent + (int64_t)count_digits(d->digits);
    if (order < least_order) {
        return E_NOT_FOUND;
    }
    int64_t unit = order <= 11 ? 9 : order <= 14 ? 6 : order <= 17 ? 3 : 0;
    int64_t found_ns;
    TRY(shift_decimal(d->digits, d->exponent + unit, &found_ns));
    TRY(check_range(found_ns));
    *time_ns = found_ns;
    return OK;
}

/* From 10^8, which has 9 digits, a number is plausible as a time. */
enum { PLAUSIBLE_ORDER = 9 };

/* A double tells a time of today to a quarter of a microsecond. */
static enum err read_double(double value, int64_t *time_ns)
{
    if (!(value >= 1e8)) {
        return E_NOT_FOUND;
    }
    double unit = value < 1e11 ? 1e9 : value < 1e14 ? 1e6 : value < 1e17 ? 1e3 : 1;
    if (value > (double)TIMESTAMP_MAX_NS / unit) {
        return E_LIMIT;
    }
    double whole = floor(value);
    int64_t found_ns = (int64_t)whole * (int64_t)unit + (int64_t)rint((value - whole) * unit);
    TRY(check_range(found_ns));
    *time_ns = found_ns;
    return OK;
}

enum err timestamp_read_number(const struct number *number, int64_t *time_ns)
{
    if (number->scale == NUMBER_RAW) {
        return read_double(number->value, time_ns);
    }
    struct decimal d = {(uint64_t)number->mantissa, -(int64_t)number->scale, number->mantissa < 0,
                        true};
    return read_decimal(&d, PLAUSIBLE_ORDER, time_ns);
}

static enum err read_unix(struct bytes text, int64_t least_order, int64_t *time_ns)
{
    struct decimal d;
    TRY(decimal_take(&text, &d));
    return text.size > 0 ? E_MALFORMED : read_decimal(&d, least_order, time_ns);
}

enum err timestamp_read_unix(struct bytes text, int64_t *time_ns)
{
    return read_unix(text, PLAUSIBLE_ORDER, time_ns);
}

enum err timestamp_read_length(struct bytes text, int64_t *length_ns)
{
    static const struct {
        const char *name;
        int64_t length_ns;
    } units[] = {{"ns", 1},
                 {"us", 1000},
                 {"ms", 1000000},
                 {"s", SECOND_NS},
                 {"m", 60 * SECOND_NS},
                 {"h", 3600 * SECOND_NS},
                 {"d", DAY_S * SECOND_NS},
                 {"w", 7 * DAY_S * SECOND_NS}};
    int64_t count = 0, found_ns = 0;
    unsigned digit;
    size_t digits = text.size;

    while (take_digits(&text, 1, &digit)) {
        if (__builtin_mul_overflow(count, 10, &count) ||
            __builtin_add_overflow(count, digit, &count)) {
            return E_LIMIT;
        }
    }
    digits -= text.size;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (digits > 0 && bytes_equal(text, bytes_of(units[i].name))) {
            if (__builtin_mul_overflow(count, units[i].length_ns, &found_ns)) {
                return E_LIMIT;
            }
        }
    }
    if (found_ns == 0) {
        return E_MALFORMED;
    }
    *length_ns = found_ns;
    return OK;
}

/* "-6h" or "+15m" from `now_ns`. */
static enum err read_relative(struct bytes text, int64_t now_ns, int64_t *time_ns)
{
    int64_t length_ns, found_ns;
    char sign;

    if (!take_any(&text, "+-", &sign)) {
        return E_MALFORMED;
    }
    TRY(timestamp_read_length(text, &length_ns));
    if (__builtin_add_overflow(now_ns, sign == '-' ? -length_ns : length_ns, &found_ns)) {
        return E_LIMIT;
    }
    TRY(check_range(found_ns));
    *time_ns = found_ns;
    return OK;
}

static enum err read_day(struct bytes text, int64_t *time_ns)
{
    int64_t time_s;
    if (!take_date(&text, &time_s) || text.size > 0) {
        return E_MALFORMED;
    }
    if (time_s < 0 || time_s > TIMESTAMP_MAX_NS / SECOND_NS) {
        return E_LIMIT;
    }
    *time_ns = time_s * SECOND_NS;
    return OK;
}

enum err timestamp_read_human(struct bytes text, int64_t now_ns, int64_t *time_ns)
{
    if (bytes_equal(text, bytes_of("now"))) {
        *time_ns = now_ns;
        return OK;
    }
    if (bytes_equal(text, bytes_of("0"))) {
        *time_ns = 0;
        return OK;
    }
    enum err error = read_relative(text, now_ns, time_ns);
    error = error == E_MALFORMED ? read_day(text, time_ns) : error;
    error = error == E_MALFORMED ? timestamp_read_rfc3339(text, time_ns) : error;
    error = error == E_MALFORMED ? read_unix(text, INT64_MIN, time_ns) : error;
    return error == E_NOT_FOUND ? E_MALFORMED : error;
}

static size_t write_rfc3339(int64_t time_ns, char *to)
{
    int64_t second_ns = time_ns % SECOND_NS;
    second_ns += second_ns < 0 ? SECOND_NS : 0;
    int64_t time_s = time_ns / SECOND_NS - (time_ns % SECOND_NS < 0);
    int64_t of_day = time_s % DAY_S;
    of_day += of_day < 0 ? DAY_S : 0;
    struct civil c = civil_of((time_s - of_day) / DAY_S);
    int digits = second_ns == 0 ? 0 : second_ns % 1000000 == 0 ? 3 : second_ns % 1000 == 0 ? 6 : 9;

    int size =
        snprintf(to, TIMESTAMP_TEXT_BYTES_MAX, "%04d-%02u-%02uT%02d:%02d:%02d", (int)c.year,
                 c.month, c.day, (int)(of_day / 3600), (int)(of_day / 60 % 60), (int)(of_day % 60));
    if (digits > 0) {
        int64_t fraction = second_ns / (int64_t)decimal_power(9 - (unsigned)digits);
        size += snprintf(to + size, TIMESTAMP_TEXT_BYTES_MAX - (size_t)size, ".%0*d", digits,
                         (int)fraction);
    }
    to[size] = 'Z';
    return (size_t)size + 1;
}

/* time_ns / 10^places, with no zero at the end of its fraction. */
static size_t write_unix(int64_t time_ns, unsigned places, char *to)
{
    uint64_t left = time_ns < 0 ? -(uint64_t)time_ns : (uint64_t)time_ns;

    for (; places > 0 && left % 10 == 0; places--) {
        left /= 10;
    }
    return decimal_write(time_ns < 0, left, places, to);
}

size_t timestamp_write(int64_t time_ns, enum timestamp_format format, char *to)
{
    switch (format) {
    case TIMESTAMP_RFC3339:
        return write_rfc3339(time_ns, to);
    case TIMESTAMP_S:
        return write_unix(time_ns, 9, to);
    case TIMESTAMP_MS:
        return write_unix(time_ns, 6, to);
    case TIMESTAMP_US:
        return write_unix(time_ns, 3, to);
    case TIMESTAMP_NS:
        return write_unix(time_ns, 0, to);
    default:
        UNREACHABLE();
    }
}

size_t timestamp_write_ahead(int64_t time_ns, int32_t ahead_s, char *to)
{
    const unsigned minutes = (unsigned)(ahead_s < 0 ? -ahead_s : ahead_s) / 60;
    if (ahead_s % 60 != 0) {
        return write_rfc3339(time_ns, to);
    }
    const size_t size = write_rfc3339(time_ns + ahead_s * SECOND_NS, to) - 1; /* Without its Z. */
    return size + (size_t)snprintf(to + size, TIMESTAMP_TEXT_BYTES_MAX - size, "%c%02u:%02u",
                                   ahead_s < 0 ? '-' : '+', minutes / 60, minutes % 60);
}
