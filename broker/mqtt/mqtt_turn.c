/* What happens once a turn and once a second: going on where room was lacking, output, keep alive,
 * wills, expiry, $SYS. */

#include "broker/mqtt/mqtt_state.h"
#include "broker/threads/metrics.h"

/* SECOND_MS: how often time is looked at. RETRY_MS: how often, while somebody else lacks room.
 * GATHER_US: from turn to turn while many clients say little. */
enum { SECOND_MS = 1000, RETRY_MS = 2, GATHER_US = 1000, FLUSH_ROUNDS_MAX = 4 };

void mqtt_turn_set_busy(struct mqtt_server *s)
{
    if (!s->is_busy) {
        s->is_busy = true;
        metrics_add(METRIC_BACKPRESSURE, 1);
    }
}

static bool has_room(const struct mqtt_server *s)
{
    return ingest_has_room(s->ingest) && !crossing_is_pressed(&s->crossing);
}

/* Go on where the lack of room stopped us. */
static void resume(struct mqtt_server *s)
{
    if (!s->is_busy || !has_room(s)) {
        return;
    }
    s->is_busy = false;
    intake_retry_wills(s);
    for (size_t left = s->stalled.count; left > 0 && !s->is_busy && s->stalled.first != NULL;
         left--) {
        struct conn *c = s->stalled.first;
        conn_list_remove(&s->stalled, c);
        conn_resume(c);
    }
}

static void flush(struct mqtt_server *s, struct conn *c)
{
    if (c->after_interest && s->crossing.is_waiting) {
        conn_list_add(&s->dirty, c);
        return;
    }
    c->after_interest = false;
    conn_flush(c);
    if (c->is_full && c->acks.count < s->options->receive_maximum && !conn_is_clogged(c)) {
        c->is_full = false;
        conn_resume(c);
    }
}

/* Output of this turn; closing a broken connection may publish its will, hence the rounds. */
static void flush_all(struct mqtt_server *s)
{
    for (unsigned round = 0; round < FLUSH_ROUNDS_MAX; round++) {
        crossing_post(&s->crossing);
        for (size_t left = s->dirty.count; left > 0 && s->dirty.first != NULL; left--) {
            struct conn *c = s->dirty.first;
            conn_list_remove(&s->dirty, c);
            flush(s, c);
        }
        if (s->dirty.count == 0) {
            break;
        }
    }
    crossing_post(&s->crossing);
}

void mqtt_turn_bury(struct mqtt_server *s)
{
    while (s->graveyard.first != NULL) {
        struct conn *c = s->graveyard.first;
        conn_list_remove(&s->graveyard, c);
        conn_destroy(c);
    }
}

static void on_retry(struct loop_timer *timer)
{
    (void)timer; /* The turn it starts is what is wanted. */
}

static void on_turn_end(void *context)
{
    struct mqtt_server *s = context;
    if (crossing_is_pressed(&s->crossing)) {
        mqtt_turn_set_busy(s);
    }
    resume(s);
    handover_retry(s);
    flush_all(s);
    mqtt_turn_bury(s);
    loop_gather(s->loop, pace_on_turn(&s->pace, loop_now_ms(s->loop)) ? GATHER_US : 0);
    if (!s->is_stopped &&
        (s->is_busy || s->crossing.is_waiting || s->handovers != NULL || s->dirty.count > 0)) {
        loop_timer_start(s->loop, &s->retry, RETRY_MS, 0);
    }
}

/* Seconds. */

static void check_conn(struct mqtt_server *s, struct conn *c, int64_t now_ms)
{
    bool is_read = !c->is_full && !conn_list_has(&s->stalled, c);
    if (c->state == CONN_NEW) {
        if (now_ms - c->heard_ms > (int64_t)s->options->connect_timeout_s * SECOND_MS) {
            metrics_add(METRIC_KEEP_ALIVE_TIMEOUTS, 1);
            conn_close(c, 0, false);
        }
    } else if (c->state == CONN_LINGERING) {
        if (now_ms > c->heard_ms) {
            conn_close(c, 0, false);
        }
    } else if (!is_read && !conn_is_clogged(c)) {
        c->heard_ms = now_ms; /* It may have spoken: we did not listen. */
    } else if (c->silence_max_ms > 0 && now_ms - c->heard_ms > c->silence_max_ms) {
        metrics_add(METRIC_KEEP_ALIVE_TIMEOUTS, 1);
        conn_close(c, MQTT_KEEP_ALIVE_TIMEOUT, false);
    }
}

static void check_session(void *context, struct session *session)
{
    if (session->conn == NULL) {
        mqtt_server_settle_session(context, session);
    }
}

static void on_second(struct loop_timer *timer)
{
    struct mqtt_server *s =
        (struct mqtt_server *)(void *)((char *)timer - offsetof(struct mqtt_server, second));
    int64_t now_ms = loop_now_ms(s->loop);

    for (struct conn *c = s->all.first, *after; c != NULL; c = after) {
        after = conn_list_next(&s->all, c);
        check_conn(s, c, now_ms);
    }
    session_table_each(&s->sessions, check_session, s);
    retained_sweep(s->retained, loop_wall_ns(s->loop));
    if (s->index == 0) {
        metrics_add(METRIC_RETAINED,
                    (int64_t)retained_count(s->retained) - metrics_read(METRIC_RETAINED));
        if (s->options->sys_interval_s > 0 && now_ms >= s->sys_due_ms) {
            s->sys_due_ms = now_ms + (int64_t)s->options->sys_interval_s * SECOND_MS;
            sys_publish(s);
        }
    }
}

void mqtt_turn_start(struct mqtt_server *s)
{
    s->second.on_time = on_second;
    s->retry.on_time = on_retry;
    loop_timer_start(s->loop, &s->second, SECOND_MS, SECOND_MS);
    loop_on_turn_end(s->loop, on_turn_end, s);
}
