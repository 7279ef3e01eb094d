/* The inside of struct mqtt_server, for the files that make it up. */

#ifndef BROKER_MQTT_MQTT_STATE_H
#define BROKER_MQTT_MQTT_STATE_H

#include <stdatomic.h>

#include "broker/mqtt/conn.h"
#include "broker/mqtt/conn_list.h"
#include "broker/mqtt/crossing.h"
#include "broker/mqtt/match_cache.h"
#include "broker/mqtt/mqtt_server.h"
#include "broker/mqtt/pace.h"
#include "broker/mqtt/restore.h"
#include "broker/mqtt/retained.h"
#include "broker/mqtt/session_table.h"
#include "proto/payload.h"
#include "storage/journal/receipts.h"

enum { READ_BUFFER_BYTES = 256 << 10 };

struct mqtt_common {
    struct mqtt_options options;
    unsigned loops;
    uint64_t seed;                       /* Of assigned client ids. */
    atomic_uint_fast64_t stamp;          /* The last one given. */
    atomic_uint_fast64_t session_number; /* The same. */
    atomic_uint_fast64_t connections, sessions;
    struct restore *restore; /* Sessions from before, until their loops have them. */
    struct mailbox *mailboxes[LOOPS_MAX];
    atomic_size_t backlog[LOOPS_MAX]; /* See crossing.h. */
};

struct handover;

struct mqtt_server {
    struct mqtt_common *common;
    const struct mqtt_options *options; /* common->options */
    struct loop *loop;
    struct ingest *ingest;
    unsigned index;
    bool is_stopped;
    bool is_busy; /* The store or another loop is behind: no publish is taken in. */
    struct session_table sessions;
    struct subscriptions *subscriptions;
    struct match_cache *matches;
    struct retained *retained;
    struct receipts *receipts;
    struct crossing crossing;
    struct handover *handovers; /* Not posted yet, for lack of room. */
    struct conn_list all, dirty, waiting, stalled, held;
    struct conn_list graveyard; /* Closed; freed at the end of the turn. */
    struct message **wills;     /* Due, but the store was busy. */
    size_t will_count;
    struct loop_timer second; /* Keep alive, expiry, wills. */
    struct loop_timer retry;  /* While something could not be done for lack of room. */
    struct pace pace;
    int64_t started_ms, sys_due_ms;
    uint64_t assigned_ids;
    uint64_t kept;               /* The batch keep.h put something into last. */
    struct octets scratch;       /* Of one packet at a time; never committed. */
    struct octets state_scratch; /* The same, for retained state. */
    struct payload *payload;     /* The same. */
    struct texts *texts;         /* The store's dictionary. */
    uint8_t *read_buffer;        /* READ_BUFFER_BYTES */
};

/* mqtt_server.c */
/* A session without a connection: publish a due will, destroy it when it has ended. */
void mqtt_server_settle_session(struct mqtt_server *s, struct session *session);
/* End it now, will included. */
void mqtt_server_end_session(struct mqtt_server *s, struct session *session);

/* mqtt_turn.c */
/* Do what is to be done every turn and every second from now on. */
void mqtt_turn_start(struct mqtt_server *s);
/* Free closed connections. */
void mqtt_turn_bury(struct mqtt_server *s);
/* Stop taking publishes until there is room. */
void mqtt_turn_set_busy(struct mqtt_server *s);

/* route.c */
/* Give `p` to all who want it: sessions here, other loops, the retained messages. */
void route_publication(struct mqtt_server *s, const struct publication *p);
/* `p` comes again: only its retained state, everywhere. */
void route_again(struct mqtt_server *s, const struct publication *p);
/* The part for this loop. `kind` as in crossing.h. */
void route_local(struct mqtt_server *s, struct message *m, unsigned kind);
/* To the member here of a "$share/..." filter whose turn it is. */
void route_shared(struct mqtt_server *s, struct message *m, struct bytes filter);
/* A retained message to a new subscription of a connected session. Not OK: its queue is full. */
MUST_USE enum err route_retained(struct mqtt_server *s, struct session *session, struct message *m,
                                 const struct subscription_options *options);

/* intake.c */
struct intake_source {
    uint64_t client_hash;
    uint16_t packet_id;      /* 0: QoS 0. */
    bool duplicate;          /* The DUP flag. */
    const struct conn *conn; /* Knows what it never acknowledged; NULL: the server itself. */
};
/* Store the points of `p`, the retained state and the receipt. `*number`: the batch to wait for; 0:
 * nothing to wait for. E_BUSY: offer it again. */
MUST_USE enum err intake_store(struct mqtt_server *s, const struct publication *p,
                               const struct intake_source *from, uint64_t *number);
/* The stamp of a retained change that is newer than all before. */
uint64_t intake_stamp(struct mqtt_server *s);
/* Publish a will; takes the caller's hold. Until then its expires_ns is the interval in seconds. */
void intake_will(struct mqtt_server *s, struct message *will);
/* Those that could not be stored when they were due. */
void intake_retry_wills(struct mqtt_server *s);

/* handover.c */
/* Post the connection with its input so far to the loop its session lives on; the conn is closed.
 */
MUST_USE enum err handover_post(struct conn *c, unsigned loop, struct bytes input);
void handover_retry(struct mqtt_server *s);
void handover_take(void *context, struct letter *letter);
void handover_fini(struct mqtt_server *s);

/* sys.c */
void sys_publish(struct mqtt_server *s);

#endif /* BROKER_MQTT_MQTT_STATE_H */
