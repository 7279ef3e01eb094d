/* A believable city: rivers that rise hours after rain, air with a daily cycle, feeders, meters,
 * pumps, shelters and street lights. Pure computation from one seed: no clock, no sockets.
 *
 * Not a physical model: shapes that dashboards and codecs meet in real telemetry (decimals, daily
 * cycles, counters that only grow, states that rarely change, gauges that follow each other). */

#ifndef CLI_CITY_H
#define CLI_CITY_H

#include <stdint.h>

#include "base/bytes.h"

enum { CITY_TOPIC_BYTES_MAX = 160, CITY_PAYLOAD_BYTES_MAX = 256 };

struct city;

/* `devices` >= 1 of all kinds mixed; topics start with `root`. */
MUST_USE enum err city_create(const char *root, unsigned devices, uint64_t seed, struct city **out);
void city_destroy(struct city *c);

/* What device `index` says at `time_ns` (never earlier than it said last). Borrowed until the next
 * call. */
void city_speak(struct city *c, unsigned index, int64_t time_ns, const char **topic,
                struct bytes *payload);

/* Rain at a time, mm/h, >= 0: the event all rivers and gauges follow. */
double city_rain(const struct city *c, int64_t time_ns);

#endif /* CLI_CITY_H */
