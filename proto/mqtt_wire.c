#include "proto/mqtt_wire.h"

#include "base/check.h"
#include "base/topic.h"

enum err mqtt_wire_take_text(struct bytes *in, struct bytes *out, uint8_t *reason)
{
    struct bytes rest = *in, text;

    TRY(mqtt_wire_take_binary(&rest, &text, reason));
    if (!topic_is_utf8(text)) {
        return mqtt_wire_refuse(MQTT_MALFORMED, reason);
    }
    *out = text;
    *in = rest;
    return OK;
}

enum err mqtt_wire_take_varint(struct bytes *in, uint32_t *value, uint8_t *reason)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < 4 && i < in->size; i++) {
        sum |= (uint32_t)(in->at[i] & 0x7f) << (7 * i);
        if (in->at[i] >= 0x80) {
            continue;
        }
        if (in->at[i] == 0 && i > 0) {
            break; /* Padded. */
        }
        in->at += i + 1;
        in->size -= i + 1;
        *value = sum;
        return OK;
    }
    return mqtt_wire_refuse(MQTT_MALFORMED, reason);
}

enum err mqtt_wire_check_header(const struct mqtt_packet *p, uint8_t version, uint8_t *reason)
{
    bool is_padded = p->padded && version >= MQTT_V5;
    bool is_resent = (p->flags & 8) != 0 && p->type != MQTT_PUBLISH && version != MQTT_V31;

    return is_padded || is_resent ? mqtt_wire_refuse(MQTT_MALFORMED, reason) : OK;
}

enum err mqtt_wire_check_topic(struct bytes topic, uint8_t *reason)
{
    if (topic_is_name(topic)) {
        return OK;
    }
    return mqtt_wire_refuse(topic_is_utf8(topic) ? MQTT_TOPIC_INVALID : MQTT_MALFORMED, reason);
}

/* As topic_is_utf8(), with U+0000 allowed. */
static bool is_character_data(struct bytes text)
{
    while (text.size > 0) {
        const uint8_t *zero = memchr(text.at, 0, text.size);
        size_t size = zero == NULL ? text.size : (size_t)(zero - text.at);
        if (!topic_is_utf8((struct bytes){text.at, size})) {
            return false;
        }
        size += zero != NULL;
        text = (struct bytes){text.at + size, text.size - size};
    }
    return true;
}

enum err mqtt_wire_check_payload(struct bytes payload, const struct mqtt_properties *p,
                                 uint8_t *reason)
{
    bool claims_text = mqtt_properties_has(p, MQTT_PAYLOAD_FORMAT) && p->payload_format == 1;
    return claims_text && !is_character_data(payload)
               ? mqtt_wire_refuse(MQTT_PAYLOAD_INVALID, reason)
               : OK;
}

enum err mqtt_wire_take_last_properties(struct bytes *in, uint64_t allowed,
                                        struct mqtt_properties *out, uint8_t *reason)
{
    if (in->size == 0) {
        out->seen = 0;
        out->raw = (struct bytes){NULL, 0};
        return OK;
    }
    TRY(mqtt_properties_take(in, allowed, out, reason));
    return in->size == 0 ? OK : mqtt_wire_refuse(MQTT_MALFORMED, reason);
}

enum err mqtt_wire_open(struct writer *w, uint8_t first_byte, size_t body_size)
{
    if (body_size > MQTT_VARINT_MAX ||
        w->limit - w->size < 1 + mqtt_wire_varint_size(body_size) + body_size) {
        return E_LIMIT;
    }
    TRY(writer_put_u8(w, first_byte));
    return writer_put_varint(w, body_size);
}

void mqtt_wire_put(struct writer *w, struct bytes from)
{
    enum err e = writer_put(w, from.at, from.size);
    CHECK(e == OK);
}

void mqtt_wire_put_u8(struct writer *w, uint8_t value)
{
    mqtt_wire_put(w, (struct bytes){&value, 1});
}

void mqtt_wire_put_u16(struct writer *w, uint16_t value)
{
    const uint8_t raw[2] = {(uint8_t)(value >> 8), (uint8_t)value};
    mqtt_wire_put(w, (struct bytes){raw, sizeof raw});
}

void mqtt_wire_put_properties(struct writer *w, uint8_t version, struct bytes properties)
{
    if (version < MQTT_V5) {
        return;
    }
    enum err e = writer_put_varint(w, properties.size);
    CHECK(e == OK);
    mqtt_wire_put(w, properties);
}
