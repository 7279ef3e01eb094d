/* What each packet of a client does, but for the large ones (conn_connect.c, conn_publish.c,
 * conn_subscribe.c). */

#include "broker/conn.h"
#include "broker/metrics.h"
#include "broker/mqtt_state.h"

enum err conn_refuse(struct conn *c, uint8_t reason)
{
    metrics_add(METRIC_PROTOCOL_ERRORS, 1);
    conn_close(c, reason, false);
    return E_END;
}

static enum err on_puback(struct conn *c, const struct mqtt_packet *p)
{
    struct mqtt_ack ack;
    uint8_t reason;
    if (mqtt_ack_read(p, c->version, &ack, &reason) != OK) {
        return conn_refuse(c, reason);
    }
    if (outbox_ack(&c->session->outbox, ack.packet_id) == OK) {
        conn_list_add(&c->server->dirty, c); /* The window has room again. */
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
    if (conn_reserve(c, MQTT_ACK_BYTES_MAX, &w) == OK && mqtt_pingresp_write(&w) == OK) {
        conn_commit(c, &w);
    }
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
    case MQTT_SUBSCRIBE:
        return conn_on_subscribe(c, p);
    case MQTT_UNSUBSCRIBE:
        return conn_on_unsubscribe(c, p);
    case MQTT_PINGREQ:
        return on_pingreq(c, p);
    case MQTT_DISCONNECT:
        return on_disconnect(c, p);
    default:
        /* A second CONNECT [MQTT-3.1.0-2], the handshake of QoS 2, AUTH, or a server's packet. */
        return conn_refuse(c, MQTT_PROTOCOL_ERROR);
    }
}
