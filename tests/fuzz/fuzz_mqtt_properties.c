/* Any bytes as a property list: what is accepted can be walked, and what is forwarded of it reads
 * again as the same list without what concerns one hop only. */

#include "proto/mqtt_properties.h"

#include "base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint64_t hop_only =
    MQTT_PROPERTY_BIT(MQTT_TOPIC_ALIAS) | MQTT_PROPERTY_BIT(MQTT_SUBSCRIPTION_ID) |
    MQTT_PROPERTY_BIT(MQTT_MESSAGE_EXPIRY) | MQTT_PROPERTY_BIT(MQTT_WILL_DELAY);

/* Every walk ends, and finds something just where the property was seen. */
static void check_walks(const struct mqtt_properties *p)
{
    struct bytes raw = p->raw, name, value;
    size_t users = 0, ids = 0;
    uint32_t id;

    while (mqtt_user_property_next(&raw, &name, &value) == OK) {
        users++;
    }
    CHECK(raw.size == 0);
    raw = p->raw;
    while (mqtt_subscription_id_next(&raw, &id) == OK) {
        CHECK(id > 0);
        CHECK(ids > 0 || id == p->subscription_id);
        ids++;
    }
    CHECK(raw.size == 0);
    CHECK((users > 0) == mqtt_properties_has(p, MQTT_USER_PROPERTY));
    CHECK((ids > 0) == mqtt_properties_has(p, MQTT_SUBSCRIPTION_ID));
}

static void check_forwarding(const struct mqtt_properties *p)
{
    static uint8_t memory[1 << 16], list_memory[1 << 16];
    struct writer w = {memory, 0, sizeof memory - 4};
    struct writer list = {list_memory, 0, sizeof list_memory};
    struct mqtt_properties again;
    uint8_t reason;

    if (p->raw.size > w.limit) {
        return;
    }
    CHECK(mqtt_properties_forward(p->raw, &w) == OK);
    CHECK(writer_put_varint(&list, w.size) == OK && writer_put(&list, w.at, w.size) == OK);
    struct bytes in = {list.at, list.size};
    CHECK(mqtt_properties_take(&in, UINT64_MAX, &again, &reason) == OK && in.size == 0);
    CHECK(again.seen == (p->seen & ~hop_only));
    if (w.size > 0) { /* One byte less of room: nothing is written. */
        struct writer tight = {memory, 0, w.size - 1};
        CHECK(mqtt_properties_forward(p->raw, &tight) == E_LIMIT && tight.size == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes in = {data, size}, before = in;
    struct mqtt_properties p, narrow;
    uint8_t reason = 0;
    enum err e = mqtt_properties_take(&in, UINT64_MAX, &p, &reason);

    if (e != OK) {
        CHECK(in.at == before.at && in.size == before.size);
        CHECK((e == E_MALFORMED) == (reason == 0x81) && (e == E_DENIED) == (reason != 0x81));
        return 0;
    }
    CHECK(p.raw.at + p.raw.size == in.at);
    check_walks(&p);
    check_forwarding(&p);
    /* A packet that may carry just these takes them; one that may not carry one of them does not.
     */
    in = before;
    CHECK(mqtt_properties_take(&in, p.seen, &narrow, &reason) == OK && narrow.seen == p.seen);
    in = before;
    CHECK(p.seen == 0 ||
          mqtt_properties_take(&in, p.seen & (p.seen - 1), &narrow, &reason) == E_MALFORMED);
    return 0;
}
