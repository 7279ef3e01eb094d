/* What is behind --every, --tz and --group-by, and times in a zone. */

#ifndef CLI_EVERY_H
#define CLI_EVERY_H

#include <stdbool.h>

#include "base/err.h"
#include "clients/hejnal.h"

struct zone;

#define EVERY_RIGHT "use 5m, 1h, or of the calendar 1d, 1w (from Monday), 1mo, 1y"

/* A length of buckets into `q`. Days are those of the calendar with a time zone only. E_MALFORMED;
 * E_LIMIT: with a time zone a length that is none of the calendar. */
MUST_USE enum err every_read(const char *text, bool has_zone, struct hejnal_query *q);

/* A list such as "site,$2,$-1". `text` is cut into pieces that the keys keep. E_MALFORMED: a level
 * that is none, or an empty name; E_LIMIT: more than HEJNAL_KEYS_MAX. */
MUST_USE enum err every_read_keys(char *text, struct hejnal_key keys[HEJNAL_KEYS_MAX],
                                  unsigned *count);

/* As timestamp_read_human(), where a date such as 2026-11-23 is its midnight in the zone. */
MUST_USE enum err every_read_time(const char *text, const struct zone *zone, int64_t now_ns,
                                  int64_t *time_ns);

#endif /* CLI_EVERY_H */
