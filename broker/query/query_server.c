#include "broker/query/query_server.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "broker/query/query_conn.h"
#include "broker/query/query_handle.h"
#include "broker/query/query_task.h"
#include "broker/threads/metrics.h"

enum { SWEEP_MS = 250, LINGER_MS = 1000 };

void query_server_options_init(struct query_server_options *o)
{
    *o = (struct query_server_options){
        .connections_max = 1024,
        .tails_max = 64,
        .series_max = 1000000,
        .output_bytes_max = 1 << 20,
        .answers_max = 1024,
        .input_bytes_max = 128 << 20,
        .numbers_max = 1 << 20,
        .numbers_all_max = 1 << 22,
        .hello_timeout_ms = 5000,
        .write_timeout_ms = 60000,
    };
}

static void on_turn_end(void *context)
{
    struct query_server *s = context;
    while (s->dirty != NULL) {
        struct query_conn *c = s->dirty;
        s->dirty = c->next_dirty;
        query_conn_settle(c); /* May free it. */
    }
}

static bool is_overdue(const struct query_conn *c, int64_t now_ms)
{
    const struct query_server_options *o = &c->server->options;
    if (c->is_shut) {
        return now_ms - c->opened_ms > LINGER_MS;
    }
    return (!c->has_greeted && now_ms - c->opened_ms > o->hello_timeout_ms) ||
           (c->out.size > 0 && now_ms - c->progress_ms > o->write_timeout_ms) ||
           query_conn_is_stuck(c, now_ms);
}

static void on_sweep(struct loop_timer *timer)
{
    struct query_server *s =
        (struct query_server *)(void *)((uint8_t *)timer - offsetof(struct query_server, sweep));
    int64_t now_ms = loop_now_ms(s->loop);
    for (struct query_conn *c = s->conns; c != NULL; c = c->next) {
        if (c->fd >= 0 && is_overdue(c, now_ms)) {
            metrics_add(METRIC_QUERY_DROPPED, !c->is_shut);
            query_conn_close(c); /* Freed at the end of the turn. */
        }
    }
    query_spares_tick(&s->spares);
}

static void on_feed(struct loop_timer *timer)
{
    struct query_server *s =
        (struct query_server *)(void *)((uint8_t *)timer - offsetof(struct query_server, feed));
    query_write_on_turn(s);
    query_tag_on_turn(s);
}

static void on_batch_done(void *context, uint64_t number, enum err result)
{
    query_write_on_done(context, number, result);
    query_tag_on_done(context, number, result);
}

enum err query_server_create(struct loop *loop, const struct query_server_options *options,
                             struct query_server **out)
{
    CHECK(options->ingest != NULL && options->engine != NULL);
    CHECK(options->store != NULL && options->workers != NULL);
    struct query_server *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return E_NO_MEMORY;
    }
    s->scratch = malloc(QUERY_READ_BYTES);
    if (s->scratch == NULL) {
        free(s);
        return E_NO_MEMORY;
    }
    s->options = *options;
    s->loop = loop;
    s->started_ms = loop_now_ms(loop);
    s->feed.on_time = on_feed;
    s->sweep.on_time = on_sweep;
    loop_on_letter(loop, LETTER_JOB, query_task_take, s);
    loop_on_letter(loop, LETTER_COMMITTED, query_tail_take, s);
    loop_on_letter(loop, LETTER_ADMIN, query_admin_take, s);
    loop_on_turn_end(loop, on_turn_end, s);
    ingest_on_done(options->ingest, on_batch_done, s);
    loop_timer_start(loop, &s->sweep, SWEEP_MS, SWEEP_MS);
    *out = s;
    return OK;
}

void query_server_accept(struct query_server *s, int fd, const struct sockaddr_storage *peer)
{
    (void)peer;
    if (s->is_stopped || s->conn_count >= s->options.connections_max) {
        metrics_add(METRIC_QUERY_REFUSED, 1);
        (void)close(fd);
        return;
    }
    if (query_conn_create(s, fd) == NULL) {
        metrics_add(METRIC_QUERY_REFUSED, 1);
    }
}

void query_server_stop(struct query_server *s)
{
    s->is_stopped = true;
    for (struct query_conn *c = s->conns; c != NULL; c = c->next) {
        query_conn_close(c);
    }
}

void query_server_destroy(struct query_server *s)
{
    if (s == NULL) {
        return;
    }
    while (s->conns != NULL) {
        query_conn_free(s->conns);
    }
    loop_timer_stop(&s->sweep);
    loop_timer_stop(&s->feed);
    query_spares_fini(&s->spares);
    free(s->scratch);
    free(s);
}
