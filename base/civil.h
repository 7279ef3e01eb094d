/* Days and dates of the Gregorian calendar, extended to all years. Pure arithmetic. */

#ifndef BASE_CIVIL_H
#define BASE_CIVIL_H

#include <stdbool.h>
#include <stdint.h>

enum { DAY_S = 86400 };

struct civil {
    int64_t year;
    unsigned month, day; /* 1..12, 1..31. */
};

/* Days since 1970-01-01, and back. */
int64_t civil_days(struct civil c);
struct civil civil_of(int64_t days);

bool civil_is_leap(int64_t year);
/* Whether there is such a day. */
bool civil_is_date(struct civil c);

/* Division that rounds towards minus infinity; `by` > 0. */
static inline int64_t civil_floor(int64_t value, int64_t by)
{
    return value / by - (value % by < 0);
}

#endif /* BASE_CIVIL_H */
