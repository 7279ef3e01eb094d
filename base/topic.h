/* Topic names and filters: the one language that selects in every place (MQTT 5.0 section 4.7).
 *
 * Pure string rules. A series path is written like a topic name, so the same filter subscribes,
 * queries, exports and guards. */

#ifndef BASE_TOPIC_H
#define BASE_TOPIC_H

#include <stdbool.h>

#include "base/bytes.h"

enum { TOPIC_BYTES_MAX = 65535, TOPIC_LEVELS_MAX = 128 };

/* Well-formed UTF-8 as MQTT wants it: no U+0000, no surrogates, nothing over-long [MQTT-1.5.4]. */
bool topic_is_utf8(struct bytes text);

/* A topic to publish on: 1..65535 bytes of UTF-8, no wildcard, at most TOPIC_LEVELS_MAX levels. */
bool topic_is_name(struct bytes topic);

/* A filter to subscribe or select with: `+` fills a level, `#` is alone and last. */
bool topic_is_filter(struct bytes filter);

/* Whether the valid `filter` selects the valid `name`. Wildcards in the first level do not select
 * names that start with `$` [MQTT-4.7.2-1]; `a/#` selects `a` too. */
bool topic_matches(struct bytes filter, struct bytes name);

#endif /* BASE_TOPIC_H */
