#include "base/zone_rule.h"

#include "base/civil.h"

enum { ZONE_HOURS_MAX = 24, DAY_HOURS_MAX = 167 };

static bool take_char(struct bytes *in, uint8_t c)
{
    if (in->size == 0 || in->at[0] != c) {
        return false;
    }
    in->at++;
    in->size--;
    return true;
}

/* A number of one to three digits. */
static enum err take_number(struct bytes *in, unsigned least, unsigned most, unsigned *out)
{
    unsigned value = 0, digits = 0;
    for (; digits < 3 && in->size > 0 && in->at[0] >= '0' && in->at[0] <= '9'; digits++) {
        value = value * 10 + (in->at[0] - (unsigned)'0');
        in->at++;
        in->size--;
    }
    if (digits == 0 || value < least || value > most) {
        return E_MALFORMED;
    }
    *out = value;
    return OK;
}

/* "CET", or "<+0330>" where there are other characters than letters. */
static enum err take_name(struct bytes *in)
{
    const bool quoted = take_char(in, '<');
    size_t size = 0;
    for (; in->size > 0; size++, in->at++, in->size--) {
        const uint8_t c = in->at[0];
        const bool is_letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        const bool is_more = quoted && ((c >= '0' && c <= '9') || c == '+' || c == '-');
        if (!is_letter && !is_more) {
            break;
        }
    }
    return size >= 3 && (!quoted || take_char(in, '>')) ? OK : E_MALFORMED;
}

/* "[+-]hh[:mm[:ss]]" in seconds. */
static enum err take_clock(struct bytes *in, unsigned hours_max, int32_t *out)
{
    const bool is_negative = take_char(in, '-');
    unsigned hours, minutes = 0, seconds = 0;
    if (!is_negative) {
        (void)take_char(in, '+');
    }
    TRY(take_number(in, 0, hours_max, &hours));
    if (take_char(in, ':')) {
        TRY(take_number(in, 0, 59, &minutes));
        if (take_char(in, ':')) {
            TRY(take_number(in, 0, 59, &seconds));
        }
    }
    const int32_t value = (int32_t)(hours * 3600 + minutes * 60 + seconds);
    *out = is_negative ? -value : value;
    return OK;
}

/* "3.5.0", behind the M. */
static enum err take_weekday(struct bytes *in, struct zone_day *out)
{
    TRY(take_number(in, 1, 12, &out->month));
    TRY(take_char(in, '.') ? OK : E_MALFORMED);
    TRY(take_number(in, 1, 5, &out->week));
    TRY(take_char(in, '.') ? OK : E_MALFORMED);
    return take_number(in, 0, 6, &out->day);
}

static enum err take_day(struct bytes *in, struct zone_day *out)
{
    *out = (struct zone_day){.kind = ZONE_DAY_INDEX, .time_s = 2 * 3600};
    if (take_char(in, 'M')) {
        out->kind = ZONE_DAY_WEEKDAY;
        TRY(take_weekday(in, out));
    } else if (take_char(in, 'J')) {
        out->kind = ZONE_DAY_JULIAN;
        TRY(take_number(in, 1, 365, &out->day));
    } else {
        TRY(take_number(in, 0, 365, &out->day));
    }
    return take_char(in, '/') ? take_clock(in, DAY_HOURS_MAX, &out->time_s) : OK;
}

/* What stands behind the standard time: the summer's name, its clock, and when it begins and ends.
 */
static enum err take_summer(struct bytes *in, struct zone_rule *r)
{
    TRY(take_name(in));
    r->has_summer = true;
    r->summer_s = r->standard_s + 3600;
    if (in->size > 0 && in->at[0] != ',') {
        TRY(take_clock(in, ZONE_HOURS_MAX, &r->summer_s));
        r->summer_s = -r->summer_s; /* POSIX counts what UTC is ahead. */
    }
    TRY(take_char(in, ',') ? OK : E_MALFORMED);
    TRY(take_day(in, &r->to_summer));
    TRY(take_char(in, ',') ? OK : E_MALFORMED);
    return take_day(in, &r->to_standard);
}

enum err zone_rule_read(struct bytes text, struct zone_rule *out)
{
    struct zone_rule r = {.has_summer = false};
    TRY(take_name(&text));
    TRY(take_clock(&text, ZONE_HOURS_MAX, &r.standard_s));
    r.standard_s = -r.standard_s;
    if (text.size > 0) {
        TRY(take_summer(&text, &r));
    }
    if (text.size > 0) {
        return E_MALFORMED;
    }
    *out = r;
    return OK;
}

/* Days since 1970 of the `week`-th such weekday of a month; the fifth is the last. */
static int64_t weekday_of(const struct zone_day *d, int64_t year)
{
    const int64_t first = civil_days((struct civil){year, d->month, 1});
    const int64_t next = d->month == 12 ? civil_days((struct civil){year + 1, 1, 1})
                                        : civil_days((struct civil){year, d->month + 1, 1});
    const int64_t weekday = first + 4 - civil_floor(first + 4, 7) * 7; /* 1970-01-01: Thursday. */
    const int64_t apart = ((int64_t)d->day - weekday + 7) % 7;
    const int64_t day = first + apart + ((int64_t)d->week - 1) * 7;
    return day < next ? day : day - 7;
}

int64_t zone_day_time(const struct zone_day *d, int64_t year, int32_t ahead_s)
{
    int64_t day = civil_days((struct civil){year, 1, 1});
    switch (d->kind) {
    case ZONE_DAY_WEEKDAY:
        day = weekday_of(d, year);
        break;
    case ZONE_DAY_JULIAN:
        day += (int64_t)d->day - 1 + (civil_is_leap(year) && d->day >= 60);
        break;
    case ZONE_DAY_INDEX:
        day += (int64_t)d->day;
        break;
    }
    return day * DAY_S + d->time_s - ahead_s;
}
