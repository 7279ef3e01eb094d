#include "broker/mqtt/message.h"

#include <stdlib.h>

#include "base/clock.h"
#include "proto/mqtt_packet.h"

enum { ID_BYTES_MAX = 5, EXPIRY_BYTES = 5, ALIAS_BYTES = 3, PROPERTIES_ON_STACK = 512 };

static struct bytes copy_in(uint8_t **at, struct bytes from)
{
    struct bytes copy = {*at, from.size};
    if (from.size > 0) {
        memcpy(*at, from.at, from.size);
    }
    *at += from.size;
    return copy;
}

enum err message_create(const struct publication *p, struct message **out)
{
    struct message *m = malloc(sizeof *m + p->topic.size + p->payload.size + p->properties.size);
    if (m == NULL) {
        return E_NO_MEMORY;
    }
    uint8_t *at = m->memory;
    atomic_init(&m->holders, 1);
    m->view = *p;
    m->view.topic = copy_in(&at, p->topic);
    m->view.properties = copy_in(&at, p->properties);
    m->view.payload = copy_in(&at, p->payload);
    *out = m;
    return OK;
}

struct message *message_hold(struct message *m)
{
    atomic_fetch_add_explicit(&m->holders, 1, memory_order_relaxed);
    return m;
}

void message_drop(struct message *m)
{
    if (m != NULL && atomic_fetch_sub_explicit(&m->holders, 1, memory_order_acq_rel) == 1) {
        free(m);
    }
}

size_t message_bytes(const struct message *m)
{
    return sizeof *m + m->view.topic.size + m->view.payload.size + m->view.properties.size;
}

size_t message_wire_bytes(const struct delivery *d)
{
    const struct publication *p = d->publication;
    return p->topic.size + p->payload.size + p->properties.size + MQTT_PUBLISH_OVERHEAD +
           EXPIRY_BYTES + ALIAS_BYTES + (size_t)ID_BYTES_MAX * d->id_count;
}

/* Properties that this reader gets beside those forwarded unaltered. */
static enum err put_properties(struct writer *w, const struct delivery *d, int64_t now_ns)
{
    const struct publication *p = d->publication;
    TRY(writer_put(w, p->properties.at, p->properties.size));
    if (p->expires_ns != MESSAGE_NEVER_NS) {
        int64_t left_ns = p->expires_ns > now_ns ? p->expires_ns - now_ns : 0;
        int64_t left_s = (left_ns + NS_PER_S - 1) / NS_PER_S;
        TRY(mqtt_property_put_u32(w, MQTT_MESSAGE_EXPIRY,
                                  left_s > UINT32_MAX ? UINT32_MAX : (uint32_t)left_s));
    }
    if (d->alias != 0) {
        TRY(mqtt_property_put_u16(w, MQTT_TOPIC_ALIAS, d->alias));
    }
    for (unsigned i = 0; i < d->id_count; i++) {
        TRY(mqtt_property_put_varint(w, MQTT_SUBSCRIPTION_ID, d->ids[i]));
    }
    return OK;
}

static enum err write_v5(struct writer *w, const struct mqtt_publish *packet,
                         const struct delivery *d, int64_t now_ns)
{
    uint8_t on_stack[PROPERTIES_ON_STACK];
    size_t size = d->publication->properties.size + EXPIRY_BYTES + ALIAS_BYTES +
                  (size_t)ID_BYTES_MAX * d->id_count;
    struct writer list = {on_stack, 0, sizeof on_stack};

    if (size > sizeof on_stack) {
        list = (struct writer){malloc(size), 0, size};
        if (list.at == NULL) {
            return E_NO_MEMORY;
        }
    }
    enum err result = put_properties(&list, d, now_ns);
    if (result == OK) {
        result = mqtt_publish_write(w, MQTT_V5, packet, (struct bytes){list.at, list.size});
    }
    if (list.at != on_stack) {
        free(list.at);
    }
    return result;
}

enum err message_write(struct writer *w, uint8_t version, const struct delivery *d, int64_t now_ns)
{
    const struct publication *p = d->publication;
    const struct bytes topic = {p->topic.at, d->alias_is_known ? 0 : p->topic.size};
    const struct mqtt_publish packet = {.topic = topic,
                                        .payload = p->payload,
                                        .packet_id = d->packet_id,
                                        .qos = d->qos,
                                        .retain = d->retain,
                                        .duplicate = d->duplicate};
    if (p->expires_ns <= now_ns && !d->duplicate) {
        return E_END;
    }
    if (version < MQTT_V5) {
        return mqtt_publish_write(w, version, &packet, (struct bytes){NULL, 0});
    }
    if (d->id_count == 0 && d->alias == 0 && p->expires_ns == MESSAGE_NEVER_NS) {
        return mqtt_publish_write(w, version, &packet, p->properties);
    }
    return write_v5(w, &packet, d, now_ns);
}
