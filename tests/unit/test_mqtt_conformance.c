/* Every line of tests/conformance/packets.txt. The file was reasoned from the standards, not from
 * the code. */

#include "proto/mqtt_packet.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/lib/test.h"

enum { LINE_BYTES = 4096, PACKET_BYTES_MAX = 1 << 20, CASES_LEAST = 4000 };

struct line {
    unsigned version;
    char direction[8], name[96], hex[LINE_BYTES], result[8];
    uint8_t memory[LINE_BYTES / 2];
    struct bytes raw;
};

static uint8_t digit_value(char digit)
{
    return (uint8_t)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

static void decode_hex(struct line *l)
{
    size_t size = strcmp(l->hex, "-") == 0 ? 0 : strlen(l->hex) / 2;
    for (size_t i = 0; i < size; i++) {
        l->memory[i] = (uint8_t)(digit_value(l->hex[2 * i]) << 4 | digit_value(l->hex[2 * i + 1]));
    }
    l->raw = (struct bytes){l->memory, size};
}

/* Whether the text is a case; comments and empty lines are none, anything else must be one. */
static bool read_line(const char *text, struct line *l)
{
    char version[8];
    if (text[0] == '#' || text[0] == '\n') {
        return false;
    }
    assert_int_equal(sscanf(text, "%7s %7s %95s %4095s -> %7s", version, l->direction, l->name,
                            l->hex, l->result),
                     5);
    l->version = strcmp(version, "31") == 0  ? MQTT_V31
                 : strcmp(version, "5") == 0 ? MQTT_V5
                                             : MQTT_V311;
    decode_hex(l);
    return true;
}

/* What a checked SUBSCRIBE or UNSUBSCRIBE promises: every topic can be had. */
static enum err read_topics(const struct mqtt_packet *p, uint8_t version, uint8_t *reason)
{
    struct mqtt_subscribe s;
    struct mqtt_subscription one;
    struct bytes filter;
    size_t topics = 0;
    enum err e;

    if (p->type == MQTT_SUBSCRIBE) {
        TRY(mqtt_subscribe_read(p, version, &s, reason));
        while ((e = mqtt_subscribe_next(&s, &one)) == OK) {
            topics++;
        }
    } else {
        TRY(mqtt_unsubscribe_read(p, version, &s, reason));
        while ((e = mqtt_unsubscribe_next(&s, &filter)) == OK) {
            topics++;
        }
    }
    assert_int_equal(e, E_END);
    assert_true(topics > 0);
    return OK;
}

static enum err read_packet(const struct mqtt_packet *p, uint8_t version, uint8_t *reason)
{
    struct mqtt_connect connect;
    struct mqtt_publish publish;
    struct mqtt_disconnect disconnect;
    struct mqtt_ack ack;

    switch (p->type) {
    case MQTT_CONNECT:
        TRY(mqtt_connect_read(p, &connect, reason));
        assert_int_equal(connect.version, version);
        return OK;
    case MQTT_PUBLISH:
        return mqtt_publish_read(p, version, &publish, reason);
    case MQTT_PUBACK:
    case MQTT_PUBREC:
    case MQTT_PUBREL:
    case MQTT_PUBCOMP:
        return mqtt_ack_read(p, version, &ack, reason);
    case MQTT_SUBSCRIBE:
    case MQTT_UNSUBSCRIBE:
        return read_topics(p, version, reason);
    case MQTT_PINGREQ:
        return mqtt_pingreq_read(p, version, reason);
    case MQTT_DISCONNECT:
        return mqtt_disconnect_read(p, version, &disconnect, reason);
    default:
        *reason = MQTT_PROTOCOL_ERROR;
        return E_DENIED;
    }
}

/* The error that comes with a reason code. */
static enum err error_of(uint8_t reason)
{
    return reason == MQTT_MALFORMED             ? E_MALFORMED
           : reason == MQTT_UNSUPPORTED_VERSION ? E_VERSION
                                                : E_DENIED;
}

/* "!" or "amiss" when error and reason do not go together. */
static void write_result(enum err e, uint8_t reason, char *result)
{
    if (reason != 0) {
        snprintf(result, 8, "%02x%s", reason, e == error_of(reason) ? "" : "!");
    } else {
        const char *word = e == OK ? "ok" : e == E_MORE ? "more" : "amiss";
        snprintf(result, 8, "%s", e == E_LIMIT ? "limit" : word);
    }
}

/* Read as the server does; the result in the words of the file. */
static void read_as_server(const struct line *l, char *result)
{
    struct bytes in = l->raw;
    struct mqtt_packet p;
    uint8_t reason = 0;
    size_t needed;
    enum err e = mqtt_packet_take(&in, PACKET_BYTES_MAX, &p, &needed);

    if (e == OK) {
        e = in.size > 0 ? E_CORRUPT : read_packet(&p, (uint8_t)l->version, &reason);
    } else if (e == E_MALFORMED) {
        reason = MQTT_MALFORMED;
    }
    write_result(e, reason, result);
}

/* Cut a property list with its length of at most two bytes, unchecked, off a packet of the file. */
static struct bytes list_of(struct bytes *rest)
{
    uint64_t size = 0;
    struct bytes list = {NULL, 0};
    if (rest->size > 0) {
        assert_ok(bytes_take_varint(rest, &size));
        assert_ok(bytes_take(rest, size, &list));
    }
    return list;
}

static enum err write_again(const struct mqtt_packet *p, uint8_t version, struct writer *w)
{
    struct bytes rest = p->body;
    const uint8_t *at = rest.at;
    struct mqtt_publish publish;
    struct mqtt_ack ack;
    uint8_t reason;

    switch (p->type) {
    case MQTT_CONNACK:
        rest = (struct bytes){at + 2, rest.size - 2};
        return mqtt_connack_write(w, version, at[0] == 1, at[1], list_of(&rest));
    case MQTT_PUBLISH:
        TRY(mqtt_publish_read(p, version, &publish, &reason));
        return mqtt_publish_write(w, version, &publish, publish.properties.raw);
    case MQTT_PUBACK:
    case MQTT_PUBREC:
    case MQTT_PUBREL:
    case MQTT_PUBCOMP:
        TRY(mqtt_ack_read(p, version, &ack, &reason));
        return mqtt_ack_write(w, version, p->type, ack.packet_id, ack.reason);
    case MQTT_SUBACK:
    case MQTT_UNSUBACK:
        rest = (struct bytes){at + 2, rest.size - 2};
        if (version == MQTT_V5) {
            (void)list_of(&rest);
        }
        return mqtt_suback_write(w, version, p->type, (uint16_t)(at[0] << 8 | at[1]), rest);
    case MQTT_PINGRESP:
        return mqtt_pingresp_write(w);
    case MQTT_DISCONNECT:
        reason = rest.size > 0 ? at[0] : MQTT_SUCCESS;
        rest = rest.size > 0 ? (struct bytes){at + 1, rest.size - 1} : rest;
        return mqtt_disconnect_write(w, reason, list_of(&rest));
    default:
        return E_DENIED;
    }
}

static void write_as_server(const struct line *l, char *result)
{
    uint8_t memory[LINE_BYTES];
    struct writer w = {memory, 0, sizeof memory};
    struct bytes in = l->raw;
    struct mqtt_packet p;
    size_t needed;
    enum err e = mqtt_packet_take(&in, PACKET_BYTES_MAX, &p, &needed);

    if (e == OK) {
        e = write_again(&p, (uint8_t)l->version, &w);
    }
    bool is_same = e == OK && bytes_equal(l->raw, (struct bytes){w.at, w.size});
    snprintf(result, 8, "%s", is_same ? "ok" : "differs");
}

static void every_packet_of_the_table_is_judged_as_the_standards_say(void **state)
{
    static struct line l;
    static char text[LINE_BYTES];
    unsigned cases = 0, wrong = 0;
    FILE *file = fopen(TESTS_DIR "/conformance/packets.txt", "re");
    (void)state;
    assert_non_null(file);
    while (fgets(text, sizeof text, file) != NULL) {
        char result[8];
        if (!read_line(text, &l)) {
            continue;
        }
        cases++;
        if (strcmp(l.direction, "c2s") == 0) {
            read_as_server(&l, result);
        } else {
            write_as_server(&l, result);
        }
        if (strcmp(result, l.result) != 0) {
            wrong++;
            print_error("version %u %s %s: %s, but is %s\n", l.version, l.direction, l.name,
                        l.result, result);
        }
    }
    fclose(file);
    assert_true(cases >= CASES_LEAST);
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_packet_of_the_table_is_judged_as_the_standards_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
