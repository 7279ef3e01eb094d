#include "storage/part/part_name.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/timestamp.h"

enum {
    DAY_S = 86400,
    WEEK_S = 7 * DAY_S,
    MONDAY_S = -3 * DAY_S /* 1969-12-29. */
};

static int64_t floor_to(int64_t value, int64_t step)
{
    int64_t rest = value % step;
    return rest < 0 ? value - rest - step : value - rest;
}

/* At the ends of what 64 bits can say, two centuries behind what the store accepts, it stays there.
 */
static int64_t to_ns(int64_t time_s)
{
    int64_t time_ns;
    if (__builtin_mul_overflow(time_s, NS_PER_S, &time_ns)) {
        return time_s < 0 ? INT64_MIN : INT64_MAX;
    }
    return time_ns;
}

struct part_period part_period_of(int64_t time_ns, int64_t length_s)
{
    CHECK(length_s > 0);
    int64_t origin_s = length_s % WEEK_S == 0 ? MONDAY_S : 0;
    int64_t time_s = time_ns / NS_PER_S - (time_ns % NS_PER_S < 0);
    int64_t start_s = floor_to(time_s - origin_s, length_s) + origin_s;
    return (struct part_period){to_ns(start_s), to_ns(start_s + length_s)};
}

bool part_period_is_whole(struct part_period p, int64_t length_s)
{
    return p.start_ns < p.end_ns && part_period_of(p.start_ns, length_s).start_ns == p.start_ns &&
           part_period_of(p.end_ns, length_s).start_ns == p.end_ns;
}

void part_name_write(struct part_name name, char to[PART_NAME_BYTES_MAX])
{
    const int64_t start_s = name.period.start_ns / NS_PER_S;
    const long long length_s = (name.period.end_ns - name.period.start_ns) / NS_PER_S;
    const char *kind = name.kind == PART_ACTIVE ? "act" : "seal";
    const time_t start = (time_t)start_s;
    char clock[16] = "", number[16] = "";
    struct tm utc;
    CHECK(gmtime_r(&start, &utc) != NULL);
    if (start_s % DAY_S != 0) {
        snprintf(clock, sizeof clock, "T%02d%02d%02d", utc.tm_hour, utc.tm_min, utc.tm_sec);
    }
    if (name.number > 0) {
        snprintf(number, sizeof number, ".%u", name.number);
    }
    int size = snprintf(to, PART_NAME_BYTES_MAX, "%04d%02d%02d%s-%lld%s.%s.mdb", utc.tm_year + 1900,
                        utc.tm_mon + 1, utc.tm_mday, clock, length_s, number, kind);
    CHECK(size > 0 && size < PART_NAME_BYTES_MAX);
}

/* `digits_min` to `digits_max` decimal digits. */
static enum err take_number(const char **at, int digits_min, int digits_max, int64_t *out)
{
    int64_t sum = 0;
    int digits = 0;
    for (; digits < digits_max && **at >= '0' && **at <= '9'; digits++, (*at)++) {
        sum = sum * 10 + (**at - '0');
    }
    *out = sum;
    return digits >= digits_min ? OK : E_MALFORMED;
}

static enum err take_date(const char **at, int64_t *start_s)
{
    int64_t year, month, day, hour = 0, minute = 0, second = 0;
    TRY(take_number(at, 4, 4, &year));
    TRY(take_number(at, 2, 2, &month));
    TRY(take_number(at, 2, 2, &day));
    if (**at == 'T') {
        (*at)++;
        TRY(take_number(at, 2, 2, &hour));
        TRY(take_number(at, 2, 2, &minute));
        TRY(take_number(at, 2, 2, &second));
    }
    struct tm utc = {.tm_year = (int)year - 1900,
                     .tm_mon = (int)month - 1,
                     .tm_mday = (int)day,
                     .tm_hour = (int)hour,
                     .tm_min = (int)minute,
                     .tm_sec = (int)second};
    *start_s = (int64_t)timegm(&utc);
    return OK;
}

/* What follows the period: [.number].kind.mdb */
static enum err take_tail(const char **at, struct part_name *out)
{
    int64_t number = 0;
    if (at[0][0] == '.' && at[0][1] >= '1' && at[0][1] <= '9') {
        (*at)++;
        TRY(take_number(at, 1, 10, &number));
    }
    if (number > UINT32_MAX) {
        return E_MALFORMED;
    }
    out->number = (uint32_t)number;
    out->kind = strcmp(*at, ".seal.mdb") == 0 ? PART_SEALED : PART_ACTIVE;
    return out->kind == PART_SEALED || strcmp(*at, ".act.mdb") == 0 ? OK : E_MALFORMED;
}

enum err part_name_read(const char *text, struct part_name *out)
{
    const char *at = text;
    char again[PART_NAME_BYTES_MAX];
    struct part_name name;
    int64_t start_s, length_s;
    TRY(take_date(&at, &start_s));
    if (*at++ != '-') {
        return E_MALFORMED;
    }
    TRY(take_number(&at, 1, 9, &length_s));
    TRY(take_tail(&at, &name));
    if (length_s == 0 || start_s < MONDAY_S || start_s > TIMESTAMP_MAX_NS / NS_PER_S) {
        return E_MALFORMED;
    }
    name.period = (struct part_period){start_s * NS_PER_S, (start_s + length_s) * NS_PER_S};
    part_name_write(name, again); /* One name for each, so no February 30. */
    if (strcmp(again, text) != 0) {
        return E_MALFORMED;
    }
    *out = name;
    return OK;
}
