/* The data types of MQTT packets (5.0 section 1.5), shared by the readers and writers of proto/ and
 * meant for nobody else. A packet that ends inside a field is malformed, so unlike bytes_take_*()
 * these never answer E_MORE. */

#ifndef PROTO_MQTT_WIRE_H
#define PROTO_MQTT_WIRE_H

#include "proto/mqtt_packet.h"

enum { MQTT_VARINT_MAX = 268435455 };

/* Say why a packet is refused; the error that goes with that reason code. */
MUST_USE static inline enum err mqtt_wire_refuse(uint8_t code, uint8_t *reason)
{
    *reason = code;
    return code == MQTT_MALFORMED             ? E_MALFORMED
           : code == MQTT_UNSUPPORTED_VERSION ? E_VERSION
                                              : E_DENIED;
}

MUST_USE static inline enum err mqtt_wire_take_u8(struct bytes *in, uint8_t *value, uint8_t *reason)
{
    return bytes_take_u8(in, value) == OK ? OK : mqtt_wire_refuse(MQTT_MALFORMED, reason);
}

MUST_USE static inline enum err mqtt_wire_take_u16(struct bytes *in, uint16_t *value,
                                                   uint8_t *reason)
{
    return bytes_take_u16(in, value) == OK ? OK : mqtt_wire_refuse(MQTT_MALFORMED, reason);
}

/* Packet identifiers are never 0 [MQTT-2.2.1-3], 3.1.1: [MQTT-2.3.1-1]. */
MUST_USE static inline enum err mqtt_wire_take_id(struct bytes *in, uint16_t *id, uint8_t *reason)
{
    TRY(mqtt_wire_take_u16(in, id, reason));
    return *id != 0 ? OK : mqtt_wire_refuse(MQTT_PROTOCOL_ERROR, reason);
}

/* Binary data: two bytes of length, then as many bytes. */
MUST_USE static inline enum err mqtt_wire_take_binary(struct bytes *in, struct bytes *out,
                                                      uint8_t *reason)
{
    size_t size = in->size < 2 ? SIZE_MAX : (size_t)(in->at[0] << 8 | in->at[1]);
    if (size > in->size || in->size - 2 < size) {
        return mqtt_wire_refuse(MQTT_MALFORMED, reason);
    }
    *out = (struct bytes){in->at + 2, size};
    in->at += 2 + size;
    in->size -= 2 + size;
    return OK;
}

/* A UTF-8 string: ill-formed ones and those with U+0000 are malformed [MQTT-1.5.4-1, -2]. */
MUST_USE enum err mqtt_wire_take_text(struct bytes *in, struct bytes *out, uint8_t *reason);

/* A variable byte integer: at most four bytes, and no more than needed [MQTT-1.5.5-1]. */
MUST_USE enum err mqtt_wire_take_varint(struct bytes *in, uint32_t *value, uint8_t *reason);

/* What the fixed header may say depends on the version: to be asked first by every reader. Version
 * 5 forbids a padded length; only 3.1 knows DUP on SUBSCRIBE, UNSUBSCRIBE and PUBREL. */
MUST_USE enum err mqtt_wire_check_header(const struct mqtt_packet *p, uint8_t version,
                                         uint8_t *reason);

/* A topic to publish on [MQTT-3.3.2-2, MQTT-4.7.3-1]. */
MUST_USE enum err mqtt_wire_check_topic(struct bytes topic, uint8_t *reason);

/* A payload or will that says it is text must be (5.0 section 3.3.2.3.2); U+0000 is fine there. */
MUST_USE enum err mqtt_wire_check_payload(struct bytes payload, const struct mqtt_properties *p,
                                          uint8_t *reason);

/* The properties of a packet whose list is last and may be left out (acks, DISCONNECT). */
MUST_USE enum err mqtt_wire_take_last_properties(struct bytes *in, uint64_t allowed,
                                                 struct mqtt_properties *out, uint8_t *reason);

/* Bytes a variable byte integer takes; `value` <= MQTT_VARINT_MAX. */
static inline size_t mqtt_wire_varint_size(size_t value)
{
    return value < 1U << 7 ? 1 : value < 1U << 14 ? 2 : value < 1U << 21 ? 3 : 4;
}

/* Bytes of a property list with its length, or 0 before version 5. */
static inline size_t mqtt_wire_properties_size(uint8_t version, struct bytes properties)
{
    return version < MQTT_V5 ? 0 : mqtt_wire_varint_size(properties.size) + properties.size;
}

/* Open a packet: its fixed header, once it is known that the whole of it fits. E_LIMIT. */
MUST_USE enum err mqtt_wire_open(struct writer *w, uint8_t first_byte, size_t body_size);

/* Put what mqtt_wire_open() made room for: these cannot fail any more. */
void mqtt_wire_put(struct writer *w, struct bytes from);
void mqtt_wire_put_u8(struct writer *w, uint8_t value);
void mqtt_wire_put_u16(struct writer *w, uint16_t value);
void mqtt_wire_put_properties(struct writer *w, uint8_t version, struct bytes properties);

#endif /* PROTO_MQTT_WIRE_H */
