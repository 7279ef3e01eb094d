/* Any bytes as a stream of packets, and as the body of every packet, at every version. What a
 * reader accepts keeps the promises of mqtt_packet.h; what it refuses, it leaves untouched. */

#include "proto/mqtt_packet.h"

#include "base/check.h"
#include "base/topic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct bytes whole;

static bool is_inside(struct bytes part)
{
    return part.size == 0 || (part.at >= whole.at && part.at + part.size <= whole.at + whole.size);
}

/* A refusal names its reason and leaves the result, filled with 0xa5 before, as it was. */
static void check_refusal(enum err e, uint8_t reason, const void *out, size_t out_size)
{
    const uint8_t *bytes = out;
    CHECK(e == E_MALFORMED || e == E_DENIED || e == E_VERSION);
    CHECK(reason >= MQTT_UNSPECIFIED);
    CHECK((e == E_MALFORMED) == (reason == MQTT_MALFORMED));
    CHECK((e == E_VERSION) == (reason == MQTT_UNSUPPORTED_VERSION));
    for (size_t i = 0; i < out_size; i++) {
        CHECK(bytes[i] == 0xa5);
    }
}

static void check_properties(const struct mqtt_properties *p, uint8_t version)
{
    CHECK(is_inside(p->raw));
    CHECK(version == MQTT_V5 || (p->seen == 0 && p->raw.size == 0));
    if (mqtt_properties_has(p, MQTT_RESPONSE_TOPIC)) {
        CHECK(is_inside(p->response_topic) && p->response_topic.size > 0);
        CHECK(topic_is_utf8(p->response_topic));
    }
    CHECK(!mqtt_properties_has(p, MQTT_RECEIVE_MAXIMUM) || p->receive_maximum > 0);
    CHECK(!mqtt_properties_has(p, MQTT_TOPIC_ALIAS) || p->topic_alias > 0);
    CHECK(!mqtt_properties_has(p, MQTT_MAXIMUM_PACKET_SIZE) || p->maximum_packet_size > 0);
}

static void try_connect(const struct mqtt_packet *p)
{
    struct mqtt_connect c;
    uint8_t reason = 0;

    memset(&c, 0xa5, sizeof c);
    enum err e = mqtt_connect_read(p, &c, &reason);
    if (e != OK) {
        check_refusal(e, reason, &c, sizeof c);
        return;
    }
    CHECK(mqtt_connect_version(p) == c.version);
    CHECK(is_inside(c.client_id) && topic_is_utf8(c.client_id));
    CHECK(is_inside(c.user_name) && is_inside(c.password));
    CHECK(!c.has_password || c.has_user_name || c.version == MQTT_V5);
    CHECK(!c.has_will || (topic_is_name(c.will.topic) && c.will.qos <= 2));
    CHECK(is_inside(c.will.topic) && is_inside(c.will.payload));
    check_properties(&c.properties, c.version);
    check_properties(&c.will.properties, c.version);
}

/* What was read and is written again reads as the same bytes. */
static void check_same_again(const struct mqtt_publish *publish, uint8_t version,
                             const struct mqtt_packet *p)
{
    static uint8_t memory[1 << 16];
    struct writer w = {memory, 0, sizeof memory};
    struct mqtt_packet again;
    size_t needed;

    if (p->body.size + MQTT_PUBLISH_OVERHEAD > sizeof memory) {
        return;
    }
    CHECK(mqtt_publish_write(&w, version, publish, publish->properties.raw) == OK);
    struct bytes in = {w.at, w.size};
    CHECK(mqtt_packet_take(&in, sizeof memory, &again, &needed) == OK);
    CHECK(in.size == 0 && !again.padded && bytes_equal(again.body, p->body));
    CHECK(again.flags == p->flags || version == MQTT_V31);
}

static void try_publish(const struct mqtt_packet *p, uint8_t version)
{
    struct mqtt_publish publish;
    uint8_t reason = 0;

    memset(&publish, 0xa5, sizeof publish);
    enum err e = mqtt_publish_read(p, version, &publish, &reason);
    if (e != OK) {
        check_refusal(e, reason, &publish, sizeof publish);
        return;
    }
    bool has_alias = mqtt_properties_has(&publish.properties, MQTT_TOPIC_ALIAS);
    CHECK(topic_is_name(publish.topic) || (publish.topic.size == 0 && has_alias));
    CHECK(is_inside(publish.topic) && is_inside(publish.payload) && publish.qos <= 2);
    CHECK((publish.packet_id != 0) == (publish.qos > 0));
    CHECK(publish.qos > 0 || !publish.duplicate);
    check_properties(&publish.properties, version);
    check_same_again(&publish, version, p);
}

static void try_ack(const struct mqtt_packet *p, uint8_t version)
{
    struct mqtt_ack ack;
    uint8_t reason = 0;

    memset(&ack, 0xa5, sizeof ack);
    enum err e = mqtt_ack_read(p, version, &ack, &reason);
    if (e != OK) {
        check_refusal(e, reason, &ack, sizeof ack);
        return;
    }
    CHECK(ack.type == p->type && ack.packet_id != 0);
    CHECK(version == MQTT_V5 || ack.reason == 0);
    check_properties(&ack.properties, version);
}

static void try_subscribe(const struct mqtt_packet *p, uint8_t version)
{
    struct mqtt_subscribe s;
    struct mqtt_subscription one;
    uint8_t reason = 0;
    size_t topics = 0;

    memset(&s, 0xa5, sizeof s);
    enum err e = mqtt_subscribe_read(p, version, &s, &reason);
    if (e != OK) {
        check_refusal(e, reason, &s, sizeof s);
        return;
    }
    CHECK(s.packet_id != 0);
    check_properties(&s.properties, version);
    while ((e = mqtt_subscribe_next(&s, &one)) == OK) {
        CHECK(is_inside(one.filter) && topic_is_filter(one.filter));
        CHECK(one.qos <= 2 && one.retain_handling <= 2);
        CHECK(version == MQTT_V5 || (!one.no_local && !one.retain_as_published));
        topics++;
    }
    CHECK(e == E_END && topics > 0);
}

static void try_unsubscribe(const struct mqtt_packet *p, uint8_t version)
{
    struct mqtt_subscribe s;
    struct bytes filter;
    uint8_t reason = 0;
    size_t topics = 0;

    memset(&s, 0xa5, sizeof s);
    enum err e = mqtt_unsubscribe_read(p, version, &s, &reason);
    if (e != OK) {
        check_refusal(e, reason, &s, sizeof s);
        return;
    }
    CHECK(s.packet_id != 0);
    while ((e = mqtt_unsubscribe_next(&s, &filter)) == OK) {
        CHECK(is_inside(filter) && topic_is_filter(filter));
        topics++;
    }
    CHECK(e == E_END && topics > 0);
}

static void try_disconnect(const struct mqtt_packet *p, uint8_t version)
{
    struct mqtt_disconnect d;
    uint8_t reason = 0;

    memset(&d, 0xa5, sizeof d);
    enum err e = mqtt_disconnect_read(p, version, &d, &reason);
    if (e != OK) {
        check_refusal(e, reason, &d, sizeof d);
        return;
    }
    check_properties(&d.properties, version);
}

static void try_packet(const struct mqtt_packet *p, uint8_t version)
{
    switch (p->type) {
    case MQTT_CONNECT:
        try_connect(p);
        break;
    case MQTT_PUBLISH:
        try_publish(p, version);
        break;
    case MQTT_PUBACK:
    case MQTT_PUBREC:
    case MQTT_PUBREL:
    case MQTT_PUBCOMP:
        try_ack(p, version);
        break;
    case MQTT_SUBSCRIBE:
        try_subscribe(p, version);
        break;
    case MQTT_UNSUBSCRIBE:
        try_unsubscribe(p, version);
        break;
    case MQTT_DISCONNECT:
        try_disconnect(p, version);
        break;
    default:
        break;
    }
}

static void try_stream(uint8_t version)
{
    struct bytes in = whole;
    struct mqtt_packet p;
    size_t needed, before = in.size;
    enum err e;

    while ((e = mqtt_packet_take(&in, 1 << 20, &p, &needed)) == OK) {
        CHECK(is_inside(p.body) && p.body.size + 2 <= before - in.size);
        CHECK(p.body.at + p.body.size == in.at);
        before = in.size;
        try_packet(&p, version);
    }
    CHECK(in.size == before && (e == E_MORE || e == E_MALFORMED || e == E_LIMIT));
    CHECK(e != E_MORE || needed == 0 || needed > in.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t versions[] = {MQTT_V31, MQTT_V311, MQTT_V5};

    whole = (struct bytes){data, size};
    for (size_t i = 0; i < sizeof versions; i++) {
        try_stream(versions[i]);
        for (uint8_t first = 0; size > 0 && first < 15; first++) {
            struct mqtt_packet p = {
                .type = (uint8_t)(first + 1), .flags = data[0] & 15, .body = {data + 1, size - 1}};
            try_packet(&p, versions[i]);
        }
    }
    return 0;
}
