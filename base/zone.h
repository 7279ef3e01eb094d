/* Time zones: how far local clocks are ahead of UTC, from the system's tzdata.
 *
 * A small reader of TZif files (RFC 8536, version 2 and up) instead of libc's, which knows one zone
 * for the whole process. A zone is read once and never changes: any thread may use it. The rule at
 * the file's end is written out up to the year 2200, where the store's times end, so that finding
 * an offset is one search. Zones that count leap seconds ("right/...") are refused. */

#ifndef BASE_ZONE_H
#define BASE_ZONE_H

#include <stdint.h>

#include "base/bytes.h"

enum { ZONE_NAME_BYTES_MAX = 64, ZONE_FILE_BYTES_MAX = 64 << 10 };

struct zone;

/* "Europe/Warsaw", from /usr/share/zoneinfo; "UTC" needs no file. E_NOT_FOUND: no such zone, or no
 * name of one (letters, digits, `_`, `+`, `-`, parted by `/`). E_MALFORMED: the file is none that
 * zone_read() takes. E_IO, E_NO_MEMORY. */
MUST_USE enum err zone_open(struct bytes name, struct zone **out);
void zone_close(struct zone *z); /* NULL is fine. */

/* The bytes of a TZif file; not kept. E_MALFORMED, E_NO_MEMORY. Free with zone_close(). */
MUST_USE enum err zone_read(struct bytes file, struct zone **out);

/* Seconds by which the local clock is ahead of UTC at a time (seconds since 1970 UTC). */
int32_t zone_ahead(const struct zone *z, int64_t time_s);

/* The first time at which the local clock shows `local_s` (seconds since 1970-01-01 of that clock)
 * or later: where clocks go forward past it, the moment they do; where they show it twice, the
 * earlier one. */
int64_t zone_first(const struct zone *z, int64_t local_s);

#endif /* BASE_ZONE_H */
