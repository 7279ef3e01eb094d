/* Sessions back from the disk, at the start: all are read once, then each loop takes those whose
 * client ids hash to it, however many loops there were before.
 *
 * What has expired meanwhile is removed from the disk, and so is what refers to nothing: that is
 * counted and said in one line of the log, and never keeps the broker from starting. */

#ifndef BROKER_MQTT_RESTORE_H
#define BROKER_MQTT_RESTORE_H

#include "base/err.h"
#include "storage/engine.h"

struct mqtt_common;
struct mqtt_server;
struct restore;

/* Read what there is, and put in order what is on the disk. Sets the counters of `c`. Before the
 * store thread starts. E_NO_MEMORY, E_IO, E_CORRUPT. */
MUST_USE enum err restore_load(struct engine *engine, struct mqtt_common *c, struct restore **out);
void restore_destroy(struct restore *r); /* NULL is fine. */

/* Hand over the sessions that live on the loop of `s`, with all that is theirs. E_NO_MEMORY. */
MUST_USE enum err restore_adopt(struct restore *r, struct mqtt_server *s);

#endif /* BROKER_MQTT_RESTORE_H */
