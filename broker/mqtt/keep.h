/* Keeping sessions on disk: each change of a session that outlives its connection is put into the
 * batch of the turn, hence commits with the points of that turn. Why so:
 * docs/decisions/0025-durable-sessions.md.
 *
 * A session has a number when it is kept; of one without, nothing is written. What must not be said
 * before it is durable waits for `kept`, the batch of the last put (mqtt_state.h). Only lack of
 * memory fails: E_NO_MEMORY. */

#ifndef BROKER_MQTT_KEEP_H
#define BROKER_MQTT_KEEP_H

#include "broker/mqtt/session.h"

struct mqtt_server;

/* From now on this session is kept: gives it a number. */
void keep_begin(struct mqtt_server *s, struct session *session);
/* Its terms, and whether it is connected now. */
MUST_USE enum err keep_session(struct mqtt_server *s, const struct session *session);
/* It ends: nothing of it stays. */
void keep_end(struct mqtt_server *s, const struct session *session);

MUST_USE enum err keep_subscription(struct mqtt_server *s, const struct session *session,
                                    const struct subscription *subscription, struct bytes filter);
MUST_USE enum err keep_no_subscription(struct mqtt_server *s, const struct session *session,
                                       uint32_t number);

/* Whether a packet of this session may be taken in, which leads to puts. Not: the store is behind,
 * and nothing is taken in for now. */
bool keep_has_room(struct mqtt_server *s, const struct session *session);

#endif /* BROKER_MQTT_KEEP_H */
