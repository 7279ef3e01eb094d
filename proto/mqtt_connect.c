/* CONNECT and CONNACK (3.1.1 and 5.0 sections 3.1, 3.2), and the CONNECT of MQTT 3.1. */

#include "proto/mqtt_packet.h"

#include "proto/mqtt_wire.h"

enum {
    FLAG_RESERVED = 0x01,
    FLAG_CLEAN_START = 0x02,
    FLAG_WILL = 0x04,
    FLAG_WILL_QOS = 0x18,
    FLAG_WILL_RETAIN = 0x20,
    FLAG_PASSWORD = 0x40,
    FLAG_USER_NAME = 0x80
};

static const uint64_t connect_allowed =
    MQTT_PROPERTY_BIT(MQTT_SESSION_EXPIRY) | MQTT_PROPERTY_BIT(MQTT_RECEIVE_MAXIMUM) |
    MQTT_PROPERTY_BIT(MQTT_MAXIMUM_PACKET_SIZE) | MQTT_PROPERTY_BIT(MQTT_TOPIC_ALIAS_MAXIMUM) |
    MQTT_PROPERTY_BIT(MQTT_REQUEST_RESPONSE_INFO) | MQTT_PROPERTY_BIT(MQTT_REQUEST_PROBLEM_INFO) |
    MQTT_PROPERTY_BIT(MQTT_USER_PROPERTY) | MQTT_PROPERTY_BIT(MQTT_AUTH_METHOD) |
    MQTT_PROPERTY_BIT(MQTT_AUTH_DATA);

static const uint64_t will_allowed =
    MQTT_PROPERTY_BIT(MQTT_WILL_DELAY) | MQTT_PROPERTY_BIT(MQTT_PAYLOAD_FORMAT) |
    MQTT_PROPERTY_BIT(MQTT_MESSAGE_EXPIRY) | MQTT_PROPERTY_BIT(MQTT_CONTENT_TYPE) |
    MQTT_PROPERTY_BIT(MQTT_RESPONSE_TOPIC) | MQTT_PROPERTY_BIT(MQTT_CORRELATION_DATA) |
    MQTT_PROPERTY_BIT(MQTT_USER_PROPERTY);

/* Name and level [MQTT-3.1.2-1, -2]. The high bit of the level, by which some bridges make
 * themselves known, is no level of the standards. */
static bool is_spoken(struct bytes name, uint8_t level)
{
    bool is_mqtt = bytes_equal(name, bytes_of("MQTT")) && (level == MQTT_V311 || level == MQTT_V5);
    return is_mqtt || (bytes_equal(name, bytes_of("MQIsdp")) && level == MQTT_V31);
}

static enum err take_version(struct bytes *in, uint8_t *version, uint8_t *reason)
{
    struct bytes name;
    uint8_t level;

    TRY(mqtt_wire_take_binary(in, &name, reason));
    TRY(mqtt_wire_take_u8(in, &level, reason));
    if (!is_spoken(name, level)) {
        return mqtt_wire_refuse(MQTT_UNSUPPORTED_VERSION, reason);
    }
    *version = level;
    return OK;
}

/* The connect flags [MQTT-3.1.2-3] and, by their 5.0 labels, [MQTT-3.1.2-11, -12, -13]; a password
 * without a user name is for 5.0 only, 3.1.1: [MQTT-3.1.2-22]. 3.1 has no rule for unused bits. */
static bool has_good_flags(uint8_t flags, uint8_t version)
{
    bool is_bad_qos = (flags & FLAG_WILL_QOS) == FLAG_WILL_QOS;
    bool is_lone_password = (flags & (FLAG_USER_NAME | FLAG_PASSWORD)) == FLAG_PASSWORD;
    bool is_lone_will =
        (flags & FLAG_WILL) == 0 && (flags & (FLAG_WILL_QOS | FLAG_WILL_RETAIN)) != 0;

    if (version == MQTT_V31) {
        return !(is_bad_qos && (flags & FLAG_WILL) != 0) && !is_lone_password;
    }
    return (flags & FLAG_RESERVED) == 0 && !is_bad_qos && !is_lone_will &&
           !(is_lone_password && version == MQTT_V311);
}

static enum err take_will(struct bytes *in, struct mqtt_connect *c, uint8_t *reason)
{
    struct mqtt_will *will = &c->will;

    if (c->version >= MQTT_V5) {
        TRY(mqtt_properties_take(in, will_allowed, &will->properties, reason));
    }
    TRY(mqtt_wire_take_text(in, &will->topic, reason)); /* [MQTT-3.1.3-11] */
    TRY(mqtt_wire_check_topic(will->topic, reason));
    TRY(mqtt_wire_take_binary(in, &will->payload, reason));
    return mqtt_wire_check_payload(will->payload, &will->properties, reason);
}

/* User name [MQTT-3.1.3-12] and password. In 3.1 the remaining length takes precedence over the
 * flags: both may be announced and missing (MQTT 3.1, section 3.1). */
static enum err take_credentials(struct bytes *in, struct mqtt_connect *c, uint8_t *reason)
{
    bool may_miss = c->version == MQTT_V31;

    c->has_user_name = c->has_user_name && !(may_miss && in->size == 0);
    if (c->has_user_name) {
        TRY(mqtt_wire_take_text(in, &c->user_name, reason));
    }
    c->has_password = c->has_password && !(may_miss && in->size == 0);
    if (c->has_password) {
        TRY(mqtt_wire_take_binary(in, &c->password, reason));
    }
    return OK;
}

static void set_flags(struct mqtt_connect *c, uint8_t flags)
{
    c->clean_start = (flags & FLAG_CLEAN_START) != 0;
    c->has_will = (flags & FLAG_WILL) != 0;
    c->has_user_name = (flags & FLAG_USER_NAME) != 0;
    c->has_password = (flags & FLAG_PASSWORD) != 0;
    if (c->has_will) {
        c->will.qos = (uint8_t)((flags & FLAG_WILL_QOS) >> 3);
        c->will.retain = (flags & FLAG_WILL_RETAIN) != 0;
    }
}

/* The variable header after the version. */
static enum err take_header(struct bytes *in, struct mqtt_connect *c, uint8_t *reason)
{
    const uint64_t auth = MQTT_PROPERTY_BIT(MQTT_AUTH_METHOD) | MQTT_PROPERTY_BIT(MQTT_AUTH_DATA);
    uint8_t flags;

    TRY(mqtt_wire_take_u8(in, &flags, reason));
    if (!has_good_flags(flags, c->version)) {
        return mqtt_wire_refuse(MQTT_MALFORMED, reason);
    }
    set_flags(c, flags);
    TRY(mqtt_wire_take_u16(in, &c->keep_alive_s, reason));
    if (c->version >= MQTT_V5) {
        TRY(mqtt_properties_take(in, connect_allowed, &c->properties, reason));
    }
    /* Data for no method is a protocol error (5.0 section 3.1.2.11.10). */
    return (c->properties.seen & auth) == MQTT_PROPERTY_BIT(MQTT_AUTH_DATA)
               ? mqtt_wire_refuse(MQTT_PROTOCOL_ERROR, reason)
               : OK;
}

enum err mqtt_connect_read(const struct mqtt_packet *p, struct mqtt_connect *out, uint8_t *reason)
{
    struct mqtt_connect c = {0};
    struct bytes rest = p->body;

    if (p->type != MQTT_CONNECT) {
        return mqtt_wire_refuse(MQTT_PROTOCOL_ERROR, reason);
    }
    TRY(take_version(&rest, &c.version, reason));
    TRY(mqtt_wire_check_header(p, c.version, reason));
    TRY(take_header(&rest, &c, reason));
    TRY(mqtt_wire_take_text(&rest, &c.client_id, reason)); /* [MQTT-3.1.3-4] */
    if (c.has_will) {
        TRY(take_will(&rest, &c, reason));
    }
    TRY(take_credentials(&rest, &c, reason));
    if (rest.size > 0) {
        return mqtt_wire_refuse(MQTT_MALFORMED, reason);
    }
    *out = c;
    return OK;
}

uint8_t mqtt_connect_version(const struct mqtt_packet *p)
{
    struct bytes rest = p->body, name;
    uint8_t level, reason;

    if (p->type != MQTT_CONNECT || mqtt_wire_take_binary(&rest, &name, &reason) != OK ||
        mqtt_wire_take_u8(&rest, &level, &reason) != OK) {
        return 0;
    }
    if (is_spoken(name, level)) {
        return level;
    }
    bool is_other_level =
        bytes_equal(name, bytes_of("MQTT")) || bytes_equal(name, bytes_of("MQIsdp"));
    return is_other_level ? MQTT_V311 : 0;
}

/* The return code of 3.1.1 (table 3.1) for a reason code of 5.0. E_NOT_FOUND: it has none. */
static enum err find_return_code(uint8_t reason, uint8_t *code)
{
    static const struct {
        uint8_t reason, code;
    } codes[] = {
        {MQTT_UNSUPPORTED_VERSION, 1},
        {MQTT_CLIENT_ID_INVALID, 2},
        {MQTT_SERVER_UNAVAILABLE, 3},
        {MQTT_SERVER_BUSY, 3},
        {MQTT_SERVER_SHUTTING_DOWN, 3},
        {MQTT_QUOTA_EXCEEDED, 3},
        {MQTT_BAD_USER, 4},
        {MQTT_NOT_AUTHORIZED, 5},
    };
    if (reason <= 5) {
        *code = reason;
        return OK;
    }
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (codes[i].reason == reason) {
            *code = codes[i].code;
            return OK;
        }
    }
    return E_NOT_FOUND;
}

enum err mqtt_connack_write(struct writer *w, uint8_t version, bool session_present, uint8_t reason,
                            struct bytes properties)
{
    /* A refusal has no session [MQTT-3.2.2-6], and neither has 3.1 the bit. */
    bool is_present = session_present && reason == MQTT_SUCCESS && version != MQTT_V31;
    uint8_t code = reason;

    if (version < MQTT_V5 && find_return_code(reason, &code) != OK) {
        return OK;
    }
    TRY(mqtt_wire_open(w, MQTT_CONNACK << 4, 2 + mqtt_wire_properties_size(version, properties)));
    mqtt_wire_put_u8(w, is_present);
    mqtt_wire_put_u8(w, code);
    mqtt_wire_put_properties(w, version, properties);
    return OK;
}
