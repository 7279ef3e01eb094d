/* SUBSCRIBE and UNSUBSCRIBE. MQTT 5.0 sections 3.8 to 3.11. */

#include "base/check.h"
#include "broker/mqtt/conn.h"
#include "broker/mqtt/keep.h"
#include "broker/mqtt/mqtt_state.h"
#include "broker/mqtt/share.h"
#include "broker/threads/metrics.h"

/* Beside each code of the answer: whether retained messages are to be sent. */
enum { SENDS_RETAINED = 1 };

static struct subscription_options options_of(const struct mqtt_subscribe *p,
                                              const struct mqtt_subscription *sub)
{
    return (struct subscription_options){
        .id = mqtt_properties_has(&p->properties, MQTT_SUBSCRIPTION_ID)
                  ? p->properties.subscription_id
                  : 0,
        .qos = sub->qos,
        .no_local = sub->no_local,
        .retain_as_published = sub->retain_as_published};
}

static enum err keep(struct conn *c, struct bytes filter)
{
    struct session *session = c->session;
    const struct subscription *at =
        subscriptions_find(c->server->subscriptions, &session->subscriber, filter);
    return keep_subscription(c->server, session, at, filter);
}

/* One filter: the code to answer with. */
static uint8_t subscribe(struct conn *c, const struct mqtt_subscribe *p,
                         const struct mqtt_subscription *sub, uint8_t *sends)
{
    struct mqtt_server *s = c->server;
    struct subscriber *subscriber = &c->session->subscriber;
    const struct subscription_options options = options_of(p, sub);
    bool existed;

    if (subscriber->count >= s->options->subscriptions_max &&
        subscriptions_find(s->subscriptions, subscriber, sub->filter) == NULL) {
        return MQTT_QUOTA_EXCEEDED;
    }
    enum err e = subscriptions_put(s->subscriptions, subscriber, sub->filter, &options, &existed);
    if (e != OK) {
        return e == E_MALFORMED ? MQTT_FILTER_INVALID : MQTT_UNSPECIFIED;
    }
    metrics_add(METRIC_SUBSCRIPTIONS, !existed);
    if (c->session->number != 0 && keep(c, sub->filter) != OK) {
        return MQTT_UNSPECIFIED;
    }
    /* No retained messages to a shared subscription (MQTT 5.0 section 4.8.2). */
    if (!share_is_shared(sub->filter) &&
        (sub->retain_handling == 0 || (sub->retain_handling == 1 && !existed))) {
        *sends = SENDS_RETAINED;
    }
    return options.qos;
}

struct retained_visit {
    struct mqtt_server *server;
    struct session *session;
    struct subscription_options options;
    enum err result;
};

static void visit_retained(void *context, struct message *m)
{
    struct retained_visit *v = context;
    if (v->options.no_local && m->view.origin == v->session->hash) {
        return; /* [MQTT-3.8.3-3] */
    }
    enum err e = route_retained(v->server, v->session, m, &v->options);
    v->result = e != OK ? e : v->result;
}

static void send_retained(struct conn *c, struct mqtt_subscribe p, const uint8_t *sends)
{
    struct retained_visit v = {.server = c->server, .session = c->session};
    struct mqtt_subscription sub;

    /* Once the queue is full there is no use in walking on. */
    for (size_t i = 0; v.result == OK && mqtt_subscribe_next(&p, &sub) == OK; i++) {
        v.options = options_of(&p, &sub);
        if (sends[i] == SENDS_RETAINED) {
            retained_select(c->server->retained, sub.filter, loop_wall_ns(c->server->loop),
                            visit_retained, &v);
        }
    }
    conn_list_add(&c->server->dirty, c);
}

/* Answer with `codes`. */
static enum err answer(struct conn *c, uint8_t type, uint16_t packet_id, struct bytes codes)
{
    struct writer w;
    if (octets_reserve(&c->out, codes.size + 16, &w) != OK) {
        conn_close(c, MQTT_UNSPECIFIED, false);
        return E_END;
    }
    const size_t before = w.size;
    CHECK(mqtt_suback_write(&w, c->version, type, packet_id, codes) == OK);
    if (w.size - before > c->packet_bytes_max) { /* [MQTT-3.1.2-24] */
        conn_close(c, MQTT_PACKET_TOO_LARGE, false);
        return E_END;
    }
    conn_commit(c, &w);
    if (c->server->kept > 0) {
        conn_hold(c, c->server->kept);
    }
    return OK;
}

/* Room for `count` bytes in the server's scratch memory. */
static uint8_t *scratch(struct conn *c, size_t count)
{
    struct writer w;
    return octets_reserve(&c->server->scratch, count, &w) == OK ? w.at : NULL;
}

enum err conn_on_subscribe(struct conn *c, const struct mqtt_packet *packet)
{
    struct mqtt_subscribe p;
    struct mqtt_subscription sub;
    uint8_t reason;
    size_t count = 0;

    if (!keep_has_room(c->server, c->session)) {
        return E_BUSY;
    }
    if (mqtt_subscribe_read(packet, c->version, &p, &reason) != OK) {
        return conn_refuse(c, reason);
    }
    /* A topic takes four bytes at least: codes in one half, what follows from them in the other. */
    size_t most = p.topics.size / 4 + 1;
    uint8_t *codes = scratch(c, most * 2);
    if (codes == NULL) {
        return conn_refuse(c, MQTT_UNSPECIFIED);
    }
    c->after_interest = true;
    c->server->kept = 0;
    for (struct mqtt_subscribe at = p; mqtt_subscribe_next(&at, &sub) == OK; count++) {
        bool is_beyond = count >= c->server->options->subscriptions_max;
        codes[most + count] = 0;
        codes[count] =
            is_beyond ? MQTT_QUOTA_EXCEEDED : subscribe(c, &p, &sub, &codes[most + count]);
    }
    TRY(answer(c, MQTT_SUBACK, p.packet_id, (struct bytes){codes, count}));
    send_retained(c, p, codes + most);
    return OK;
}

static uint8_t unsubscribe(struct conn *c, struct bytes filter)
{
    struct mqtt_server *s = c->server;
    struct subscriber *subscriber = &c->session->subscriber;
    const struct subscription *at = subscriptions_find(s->subscriptions, subscriber, filter);
    if (at == NULL) {
        return MQTT_NO_SUBSCRIPTION_EXISTED;
    }
    if (keep_no_subscription(s, c->session, at->number) != OK) {
        return MQTT_UNSPECIFIED;
    }
    CHECK(subscriptions_remove(s->subscriptions, subscriber, filter) == OK);
    metrics_add(METRIC_SUBSCRIPTIONS, -1);
    return MQTT_SUCCESS;
}

enum err conn_on_unsubscribe(struct conn *c, const struct mqtt_packet *packet)
{
    struct mqtt_server *s = c->server;
    struct mqtt_subscribe p;
    struct bytes filter;
    uint8_t reason;
    size_t count = 0;

    if (!keep_has_room(s, c->session)) {
        return E_BUSY;
    }
    if (mqtt_unsubscribe_read(packet, c->version, &p, &reason) != OK) {
        return conn_refuse(c, reason);
    }
    uint8_t *codes = scratch(c, p.topics.size / 3 + 1);
    if (codes == NULL) {
        return conn_refuse(c, MQTT_UNSPECIFIED);
    }
    s->kept = 0;
    while (mqtt_unsubscribe_next(&p, &filter) == OK) {
        codes[count++] = unsubscribe(c, filter);
    }
    return answer(c, MQTT_UNSUBACK, p.packet_id, (struct bytes){codes, count});
}
