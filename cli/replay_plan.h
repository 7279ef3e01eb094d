/* How a wide CSV becomes messages: which column is a member of which device's JSON.
 *
 * A column `3_pm25`, split at `_`, is member `pm25` of the message of device `3`, whose topic is
 * the pattern with %1 replaced. Without a split there is one device and the members are the
 * columns. Pure; no files, no sockets. */

#ifndef CLI_REPLAY_PLAN_H
#define CLI_REPLAY_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

enum { REPLAY_COLUMNS_MAX = 4096, REPLAY_MESSAGE_BYTES_MAX = 1 << 20 };

struct replay_plan;

/* `header` is the first line. E_MALFORMED: `*why` (static) says what is wrong with it. */
MUST_USE enum err replay_plan_create(const char *header, const char *topic_pattern, char split,
                                     struct replay_plan **out, const char **why);
void replay_plan_destroy(struct replay_plan *p);

unsigned replay_plan_devices(const struct replay_plan *p);
const char *replay_plan_topic(const struct replay_plan *p, unsigned device);

/* Take a row apart: cells are borrowed from `line`, which is changed. E_MALFORMED: `*column` (from
 * 1; 0: the whole row) is where it is wrong, `*why` says how. E_LIMIT: too long, likewise.
 * `*time_ns` is the first cell. */
MUST_USE enum err replay_plan_row(struct replay_plan *p, char *line, int64_t *time_ns,
                                  unsigned *column, const char **why);

/* The message of one device for the row taken last; its points. Size 0: no cell filled. */
struct bytes replay_plan_message(struct replay_plan *p, unsigned device, unsigned *points);

#endif /* CLI_REPLAY_PLAN_H */
