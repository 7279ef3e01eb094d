#include "proto/mqtt_properties.h"

#include "base/check.h"
#include "proto/mqtt_wire.h"

enum kind {
    KIND_NONE,
    KIND_U8,
    KIND_U16,
    KIND_U32,
    KIND_VARINT,
    KIND_TEXT,
    KIND_BINARY,
    KIND_PAIR
};

/* One property's type (5.0, table 2-4), where it is kept and what a number may be. */
struct rule {
    uint8_t kind;         /* enum kind */
    uint8_t offset;       /* In struct mqtt_properties; 0: it stays in `raw` only. */
    uint8_t least;        /* Of numbers; below is forbidden. */
    bool is_switch;       /* 0 or 1. */
    uint8_t range_reason; /* For a number out of its range; 0: the protocol error. */
};

#define KEPT(field) .offset = offsetof(struct mqtt_properties, field)
_Static_assert(sizeof(struct mqtt_properties) <= 255, "offsets fit a byte");

static const struct rule rules[] = {
    [MQTT_PAYLOAD_FORMAT] = {.kind = KIND_U8, KEPT(payload_format), .is_switch = true},
    [MQTT_MESSAGE_EXPIRY] = {.kind = KIND_U32, KEPT(message_expiry_s)},
    [MQTT_CONTENT_TYPE] = {.kind = KIND_TEXT, KEPT(content_type)},
    [MQTT_RESPONSE_TOPIC] = {.kind = KIND_TEXT, KEPT(response_topic)},
    [MQTT_CORRELATION_DATA] = {.kind = KIND_BINARY, KEPT(correlation_data)},
    [MQTT_SUBSCRIPTION_ID] = {.kind = KIND_VARINT, KEPT(subscription_id), .least = 1},
    [MQTT_SESSION_EXPIRY] = {.kind = KIND_U32, KEPT(session_expiry_s)},
    [MQTT_ASSIGNED_CLIENT_ID] = {.kind = KIND_TEXT},
    [MQTT_SERVER_KEEP_ALIVE] = {.kind = KIND_U16},
    [MQTT_AUTH_METHOD] = {.kind = KIND_TEXT, KEPT(auth_method)},
    [MQTT_AUTH_DATA] = {.kind = KIND_BINARY, KEPT(auth_data)},
    [MQTT_REQUEST_PROBLEM_INFO] = {.kind = KIND_U8, KEPT(request_problem_info), .is_switch = true},
    [MQTT_WILL_DELAY] = {.kind = KIND_U32, KEPT(will_delay_s)},
    [MQTT_REQUEST_RESPONSE_INFO] = {.kind = KIND_U8,
                                    KEPT(request_response_info),
                                    .is_switch = true},
    [MQTT_RESPONSE_INFO] = {.kind = KIND_TEXT},
    [MQTT_SERVER_REFERENCE] = {.kind = KIND_TEXT},
    [MQTT_REASON_STRING] = {.kind = KIND_TEXT, KEPT(reason_string)},
    [MQTT_RECEIVE_MAXIMUM] = {.kind = KIND_U16, KEPT(receive_maximum), .least = 1},
    [MQTT_TOPIC_ALIAS_MAXIMUM] = {.kind = KIND_U16, KEPT(topic_alias_maximum)},
    [MQTT_TOPIC_ALIAS] = {.kind = KIND_U16,
                          KEPT(topic_alias),
                          .least = 1,
                          .range_reason = MQTT_TOPIC_ALIAS_INVALID},
    [MQTT_MAXIMUM_QOS] = {.kind = KIND_U8, .is_switch = true},
    [MQTT_RETAIN_AVAILABLE] = {.kind = KIND_U8, .is_switch = true},
    [MQTT_USER_PROPERTY] = {.kind = KIND_PAIR},
    [MQTT_MAXIMUM_PACKET_SIZE] = {.kind = KIND_U32, KEPT(maximum_packet_size), .least = 1},
    [MQTT_WILDCARD_AVAILABLE] = {.kind = KIND_U8, .is_switch = true},
    [MQTT_SUBSCRIPTION_IDS_AVAILABLE] = {.kind = KIND_U8, .is_switch = true},
    [MQTT_SHARED_AVAILABLE] = {.kind = KIND_U8, .is_switch = true},
};

enum { PROPERTIES = sizeof rules / sizeof rules[0] };

/* One property off a list. */
struct property {
    uint8_t id;
    uint32_t number;
    struct bytes name, value; /* `name` of a user property only. */
    struct bytes encoded;     /* The whole of it. */
};

static enum err take_value(struct bytes *in, struct property *out, uint8_t *reason)
{
    uint8_t small = 0;
    uint16_t medium = 0;

    switch ((enum kind)rules[out->id].kind) {
    case KIND_U8:
        TRY(mqtt_wire_take_u8(in, &small, reason));
        out->number = small;
        return OK;
    case KIND_U16:
        TRY(mqtt_wire_take_u16(in, &medium, reason));
        out->number = medium;
        return OK;
    case KIND_U32:
        return bytes_take_u32(in, &out->number) == OK ? OK
                                                      : mqtt_wire_refuse(MQTT_MALFORMED, reason);
    case KIND_VARINT:
        return mqtt_wire_take_varint(in, &out->number, reason);
    case KIND_TEXT:
        return mqtt_wire_take_text(in, &out->value, reason);
    case KIND_BINARY:
        return mqtt_wire_take_binary(in, &out->value, reason);
    case KIND_PAIR:
        TRY(mqtt_wire_take_text(in, &out->name, reason));
        return mqtt_wire_take_text(in, &out->value, reason);
    case KIND_NONE:
        break;
    }
    return mqtt_wire_refuse(MQTT_MALFORMED, reason);
}

/* An identifier is a variable byte integer, but all known ones fit one byte; what goes on is
 * unknown or padded, and malformed either way. */
static enum err take_property(struct bytes *in, struct property *out, uint8_t *reason)
{
    const uint8_t *start = in->at;

    TRY(mqtt_wire_take_u8(in, &out->id, reason));
    if (out->id >= PROPERTIES) {
        return mqtt_wire_refuse(MQTT_MALFORMED, reason);
    }
    TRY(take_value(in, out, reason));
    out->encoded = (struct bytes){start, (size_t)(in->at - start)};
    return OK;
}

static enum err check_number(const struct property *p, uint8_t *reason)
{
    const struct rule *rule = &rules[p->id];
    if (p->number < rule->least || (rule->is_switch && p->number > 1)) {
        uint8_t code = rule->range_reason != 0 ? rule->range_reason : MQTT_PROTOCOL_ERROR;
        return mqtt_wire_refuse(code, reason);
    }
    return OK;
}

/* Response topics are names [MQTT-3.3.2-14], and names are not empty [MQTT-4.7.3-1]. */
static bool is_response_topic(struct bytes text)
{
    return text.size > 0 && memchr(text.at, '+', text.size) == NULL &&
           memchr(text.at, '#', text.size) == NULL;
}

static void keep(const struct property *p, struct mqtt_properties *out)
{
    const struct rule *rule = &rules[p->id];
    uint8_t *to = (uint8_t *)out + rule->offset;
    uint8_t small = (uint8_t)p->number;
    uint16_t medium = (uint16_t)p->number;

    if (rule->offset == 0) {
        return;
    }
    switch ((enum kind)rule->kind) {
    case KIND_U8:
        memcpy(to, &small, sizeof small);
        break;
    case KIND_U16:
        memcpy(to, &medium, sizeof medium);
        break;
    case KIND_U32:
    case KIND_VARINT:
        memcpy(to, &p->number, sizeof p->number);
        break;
    case KIND_TEXT:
    case KIND_BINARY:
        memcpy(to, &p->value, sizeof p->value);
        break;
    case KIND_PAIR:
    case KIND_NONE:
        UNREACHABLE();
    }
}

/* One property of a packet that may carry `allowed`. Forbidden ones are malformed and repeated ones
 * protocol errors (5.0 section 2.2.2.2 and each property's own). */
static enum err add_property(struct bytes *in, uint64_t allowed, struct mqtt_properties *out,
                             uint8_t *reason)
{
    const uint64_t repeatable =
        MQTT_PROPERTY_BIT(MQTT_USER_PROPERTY) | MQTT_PROPERTY_BIT(MQTT_SUBSCRIPTION_ID);
    struct property p = {0};

    TRY(take_property(in, &p, reason));
    uint64_t bit = MQTT_PROPERTY_BIT(p.id);
    if ((allowed & bit) == 0) {
        return mqtt_wire_refuse(MQTT_MALFORMED, reason);
    }
    bool is_again = (out->seen & bit) != 0;
    bool is_bad_topic = p.id == MQTT_RESPONSE_TOPIC && !is_response_topic(p.value);
    if ((is_again && (repeatable & bit) == 0) || is_bad_topic) {
        return mqtt_wire_refuse(MQTT_PROTOCOL_ERROR, reason);
    }
    TRY(check_number(&p, reason));
    if (!is_again) {
        keep(&p, out);
    }
    out->seen |= bit;
    return OK;
}

enum err mqtt_properties_take(struct bytes *in, uint64_t allowed, struct mqtt_properties *out,
                              uint8_t *reason)
{
    struct mqtt_properties properties = {0};
    struct bytes rest = *in, list;
    uint32_t size;

    TRY(mqtt_wire_take_varint(&rest, &size, reason));
    if (bytes_take(&rest, size, &list) != OK) {
        return mqtt_wire_refuse(MQTT_MALFORMED, reason);
    }
    properties.raw = list;
    while (list.size > 0) {
        TRY(add_property(&list, allowed, &properties, reason));
    }
    *out = properties;
    *in = rest;
    return OK;
}

/* The next property `id` of a checked list; stops at what is not one. E_END. */
static enum err find_next(struct bytes *raw, uint8_t id, struct property *out)
{
    uint8_t reason;
    while (raw->size > 0 && take_property(raw, out, &reason) == OK) {
        if (out->id == id) {
            return OK;
        }
    }
    return E_END;
}

enum err mqtt_user_property_next(struct bytes *raw, struct bytes *name, struct bytes *value)
{
    struct property p = {0};

    TRY(find_next(raw, MQTT_USER_PROPERTY, &p));
    *name = p.name;
    *value = p.value;
    return OK;
}

enum err mqtt_subscription_id_next(struct bytes *raw, uint32_t *id)
{
    struct property p = {0};

    TRY(find_next(raw, MQTT_SUBSCRIPTION_ID, &p));
    *id = p.number;
    return OK;
}

static enum err put(struct writer *w, enum mqtt_property id, struct bytes value)
{
    if (w->limit - w->size < 1 + value.size) {
        return E_LIMIT;
    }
    TRY(writer_put_u8(w, (uint8_t)id));
    return writer_put(w, value.at, value.size);
}

enum err mqtt_property_put_u8(struct writer *w, enum mqtt_property id, uint8_t value)
{
    CHECK(rules[id].kind == KIND_U8);
    return put(w, id, (struct bytes){&value, 1});
}

enum err mqtt_property_put_u16(struct writer *w, enum mqtt_property id, uint16_t value)
{
    const uint8_t raw[2] = {(uint8_t)(value >> 8), (uint8_t)value};
    CHECK(rules[id].kind == KIND_U16);
    return put(w, id, (struct bytes){raw, sizeof raw});
}

enum err mqtt_property_put_u32(struct writer *w, enum mqtt_property id, uint32_t value)
{
    const uint8_t raw[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                            (uint8_t)value};
    CHECK(rules[id].kind == KIND_U32);
    return put(w, id, (struct bytes){raw, sizeof raw});
}

enum err mqtt_property_put_varint(struct writer *w, enum mqtt_property id, uint32_t value)
{
    uint8_t memory[VARINT_BYTES_MAX];
    struct writer raw = {memory, 0, sizeof memory};

    CHECK(rules[id].kind == KIND_VARINT && value <= MQTT_VARINT_MAX);
    TRY(writer_put_varint(&raw, value));
    return put(w, id, (struct bytes){raw.at, raw.size});
}

enum err mqtt_property_put_bytes(struct writer *w, enum mqtt_property id, struct bytes value)
{
    CHECK(rules[id].kind == KIND_TEXT || rules[id].kind == KIND_BINARY);
    if (value.size > UINT16_MAX || w->limit - w->size < 3 + value.size) {
        return E_LIMIT;
    }
    TRY(writer_put_u8(w, (uint8_t)id));
    TRY(writer_put_u16(w, (uint16_t)value.size));
    return writer_put(w, value.at, value.size);
}

enum err mqtt_property_put_user(struct writer *w, struct bytes name, struct bytes value)
{
    if (name.size > UINT16_MAX || value.size > UINT16_MAX ||
        w->limit - w->size < 5 + name.size + value.size) {
        return E_LIMIT;
    }
    TRY(writer_put_u8(w, MQTT_USER_PROPERTY));
    TRY(writer_put_u16(w, (uint16_t)name.size));
    TRY(writer_put(w, name.at, name.size));
    TRY(writer_put_u16(w, (uint16_t)value.size));
    return writer_put(w, value.at, value.size);
}

enum err mqtt_properties_forward(struct bytes raw, struct writer *w)
{
    const uint64_t hop_only =
        MQTT_PROPERTY_BIT(MQTT_TOPIC_ALIAS) | MQTT_PROPERTY_BIT(MQTT_SUBSCRIPTION_ID) |
        MQTT_PROPERTY_BIT(MQTT_MESSAGE_EXPIRY) | MQTT_PROPERTY_BIT(MQTT_WILL_DELAY);
    struct property p = {0};
    size_t size_before = w->size;
    uint8_t reason;

    while (raw.size > 0 && take_property(&raw, &p, &reason) == OK) {
        bool goes_on = (hop_only & MQTT_PROPERTY_BIT(p.id)) == 0;
        if (goes_on && writer_put(w, p.encoded.at, p.encoded.size) != OK) {
            w->size = size_before;
            return E_LIMIT;
        }
    }
    return OK;
}
