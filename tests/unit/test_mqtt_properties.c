#include "proto/mqtt_properties.h"

#include "tests/lib/test.h"

enum { BUFFER_BYTES = 512 };
static uint8_t memory[BUFFER_BYTES], other_memory[BUFFER_BYTES];

static void put_publish_list(struct writer *w)
{
    assert_ok(mqtt_property_put_u8(w, MQTT_PAYLOAD_FORMAT, 1));
    assert_ok(mqtt_property_put_u32(w, MQTT_MESSAGE_EXPIRY, 0xdeadbeef));
    assert_ok(mqtt_property_put_user(w, bytes_of("unit"), bytes_of("ug/m3")));
    assert_ok(mqtt_property_put_u16(w, MQTT_TOPIC_ALIAS, 258));
    assert_ok(mqtt_property_put_varint(w, MQTT_SUBSCRIPTION_ID, 268435455));
    assert_ok(mqtt_property_put_bytes(w, MQTT_CORRELATION_DATA, bytes_of("\xff\x01")));
    assert_ok(mqtt_property_put_varint(w, MQTT_SUBSCRIPTION_ID, 7));
    assert_ok(mqtt_property_put_user(w, bytes_of("unit"), bytes_of("")));
    assert_ok(mqtt_property_put_bytes(w, MQTT_RESPONSE_TOPIC, bytes_of("r/t")));
}

/* Read an encoded list of at most 127 bytes as a packet that may carry anything. */
static struct mqtt_properties read_back(struct bytes list)
{
    struct writer w = {other_memory, 0, sizeof other_memory};
    struct mqtt_properties p;
    uint8_t reason;
    assert_ok(writer_put_u8(&w, (uint8_t)list.size));
    assert_ok(writer_put(&w, list.at, list.size));
    struct bytes in = {w.at, w.size};
    assert_ok(mqtt_properties_take(&in, UINT64_MAX, &p, &reason));
    assert_int_equal(in.size, 0);
    return p;
}

static void what_was_put_is_read_back(void **state)
{
    struct writer w = {memory, 0, sizeof memory};
    (void)state;
    put_publish_list(&w);
    struct mqtt_properties p = read_back((struct bytes){w.at, w.size});
    assert_int_equal(p.payload_format, 1);
    assert_int_equal(p.message_expiry_s, 0xdeadbeef);
    assert_int_equal(p.topic_alias, 258);
    assert_int_equal(p.subscription_id, 268435455);
    assert_true(bytes_equal(p.correlation_data, bytes_of("\xff\x01")));
    assert_true(bytes_equal(p.response_topic, bytes_of("r/t")));
    assert_false(mqtt_properties_has(&p, MQTT_CONTENT_TYPE));
    assert_int_equal(p.raw.size, w.size);
}

static void what_may_repeat_is_walked_in_its_order(void **state)
{
    struct writer w = {memory, 0, sizeof memory};
    struct bytes raw, name, value;
    uint32_t id;
    (void)state;
    put_publish_list(&w);
    raw = (struct bytes){w.at, w.size};
    assert_ok(mqtt_user_property_next(&raw, &name, &value));
    assert_true(bytes_equal(name, bytes_of("unit")) && bytes_equal(value, bytes_of("ug/m3")));
    assert_ok(mqtt_user_property_next(&raw, &name, &value));
    assert_true(bytes_equal(name, bytes_of("unit")) && value.size == 0);
    assert_int_equal(mqtt_user_property_next(&raw, &name, &value), E_END);
    raw = (struct bytes){w.at, w.size};
    assert_ok(mqtt_subscription_id_next(&raw, &id));
    assert_int_equal(id, 268435455);
    assert_ok(mqtt_subscription_id_next(&raw, &id));
    assert_int_equal(id, 7);
    assert_int_equal(mqtt_subscription_id_next(&raw, &id), E_END);
}

static void a_server_forwards_all_but_what_concerns_one_hop(void **state)
{
    static uint8_t forwarded[BUFFER_BYTES];
    struct writer w = {memory, 0, sizeof memory}, want = {other_memory, 0, sizeof other_memory};
    struct writer got = {forwarded, 0, sizeof forwarded};
    (void)state;
    put_publish_list(&w);
    assert_ok(mqtt_property_put_u8(&want, MQTT_PAYLOAD_FORMAT, 1));
    assert_ok(mqtt_property_put_user(&want, bytes_of("unit"), bytes_of("ug/m3")));
    assert_ok(mqtt_property_put_bytes(&want, MQTT_CORRELATION_DATA, bytes_of("\xff\x01")));
    assert_ok(mqtt_property_put_user(&want, bytes_of("unit"), bytes_of("")));
    assert_ok(mqtt_property_put_bytes(&want, MQTT_RESPONSE_TOPIC, bytes_of("r/t")));
    assert_ok(mqtt_properties_forward((struct bytes){w.at, w.size}, &got));
    assert_int_equal(got.size, want.size);
    assert_memory_equal(got.at, want.at, want.size);
    for (size_t limit = 0; limit < want.size; limit++) {
        struct writer tight = {forwarded, 0, limit};
        assert_int_equal(mqtt_properties_forward((struct bytes){w.at, w.size}, &tight), E_LIMIT);
        assert_int_equal(tight.size, 0);
    }
}

static void a_property_without_room_is_not_put_at_all(void **state)
{
    static uint8_t long_text[UINT16_MAX + 1];
    const struct bytes too_long = {long_text, sizeof long_text}, text = bytes_of("ab");
    (void)state;
    for (size_t limit = 0; limit < 9; limit++) {
        struct writer w = {memory, 0, limit};
        assert_int_equal(mqtt_property_put_user(&w, text, text), E_LIMIT);
        assert_true(limit >= 2 || mqtt_property_put_u8(&w, MQTT_MAXIMUM_QOS, 1) == E_LIMIT);
        assert_true(limit >= 3 || mqtt_property_put_u16(&w, MQTT_TOPIC_ALIAS, 1) == E_LIMIT);
        assert_true(limit >= 5 || mqtt_property_put_u32(&w, MQTT_SESSION_EXPIRY, 1) == E_LIMIT);
        assert_true(limit >= 3 ||
                    mqtt_property_put_varint(&w, MQTT_SUBSCRIPTION_ID, 128) == E_LIMIT);
        assert_true(limit >= 5 || mqtt_property_put_bytes(&w, MQTT_REASON_STRING, text) == E_LIMIT);
        assert_true(w.size == 0);
    }
    struct writer w = {memory, 0, SIZE_MAX};
    assert_int_equal(mqtt_property_put_bytes(&w, MQTT_REASON_STRING, too_long), E_LIMIT);
    assert_int_equal(mqtt_property_put_user(&w, too_long, text), E_LIMIT);
    assert_int_equal(mqtt_property_put_user(&w, text, too_long), E_LIMIT);
    assert_int_equal(w.size, 0);
}

static void a_refused_list_stays_where_it_was(void **state)
{
    static const uint8_t twice[] = {10, 2, 0, 0, 0, 1, 2, 0, 0, 0, 1};
    struct bytes in = {twice, sizeof twice};
    struct mqtt_properties p = {.seen = 99};
    uint8_t reason;
    (void)state;
    assert_int_equal(mqtt_properties_take(&in, UINT64_MAX, &p, &reason), E_DENIED);
    assert_int_equal(reason, 0x82);
    assert_int_equal(mqtt_properties_take(&in, 0, &p, &reason), E_MALFORMED);
    assert_int_equal(reason, 0x81);
    assert_true(in.at == twice && in.size == sizeof twice && p.seen == 99);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_is_read_back),
        cmocka_unit_test(what_may_repeat_is_walked_in_its_order),
        cmocka_unit_test(a_server_forwards_all_but_what_concerns_one_hop),
        cmocka_unit_test(a_property_without_room_is_not_put_at_all),
        cmocka_unit_test(a_refused_list_stays_where_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
