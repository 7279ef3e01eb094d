/* From one publication to all who want it. */

#include <stdlib.h>

#include "broker/mqtt/mqtt_state.h"
#include "broker/mqtt/share.h"
#include "broker/threads/metrics.h"

/* Room for the identifiers of so many overlapping subscriptions costs no allocation. */
enum { IDS_ON_STACK = 64 };

/* A publication being routed; it becomes a message when somebody has to keep it. */
struct route {
    struct mqtt_server *server;
    const struct publication *publication;
    struct message *message; /* NULL: not needed yet. */
};

static struct message *message_of(struct route *r)
{
    if (r->message == NULL && message_create(r->publication, &r->message) != OK) {
        return NULL;
    }
    return r->message;
}

/* Subscriptions of one session that a message matches. */
struct matched {
    struct session *session;
    struct subscription *const *items;
    uint32_t count;
};

/* What they make of the message: one delivery at the highest QoS [MQTT-3.3.4-2] with all
 * identifiers [MQTT-3.3.4-4], put into `ids`, which has room for them. False: none is left. */
static bool merge(const struct publication *p, const struct matched *g, struct delivery *d,
                  uint32_t *ids)
{
    bool any = false;
    for (uint32_t i = 0; i < g->count; i++) {
        const struct subscription_options *o = &g->items[i]->options;
        if (o->no_local && p->origin == g->session->hash) {
            continue; /* [MQTT-3.8.3-3] */
        }
        any = true;
        uint8_t qos = o->qos < p->qos ? o->qos : p->qos;
        d->qos = qos > d->qos ? qos : d->qos;
        d->retain = d->retain || (o->retain_as_published && p->retain);
        if (o->id != 0) {
            ids[d->id_count++] = o->id;
        }
    }
    return any;
}

static void offer(struct route *r, struct session *session, const struct delivery *d)
{
    struct mqtt_server *s = r->server;
    const struct session_limits limits = {s->options->queue_messages_max,
                                          s->options->queue_bytes_max};
    struct message *m = message_of(r);

    if (m == NULL || session_offer(session, m, d, &limits) != OK) {
        metrics_add(d->qos > 0 ? METRIC_DROPPED_QUEUE : METRIC_DROPPED_QOS0, 1);
        return;
    }
    if (session->conn != NULL) {
        conn_list_add(&s->dirty, session->conn);
    }
}

static void deliver_with(struct route *r, const struct matched *g, uint32_t *ids)
{
    struct delivery d = {.publication = r->publication, .ids = ids};

    if (!merge(r->publication, g, &d, ids)) {
        return;
    }
    if (d.qos > 0 || g->session->outbox.qos0 > 0) {
        offer(r, g->session, &d); /* Behind retained messages that still wait, too. */
    } else if (g->session->conn != NULL) {
        conn_send_direct(g->session->conn, &d);
    }
}

static void deliver(struct route *r, const struct matched *g)
{
    uint32_t few[IDS_ON_STACK];
    if (g->count <= IDS_ON_STACK) {
        deliver_with(r, g, few);
        return;
    }
    uint32_t *ids = malloc(g->count * sizeof *ids);
    if (ids == NULL) {
        metrics_add(METRIC_DROPPED_QUEUE, 1);
        return;
    }
    deliver_with(r, g, ids);
    free(ids);
}

static void deliver_matches(struct route *r, const struct match *m)
{
    for (uint32_t i = 0, end; i < m->count; i = end) {
        struct subscriber *subscriber = m->items[i]->subscriber;
        for (end = i + 1; end < m->count && m->items[end]->subscriber == subscriber;) {
            end++;
        }
        const struct matched g = {session_of(subscriber), &m->items[i], end - i};
        deliver(r, &g);
    }
}

/* To the member here whose turn it is. */
static void deliver_shared(struct route *r, struct share *share)
{
    struct subscription *const member = share_choose_member(share);
    if (member == NULL) {
        metrics_add(METRIC_DROPPED_QUEUE, 1); /* The last one left while this was on its way. */
        return;
    }
    const struct matched m = {session_of(member->subscriber), &member, 1};
    deliver(r, &m);
}

/* Every share gets it once, wherever the member is whose turn it is. */
static void route_shares(struct route *r, const struct match *match)
{
    struct mqtt_server *s = r->server;
    for (uint32_t i = 0; i < match->share_count; i++) {
        struct share *share = match->shares[i];
        unsigned loop = share_choose_loop(share, s->index);
        if (loop == s->index) {
            deliver_shared(r, share);
        } else if (message_of(r) == NULL ||
                   crossing_add_shared(&s->crossing, loop, r->message, share->filter) != OK) {
            metrics_add(METRIC_DROPPED_QUEUE, 1);
        }
    }
}

static void retain(struct route *r)
{
    struct message *m = message_of(r);
    if (m == NULL || retained_apply(r->server->retained, m, loop_wall_ns(r->server->loop)) != OK) {
        metrics_add(METRIC_RETAINED_REFUSED, 1);
    }
}

/* To other loops: all replicate retained messages, `wanted` (bits) have subscribers. */
static void cross(struct route *r, uint64_t wanted)
{
    struct mqtt_server *s = r->server;
    bool retains = r->publication->retain;
    uint64_t others = retains ? UINT64_MAX : wanted;

    if (s->common->loops == 1 || others == 0) {
        return;
    }
    struct message *m = message_of(r);
    if (m == NULL ||
        crossing_add(&s->crossing, wanted, CROSSING_DELIVER | (retains ? CROSSING_RETAIN : 0), m) !=
            OK ||
        crossing_add(&s->crossing, others & ~wanted, CROSSING_RETAIN, m) != OK) {
        metrics_add(METRIC_DROPPED_QUEUE, 1);
    }
}

void route_publication(struct mqtt_server *s, const struct publication *p)
{
    struct route r = {s, p, NULL};
    const struct match *match;
    uint64_t wanted = 0;

    if (p->retain) {
        retain(&r);
    }
    if (!subscriptions_is_empty(s->subscriptions)) {
        if (match_cache_find(s->matches, p->topic, p->topic_hash, &match) == OK) {
            deliver_matches(&r, match);
            route_shares(&r, match);
            wanted = match->loops;
        } else {
            metrics_add(METRIC_DROPPED_QUEUE, 1);
        }
    }
    cross(&r, wanted);
    message_drop(r.message);
}

void route_shared(struct mqtt_server *s, struct message *m, struct bytes filter)
{
    struct route r = {s, &m->view, m};
    struct share *share = subscriptions_share(s->subscriptions, filter);
    if (share == NULL) {
        metrics_add(METRIC_DROPPED_QUEUE, 1);
        return;
    }
    deliver_shared(&r, share);
}

void route_again(struct mqtt_server *s, const struct publication *p)
{
    struct route r = {s, p, NULL};
    if (p->retain) {
        retain(&r);
        cross(&r, 0);
    }
    message_drop(r.message);
}

void route_local(struct mqtt_server *s, struct message *m, unsigned kind)
{
    struct route r = {s, &m->view, m};
    const struct match *match;

    if ((kind & CROSSING_RETAIN) != 0) {
        retain(&r);
    }
    if ((kind & CROSSING_DELIVER) != 0 &&
        match_cache_find(s->matches, m->view.topic, m->view.topic_hash, &match) == OK) {
        deliver_matches(&r, match);
    }
}

enum err route_retained(struct mqtt_server *s, struct session *session, struct message *m,
                        const struct subscription_options *options)
{
    /* A reference is small, so all there are may wait beside the session's own queue. */
    const struct session_limits limits = {
        s->options->queue_messages_max + retained_count(s->retained),
        s->options->queue_bytes_max + retained_bytes(s->retained)};
    const struct delivery d = {.publication = &m->view,
                               .ids = &options->id,
                               .id_count = options->id != 0,
                               .qos = options->qos < m->view.qos ? options->qos : m->view.qos,
                               .retain = true};
    enum err e = session_offer(session, m, &d, &limits);
    if (e != OK) {
        metrics_add(d.qos > 0 ? METRIC_DROPPED_QUEUE : METRIC_DROPPED_QOS0, 1);
    }
    return e;
}
