#include "broker/query/query_pressure.h"

#include "broker/query/query_task.h"
#include "broker/threads/metrics.h"

/* The connection whose request has been arriving longest; NULL: none is. */
static struct query_conn *find_slowest(struct query_server *s)
{
    struct query_conn *slowest = NULL;
    for (struct query_conn *c = s->conns; c != NULL; c = c->next) {
        if (c->fd >= 0 && c->in.size > 0 && !c->is_feeding &&
            (slowest == NULL || c->in_since_ms < slowest->in_since_ms)) {
            slowest = c;
        }
    }
    return slowest;
}

void query_pressure_input(struct query_conn *c)
{
    struct query_server *s = c->server;
    struct query_conn *slowest;
    s->in_bytes += c->in.limit - c->in_counted;
    c->in_counted = c->in.limit;
    while (s->in_bytes > s->options.input_bytes_max && (slowest = find_slowest(s)) != NULL) {
        query_conn_close(slowest); /* It settles, and gives its memory back, this turn. */
        s->in_bytes -= slowest->in_counted;
        slowest->in_counted = 0;
        query_conn_drop_input(slowest);
        metrics_add(METRIC_QUERY_DROPPED, 1);
    }
}

static bool is_starved(const struct query_task *t, int64_t now_ms)
{
    return query_task_is_paced(t) && !t->is_held && !t->is_ended && t->credit == 0 &&
           now_ms - t->starved_ms > t->conn->server->options.write_timeout_ms;
}

/* NULL: every answer goes on, or has stood still for a short time only. */
static struct query_task *find_starved(struct query_server *s)
{
    const int64_t now_ms = loop_now_ms(s->loop);
    struct query_task *longest = NULL;
    for (struct query_conn *c = s->conns; c != NULL; c = c->next) {
        for (struct query_task *t = c->tasks; t != NULL; t = t->next) {
            if (is_starved(t, now_ms) && (longest == NULL || t->starved_ms < longest->starved_ms)) {
                longest = t;
            }
        }
    }
    return longest;
}

bool query_pressure_answer(struct query_server *s)
{
    if (s->answer_count < s->options.answers_max) {
        return true;
    }
    struct query_task *t = find_starved(s);
    if (t == NULL) {
        return false;
    }
    struct query_fault fault;
    query_fault_set(&fault, HEJNAL__V1__ERROR__CODE__UNAVAILABLE, "",
                    "ended after %u s without credit: others wait",
                    s->options.write_timeout_ms / 1000);
    query_task_fail(t, &fault);
    return true;
}
