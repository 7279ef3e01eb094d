/* The sessions of one loop, found by client id. */

#ifndef BROKER_MQTT_SESSION_TABLE_H
#define BROKER_MQTT_SESSION_TABLE_H

#include <stddef.h>

#include "broker/mqtt/session.h"

struct session_table {
    struct session **slots;
    size_t slot_count, count;
};

MUST_USE enum err session_table_init(struct session_table *t);
/* The sessions must be removed already. */
void session_table_fini(struct session_table *t);

/* NULL: none. `hash` is hash_bytes(client_id). */
struct session *session_table_find(const struct session_table *t, struct bytes client_id,
                                   uint64_t hash);
void session_table_add(struct session_table *t, struct session *s);
void session_table_remove(struct session_table *t, struct session *s);

/* Call `visit` for each; it may remove and destroy the one it is given. */
void session_table_each(struct session_table *t,
                        void (*visit)(void *context, struct session *session), void *context);

#endif /* BROKER_MQTT_SESSION_TABLE_H */
