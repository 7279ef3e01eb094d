/* PUBLISH from a client: store, forward, acknowledge when durable. MQTT 5.0 section 3.3. */

#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "broker/mqtt/conn.h"
#include "broker/mqtt/mqtt_state.h"
#include "broker/threads/metrics.h"

/* Remember `topic` for `alias`, in place of what it meant. */
static enum err alias_set(struct conn *c, uint16_t alias, struct bytes topic)
{
    if (c->aliases == NULL) {
        c->aliases = calloc(c->server->options->topic_alias_maximum, sizeof *c->aliases);
    }
    uint8_t *copy = malloc(topic.size);
    if (c->aliases == NULL || copy == NULL) {
        free(copy);
        return E_NO_MEMORY;
    }
    memcpy(copy, topic.at, topic.size);
    conn_alias_free(&c->aliases[alias - 1]);
    c->aliases[alias - 1] = (struct bytes){copy, topic.size};
    return OK;
}

/* Fill in the topic. MQTT_SUCCESS, or the reason to close with (section 3.3.2.3.4). */
static uint8_t resolve_alias(struct conn *c, struct mqtt_publish *p)
{
    if (!mqtt_properties_has(&p->properties, MQTT_TOPIC_ALIAS)) {
        return p->topic.size == 0 ? MQTT_PROTOCOL_ERROR : MQTT_SUCCESS;
    }
    uint16_t alias = p->properties.topic_alias;
    if (alias == 0 || alias > c->server->options->topic_alias_maximum) {
        return MQTT_TOPIC_ALIAS_INVALID;
    }
    if (p->topic.size > 0) {
        return alias_set(c, alias, p->topic) == OK ? MQTT_SUCCESS : MQTT_QUOTA_EXCEEDED;
    }
    if (c->aliases == NULL || c->aliases[alias - 1].size == 0) {
        return MQTT_PROTOCOL_ERROR;
    }
    p->topic = c->aliases[alias - 1];
    return MQTT_SUCCESS;
}

/* More unfinished publishes than allowed: v5 was told and is at fault; others are not read until
 * the disk has done its part. */
static enum err check_window(struct conn *c)
{
    const uint16_t most = c->server->options->receive_maximum;
    if (c->version >= MQTT_V5) {
        return c->unfinished < most ? OK : conn_refuse(c, MQTT_RECEIVE_MAXIMUM_EXCEEDED);
    }
    c->is_full = c->acks.count >= most;
    return c->is_full ? E_BUSY : OK;
}

static uint8_t answer_type(const struct mqtt_publish *p)
{
    return p->qos == 2 ? MQTT_PUBREC : MQTT_PUBACK;
}

static enum err acknowledge(struct conn *c, const struct mqtt_publish *p, uint64_t number,
                            uint8_t reason)
{
    const struct ack ack = {
        .number = number, .packet_id = p->packet_id, .type = answer_type(p), .reason = reason};
    if (p->qos > 0 && conn_put_ack(c, &ack) != OK) {
        conn_close(c, MQTT_UNSPECIFIED, false);
        return E_END;
    }
    return OK;
}

/* The properties to forward, in the server's scratch memory. */
static enum err forwarded(struct mqtt_server *s, const struct mqtt_properties *from,
                          struct bytes *out)
{
    struct writer w;
    if (from->raw.size == 0) {
        *out = (struct bytes){NULL, 0};
        return OK;
    }
    TRY(octets_reserve(&s->scratch, from->raw.size, &w));
    TRY(mqtt_properties_forward(from->raw, &w));
    *out = (struct bytes){w.at, w.size};
    return OK;
}

static enum err publication_of(struct conn *c, const struct mqtt_publish *p,
                               struct publication *out)
{
    struct mqtt_server *s = c->server;
    *out = (struct publication){.topic = p->topic,
                                .payload = p->payload,
                                .topic_hash = hash_bytes(p->topic),
                                .origin = c->session->hash,
                                .expires_ns = MESSAGE_NEVER_NS,
                                .qos = p->qos,
                                .retain = p->retain};
    if (mqtt_properties_has(&p->properties, MQTT_MESSAGE_EXPIRY)) {
        out->expires_ns =
            loop_wall_ns(s->loop) + (int64_t)p->properties.message_expiry_s * NS_PER_S;
    }
    return forwarded(s, &p->properties, &out->properties);
}

/* Whether to go on with a retained message; over the limit v5 hears of it, others get it delivered
 * without being retained. */
static uint8_t check_retained(struct conn *c, struct publication *p)
{
    struct mqtt_server *s = c->server;
    if (!p->retain) {
        return MQTT_SUCCESS;
    }
    if (retained_is_over(s->retained, p)) {
        metrics_add(METRIC_RETAINED_REFUSED, 1);
        p->retain = false;
        return c->version >= MQTT_V5 && p->qos > 0 ? MQTT_QUOTA_EXCEEDED : MQTT_SUCCESS;
    }
    p->stamp = intake_stamp(s);
    return MQTT_SUCCESS;
}

static bool is_of_the_server(struct bytes topic)
{
    return topic.size >= 4 && memcmp(topic.at, "$SYS", 4) == 0;
}

/* Store it, and forward it unless that was done when it came first. */
static enum err store_and_route(struct conn *c, const struct publication *publication,
                                const struct mqtt_publish *p, uint64_t *number)
{
    enum session_arrival arrival = SESSION_NEW;
    if (p->qos > 0) {
        arrival = session_arrive(c->session, p->packet_id, p->qos);
    }
    const struct intake_source from = {.client_hash = c->session->hash,
                                       .packet_id = p->packet_id,
                                       .duplicate = p->duplicate,
                                       .conn = c};
    TRY(intake_store(c->server, publication, &from, number));
    if (p->qos > 0) {
        TRY(session_receive(c->session, p->packet_id, p->qos));
    }
    if (p->qos == 2 && arrival == SESSION_UNSURE) {
        route_again(c->server, publication);
    } else {
        route_publication(c->server, publication);
    }
    return OK;
}

static enum err take_publication(struct conn *c, const struct mqtt_publish *p)
{
    struct mqtt_server *s = c->server;
    struct publication publication;
    uint64_t number = 0;

    if (publication_of(c, p, &publication) != OK) {
        conn_close(c, MQTT_UNSPECIFIED, false);
        return E_END;
    }
    uint8_t reason = check_retained(c, &publication);
    if (reason != MQTT_SUCCESS) {
        return acknowledge(c, p, 0, reason);
    }
    enum err e = store_and_route(c, &publication, p, &number);
    if (e == E_BUSY) {
        mqtt_turn_set_busy(s);
        return E_BUSY;
    }
    if (e != OK) {
        conn_close(c, MQTT_UNSPECIFIED, false);
        return E_END;
    }
    return acknowledge(c, p, number, MQTT_SUCCESS);
}

/* A publish of QoS 2 that was received already, and whose answer is under way or is sent again. */
static bool is_known(struct conn *c, const struct mqtt_publish *p, enum err *result)
{
    if (p->qos < 2) {
        return false;
    }
    if (ack_ring_has(&c->acks, MQTT_PUBREC, p->packet_id)) {
        *result = OK;
        return true;
    }
    if (session_arrive(c->session, p->packet_id, 2) == SESSION_KNOWN) {
        *result = acknowledge(c, p, 0, MQTT_SUCCESS);
        return true;
    }
    return false;
}

enum err conn_on_publish(struct conn *c, const struct mqtt_packet *packet)
{
    struct mqtt_publish p;
    uint8_t reason;

    if (c->server->is_busy) {
        return E_BUSY;
    }
    if (mqtt_publish_read(packet, c->version, &p, &reason) != OK) {
        return conn_refuse(c, reason);
    }
    reason = resolve_alias(c, &p);
    if (reason != MQTT_SUCCESS) {
        return conn_refuse(c, reason);
    }
    if (p.qos > 0) {
        TRY(check_window(c));
    }
    enum err e;
    if (is_known(c, &p, &e)) {
        metrics_add(METRIC_REDELIVERED, 1);
    } else if (is_of_the_server(p.topic)) {
        e = acknowledge(c, &p, 0, MQTT_NOT_AUTHORIZED);
    } else {
        e = take_publication(c, &p);
    }
    metrics_add(METRIC_MESSAGES_IN, e != E_BUSY);
    return e;
}
