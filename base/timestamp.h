/* Times as people and devices write them, to and from int64 nanoseconds since 1970-01-01 UTC. */

#ifndef BASE_TIMESTAMP_H
#define BASE_TIMESTAMP_H

#include <stdint.h>

#include "base/bytes.h"

/* What the store accepts: 1970-01-01 to 2200-01-01, UTC. */
#define TIMESTAMP_MIN_NS INT64_C(0)
#define TIMESTAMP_MAX_NS (INT64_C(7258118400) * 1000000000)

enum { TIMESTAMP_TEXT_BYTES_MAX = 40 };

/* Nothing is lost: RFC 3339 has as many fraction digits (0, 3, 6, 9) as the time needs, and a unix
 * time that is not whole in its unit has a fraction too (1700000000.5). */
enum timestamp_format {
    TIMESTAMP_RFC3339, /* 2026-11-23T05:16:51Z */
    TIMESTAMP_S,
    TIMESTAMP_MS,
    TIMESTAMP_US,
    TIMESTAMP_NS
};

/* RFC 3339 with `T`, `t` or a space, fraction of any length (beyond 9 digits cut), `Z` or an
 * offset; leap second :60 counts as the next second. E_MALFORMED, E_LIMIT (out of range above). */
MUST_USE enum err timestamp_read_rfc3339(struct bytes text, int64_t *time_ns);

/* A unix time whose unit its magnitude tells: seconds below 1e11, then ms, us, ns by factors of
 * 1000. E_NOT_FOUND: below 1e8, no plausible time (a temperature named "t", say). E_LIMIT. A
 * fraction of seconds or ms is kept to the nanosecond as far as `mantissa`/`scale` tell it. */
struct number;
MUST_USE enum err timestamp_read_number(const struct number *number, int64_t *time_ns);

/* The same from a JSON number's text, to the nanosecond where the text tells it: 19 digits do not
 * fit a double. E_MALFORMED: not a number. */
MUST_USE enum err timestamp_read_unix(struct bytes text, int64_t *time_ns);

/* What the command line takes: RFC 3339, `2026-11-23` (midnight UTC), `now`, `-6h` or `+15m` from
 * `now_ns` (units ns us ms s m h d w), a unix time in s, ms, us or ns (below 1e8: seconds).
 * E_MALFORMED, E_LIMIT. */
MUST_USE enum err timestamp_read_human(struct bytes text, int64_t now_ns, int64_t *time_ns);

/* `5m`, `1h`, `1d`, `90s`: a length > 0 with one of the units above. E_MALFORMED, E_LIMIT. */
MUST_USE enum err timestamp_read_length(struct bytes text, int64_t *length_ns);

/* As TIMESTAMP_RFC3339, by a clock `ahead_s` of UTC: 2026-11-23T06:16:51+01:00. One that is not
 * ahead by whole minutes, as before 1970 only, cannot be written so: then it is UTC. */
size_t timestamp_write_ahead(int64_t time_ns, int32_t ahead_s, char *to);

/* Write; returns the length, no 0 byte is added. `to` has room for TIMESTAMP_TEXT_BYTES_MAX. */
size_t timestamp_write(int64_t time_ns, enum timestamp_format format, char *to);

#endif /* BASE_TIMESTAMP_H */
