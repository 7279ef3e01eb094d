#include "tests/lib/test.h"

#include <string.h>

#include "base/clock.h"
#include "broker/mqtt/session.h"

static struct conn *const connection = (struct conn *)(void *)1; /* Only its being there counts. */
static const struct session_limits plenty = {1000, 1 << 20};

static struct message *message(const char *topic, const char *payload)
{
    struct message *m;
    const struct publication p = {.topic = bytes_of(topic),
                                  .payload = bytes_of(payload),
                                  .expires_ns = MESSAGE_NEVER_NS,
                                  .qos = 1};
    assert_ok(message_create(&p, &m));
    return m;
}

static struct session *session(uint32_t expiry_s, uint16_t window)
{
    struct session *s;
    assert_ok(session_create(bytes_of("meter"), &s));
    session_attach(s, connection, expiry_s, window);
    return s;
}

static void offer(struct session *s, const char *payload, uint8_t qos)
{
    struct message *m = message("a", payload);
    const struct delivery d = {.publication = &m->view, .qos = qos};
    assert_ok(session_offer(s, m, &d, &plenty));
    message_drop(m);
}

static void expect(struct session *s, const char *payload, uint16_t id, bool duplicate)
{
    struct delivery d;
    assert_ok(session_next(s, &d));
    assert_true(bytes_equal(d.publication->payload, bytes_of(payload)));
    assert_int_equal(d.packet_id, id);
    assert_int_equal(d.duplicate, duplicate);
    outbox_sent(&s->outbox);
}

static void messages_leave_in_order_within_the_window(void **state)
{
    (void)state;
    struct session *s = session(0, 2);
    struct delivery d;
    offer(s, "1", 1);
    offer(s, "2", 1);
    offer(s, "3", 1);
    expect(s, "1", 1, false);
    expect(s, "2", 2, false);
    assert_int_equal(session_next(s, &d), E_BUSY);
    assert_int_equal(outbox_ack(&s->outbox, 3), E_NOT_FOUND);
    assert_int_equal(outbox_ack(&s->outbox, 0), E_NOT_FOUND);
    assert_ok(outbox_ack(&s->outbox, 2));
    assert_int_equal(outbox_ack(&s->outbox, 2), E_NOT_FOUND);
    expect(s, "3", 3, false);
    assert_ok(outbox_ack(&s->outbox, 1));
    assert_ok(outbox_ack(&s->outbox, 3));
    assert_int_equal(session_next(s, &d), E_END);
    assert_null(s->outbox.ring);
    assert_int_equal(s->outbox.bytes, 0);
    session_destroy(s);
}

static void a_resumed_session_sends_the_unacknowledged_again_first(void **state)
{
    (void)state;
    struct session *s = session(60, 10);
    struct delivery d;
    uint64_t lost = 0;
    for (int i = 1; i <= 4; i++) {
        const char text[2] = {(char)('0' + i), 0};
        offer(s, text, 1);
    }
    expect(s, "1", 1, false);
    expect(s, "2", 2, false);
    expect(s, "3", 3, false);
    assert_ok(outbox_ack(&s->outbox, 2));
    session_detach(s, 1000, false, &lost);
    offer(s, "5", 1);
    session_attach(s, connection, 60, 10);
    expect(s, "1", 1, true);
    expect(s, "3", 3, true);
    expect(s, "4", 4, false);
    expect(s, "5", 5, false);
    assert_int_equal(session_next(s, &d), E_END);
    assert_ok(outbox_ack(&s->outbox, 3));
    assert_ok(outbox_ack(&s->outbox, 1));
    assert_int_equal(s->outbox.unacked, 2);
    assert_int_equal(lost, 0);
    session_detach(s, 2000, false, &lost);
    session_destroy(s);
}

static void qos_0_is_kept_only_while_connected(void **state)
{
    (void)state;
    struct session *s = session(60, 10);
    struct message *m = message("a", "x");
    const struct delivery d = {.publication = &m->view};
    struct delivery out;
    uint64_t lost = 0;
    offer(s, "1", 0);
    offer(s, "2", 1);
    offer(s, "3", 0);
    expect(s, "1", 0, false);
    session_detach(s, 0, false, &lost);
    assert_int_equal(lost, 1);
    assert_int_equal(session_offer(s, m, &d, &plenty), E_LIMIT);
    session_attach(s, connection, 60, 10);
    expect(s, "2", 2, false);
    assert_int_equal(session_next(s, &out), E_END);
    message_drop(m);
    session_destroy(s);
}

static void a_full_queue_takes_no_more(void **state)
{
    (void)state;
    struct session *s = session(60, 10);
    struct message *m = message("a", "x");
    const struct delivery d = {.publication = &m->view, .qos = 1};
    const struct session_limits few = {2, 1 << 20}, small = {100, 1};
    assert_ok(session_offer(s, m, &d, &few));
    assert_ok(session_offer(s, m, &d, &few));
    assert_int_equal(session_offer(s, m, &d, &few), E_LIMIT);
    assert_int_equal(session_offer(s, m, &d, &small), E_LIMIT);
    message_drop(m);
    session_destroy(s);
}

static void packet_ids_wrap_and_stay_unique(void **state)
{
    (void)state;
    struct session *s = session(60, 65535);
    struct message *m = message("a", "x");
    const struct delivery d = {.publication = &m->view, .qos = 1};
    const struct session_limits limits = {200000, UINT64_MAX};
    struct delivery out;
    uint32_t sent = 0;
    for (uint32_t i = 0; i < 70000; i++) {
        assert_ok(session_offer(s, m, &d, &limits));
    }
    for (; session_next(s, &out) == OK; sent++) {
        assert_int_equal(out.packet_id, sent + 1);
        outbox_sent(&s->outbox);
    }
    assert_int_equal(sent, 65535);
    /* The oldest is still out: nothing may take its id. */
    assert_ok(outbox_ack(&s->outbox, 2));
    assert_int_equal(session_next(s, &out), E_BUSY);
    assert_ok(outbox_ack(&s->outbox, 1));
    assert_ok(session_next(s, &out));
    assert_int_equal(out.packet_id, 1);
    message_drop(m);
    session_destroy(s);
}

static void a_will_waits_for_its_delay_and_the_session_for_its_expiry(void **state)
{
    (void)state;
    struct session *s = session(30, 1);
    uint64_t lost = 0;
    session_set_will(s, message("gone", "1"), 10);
    assert_false(session_tick(s, INT64_MAX - 1).ended);
    session_detach(s, 5000, false, &lost);
    assert_null(session_tick(s, 14999).will);
    struct session_due due = session_tick(s, 15000);
    assert_non_null(due.will);
    assert_false(due.ended);
    message_drop(due.will);
    assert_null(session_tick(s, 34999).will);
    assert_false(session_tick(s, 34999).ended);
    assert_true(session_tick(s, 35000).ended);
    session_destroy(s);
}

static void the_will_never_outlives_the_session(void **state)
{
    (void)state;
    struct session *s = session(3, 1);
    uint64_t lost = 0;
    session_set_will(s, message("gone", "1"), 10);
    session_detach(s, 0, false, &lost);
    assert_null(session_tick(s, 2999).will);
    struct session_due due = session_tick(s, 3000);
    assert_non_null(due.will);
    assert_true(due.ended);
    message_drop(due.will);
    session_destroy(s);
}

static void coming_back_or_a_goodbye_cancels_the_will(void **state)
{
    (void)state;
    struct session *s = session(UINT32_MAX, 1);
    uint64_t lost = 0;
    session_set_will(s, message("gone", "1"), 10);
    session_detach(s, 0, false, &lost);
    session_attach(s, connection, UINT32_MAX, 1);
    assert_null(s->will);
    session_set_will(s, message("gone", "2"), 0);
    session_detach(s, 0, true, &lost);
    assert_null(session_tick(s, INT64_MAX - 1).will);
    assert_false(session_tick(s, INT64_MAX - 1).ended);
    session_destroy(s);
}

static void unacknowledged_publishes_are_remembered_once(void **state)
{
    (void)state;
    struct session *s = session(60, 1);
    uint64_t lost = 0;
    session_doubt(s, 7);
    session_doubt(s, 9);
    session_doubt(s, 7);
    assert_int_equal(session_arrive(s, 7, 1), SESSION_UNSURE);
    assert_int_equal(session_arrive(s, 8, 1), SESSION_NEW);
    assert_ok(session_receive(s, 7, 1));
    assert_int_equal(session_arrive(s, 7, 1), SESSION_NEW);
    assert_ok(session_receive(s, 9, 1));
    session_detach(s, 0, false, &lost);
    assert_null(s->unacked.at);
    assert_null(s->received.at);
    session_destroy(s);
}

static void a_publish_of_qos_2_is_forwarded_once_until_it_is_released(void **state)
{
    (void)state;
    struct session *s = session(60, 1);
    uint64_t lost = 0;
    assert_int_equal(session_arrive(s, 7, 2), SESSION_NEW);
    assert_ok(session_receive(s, 7, 2));
    assert_int_equal(session_arrive(s, 7, 2), SESSION_KNOWN);
    assert_int_equal(session_arrive(s, 8, 2), SESSION_NEW);
    /* Its PUBREC was never written: it may not be on disk, but it was forwarded. */
    session_doubt(s, 7);
    session_detach(s, 0, false, &lost);
    session_attach(s, connection, 60, 1);
    assert_int_equal(session_arrive(s, 7, 2), SESSION_UNSURE);
    assert_ok(session_receive(s, 7, 2));
    assert_int_equal(session_arrive(s, 7, 2), SESSION_KNOWN);
    assert_true(session_release(s, 7));
    assert_false(session_release(s, 7));
    assert_int_equal(session_arrive(s, 7, 2), SESSION_NEW);
    session_destroy(s);
}

static void packet_ids_are_a_set(void **state)
{
    (void)state;
    struct packet_ids ids = {0};
    for (unsigned i = 0; i < 3000; i++) {
        assert_ok(packet_ids_add(&ids, (uint16_t)(i * 7919 % 1000 + 1)));
    }
    assert_int_equal(ids.count, 1000);
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(ids.at[i], i + 1);
    }
    assert_false(packet_ids_has(&ids, 0));
    assert_false(packet_ids_remove(&ids, 1001));
    for (unsigned i = 1; i <= 1000; i += 2) {
        assert_true(packet_ids_remove(&ids, (uint16_t)i));
        assert_false(packet_ids_has(&ids, (uint16_t)i));
        assert_true(packet_ids_has(&ids, (uint16_t)(i + 1)));
    }
    assert_int_equal(ids.count, 500);
    packet_ids_clear(&ids);
    assert_false(packet_ids_has(&ids, 2));
    packet_ids_trim(&ids);
}

static void a_message_of_qos_2_is_received_and_then_completed(void **state)
{
    (void)state;
    struct session *s = session(60, 1);
    struct delivery d;
    offer(s, "1", 2);
    offer(s, "2", 2);
    expect(s, "1", 1, false);
    assert_int_equal(outbox_ack(&s->outbox, 1), E_DENIED);
    assert_int_equal(outbox_complete(&s->outbox, 1), E_DENIED);
    assert_int_equal(outbox_receive(&s->outbox, 2), E_NOT_FOUND);
    assert_ok(outbox_receive(&s->outbox, 1));
    assert_ok(outbox_receive(&s->outbox, 1)); /* The PUBREL is sent again. */
    assert_int_equal(outbox_ack(&s->outbox, 1), E_DENIED);
    /* It takes room in the window until PUBCOMP. */
    assert_int_equal(session_next(s, &d), E_BUSY);
    assert_ok(outbox_complete(&s->outbox, 1));
    assert_int_equal(outbox_complete(&s->outbox, 1), E_NOT_FOUND);
    expect(s, "2", 2, false);
    assert_ok(outbox_refuse(&s->outbox, 2));
    assert_int_equal(session_next(s, &d), E_END);
    assert_null(s->outbox.ring);
    assert_int_equal(s->outbox.bytes, 0);
    session_destroy(s);
}

static void expect_release(struct session *s, uint16_t id)
{
    struct delivery d;
    assert_ok(session_next(s, &d));
    assert_null(d.publication);
    assert_int_equal(d.packet_id, id);
    outbox_sent(&s->outbox);
}

static void a_resumed_session_goes_on_where_each_message_was(void **state)
{
    (void)state;
    struct session *s = session(60, 10);
    struct delivery d;
    uint64_t lost = 0;
    offer(s, "1", 2);
    offer(s, "2", 2);
    offer(s, "3", 1);
    offer(s, "4", 2);
    expect(s, "1", 1, false);
    expect(s, "2", 2, false);
    expect(s, "3", 3, false);
    assert_ok(outbox_receive(&s->outbox, 2));
    session_detach(s, 0, false, &lost);
    session_attach(s, connection, 60, 2);
    assert_int_equal(outbox_receive(&s->outbox, 1), E_NOT_FOUND); /* Not sent here yet. */
    expect(s, "1", 1, true);
    expect_release(s, 2);
    assert_int_equal(session_next(s, &d), E_BUSY);
    assert_ok(outbox_complete(&s->outbox, 2));
    expect(s, "3", 3, true);
    assert_int_equal(outbox_receive(&s->outbox, 3), E_DENIED);
    assert_int_equal(outbox_refuse(&s->outbox, 3), E_DENIED);
    assert_ok(outbox_ack(&s->outbox, 3));
    expect(s, "4", 4, false);
    assert_ok(outbox_receive(&s->outbox, 1));
    assert_ok(outbox_receive(&s->outbox, 4));
    session_detach(s, 0, false, &lost);
    session_attach(s, connection, 60, 1);
    /* The window is for messages: it does not hold back what completes them. */
    expect_release(s, 1);
    expect_release(s, 4);
    assert_ok(outbox_complete(&s->outbox, 4));
    assert_ok(outbox_complete(&s->outbox, 1));
    assert_null(s->outbox.ring);
    assert_int_equal(lost, 0);
    session_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_leave_in_order_within_the_window),
        cmocka_unit_test(a_resumed_session_sends_the_unacknowledged_again_first),
        cmocka_unit_test(qos_0_is_kept_only_while_connected),
        cmocka_unit_test(a_full_queue_takes_no_more),
        cmocka_unit_test(packet_ids_wrap_and_stay_unique),
        cmocka_unit_test(a_will_waits_for_its_delay_and_the_session_for_its_expiry),
        cmocka_unit_test(the_will_never_outlives_the_session),
        cmocka_unit_test(coming_back_or_a_goodbye_cancels_the_will),
        cmocka_unit_test(unacknowledged_publishes_are_remembered_once),
        cmocka_unit_test(a_publish_of_qos_2_is_forwarded_once_until_it_is_released),
        cmocka_unit_test(packet_ids_are_a_set),
        cmocka_unit_test(a_message_of_qos_2_is_received_and_then_completed),
        cmocka_unit_test(a_resumed_session_goes_on_where_each_message_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
