#include "proto/mqtt_packet.h"

#include "tests/lib/rng.h"
#include "tests/lib/test.h"

enum { BUFFER_BYTES = 1 << 17 };
static uint8_t memory[BUFFER_BYTES];
static uint8_t list_memory[BUFFER_BYTES];

static struct writer writer_fresh(void)
{
    return (struct writer){memory, 0, sizeof memory};
}

/* The one packet a writer holds. */
static struct mqtt_packet taken(const struct writer *w)
{
    struct bytes in = {w->at, w->size};
    struct mqtt_packet p = {0};
    size_t needed;
    assert_ok(mqtt_packet_take(&in, w->size, &p, &needed));
    assert_int_equal(in.size, 0);
    return p;
}

static void assert_bytes(struct bytes got, const char *want)
{
    assert_true(bytes_equal(got, bytes_of(want)));
}

static void a_packet_is_cut_off_when_whole_and_left_alone_before(void **state)
{
    static const size_t sizes[] = {0, 1, 127, 128, 16383, 16384, 100000};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct writer w = writer_fresh();
        struct mqtt_publish publish = {.topic = bytes_of("t"), .payload = {list_memory, sizes[i]}};
        assert_ok(mqtt_publish_write(&w, MQTT_V311, &publish, bytes_of("")));
        for (size_t size = 0; size < w.size; size += size < 8 ? 1 : (w.size - size + 1) / 2) {
            struct bytes in = {w.at, size};
            struct mqtt_packet p;
            size_t needed = 1;
            assert_int_equal(mqtt_packet_take(&in, SIZE_MAX, &p, &needed), E_MORE);
            assert_int_equal(in.size, size);
            assert_true(needed == 0 || needed == w.size);
            assert_true(needed == w.size || size < 5);
        }
        struct mqtt_packet p = taken(&w);
        assert_int_equal(p.type, MQTT_PUBLISH);
        assert_int_equal(p.body.size, 3 + sizes[i]);
        assert_false(p.padded);
    }
}

static void a_packet_too_large_is_told_from_its_length_alone(void **state)
{
    static const uint8_t head[] = {0x30, 0xff, 0xff, 0xff, 0x7f};
    struct bytes in = {head, sizeof head};
    struct mqtt_packet p;
    size_t needed;
    (void)state;
    assert_int_equal(mqtt_packet_take(&in, 268435459, &p, &needed), E_LIMIT);
    assert_int_equal(mqtt_packet_take(&in, 268435460, &p, &needed), E_MORE);
    assert_int_equal(needed, 268435460);
}

static void a_first_byte_no_version_allows_is_refused_at_once(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 256; first++) {
        uint8_t byte = (uint8_t)first;
        struct bytes in = {&byte, 1};
        struct mqtt_packet p;
        size_t needed;
        unsigned type = first >> 4, flags = first & 15;
        bool has_2 = type == MQTT_PUBREL || type == MQTT_SUBSCRIBE || type == MQTT_UNSUBSCRIBE;
        bool is_good = type == MQTT_PUBLISH || (has_2 && (flags & 7) == 2) ||
                       (!has_2 && type != 0 && flags == 0);
        assert_int_equal(mqtt_packet_take(&in, 100, &p, &needed), is_good ? E_MORE : E_MALFORMED);
    }
}

static void a_publish_survives_the_round_trip(void **state)
{
    struct rng rng = {1};
    (void)state;
    for (int i = 0; i < 2000; i++) {
        uint8_t version = (uint8_t)(MQTT_V31 + rng_below(&rng, 3));
        struct mqtt_publish a = {.topic = bytes_of("krak\xc3\xb3w/air/171"),
                                 .payload = {list_memory, rng_below(&rng, 20000)},
                                 .qos = (uint8_t)rng_below(&rng, 3),
                                 .retain = rng_below(&rng, 2) != 0};
        struct mqtt_publish b;
        struct writer w = writer_fresh(), list = {list_memory, 0, 64};
        uint8_t reason;
        a.packet_id = (uint16_t)(a.qos > 0 ? 1 + rng_below(&rng, 65535) : 0);
        a.duplicate = a.qos > 0 && rng_below(&rng, 2) != 0;
        if (rng_below(&rng, 2) != 0) {
            assert_ok(mqtt_property_put_u32(&list, MQTT_MESSAGE_EXPIRY, 77));
            assert_ok(mqtt_property_put_user(&list, bytes_of("a"), bytes_of("b")));
        }
        struct bytes properties = {list.at, list.size};
        assert_ok(mqtt_publish_write(&w, version, &a, properties));
        assert_true(w.size <= a.topic.size + a.payload.size + list.size + MQTT_PUBLISH_OVERHEAD);
        struct mqtt_packet p = taken(&w);
        assert_ok(mqtt_publish_read(&p, version, &b, &reason));
        assert_true(bytes_equal(a.topic, b.topic) && bytes_equal(a.payload, b.payload));
        assert_true(a.packet_id == b.packet_id && a.qos == b.qos && a.retain == b.retain);
        assert_true(a.duplicate == b.duplicate);
        if (version == MQTT_V5) {
            assert_true(bytes_equal(b.properties.raw, properties));
        } else {
            assert_true(b.properties.seen == 0 && b.properties.raw.size == 0);
        }
    }
}

static void a_writer_without_room_writes_nothing(void **state)
{
    const struct mqtt_publish publish = {
        .topic = bytes_of("a/b"), .payload = bytes_of("21.5"), .packet_id = 7, .qos = 1};
    static const size_t sizes[] = {17, 8, 5, 8, 2, 3};
    const struct bytes list = {(const uint8_t *)"\x23\x00\x01", 3};
    (void)state;
    for (size_t limit = 0; limit < 32; limit++) {
        struct writer w = {memory, 0, limit};
        const enum err errors[] = {
            mqtt_publish_write(&w, MQTT_V5, &publish, list),
            mqtt_connack_write(&w, MQTT_V5, true, 0, list),
            mqtt_ack_write(&w, MQTT_V5, MQTT_PUBACK, 1, MQTT_QUOTA_EXCEEDED),
            mqtt_suback_write(&w, MQTT_V5, MQTT_SUBACK, 1, list),
            mqtt_pingresp_write(&w),
            mqtt_disconnect_write(&w, MQTT_SERVER_BUSY, bytes_of("")),
        };
        size_t expected = 0;
        for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
            bool fits = limit - expected >= sizes[i];
            assert_int_equal(errors[i], fits ? OK : E_LIMIT);
            expected += fits ? sizes[i] : 0;
        }
        assert_int_equal(w.size, expected);
    }
}

static void a_connect_tells_everything_it_carries(void **state)
{
    (void)state;
    struct writer w = writer_fresh();
    struct mqtt_connect c;
    uint8_t reason;
    static const uint8_t body[] = "\x00\x04MQTT\x05\xee\x00\x3c\x05\x11\x00\x00\x00\x09\x00\x03"
                                  "dev\x07\x18\x00\x00\x00\x05\x01\x01\x00\x01t\x00\x02hi\x00\x01u"
                                  "\x00\x02\x00\xff";
    assert_ok(writer_put_u8(&w, 0x10));
    assert_ok(writer_put_u8(&w, sizeof body - 1));
    assert_ok(writer_put(&w, body, sizeof body - 1));
    struct mqtt_packet p = taken(&w);
    assert_int_equal(mqtt_connect_version(&p), MQTT_V5);
    assert_ok(mqtt_connect_read(&p, &c, &reason));
    assert_true(c.version == MQTT_V5 && c.clean_start && c.has_will && c.has_user_name);
    assert_true(c.has_password && c.keep_alive_s == 60 && c.will.qos == 1 && c.will.retain);
    assert_true(mqtt_properties_has(&c.properties, MQTT_SESSION_EXPIRY));
    assert_int_equal(c.properties.session_expiry_s, 9);
    assert_int_equal(c.will.properties.will_delay_s, 5);
    assert_bytes(c.client_id, "dev");
    assert_bytes(c.will.topic, "t");
    assert_bytes(c.will.payload, "hi");
    assert_bytes(c.user_name, "u");
    assert_int_equal(c.password.size, 2);
}

static void what_is_no_mqtt_is_refused_without_a_word(void **state)
{
    static const struct {
        const char *start;
        uint8_t version;
    } cases[] = {{"\0\4MQTT\5", MQTT_V5},   {"\0\4MQTT\4", MQTT_V311}, {"\0\4MQTT\6", MQTT_V311},
                 {"\0\4MQTT\3", MQTT_V311}, {"\0\4MQTX\5", 0},         {"\0\5MQTT\5", 0}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct mqtt_packet p = {.type = MQTT_CONNECT,
                                      .body = {(const uint8_t *)cases[i].start, 7}};
        assert_int_equal(mqtt_connect_version(&p), cases[i].version);
    }
}

static void a_subscribe_is_read_topic_by_topic(void **state)
{
    static const uint8_t raw[] = "\x82\x18\x00\x07\x02\x0b\x05\x00\x03"
                                 "a/+\x2e\x00\x0a$share/g/#\x01";
    struct writer w = writer_fresh();
    struct mqtt_subscribe s;
    struct mqtt_subscription one;
    uint8_t reason;
    (void)state;
    assert_ok(writer_put(&w, raw, sizeof raw - 1));
    struct mqtt_packet p = taken(&w);
    assert_ok(mqtt_subscribe_read(&p, MQTT_V5, &s, &reason));
    assert_true(s.packet_id == 7 && s.properties.subscription_id == 5);
    assert_ok(mqtt_subscribe_next(&s, &one));
    assert_bytes(one.filter, "a/+");
    assert_true(one.qos == 2 && one.no_local && one.retain_as_published);
    assert_int_equal(one.retain_handling, 2);
    assert_ok(mqtt_subscribe_next(&s, &one));
    assert_bytes(one.filter, "$share/g/#");
    assert_true(one.qos == 1 && !one.no_local && one.retain_handling == 0);
    assert_int_equal(mqtt_subscribe_next(&s, &one), E_END);
}

static void an_old_client_is_refused_in_its_own_words(void **state)
{
    static const struct {
        uint8_t reason, code;
    } cases[] = {{0, 0}, {0x84, 1}, {0x85, 2}, {0x88, 3}, {0x89, 3}, {0x86, 4}, {0x87, 5}, {5, 5}};
    struct writer w = writer_fresh();
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        w.size = 0;
        assert_ok(mqtt_connack_write(&w, MQTT_V311, true, cases[i].reason, bytes_of("x")));
        const uint8_t want[] = {0x20, 2, cases[i].reason == 0, cases[i].code};
        assert_int_equal(w.size, sizeof want);
        assert_memory_equal(w.at, want, sizeof want);
    }
    w.size = 0;
    assert_ok(mqtt_connack_write(&w, MQTT_V311, false, MQTT_MALFORMED, bytes_of("")));
    assert_int_equal(w.size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_packet_is_cut_off_when_whole_and_left_alone_before),
        cmocka_unit_test(a_packet_too_large_is_told_from_its_length_alone),
        cmocka_unit_test(a_first_byte_no_version_allows_is_refused_at_once),
        cmocka_unit_test(a_publish_survives_the_round_trip),
        cmocka_unit_test(a_writer_without_room_writes_nothing),
        cmocka_unit_test(a_connect_tells_everything_it_carries),
        cmocka_unit_test(what_is_no_mqtt_is_refused_without_a_word),
        cmocka_unit_test(a_subscribe_is_read_topic_by_topic),
        cmocka_unit_test(an_old_client_is_refused_in_its_own_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
