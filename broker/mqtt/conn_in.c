/* What each packet of a client does, but for the large ones (conn_connect.c, conn_publish.c,
 * conn_subscribe.c). */

#include "broker/mqtt/conn.h"
#include "broker/mqtt/keep.h"
#include "broker/mqtt/mqtt_state.h"
#include "broker/threads/metrics.h"

enum err conn_refuse(struct conn *c, uint8_t reason)
{
    metrics_add(METRIC_PROTOCOL_ERRORS, 1);
    conn_close(c, reason, false);
    return E_END;
}

/* What an acknowledgement made of the window. */
static enum err window_moved(struct conn *c, enum err result)
{
    if (result == E_DENIED) {
        return conn_refuse(c, MQTT_PROTOCOL_ERROR);
    }
    if (result == OK) {
        conn_list_add(&c->server->dirty, c); /* It has room again. */
    }
    return OK;
}

static enum err on_puback(struct conn *c, const struct mqtt_packet *p)
{
    struct mqtt_ack ack;
    uint8_t reason;
    if (mqtt_ack_read(p, c->version, &ack, &reason) != OK) {
        return conn_refuse(c, reason);
    }
    return window_moved(c, outbox_ack(&c->session->outbox, ack.packet_id));
}

/* The client has received a message of QoS 2, or has refused it. */
static enum err on_pubrec(struct conn *c, const struct mqtt_packet *p)
{
    struct outbox *outbox = &c->session->outbox;
    struct writer w;
    struct mqtt_ack ack;
    uint8_t reason;
    if (mqtt_ack_read(p, c->version, &ack, &reason) != OK) {
        return conn_refuse(c, reason);
    }
    if (ack.reason >= MQTT_UNSPECIFIED) {
        return window_moved(c, outbox_refuse(outbox, ack.packet_id));
    }
    enum err e = outbox_receive(outbox, ack.packet_id);
    if (e == E_DENIED) {
        return conn_refuse(c, MQTT_PROTOCOL_ERROR);
    }
    if (octets_reserve(&c->out, MQTT_ACK_BYTES_MAX, &w) != OK ||
        mqtt_ack_write(&w, c->version, MQTT_PUBREL, ack.packet_id,
                       e == OK ? MQTT_SUCCESS : MQTT_PACKET_ID_NOT_FOUND) != OK) {
        conn_close(c, MQTT_UNSPECIFIED, false);
        return E_END;
    }
    conn_commit(c, &w);
    return OK;
}

static enum err on_pubcomp(struct conn *c, const struct mqtt_packet *p)
{
    struct mqtt_ack ack;
    uint8_t reason;
    if (mqtt_ack_read(p, c->version, &ack, &reason) != OK) {
        return conn_refuse(c, reason);
    }
    return window_moved(c, outbox_complete(&c->session->outbox, ack.packet_id));
}

/* The client has seen that its publish of QoS 2 is stored. Not before: promise P1. */
static enum err on_pubrel(struct conn *c, const struct mqtt_packet *p)
{
    struct mqtt_ack ack;
    uint8_t reason;
    if (mqtt_ack_read(p, c->version, &ack, &reason) != OK) {
        return conn_refuse(c, reason);
    }
    if (ack_ring_has(&c->acks, MQTT_PUBREC, ack.packet_id)) {
        return conn_refuse(c, MQTT_PROTOCOL_ERROR);
    }
    bool found = session_release(c->session, ack.packet_id);
    const struct ack answer = {.packet_id = ack.packet_id,
                               .type = MQTT_PUBCOMP,
                               .reason = found ? MQTT_SUCCESS : MQTT_PACKET_ID_NOT_FOUND};
    if (conn_put_ack(c, &answer) != OK) {
        conn_close(c, MQTT_UNSPECIFIED, false);
        return E_END;
    }
    return OK;
}

static enum err on_pingreq(struct conn *c, const struct mqtt_packet *p)
{
    struct writer w;
    uint8_t reason;
    if (mqtt_pingreq_read(p, c->version, &reason) != OK) {
        return conn_refuse(c, reason);
    }
    if (octets_reserve(&c->out, MQTT_ACK_BYTES_MAX, &w) != OK || mqtt_pingresp_write(&w) != OK) {
        conn_close(c, MQTT_UNSPECIFIED, false);
        return E_END;
    }
    conn_commit(c, &w);
    return OK;
}

/* A session that was to end with its connection may not be kept after all [MQTT-3.14.2-2]. */
static bool may_set_expiry(const struct conn *c, const struct mqtt_properties *properties)
{
    return c->session->expiry_s > 0 || properties->session_expiry_s == 0;
}

static enum err on_disconnect(struct conn *c, const struct mqtt_packet *p)
{
    struct mqtt_disconnect d;
    uint8_t reason;
    if (!keep_has_room(c->server, c->session)) {
        return E_BUSY;
    }
    if (mqtt_disconnect_read(p, c->version, &d, &reason) != OK) {
        return conn_refuse(c, reason);
    }
    if (mqtt_properties_has(&d.properties, MQTT_SESSION_EXPIRY)) {
        const uint32_t most = c->server->options->session_expiry_max_s;
        if (!may_set_expiry(c, &d.properties)) {
            return conn_refuse(c, MQTT_PROTOCOL_ERROR);
        }
        c->session->expiry_s =
            d.properties.session_expiry_s < most ? d.properties.session_expiry_s : most;
    }
    conn_close(c, 0, d.reason == MQTT_SUCCESS);
    return E_END;
}

enum err conn_take_packet(struct conn *c, const struct mqtt_packet *p, struct bytes all)
{
    if (c->state == CONN_NEW) {
        return conn_on_connect(c, p, all);
    }
    switch (p->type) {
    case MQTT_PUBLISH:
        return conn_on_publish(c, p);
    case MQTT_PUBACK:
        return on_puback(c, p);
    case MQTT_PUBREC:
        return on_pubrec(c, p);
    case MQTT_PUBREL:
        return on_pubrel(c, p);
    case MQTT_PUBCOMP:
        return on_pubcomp(c, p);
    case MQTT_SUBSCRIBE:
        return conn_on_subscribe(c, p);
    case MQTT_UNSUBSCRIBE:
        return conn_on_unsubscribe(c, p);
    case MQTT_PINGREQ:
        return on_pingreq(c, p);
    case MQTT_DISCONNECT:
        return on_disconnect(c, p);
    default:
        /* A second CONNECT [MQTT-3.1.0-2], AUTH, or a server's packet. */
        return conn_refuse(c, MQTT_PROTOCOL_ERROR);
    }
}
