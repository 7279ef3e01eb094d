#include "broker/mqtt/mqtt_server.h"

#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "broker/mqtt/keep.h"
#include "broker/mqtt/mqtt_state.h"
#include "broker/threads/metrics.h"

void mqtt_options_init(struct mqtt_options *o)
{
    *o = (struct mqtt_options){.connections_max = 100000,
                               .sessions_max = 1000000,
                               .packet_bytes_max = 1 << 20,
                               .receive_maximum = 1024,
                               .inflight_max = 256,
                               .output_bytes_max = 1 << 20,
                               .queue_messages_max = 10000,
                               .queue_bytes_max = 16 << 20,
                               .retained_messages_max = 1000000,
                               .retained_bytes_max = 256 << 20,
                               .subscriptions_max = 10000,
                               .topic_alias_maximum = 64,
                               .keep_alive_max_s = 0,
                               .session_expiry_max_s = 7 * 86400,
                               .connect_timeout_s = 5,
                               .sys_interval_s = 10};
}

enum err mqtt_common_create(const struct mqtt_options *options, unsigned loops,
                            struct mailbox *const *mailboxes, struct mqtt_common **out)
{
    CHECK(loops > 0 && loops <= LOOPS_MAX);
    struct mqtt_common *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return E_NO_MEMORY;
    }
    c->options = *options;
    c->loops = loops;
    for (unsigned i = 0; i < loops; i++) {
        c->mailboxes[i] = mailboxes[i];
    }
    if (getrandom(&c->seed, sizeof c->seed, GRND_NONBLOCK) < 0) {
        c->seed = (uint64_t)clock_wall_ns(); /* Names need only differ from those of last time. */
    }
    *out = c;
    return OK;
}

void mqtt_common_destroy(struct mqtt_common *c)
{
    if (c != NULL) {
        restore_destroy(c->restore);
        free(c);
    }
}

/* Sessions. */

/* Out of memory; what is on disk stays. */
static void session_remove(struct mqtt_server *s, struct session *session)
{
    CHECK(session->conn == NULL);
    metrics_add(METRIC_SUBSCRIPTIONS, -(int64_t)session->subscriber.count);
    metrics_add(METRIC_SESSIONS, -1);
    atomic_fetch_sub(&s->common->sessions, 1);
    subscriptions_clear(s->subscriptions, &session->subscriber);
    session_table_remove(&s->sessions, session);
    session_destroy(session);
}

void mqtt_server_settle_session(struct mqtt_server *s, struct session *session)
{
    struct session_due due = session_tick(session, clock_now_ms());
    if (due.ended) {
        keep_end(s, session);
        session_remove(s, session);
    }
    if (due.will != NULL) {
        intake_will(s, due.will);
    }
}

void mqtt_server_end_session(struct mqtt_server *s, struct session *session)
{
    struct message *will = session_end(session);
    keep_end(s, session);
    session_remove(s, session);
    if (will != NULL) {
        intake_will(s, will);
    }
}

/* What other loops say. */

static void on_interest(void *context, struct bytes filter, uint64_t interest)
{
    struct mqtt_server *s = context;
    const struct publication view = {.topic = filter, .stamp = interest};
    struct message *m;

    if (s->common->loops == 1 || s->is_stopped) {
        return;
    }
    if (message_create(&view, &m) != OK) {
        log_line(LOG_ERROR, "broker", "out of memory: other loops are not told of a filter");
        return;
    }
    if (crossing_add(&s->crossing, UINT64_MAX, CROSSING_INTEREST, m) != OK) {
        log_line(LOG_ERROR, "broker", "out of memory: other loops are not told of a filter");
    }
    message_drop(m);
}

static void take_item(struct mqtt_server *s, unsigned from, const struct crossing_item *item)
{
    const struct publication *p = &item->message->view;
    if ((item->kind & CROSSING_SHARED) != 0) {
        route_shared(s, item->message, item->filter->view.topic);
    } else if ((item->kind & CROSSING_INTEREST) == 0) {
        route_local(s, item->message, item->kind);
    } else if (subscriptions_interest(s->subscriptions, p->topic, from, p->stamp) != OK) {
        log_line(LOG_ERROR, "broker", "out of memory: another loop's filter is not known here");
    }
}

static void on_crossing(void *context, struct letter *letter)
{
    struct mqtt_server *s = context;
    struct crossing_letter *l = (struct crossing_letter *)(void *)letter;
    for (uint32_t i = 0; i < l->count && !s->is_stopped; i++) {
        take_item(s, l->from, &l->items[i]);
    }
    crossing_letter_free(l);
}

/* What the store says. */

static void on_done(void *context, uint64_t number, enum err result)
{
    struct mqtt_server *s = context;
    for (struct conn *c = s->waiting.first, *after; c != NULL; c = after) {
        after = conn_list_next(&s->waiting, c);
        conn_release_acks(c, number, result);
    }
    for (struct conn *c = s->held.first, *after; c != NULL; c = after) {
        after = conn_list_next(&s->held, c);
        conn_release_held(c, number, result);
    }
}

/* Making and ending. */

static enum err load_message(void *context, const struct batch_state *state)
{
    struct mqtt_server *s = context;
    struct publication p;
    struct message *m;
    uint_fast64_t stamp = atomic_load(&s->common->stamp);

    if (state->stamp > stamp) {
        atomic_store(&s->common->stamp, state->stamp);
    }
    if (state->value.size == 0) {
        return OK; /* Cleared; what is retained next must be later. */
    }
    enum err e = retained_read(state->key, state->value, state->stamp, &p);
    if (e != OK) {
        log_line(LOG_ERROR, "broker", "a retained message is left out: %s", err_text(e));
        return OK;
    }
    if (p.expires_ns <= clock_wall_ns()) {
        return OK;
    }
    TRY(message_create(&p, &m));
    e = retained_apply(s->retained, m, clock_wall_ns());
    message_drop(m);
    return e;
}

static void load_receipt(void *context, const struct receipt *receipt)
{
    struct mqtt_server *s = context;
    if (receipt->client_hash % s->common->loops == s->index) {
        receipts_add(s->receipts, receipt);
    }
}

/* Other loops hear of their interest before they hear of any client: letters are taken first. */
static enum err load_sessions(struct mqtt_server *s, struct engine *engine)
{
    if (s->common->restore == NULL) {
        TRY(restore_load(engine, s->common, &s->common->restore));
    }
    TRY(restore_adopt(s->common->restore, s));
    crossing_post(&s->crossing);
    return OK;
}

static enum err make_parts(struct mqtt_server *s)
{
    const struct retained_limits limits = {s->options->retained_messages_max,
                                           s->options->retained_bytes_max};
    TRY(session_table_init(&s->sessions));
    TRY(subscriptions_create(on_interest, s, &s->subscriptions));
    TRY(match_cache_create(s->subscriptions, &s->matches));
    TRY(retained_create(&limits, &s->retained));
    TRY(receipts_create(&s->receipts));
    s->payload = malloc(sizeof *s->payload);
    s->read_buffer = malloc(READ_BUFFER_BYTES);
    if (s->payload == NULL || s->read_buffer == NULL) {
        return E_NO_MEMORY;
    }
    s->payload->text_bytes_max = s->options->text_bytes_max;
    return OK;
}

static void listen_to_all(struct mqtt_server *s)
{
    loop_on_letter(s->loop, LETTER_CROSSING, on_crossing, s);
    loop_on_letter(s->loop, LETTER_CONNECTION, handover_take, s);
    ingest_on_done(s->ingest, on_done, s);
    mqtt_turn_start(s);
}

enum err mqtt_server_create(struct mqtt_common *common, struct loop *loop, struct ingest *ingest,
                            struct engine *engine, struct mqtt_server **out)
{
    struct mqtt_server *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return E_NO_MEMORY;
    }
    s->common = common;
    s->options = &common->options;
    s->loop = loop;
    s->ingest = ingest;
    s->texts = engine_texts(engine);
    s->index = loop_index(loop);
    s->started_ms = clock_now_ms();
    s->all.kind = s->graveyard.kind = CONN_LIST_ALL; /* A conn is on one or the other. */
    s->dirty.kind = CONN_LIST_DIRTY;
    s->waiting.kind = CONN_LIST_WAITING;
    s->stalled.kind = CONN_LIST_STALLED;
    s->held.kind = CONN_LIST_HELD;
    crossing_init(&s->crossing, s->index, common->loops, common->mailboxes, common->backlog);
    enum err e = make_parts(s);
    if (e == OK) {
        e = engine_each_state(engine, RETAINED_STATE_SPACE, load_message, s);
    }
    if (e == OK) {
        e = load_sessions(s, engine);
    }
    if (e != OK) {
        mqtt_server_destroy(s);
        return e;
    }
    engine_each_receipt(engine, load_receipt, s);
    listen_to_all(s);
    *out = s;
    return OK;
}

void mqtt_server_accept(struct mqtt_server *s, int fd, const struct sockaddr_storage *peer)
{
    struct conn *c;
    (void)peer;
    if (s->is_stopped || atomic_load(&s->common->connections) >= s->options->connections_max) {
        metrics_add(METRIC_CONNECTS_REFUSED, 1);
        (void)close(fd);
        return;
    }
    if (conn_create(s, fd, (struct bytes){NULL, 0}, &c) != OK) {
        metrics_add(METRIC_CONNECTS_REFUSED, 1);
    }
}

static void close_all(struct mqtt_server *s, uint8_t reason)
{
    for (struct conn *c = s->all.first, *after; c != NULL; c = after) {
        after = conn_list_next(&s->all, c);
        conn_close(c, reason, true);
    }
}

void mqtt_server_stop(struct mqtt_server *s)
{
    if (!s->is_stopped) {
        s->is_stopped = true;
        close_all(s, MQTT_SERVER_SHUTTING_DOWN);
        loop_timer_stop(&s->second);
        loop_timer_stop(&s->retry);
    }
}

static void destroy_session(void *context, struct session *session)
{
    session_remove(context, session);
}

void mqtt_server_destroy(struct mqtt_server *s)
{
    if (s == NULL) {
        return;
    }
    mqtt_server_stop(s);
    close_all(s, 0); /* Those that linger. */
    mqtt_turn_bury(s);
    if (s->sessions.slots != NULL) {
        session_table_each(&s->sessions, destroy_session, s);
    }
    loop_take_letters(s->loop);
    handover_fini(s);
    crossing_fini(&s->crossing);
    for (size_t i = 0; i < s->will_count; i++) {
        message_drop(s->wills[i]);
    }
    free((void *)s->wills);
    session_table_fini(&s->sessions);
    match_cache_destroy(s->matches);
    subscriptions_destroy(s->subscriptions);
    retained_destroy(s->retained);
    receipts_destroy(s->receipts);
    octets_clear(&s->scratch);
    octets_clear(&s->state_scratch);
    free(s->payload);
    free(s->read_buffer);
    free(s);
}
