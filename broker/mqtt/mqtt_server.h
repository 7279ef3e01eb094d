/* The MQTT server: connections, sessions, subscriptions and retained messages of one loop.
 *
 * Each loop has one; together they are one broker. They share nothing but mailboxes, immutable
 * messages and the few counters of `struct mqtt_common`. A session lives on the loop its client id
 * hashes to; a connection that arrives elsewhere is handed over when its CONNECT is read. MQTT 3.1,
 * 3.1.1 and 5.0, QoS 0 to 2. Calls on a server come from its loop's thread, or from main before
 * the loops run and after they ended. */

#ifndef BROKER_MQTT_MQTT_SERVER_H
#define BROKER_MQTT_MQTT_SERVER_H

#include <stdint.h>
#include <sys/socket.h>

#include "broker/ingest/ingest.h"
#include "broker/threads/loop.h"
#include "storage/engine.h"

struct mqtt_options {
    uint32_t connections_max; /* Of all loops together, as all limits here. */
    uint32_t sessions_max;
    uint32_t packet_bytes_max;   /* Larger packets of clients end their connection. */
    uint16_t receive_maximum;    /* Publishes of one client not finished. */
    uint16_t inflight_max;       /* The same to a client, if it asks no less. */
    uint32_t output_bytes_max;   /* Unsent bytes of one connection. */
    uint32_t queue_messages_max; /* Messages waiting in one session. */
    uint64_t queue_bytes_max;
    uint32_t retained_messages_max;
    uint64_t retained_bytes_max;
    uint32_t subscriptions_max; /* Of one session. */
    uint16_t topic_alias_maximum;
    uint16_t keep_alive_max_s; /* 0: any. */
    uint32_t session_expiry_max_s;
    uint16_t text_bytes_max; /* Longest text that is a value; 0: none is. */
    uint16_t connect_timeout_s;
    uint16_t sys_interval_s; /* How often $SYS is published; 0: never. */
};

/* Every limit at its default. */
void mqtt_options_init(struct mqtt_options *o);

/* What the servers of all loops share. `mailboxes[i]` is that of the loop with index i; all outlive
 * it. Options are copied. E_NO_MEMORY. */
struct mqtt_common;
MUST_USE enum err mqtt_common_create(const struct mqtt_options *options, unsigned loops,
                                     struct mailbox *const *mailboxes, struct mqtt_common **out);
void mqtt_common_destroy(struct mqtt_common *c); /* NULL is fine. After all its servers. */

/* Loads retained messages, receipts and sessions, so call it before the store thread starts.
 * Registers for letters, turn ends and ingest_on_done(). E_NO_MEMORY, E_IO, E_CORRUPT. */
struct mqtt_server;
MUST_USE enum err mqtt_server_create(struct mqtt_common *common, struct loop *loop,
                                     struct ingest *ingest, struct engine *engine,
                                     struct mqtt_server **out);

/* Take an accepted socket, non-blocking already; the server closes it. */
void mqtt_server_accept(struct mqtt_server *s, int fd, const struct sockaddr_storage *peer);

/* Say goodbye to all clients (DISCONNECT 0x8B in v5) and close them; takes none any more. Loop's
 * thread. */
void mqtt_server_stop(struct mqtt_server *s);

/* After its loop has ended for good, and before loop_destroy() and ingest_destroy(). NULL is fine.
 */
void mqtt_server_destroy(struct mqtt_server *s);

#endif /* BROKER_MQTT_MQTT_SERVER_H */
