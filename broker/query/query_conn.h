/* One connection of the query server, and the server as its connections see it. Room-internal.
 *
 * Frames in: read into the server's one large buffer, whole frames handled in place, only what is
 * left over kept. Frames out: straight to the socket, what it does not take waits in `out`. While
 * `out` is over its limit no request is read and no answer goes on. Everything is freed at the end
 * of a turn, so no callback meets freed memory. */

#ifndef BROKER_QUERY_QUERY_CONN_H
#define BROKER_QUERY_QUERY_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "broker/ingest/allowance.h"
#include "broker/query/query_check.h"
#include "broker/query/query_numbers.h"
#include "broker/query/query_server.h"
#include "broker/query/query_spares.h"
#include "broker/threads/loop.h"
#include "proto/frame.h"

enum {
    QUERY_READ_BYTES = 256 << 10,
    QUERY_TASKS_MAX = 64,
    QUERY_JOBS_MAX = 4,  /* Of a connection on workers at once. */
    QUERY_LANES_MAX = 16 /* More than one lane is for few queries of a loop at a time. */
};

struct query_task;
struct query_tail;
struct query_write;
struct query_tag;

struct query_server {
    struct query_server_options options;
    struct loop *loop;
    int64_t started_ms;
    bool is_stopped;
    uint32_t conn_count, tail_count, answer_count;
    uint32_t lane_count;        /* Of all queries, beyond the first of each. */
    struct query_spares spares; /* Lanes of none. */
    size_t in_bytes;            /* Kept by all connections; see query_pressure.h. */
    uint32_t number_count;      /* Of all connections, as query_numbers.h counts. */
    struct query_conn *conns;   /* All that are not freed. */
    struct query_conn *dirty;   /* To be settled at the end of the turn. */
    struct query_write *writes; /* Not answered yet, oldest first. */
    struct query_tag *tags;     /* Changes of tags that are not answered yet. */
    struct query_tail *tails;
    struct loop_timer feed;  /* Writes that have something left, next turn. */
    struct loop_timer sweep; /* Peers that say or take nothing. */
    uint8_t *scratch;        /* QUERY_READ_BYTES, of whoever reads now. */
};

struct query_conn {
    struct query_server *server;
    struct query_conn *next, **link; /* In server->conns. */
    struct query_conn *next_dirty;
    struct loop_io io;
    int fd; /* -1: closed; the rest waits for its tasks. */
    bool is_dirty;
    bool has_greeted;
    bool takes_words; /* Its hello said so; else texts are NaN to it. */
    bool is_closing;  /* Reads nothing more; closes when `out` is empty. */
    bool is_feeding;  /* A write waits for room: nothing is read. */
    bool is_shut;     /* Our last words are said. */
    unsigned jobs;    /* Its tasks on workers. */
    unsigned task_count;
    struct query_task *tasks;
    struct allowance allowance; /* Of new series. */
    int64_t opened_ms;          /* Or when our last words were said. */
    int64_t progress_ms;        /* When the socket last took bytes. */
    int64_t in_since_ms;        /* When the request kept in `in` began. */
    int64_t in_ms;              /* When it last grew. */
    size_t in_counted;          /* What of `in` the server counts. */
    struct writer in, out;      /* Buffers of malloc; none while empty. */
    size_t out_from;            /* out.at[out_from..out.size) is unsent. */
    struct query_numbers numbers;
};

/* Takes the socket over. NULL, and closed: no memory. */
struct query_conn *query_conn_create(struct query_server *s, int fd);

/* Close the socket now; tasks end unanswered. Freed at the end of the turn, or when the last worker
 * gives its task back. */
void query_conn_close(struct query_conn *c);
/* What the end of a turn does: sends, ends, frees. */
void query_conn_settle(struct query_conn *c);
void query_conn_mark(struct query_conn *c);
/* Whatever its tasks do. For the end of the server. */
void query_conn_free(struct query_conn *c);

/* Forget what came and was not handled; only while nothing is being handled. */
void query_conn_drop_input(struct query_conn *c);

/* It began a request and is silent since `write_timeout_ms`, though we would read. */
bool query_conn_is_stuck(const struct query_conn *c, int64_t now_ms);

/* Its output is over the limit: nothing more is started. */
bool query_conn_is_full(const struct query_conn *c);

/* Send a frame. After E_NO_MEMORY the connection is closed. */
void query_conn_send(struct query_conn *c, const frame_response *r);
void query_conn_send_bytes(struct query_conn *c, struct bytes frame);
/* An error for a request, or (id 0) for the connection. */
void query_conn_send_fault(struct query_conn *c, uint32_t id, const struct query_fault *fault);

/* Make room for `more` bytes in a growing buffer of malloc. E_NO_MEMORY. */
MUST_USE enum err query_conn_reserve(struct writer *w, size_t more);

#endif /* BROKER_QUERY_QUERY_CONN_H */
