#include "storage/state/session_state.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/lib/test.h"

enum { PIECES = 10, BYTES_MAX = 4096 };

static struct session_state_message message(const char *topic, const char *payload, uint8_t qos)
{
    static const uint8_t properties[] = {0x01, 0x01};
    return (struct session_state_message){.topic = bytes_of(topic),
                                          .properties = {properties, sizeof properties},
                                          .payload = bytes_of(payload),
                                          .origin = 0x1122334455667788,
                                          .expires_ns = INT64_MAX,
                                          .qos = qos,
                                          .retain = qos == 1};
}

/* One of every kind; docs/FORMAT.md says so of the golden file. */
static void make_pieces(struct session_state to[PIECES])
{
    to[0] = (struct session_state){.kind = SESSION_STATE_SESSION,
                                   .session = 7,
                                   .at.client = {.client_id = bytes_of("pump-12"),
                                                 .expiry_s = 3600,
                                                 .since_ns = INT64_C(1767225600000000000),
                                                 .sent_below = 41}};
    to[1] = (struct session_state){
        .kind = SESSION_STATE_SUBSCRIPTION,
        .session = 7,
        .at.subscription = {bytes_of("krakow/+/level"), 3, 268435455, 2, true, true}};
    to[2] = (struct session_state){.kind = SESSION_STATE_MESSAGE,
                                   .at.message = {99, message("krakow/bielany/level", "2.75", 2)}};
    to[3] = (struct session_state){.kind = SESSION_STATE_QUEUED,
                                   .session = 7,
                                   .at.queued = {.sequence = 40,
                                                 .message = 99,
                                                 .qos = 2,
                                                 .retain = true,
                                                 .ids = {268435455, 1},
                                                 .id_count = 2}};
    to[4] = (struct session_state){.kind = SESSION_STATE_QUEUED,
                                   .session = 7,
                                   .at.queued = {.sequence = 39, .qos = 2, .received = true}};
    to[5] = (struct session_state){
        .kind = SESSION_STATE_RECEIVED, .session = 7, .at.received.packet_id = 65535};
    to[6] = (struct session_state){.kind = SESSION_STATE_WILL,
                                   .session = 7,
                                   .at.will = {30, message("krakow/pump/12", "", 1)}};
    to[7] = (struct session_state){.kind = SESSION_STATE_CROSSING,
                                   .at.crossing = {.from = 1,
                                                   .number = 5,
                                                   .loops = 0x8000000000000001,
                                                   .filter = bytes_of("$share/g/krakow/#"),
                                                   .of = message("krakow/x", "1", 0)}};
    to[8] = (struct session_state){.kind = SESSION_STATE_CROSSED, .at.crossed = {1, 63, 4}};
    to[9] = (struct session_state){.kind = SESSION_STATE_LOOPS, .at.loops.count = 64};
}

static struct writer room(void)
{
    struct writer w = {malloc(BYTES_MAX), 0, BYTES_MAX};
    assert_non_null(w.at);
    return w;
}

/* Space, size of the key, size of the value, key, value. */
static void put_piece(struct writer *w, const struct session_state *s)
{
    uint8_t bytes[SESSION_STATE_KEY_BYTES_MAX];
    struct writer key = {bytes, 0, sizeof bytes}, value = room();
    assert_ok(session_state_write(s, &key, &value));
    assert_true(value.size <= session_state_bytes(s));
    assert_ok(writer_put_u8(w, (uint8_t)s->kind));
    assert_ok(writer_put_u8(w, (uint8_t)key.size));
    assert_ok(writer_put_le16(w, (uint16_t)value.size));
    assert_ok(writer_put(w, key.at, key.size));
    assert_ok(writer_put(w, value.at, value.size));
    free(value.at);
}

static enum err take_piece(struct bytes *in, struct session_state *out)
{
    uint8_t space, key_bytes;
    uint16_t value_bytes;
    struct bytes key, value;
    TRY(bytes_take_u8(in, &space));
    TRY(bytes_take_u8(in, &key_bytes));
    TRY(bytes_take_le16(in, &value_bytes));
    TRY(bytes_take(in, key_bytes, &key));
    TRY(bytes_take(in, value_bytes, &value));
    return session_state_read(space, key, value, out);
}

/* HEJNAL_GOLDEN_WRITE=1 makes the file anew: only when docs/FORMAT.md changes with it. */
static void pieces_are_what_the_golden_file_says(void **state)
{
    static const char path[] = TESTS_DIR "/golden/session_state.bin";
    struct session_state pieces[PIECES];
    struct writer w = room();
    uint8_t golden[BYTES_MAX];
    (void)state;
    make_pieces(pieces);
    for (int i = 0; i < PIECES; i++) {
        put_piece(&w, &pieces[i]);
    }
    if (getenv("HEJNAL_GOLDEN_WRITE") != NULL) {
        FILE *made = fopen(path, "wb");
        assert_non_null(made);
        assert_int_equal(fwrite(w.at, 1, w.size, made), w.size);
        assert_int_equal(fclose(made), 0);
    }
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fread(golden, 1, sizeof golden, file), w.size);
    assert_int_equal(fclose(file), 0);
    assert_memory_equal(golden, w.at, w.size);
    free(w.at);
}

static void every_piece_comes_back_the_same(void **state)
{
    struct session_state pieces[PIECES], back;
    (void)state;
    make_pieces(pieces);
    for (int i = 0; i < PIECES; i++) {
        struct writer w = room(), again = room();
        put_piece(&w, &pieces[i]);
        struct bytes in = {w.at, w.size};
        assert_ok(take_piece(&in, &back));
        assert_int_equal(back.kind, pieces[i].kind);
        assert_int_equal(back.session, pieces[i].session);
        put_piece(&again, &back);
        assert_int_equal(again.size, w.size);
        assert_memory_equal(again.at, w.at, w.size);
        free(w.at);
        free(again.at);
    }
}

/* Only what ends with bytes of any number may be cut and still be one. */
static void a_piece_that_is_cut_or_of_another_version_is_refused(void **state)
{
    struct session_state pieces[PIECES], back;
    (void)state;
    make_pieces(pieces);
    for (int i = 0; i < PIECES; i++) {
        uint8_t bytes[SESSION_STATE_KEY_BYTES_MAX];
        struct writer key = {bytes, 0, sizeof bytes}, value = room();
        assert_ok(session_state_write(&pieces[i], &key, &value));
        const struct bytes whole = {key.at, key.size}, cut = {key.at, key.size - 1};
        const uint8_t space = (uint8_t)pieces[i].kind;
        assert_int_equal(session_state_read(space, whole, (struct bytes){NULL, 0}, &back),
                         E_CORRUPT);
        assert_int_equal(
            session_state_read(space, cut, (struct bytes){value.at, value.size}, &back), E_CORRUPT);
        value.at[0] = 2;
        assert_int_equal(
            session_state_read(space, whole, (struct bytes){value.at, value.size}, &back),
            E_VERSION);
        free(value.at);
    }
}

static void places_in_a_queue_keep_their_order_as_keys(void **state)
{
    uint8_t low[SESSION_STATE_KEY_BYTES_MAX], high[SESSION_STATE_KEY_BYTES_MAX];
    struct session_state s = {.kind = SESSION_STATE_QUEUED, .session = 255};
    (void)state;
    for (uint64_t sequence = 1; sequence < UINT64_C(1) << 60; sequence = sequence * 3 + 1) {
        struct writer before = {low, 0, sizeof low}, behind = {high, 0, sizeof high};
        s.at.queued.sequence = sequence;
        session_state_write_key(&s, &before);
        s.at.queued.sequence = sequence + 1;
        session_state_write_key(&s, &behind);
        assert_true(memcmp(low, high, sizeof low) < 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_what_the_golden_file_says),
        cmocka_unit_test(every_piece_comes_back_the_same),
        cmocka_unit_test(a_piece_that_is_cut_or_of_another_version_is_refused),
        cmocka_unit_test(places_in_a_queue_keep_their_order_as_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
