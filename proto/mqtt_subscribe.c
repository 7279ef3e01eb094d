/* SUBSCRIBE, UNSUBSCRIBE and their acknowledgements (5.0 sections 3.8 to 3.11). */

#include "proto/mqtt_packet.h"

#include "base/topic.h"
#include "proto/mqtt_wire.h"

static bool is_shared(struct bytes filter)
{
    return filter.size >= 7 && memcmp(filter.at, "$share/", 7) == 0;
}

/* "$share/NAME/FILTER" with a name of at least one character and no wildcard, and a filter
 * [MQTT-4.8.2-1, -2]. */
static bool is_good_share(struct bytes filter)
{
    struct bytes name = {filter.at + 7, filter.size - 7};
    const uint8_t *slash = memchr(name.at, '/', name.size);

    if (slash == NULL || slash == name.at) {
        return false;
    }
    size_t size = (size_t)(slash - name.at);
    struct bytes rest = {slash + 1, name.size - size - 1};
    return memchr(name.at, '+', size) == NULL && memchr(name.at, '#', size) == NULL &&
           topic_is_filter(rest);
}

static enum err take_filter(struct bytes *in, uint8_t version, struct bytes *out, uint8_t *reason)
{
    TRY(mqtt_wire_take_text(in, out, reason)); /* [MQTT-3.8.3-1], [MQTT-3.10.3-1] */
    bool is_bad_share = version >= MQTT_V5 && is_shared(*out) && !is_good_share(*out);
    if (!topic_is_filter(*out) || is_bad_share) {
        return mqtt_wire_refuse(MQTT_FILTER_INVALID, reason);
    }
    return OK;
}

/* Reserved bits are malformed [MQTT-3.8.3-5], 3.1.1: [MQTT-3-8.3-4]; the rest are protocol errors
 * (5.0 section 3.8.3.1), such as No Local on a shared subscription [MQTT-3.8.3-4]. */
static enum err check_options(uint8_t options, uint8_t version, struct bytes filter,
                              uint8_t *reason)
{
    uint8_t reserved = version >= MQTT_V5 ? 0xc0 : 0xfc;
    bool is_bad_qos = (options & 3) == 3;
    bool is_bad_handling = (options >> 4 & 3) == 3;
    bool is_deaf_share = (options & 4) != 0 && is_shared(filter);

    if ((options & reserved) != 0 || (is_bad_qos && version < MQTT_V5)) {
        return mqtt_wire_refuse(MQTT_MALFORMED, reason);
    }
    if (version >= MQTT_V5 && (is_bad_qos || is_bad_handling || is_deaf_share)) {
        return mqtt_wire_refuse(MQTT_PROTOCOL_ERROR, reason);
    }
    return OK;
}

static enum err take_subscription(struct bytes *in, uint8_t version, struct mqtt_subscription *out,
                                  uint8_t *reason)
{
    uint8_t options;

    TRY(take_filter(in, version, &out->filter, reason));
    TRY(mqtt_wire_take_u8(in, &options, reason));
    TRY(check_options(options, version, out->filter, reason));
    out->qos = options & 3;
    out->no_local = (options & 4) != 0;
    out->retain_as_published = (options & 8) != 0;
    out->retain_handling = options >> 4 & 3;
    return OK;
}

/* The part both share: packet id, properties, and at least one topic [MQTT-3.8.3-2],
 * [MQTT-3.10.3-2]. */
static enum err read_head(const struct mqtt_packet *p, uint64_t allowed, struct mqtt_subscribe *out,
                          uint8_t *reason)
{
    out->topics = p->body;
    TRY(mqtt_wire_check_header(p, out->version, reason));
    TRY(mqtt_wire_take_id(&out->topics, &out->packet_id, reason));
    if (out->version >= MQTT_V5) {
        TRY(mqtt_properties_take(&out->topics, allowed, &out->properties, reason));
    }
    return out->topics.size > 0 ? OK : mqtt_wire_refuse(MQTT_PROTOCOL_ERROR, reason);
}

/* A SUBSCRIBE has one subscription id at most (5.0 section 3.8.2.1.2). */
static bool has_several_ids(const struct mqtt_properties *properties)
{
    struct bytes raw = properties->raw;
    uint32_t id;
    size_t ids = 0;
    while (mqtt_subscription_id_next(&raw, &id) == OK) {
        ids++;
    }
    return ids > 1;
}

enum err mqtt_subscribe_read(const struct mqtt_packet *p, uint8_t version,
                             struct mqtt_subscribe *out, uint8_t *reason)
{
    const uint64_t allowed =
        MQTT_PROPERTY_BIT(MQTT_SUBSCRIPTION_ID) | MQTT_PROPERTY_BIT(MQTT_USER_PROPERTY);
    struct mqtt_subscribe s = {.version = version};
    struct mqtt_subscription one;

    TRY(read_head(p, allowed, &s, reason));
    if (has_several_ids(&s.properties)) {
        return mqtt_wire_refuse(MQTT_PROTOCOL_ERROR, reason);
    }
    for (struct bytes rest = s.topics; rest.size > 0;) {
        TRY(take_subscription(&rest, version, &one, reason));
    }
    *out = s;
    return OK;
}

enum err mqtt_subscribe_next(struct mqtt_subscribe *s, struct mqtt_subscription *out)
{
    uint8_t reason;
    return s->topics.size == 0 ? E_END : take_subscription(&s->topics, s->version, out, &reason);
}

enum err mqtt_unsubscribe_read(const struct mqtt_packet *p, uint8_t version,
                               struct mqtt_subscribe *out, uint8_t *reason)
{
    struct mqtt_subscribe s = {.version = version};
    struct bytes one;

    TRY(read_head(p, MQTT_PROPERTY_BIT(MQTT_USER_PROPERTY), &s, reason));
    for (struct bytes rest = s.topics; rest.size > 0;) {
        TRY(take_filter(&rest, version, &one, reason));
    }
    *out = s;
    return OK;
}

enum err mqtt_unsubscribe_next(struct mqtt_subscribe *s, struct bytes *filter)
{
    uint8_t reason;
    return s->topics.size == 0 ? E_END : take_filter(&s->topics, s->version, filter, &reason);
}

enum err mqtt_suback_write(struct writer *w, uint8_t version, uint8_t type, uint16_t packet_id,
                           struct bytes codes)
{
    const struct bytes none = {NULL, 0};
    struct bytes list = version < MQTT_V5 && type == MQTT_UNSUBACK ? none : codes;

    TRY(mqtt_wire_open(w, (uint8_t)(type << 4),
                       2 + mqtt_wire_properties_size(version, none) + list.size));
    mqtt_wire_put_u16(w, packet_id);
    mqtt_wire_put_properties(w, version, none);
    for (size_t i = 0; i < list.size; i++) {
        bool is_failure = list.at[i] >= MQTT_UNSPECIFIED;
        mqtt_wire_put_u8(w, is_failure && version < MQTT_V5 ? MQTT_UNSPECIFIED : list.at[i]);
    }
    return OK;
}
