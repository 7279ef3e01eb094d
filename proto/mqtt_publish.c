/* PUBLISH and its acknowledgements: the hot path of the house, so a PUBLISH without properties
 * touches nothing it does not need. */

#include "proto/mqtt_packet.h"

#include "proto/mqtt_wire.h"

/* The subscription id is no malformation, as the type may carry it, but clients must not send it
 * [MQTT-3.3.4-6]. */
static const uint64_t publish_allowed =
    MQTT_PROPERTY_BIT(MQTT_PAYLOAD_FORMAT) | MQTT_PROPERTY_BIT(MQTT_MESSAGE_EXPIRY) |
    MQTT_PROPERTY_BIT(MQTT_CONTENT_TYPE) | MQTT_PROPERTY_BIT(MQTT_RESPONSE_TOPIC) |
    MQTT_PROPERTY_BIT(MQTT_CORRELATION_DATA) | MQTT_PROPERTY_BIT(MQTT_SUBSCRIPTION_ID) |
    MQTT_PROPERTY_BIT(MQTT_TOPIC_ALIAS) | MQTT_PROPERTY_BIT(MQTT_USER_PROPERTY);

/* What 5.0 adds after the packet id: the properties, and what they demand of topic and payload. */
static enum err read_properties(struct bytes *rest, struct bytes topic, struct mqtt_publish *out,
                                uint8_t *reason)
{
    struct mqtt_properties properties;

    TRY(mqtt_properties_take(rest, publish_allowed, &properties, reason));
    bool has_topic = topic.size > 0 || mqtt_properties_has(&properties, MQTT_TOPIC_ALIAS);
    if (!has_topic || mqtt_properties_has(&properties, MQTT_SUBSCRIPTION_ID)) {
        return mqtt_wire_refuse(MQTT_PROTOCOL_ERROR, reason);
    }
    TRY(mqtt_wire_check_payload(*rest, &properties, reason));
    if (topic.size > 0) {
        TRY(mqtt_wire_check_topic(topic, reason));
    }
    out->properties = properties;
    return OK;
}

/* Flags [MQTT-3.3.1-2, -4]; 3.1 ignores DUP where it means nothing. */
static bool has_good_flags(const struct mqtt_packet *p, uint8_t version)
{
    uint8_t qos = p->flags >> 1 & 3;
    bool is_pointless = (p->flags & 8) != 0 && qos == 0 && version != MQTT_V31;
    return qos != 3 && !is_pointless && !(p->padded && version == MQTT_V5);
}

/* Plain pointers instead of struct bytes: copying the body's view as a whole, just after it was
 * written in halves, stalls the processor for longer than all the rest takes. */
enum err mqtt_publish_read(const struct mqtt_packet *p, uint8_t version, struct mqtt_publish *out,
                           uint8_t *reason)
{
    const uint8_t *at = p->body.at, *end = at + p->body.size;
    uint8_t qos = p->flags >> 1 & 3;
    size_t id_size = qos > 0 ? 2 : 0;
    size_t topic_size = p->body.size < 2 ? SIZE_MAX / 2 : (size_t)(at[0] << 8 | at[1]);
    uint16_t packet_id = 0;

    if (!has_good_flags(p, version) || p->body.size < 2 + topic_size + id_size) {
        return mqtt_wire_refuse(MQTT_MALFORMED, reason);
    }
    const struct bytes topic = {at + 2, topic_size};
    at += 2 + topic_size + id_size;
    if (qos > 0) {
        packet_id = (uint16_t)(at[-2] << 8 | at[-1]);
        if (packet_id == 0) {
            return mqtt_wire_refuse(MQTT_PROTOCOL_ERROR, reason); /* [MQTT-2.2.1-3] */
        }
    }
    if (version == MQTT_V5 && (at == end || at[0] != 0 || topic_size == 0)) {
        struct bytes rest = {at, (size_t)(end - at)};
        TRY(read_properties(&rest, topic, out, reason));
        at = rest.at;
    } else {
        TRY(mqtt_wire_check_topic(topic, reason));
        at += version == MQTT_V5; /* An empty list is one zero byte. */
        out->properties.seen = 0;
        out->properties.raw = (struct bytes){NULL, 0};
    }
    out->topic = topic;
    out->payload = (struct bytes){at, (size_t)(end - at)};
    out->packet_id = packet_id;
    out->qos = qos;
    out->retain = (p->flags & 1) != 0;
    out->duplicate = (p->flags & 8) != 0 && qos > 0;
    return OK;
}

enum err mqtt_publish_write(struct writer *w, uint8_t version, const struct mqtt_publish *publish,
                            struct bytes properties)
{
    bool has_id = publish->qos > 0;
    size_t body_size = 2 + publish->topic.size + (has_id ? 2 : 0) +
                       mqtt_wire_properties_size(version, properties) + publish->payload.size;
    unsigned first = MQTT_PUBLISH << 4 | (unsigned)publish->duplicate << 3 |
                     (unsigned)publish->qos << 1 | publish->retain;

    if (publish->topic.size > UINT16_MAX) {
        return E_LIMIT;
    }
    TRY(mqtt_wire_open(w, (uint8_t)first, body_size));
    mqtt_wire_put_u16(w, (uint16_t)publish->topic.size);
    mqtt_wire_put(w, publish->topic);
    if (has_id) {
        mqtt_wire_put_u16(w, publish->packet_id);
    }
    mqtt_wire_put_properties(w, version, properties);
    mqtt_wire_put(w, publish->payload);
    return OK;
}
