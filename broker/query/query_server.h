/* The query server of one loop: binary clients that write, query, follow and administer
 * (docs/PROTOCOL.md).
 *
 * Connections live on the loop that accepted them. Short answers are made on the loop; queries,
 * lists and statistics step on the workers, one bounded frame at a time, and only as fast as the
 * client takes them. Calls come from the loop's thread, or from main before the loop runs and
 * after it ended. */

#ifndef BROKER_QUERY_QUERY_SERVER_H
#define BROKER_QUERY_QUERY_SERVER_H

#include <stdint.h>
#include <sys/socket.h>

#include "broker/ingest/ingest.h"
#include "broker/threads/loop.h"
#include "broker/threads/store_thread.h"
#include "broker/threads/workers.h"
#include "storage/engine.h"

struct query_server_options {
    uint32_t connections_max;   /* Of this loop; more are closed at once and counted. */
    uint32_t tails_max;         /* Of this loop, over all connections. */
    uint32_t series_max;        /* A query that selects more is refused. */
    uint32_t output_bytes_max;  /* Unsent bytes of one connection before it has to wait. */
    uint32_t answers_max;       /* Queries, lists and reports of this loop not ended yet. */
    size_t input_bytes_max;     /* Kept of requests that are not whole, over all connections. */
    uint32_t numbers_max;       /* Series one connection may give numbers to, */
    uint32_t numbers_all_max;   /* and all connections of this loop. 8 bytes each. */
    uint32_t hello_timeout_ms;  /* A peer that has not said hello by then is closed. */
    uint32_t write_timeout_ms;  /* A peer that takes no byte of its answers so long, or sends no
                                 * byte of the request it began, too. */
    struct ingest *ingest;      /* This loop's. */
    struct engine *engine;      /* These three are shared by all loops and outlive the */
    struct store_thread *store; /* server. */
    struct workers *workers;
};

/* Every limit at its default; the four parts NULL. */
void query_server_options_init(struct query_server_options *o);

/* Registers for LETTER_JOB, LETTER_COMMITTED, LETTER_ADMIN, the end of turns and ingest_on_done().
 * Options are copied. E_NO_MEMORY. */
struct query_server;
MUST_USE enum err query_server_create(struct loop *loop, const struct query_server_options *options,
                                      struct query_server **out);

/* Take an accepted socket, non-blocking already; the server closes it. */
void query_server_accept(struct query_server *s, int fd, const struct sockaddr_storage *peer);

/* Close all connections; takes none any more. Work on the workers goes on until its step ends. */
void query_server_stop(struct query_server *s);

/* After its loop has ended for good and after workers_destroy(), before loop_destroy() and
 * ingest_destroy(). NULL is fine. */
void query_server_destroy(struct query_server *s);

#endif /* BROKER_QUERY_QUERY_SERVER_H */
