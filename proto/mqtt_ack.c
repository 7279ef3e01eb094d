/* PUBACK, PUBREC, PUBREL, PUBCOMP (5.0 sections 3.4 to 3.7) and DISCONNECT (3.14): a reason code
 * and properties that may be left out from the end. */

#include "proto/mqtt_packet.h"

#include "proto/mqtt_wire.h"

/* [MQTT-3.4.2-1], [MQTT-3.5.2-1]. */
static bool is_received_reason(uint8_t code)
{
    switch (code) {
    case MQTT_SUCCESS:
    case MQTT_NO_MATCHING_SUBSCRIBERS:
    case MQTT_UNSPECIFIED:
    case MQTT_IMPLEMENTATION_ERROR:
    case MQTT_NOT_AUTHORIZED:
    case MQTT_TOPIC_INVALID:
    case MQTT_PACKET_ID_IN_USE:
    case MQTT_QUOTA_EXCEEDED:
    case MQTT_PAYLOAD_INVALID:
        return true;
    default:
        return false;
    }
}

/* [MQTT-3.6.2-1], [MQTT-3.7.2-1]. */
static bool is_release_reason(uint8_t code)
{
    return code == MQTT_SUCCESS || code == MQTT_PACKET_ID_NOT_FOUND;
}

/* What a client may say of its going (5.0, table 3-13) [MQTT-3.14.2-1]. */
static bool is_leaving_reason(uint8_t code)
{
    switch (code) {
    case MQTT_SUCCESS:
    case MQTT_DISCONNECT_WITH_WILL:
    case MQTT_UNSPECIFIED:
    case MQTT_MALFORMED:
    case MQTT_PROTOCOL_ERROR:
    case MQTT_IMPLEMENTATION_ERROR:
    case MQTT_TOPIC_INVALID:
    case MQTT_RECEIVE_MAXIMUM_EXCEEDED:
    case MQTT_TOPIC_ALIAS_INVALID:
    case MQTT_PACKET_TOO_LARGE:
    case MQTT_MESSAGE_RATE_TOO_HIGH:
    case MQTT_QUOTA_EXCEEDED:
    case MQTT_ADMINISTRATIVE_ACTION:
    case MQTT_PAYLOAD_INVALID:
        return true;
    default:
        return false;
    }
}

/* The tail of 5.0: nothing, a reason code, or a reason code and properties. */
static enum err read_tail(struct bytes *rest, uint64_t allowed, uint8_t *code,
                          struct mqtt_properties *properties, uint8_t *reason)
{
    *code = MQTT_SUCCESS;
    if (rest->size > 0) {
        TRY(mqtt_wire_take_u8(rest, code, reason));
    }
    return mqtt_wire_take_last_properties(rest, allowed, properties, reason);
}

enum err mqtt_ack_read(const struct mqtt_packet *p, uint8_t version, struct mqtt_ack *out,
                       uint8_t *reason)
{
    const uint64_t allowed =
        MQTT_PROPERTY_BIT(MQTT_REASON_STRING) | MQTT_PROPERTY_BIT(MQTT_USER_PROPERTY);
    struct mqtt_ack ack = {.type = p->type};
    struct bytes rest = p->body;

    TRY(mqtt_wire_check_header(p, version, reason));
    TRY(mqtt_wire_take_id(&rest, &ack.packet_id, reason));
    if (version >= MQTT_V5) {
        TRY(read_tail(&rest, allowed, &ack.reason, &ack.properties, reason));
        bool is_first = p->type == MQTT_PUBACK || p->type == MQTT_PUBREC;
        if (!(is_first ? is_received_reason(ack.reason) : is_release_reason(ack.reason))) {
            return mqtt_wire_refuse(MQTT_PROTOCOL_ERROR, reason);
        }
    }
    if (rest.size > 0) {
        return mqtt_wire_refuse(MQTT_MALFORMED, reason);
    }
    *out = ack;
    return OK;
}

enum err mqtt_ack_write(struct writer *w, uint8_t version, uint8_t type, uint16_t packet_id,
                        uint8_t reason)
{
    bool has_reason = version >= MQTT_V5 && reason != MQTT_SUCCESS;
    unsigned first = (unsigned)type << 4 | (type == MQTT_PUBREL ? 2 : 0);

    TRY(mqtt_wire_open(w, (uint8_t)first, has_reason ? 3 : 2));
    mqtt_wire_put_u16(w, packet_id);
    if (has_reason) {
        mqtt_wire_put_u8(w, reason);
    }
    return OK;
}

enum err mqtt_disconnect_read(const struct mqtt_packet *p, uint8_t version,
                              struct mqtt_disconnect *out, uint8_t *reason)
{
    const uint64_t allowed =
        MQTT_PROPERTY_BIT(MQTT_SESSION_EXPIRY) | MQTT_PROPERTY_BIT(MQTT_REASON_STRING) |
        MQTT_PROPERTY_BIT(MQTT_SERVER_REFERENCE) | MQTT_PROPERTY_BIT(MQTT_USER_PROPERTY);
    struct mqtt_disconnect disconnect = {0};
    struct bytes rest = p->body;

    TRY(mqtt_wire_check_header(p, version, reason));
    if (version >= MQTT_V5) {
        TRY(read_tail(&rest, allowed, &disconnect.reason, &disconnect.properties, reason));
        /* Only servers refer to other servers (5.0 section 3.14.2.2.5). */
        if (!is_leaving_reason(disconnect.reason) ||
            mqtt_properties_has(&disconnect.properties, MQTT_SERVER_REFERENCE)) {
            return mqtt_wire_refuse(MQTT_PROTOCOL_ERROR, reason);
        }
    }
    if (rest.size > 0) {
        return mqtt_wire_refuse(MQTT_MALFORMED, reason);
    }
    *out = disconnect;
    return OK;
}

enum err mqtt_disconnect_write(struct writer *w, uint8_t reason, struct bytes properties)
{
    bool has_properties = properties.size > 0;
    bool has_reason = has_properties || reason != MQTT_SUCCESS;
    size_t body_size = (has_reason ? 1 : 0) +
                       (has_properties ? mqtt_wire_properties_size(MQTT_V5, properties) : 0);

    TRY(mqtt_wire_open(w, MQTT_DISCONNECT << 4, body_size));
    if (has_reason) {
        mqtt_wire_put_u8(w, reason);
    }
    if (has_properties) {
        mqtt_wire_put_properties(w, MQTT_V5, properties);
    }
    return OK;
}
