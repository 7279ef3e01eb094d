/* The rule at the end of a time zone file: how clocks go on for ever, as a POSIX TZ string
 * (POSIX.1-2017, 8.3, with the hours of RFC 8536, 3.3.1): "CET-1CEST,M3.5.0,M10.5.0/3". */

#ifndef BASE_ZONE_RULE_H
#define BASE_ZONE_RULE_H

#include "base/bytes.h"

/* A day of every year, and a time on it by the clock that is in force before it. */
struct zone_day {
    enum { ZONE_DAY_JULIAN, ZONE_DAY_INDEX, ZONE_DAY_WEEKDAY } kind;
    unsigned month, week, day; /* Julian: day 1..365, no leap days; index: 0..365; weekday 0..6. */
    int32_t time_s;            /* After its midnight; may be negative. */
};

struct zone_rule {
    int32_t standard_s, summer_s; /* Seconds ahead of UTC. */
    bool has_summer;
    struct zone_day to_summer, to_standard;
};

/* Read all of `text`. E_MALFORMED. */
MUST_USE enum err zone_rule_read(struct bytes text, struct zone_rule *out);

/* The moment, in seconds since 1970 UTC, of a day in `year` for a clock `ahead_s` of UTC. */
int64_t zone_day_time(const struct zone_day *day, int64_t year, int32_t ahead_s);

#endif /* BASE_ZONE_RULE_H */
