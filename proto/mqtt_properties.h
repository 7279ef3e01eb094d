/* MQTT 5 properties (section 2.2.2): read in one pass, checked against what the packet may carry.
 */

#ifndef PROTO_MQTT_PROPERTIES_H
#define PROTO_MQTT_PROPERTIES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

enum mqtt_property {
    MQTT_PAYLOAD_FORMAT = 1,
    MQTT_MESSAGE_EXPIRY = 2,
    MQTT_CONTENT_TYPE = 3,
    MQTT_RESPONSE_TOPIC = 8,
    MQTT_CORRELATION_DATA = 9,
    MQTT_SUBSCRIPTION_ID = 11,
    MQTT_SESSION_EXPIRY = 17,
    MQTT_ASSIGNED_CLIENT_ID = 18,
    MQTT_SERVER_KEEP_ALIVE = 19,
    MQTT_AUTH_METHOD = 21,
    MQTT_AUTH_DATA = 22,
    MQTT_REQUEST_PROBLEM_INFO = 23,
    MQTT_WILL_DELAY = 24,
    MQTT_REQUEST_RESPONSE_INFO = 25,
    MQTT_RESPONSE_INFO = 26,
    MQTT_SERVER_REFERENCE = 28,
    MQTT_REASON_STRING = 31,
    MQTT_RECEIVE_MAXIMUM = 33,
    MQTT_TOPIC_ALIAS_MAXIMUM = 34,
    MQTT_TOPIC_ALIAS = 35,
    MQTT_MAXIMUM_QOS = 36,
    MQTT_RETAIN_AVAILABLE = 37,
    MQTT_USER_PROPERTY = 38,
    MQTT_MAXIMUM_PACKET_SIZE = 39,
    MQTT_WILDCARD_AVAILABLE = 40,
    MQTT_SUBSCRIPTION_IDS_AVAILABLE = 41,
    MQTT_SHARED_AVAILABLE = 42
};

/* What was read. A field is valid only where mqtt_properties_has() says so (`raw` always); bytes
 * are borrowed from the packet. User properties and several subscription ids stay in `raw`, in
 * their order. */
struct mqtt_properties {
    uint64_t seen;    /* Bit p: property p was there. */
    struct bytes raw; /* The whole list, checked. */
    uint8_t payload_format, request_problem_info, request_response_info;
    uint16_t receive_maximum, topic_alias_maximum, topic_alias;
    uint32_t message_expiry_s, session_expiry_s, will_delay_s, maximum_packet_size;
    uint32_t subscription_id; /* The first. */
    struct bytes content_type, response_topic, correlation_data, auth_method, auth_data;
    struct bytes reason_string;
};

static inline bool mqtt_properties_has(const struct mqtt_properties *p, enum mqtt_property id)
{
    return (p->seen >> (unsigned)id & 1) != 0;
}

#define MQTT_PROPERTY_BIT(id) (UINT64_C(1) << (unsigned)(id))

/* Take a property list (length first) off `in`. `allowed`: bits of the properties this packet may
 * carry. E_MALFORMED, E_DENIED (twice what may stand once, a value out of its range): `*reason`.
 * Subscription ids may repeat here, as they may in a PUBLISH to a client. */
MUST_USE enum err mqtt_properties_take(struct bytes *in, uint64_t allowed,
                                       struct mqtt_properties *out, uint8_t *reason);

/* Walk the user properties of a checked list. E_END. */
MUST_USE enum err mqtt_user_property_next(struct bytes *raw, struct bytes *name,
                                          struct bytes *value);

/* Walk the subscription ids of a checked list. E_END. */
MUST_USE enum err mqtt_subscription_id_next(struct bytes *raw, uint32_t *id);

/* Append one property to an encoded list. E_LIMIT. */
MUST_USE enum err mqtt_property_put_u8(struct writer *w, enum mqtt_property id, uint8_t value);
MUST_USE enum err mqtt_property_put_u16(struct writer *w, enum mqtt_property id, uint16_t value);
MUST_USE enum err mqtt_property_put_u32(struct writer *w, enum mqtt_property id, uint32_t value);
MUST_USE enum err mqtt_property_put_varint(struct writer *w, enum mqtt_property id, uint32_t value);
MUST_USE enum err mqtt_property_put_bytes(struct writer *w, enum mqtt_property id,
                                          struct bytes value);
MUST_USE enum err mqtt_property_put_user(struct writer *w, struct bytes name, struct bytes value);

/* Copy from the checked list of a PUBLISH or will what a server forwards unaltered (all but topic
 * alias, subscription ids, message expiry and will delay) [MQTT-3.3.2-17 and others]. E_LIMIT. */
MUST_USE enum err mqtt_properties_forward(struct bytes raw, struct writer *w);

#endif /* PROTO_MQTT_PROPERTIES_H */
