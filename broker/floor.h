/* A floor of the house: one loop with all it carries: ingest, MQTT server, query server and their
 * listeners. Made and destroyed by main while its loop does not run. */

#ifndef BROKER_FLOOR_H
#define BROKER_FLOOR_H

#include "broker/config.h"
#include "broker/mqtt/mqtt_server.h"
#include "broker/query/query_server.h"
#include "broker/threads/listener.h"

struct floor;

enum floor_service { FLOOR_MQTT, FLOOR_QUERY, FLOOR_SERVICES };

/* What all floors share. */
struct floor_parts {
    const struct config *config;
    unsigned loops;
    struct engine *engine;
    struct store_thread *store;
    struct workers *workers;
    struct mqtt_common *mqtt;
};

/* Before the store thread runs. Takes LETTER_STOP: then it stops accepting, lets go of its clients,
 * and ends the loop when all it took is stored. Errors of mqtt_server_create(). */
MUST_USE enum err floor_create(struct loop *loop, const struct floor_parts *parts,
                               struct floor **out);
void floor_destroy(struct floor *f); /* NULL is fine. */

/* Accept on `fd`, which the floor closes. */
void floor_listen(struct floor *f, enum floor_service service, int fd);

#endif /* BROKER_FLOOR_H */
