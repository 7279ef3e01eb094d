#include "proto/mqtt_packet.h"

#include "base/check.h"
#include "proto/mqtt_wire.h"

/* Bit f of a type: flags f may stand in its first byte [MQTT-2.1.3-1]. PUBLISH uses all four, and
 * judges them when read; so do those that 3.1 lets carry DUP. */
enum { NO_FLAGS = 1, FLAGS_2 = 1 << 2 | 1 << 10, ANY_FLAGS = 0xffff };
static const uint16_t flags_allowed[16] = {
    [MQTT_CONNECT] = NO_FLAGS,    [MQTT_CONNACK] = NO_FLAGS,    [MQTT_PUBLISH] = ANY_FLAGS,
    [MQTT_PUBACK] = NO_FLAGS,     [MQTT_PUBREC] = NO_FLAGS,     [MQTT_PUBREL] = FLAGS_2,
    [MQTT_PUBCOMP] = NO_FLAGS,    [MQTT_SUBSCRIBE] = FLAGS_2,   [MQTT_SUBACK] = NO_FLAGS,
    [MQTT_UNSUBSCRIBE] = FLAGS_2, [MQTT_UNSUBACK] = NO_FLAGS,   [MQTT_PINGREQ] = NO_FLAGS,
    [MQTT_PINGRESP] = NO_FLAGS,   [MQTT_DISCONNECT] = NO_FLAGS, [MQTT_AUTH] = NO_FLAGS,
};

/* A remaining length of three or four bytes. E_MORE, E_MALFORMED. */
static enum err read_long_length(struct bytes in, size_t *header, size_t *length)
{
    size_t sum = (size_t)(in.at[1] & 0x7f) | (size_t)(in.at[2] & 0x7f) << 7;
    for (size_t i = 3; i <= 4; i++) {
        if (i == in.size) {
            return E_MORE;
        }
        sum |= (size_t)(in.at[i] & 0x7f) << (7 * (i - 1));
        if (in.at[i] < 0x80) {
            *header = i + 1;
            *length = sum;
            return OK;
        }
    }
    return E_MALFORMED;
}

enum err mqtt_packet_take(struct bytes *in, size_t bytes_max, struct mqtt_packet *out,
                          size_t *needed)
{
    const uint8_t *at = in->at;
    size_t header = 2, length;

    if (in->size > 0 && (flags_allowed[at[0] >> 4] >> (at[0] & 15) & 1) == 0) {
        return E_MALFORMED;
    }
    if (in->size < 2 || (at[1] >= 0x80 && in->size < 3)) {
        *needed = 0;
        return E_MORE;
    }
    length = at[1];
    if (length >= 0x80) {
        header = 3;
        length = (length & 0x7f) | (size_t)at[2] << 7;
        if (at[2] >= 0x80) {
            *needed = 0;
            TRY(read_long_length(*in, &header, &length));
        }
    }
    if (header + length > bytes_max) {
        return E_LIMIT;
    }
    if (in->size - header < length) {
        *needed = header + length;
        return E_MORE;
    }
    out->type = at[0] >> 4;
    out->flags = at[0] & 15;
    out->padded = header > 2 && at[header - 1] == 0;
    out->body = (struct bytes){at + header, length};
    in->at += header + length;
    in->size -= header + length;
    return OK;
}

enum err mqtt_pingreq_read(const struct mqtt_packet *p, uint8_t version, uint8_t *reason)
{
    TRY(mqtt_wire_check_header(p, version, reason));
    return p->body.size == 0 ? OK : mqtt_wire_refuse(MQTT_MALFORMED, reason);
}

enum err mqtt_pingresp_write(struct writer *w)
{
    return mqtt_wire_open(w, MQTT_PINGRESP << 4, 0);
}
