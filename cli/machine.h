/* What a Linux machine says of itself in /proc and /sys, as JSON payloads ready to publish.
 *
 * Rates need two looks, so a group that has one is empty the first time. */

#ifndef CLI_MACHINE_H
#define CLI_MACHINE_H

#include <stdint.h>

#include "base/bytes.h"

struct machine;

/* `root` is "" for this machine; tests give a directory with their own proc and sys. */
MUST_USE enum err machine_create(const char *root, struct machine **out);
void machine_destroy(struct machine *m);

/* Look at everything; `now_ns` is the wall clock. Then take the groups one by one until E_END: the
 * topic below the machine's ("cpu", "network/eth0") and a JSON object, both borrowed until the next
 * call. */
void machine_look(struct machine *m, int64_t now_ns);
MUST_USE enum err machine_next(struct machine *m, const char **topic, struct bytes *payload);

#endif /* CLI_MACHINE_H */
