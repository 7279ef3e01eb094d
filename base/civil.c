#include "base/civil.h"

/* Years begin in March here, so that the leap day is the last of its year, and 400 of them (146097
 * days) repeat. */
int64_t civil_days(struct civil c)
{
    int64_t year = c.month > 2 ? c.year : c.year - 1;
    int64_t month = c.month > 2 ? c.month - 3 : c.month + 9;
    int64_t era = civil_floor(year, 400);
    int64_t of_era = year - era * 400;
    int64_t day = of_era * 365 + of_era / 4 - of_era / 100 + (month * 153 + 2) / 5 + c.day - 1;
    return era * 146097 + day - 719468;
}

struct civil civil_of(int64_t days)
{
    days += 719468;
    int64_t era = civil_floor(days, 146097);
    int64_t day = days - era * 146097;
    int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    day -= year * 365 + year / 4 - year / 100;
    int64_t month = (day * 5 + 2) / 153;
    struct civil c = {year + era * 400, (unsigned)(month < 10 ? month + 3 : month - 9),
                      (unsigned)(day - (month * 153 + 2) / 5 + 1)};
    c.year += c.month <= 2;
    return c;
}

bool civil_is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

bool civil_is_date(struct civil c)
{
    static const uint8_t lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return c.month >= 1 && c.month <= 12 && c.day >= 1 &&
           c.day <= lengths[c.month - 1] + (unsigned)(civil_is_leap(c.year) && c.month == 2);
}
