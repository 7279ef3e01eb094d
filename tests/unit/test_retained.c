#include "tests/lib/test.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "broker/mqtt/retained.h"
#include "tests/lib/rng.h"

static const struct retained_limits plenty = {1000, 1 << 20};

static struct publication publication(const char *topic, const char *payload, uint64_t stamp)
{
    return (struct publication){.topic = bytes_of(topic),
                                .payload = bytes_of(payload),
                                .topic_hash = hash_bytes(bytes_of(topic)),
                                .stamp = stamp,
                                .expires_ns = MESSAGE_NEVER_NS,
                                .qos = 1,
                                .retain = true};
}

static void apply(struct retained *r, const struct publication *p, int64_t now_ns)
{
    struct message *m;
    assert_ok(message_create(p, &m));
    assert_ok(retained_apply(r, m, now_ns));
    message_drop(m);
}

static void put(struct retained *r, const char *topic, const char *payload, uint64_t stamp)
{
    const struct publication p = publication(topic, payload, stamp);
    apply(r, &p, 0);
}

struct found {
    unsigned count;
    char last[32];
};

static void note(void *context, struct message *m)
{
    struct found *f = context;
    f->count++;
    (void)snprintf(f->last, sizeof f->last, "%.*s", (int)m->view.payload.size,
                   (const char *)m->view.payload.at);
}

static struct found find(const struct retained *r, const char *filter, int64_t now_ns)
{
    struct found f = {0};
    retained_select(r, bytes_of(filter), now_ns, note, &f);
    return f;
}

static void the_latest_stamp_stays_whatever_the_order(void **state)
{
    (void)state;
    struct retained *r;
    assert_ok(retained_create(&plenty, &r));
    put(r, "a/b", "second", 2);
    put(r, "a/b", "first", 1);
    assert_string_equal(find(r, "a/+", 0).last, "second");
    put(r, "a/b", "", 4);
    put(r, "a/b", "third", 3); /* Came late: it was cleared after. */
    assert_int_equal(find(r, "#", 0).count, 0);
    assert_int_equal(retained_count(r), 0);
    assert_int_equal(retained_bytes(r), 0);
    put(r, "a/b", "fifth", 5);
    assert_string_equal(find(r, "a/b", 0).last, "fifth");
    retained_destroy(r);
}

static void gravestones_and_the_expired_go_away(void **state)
{
    (void)state;
    struct retained *r;
    assert_ok(retained_create(&plenty, &r));
    struct publication p = publication("short", "x", 1);
    p.expires_ns = 100;
    apply(r, &p, 0);
    put(r, "cleared", "", 2);
    assert_int_equal(find(r, "short", 99).count, 1);
    assert_int_equal(find(r, "short", 100).count, 0);
    retained_sweep(r, 100);
    assert_int_equal(retained_count(r), 0);
    put(r, "cleared", "old", 1);
    assert_int_equal(find(r, "cleared", 0).count, 0);
    retained_sweep(r, (int64_t)RETAINED_GRAVESTONE_S * NS_PER_S);
    put(r, "cleared", "new", 1);
    assert_int_equal(find(r, "cleared", 0).count, 1);
    retained_destroy(r);
}

static void limits_count_what_is_kept(void **state)
{
    (void)state;
    const struct retained_limits two = {2, 1 << 20}, tight = {100, 10};
    struct retained *r;
    assert_ok(retained_create(&two, &r));
    put(r, "a", "1", 1);
    put(r, "b", "1", 2);
    const struct publication third = publication("c", "1", 3), again = publication("a", "2", 3),
                             clear = publication("c", "", 3);
    assert_true(retained_is_over(r, &third));
    assert_false(retained_is_over(r, &again));
    assert_false(retained_is_over(r, &clear));
    put(r, "a", "", 4);
    assert_false(retained_is_over(r, &third));
    retained_destroy(r);
    assert_ok(retained_create(&tight, &r));
    assert_true(retained_is_over(r, &third));
    retained_destroy(r);
}

static void topics_of_the_server_hide_from_wildcards(void **state)
{
    (void)state;
    struct retained *r;
    assert_ok(retained_create(&plenty, &r));
    put(r, "$SYS/broker/version", "1", 1);
    put(r, "a", "1", 2);
    assert_int_equal(find(r, "#", 0).count, 1);
    assert_int_equal(find(r, "+/broker/version", 0).count, 0);
    assert_int_equal(find(r, "$SYS/#", 0).count, 1);
    retained_destroy(r);
}

static void its_state_reads_back_and_damage_is_refused(void **state)
{
    (void)state;
    uint8_t memory[256];
    struct writer w = {memory, 0, sizeof memory};
    struct publication p = publication("a/b", "21.5", 77), back;
    p.properties = bytes_of("\x01\x01");
    p.expires_ns = 123456789;
    p.origin = 0x1122334455667788;
    assert_ok(retained_write(&p, &w));
    assert_int_equal(w.size, RETAINED_HEADER_BYTES + 2 + 4);
    struct bytes value = {memory, w.size};
    assert_ok(retained_read(p.topic, value, 77, &back));
    assert_true(bytes_equal(back.payload, p.payload));
    assert_true(bytes_equal(back.properties, p.properties));
    assert_int_equal(back.expires_ns, p.expires_ns);
    assert_int_equal(back.topic_hash, p.topic_hash);
    assert_int_equal(back.origin, p.origin);
    for (size_t size = 0; size < RETAINED_HEADER_BYTES + 3; size++) {
        value.size = size;
        assert_int_equal(retained_read(p.topic, value, 77, &back), E_CORRUPT);
    }
    memory[0] = 9;
    value.size = w.size;
    assert_int_equal(retained_read(p.topic, value, 77, &back), E_VERSION);
    assert_int_equal(retained_read(bytes_of("a/#"), value, 77, &back), E_VERSION);
}

static void state_of_version_1_has_no_publisher(void **state)
{
    static const uint8_t old[] = "\x01\x02\0\0\xff\xff\xff\xff\xff\xff\xff\x7f\x02\0\0\0\x01\x01"
                                 "21.5";
    const struct bytes value = {old, sizeof old - 1};
    struct publication back;
    (void)state;
    assert_ok(retained_read(bytes_of("a/b"), value, 77, &back));
    assert_true(back.origin == 0 && back.qos == 2 && back.expires_ns == MESSAGE_NEVER_NS);
    assert_true(bytes_equal(back.properties, bytes_of("\x01\x01")));
    assert_true(bytes_equal(back.payload, bytes_of("21.5")));
}

/* Two replicas that hear of the same changes in different orders. */
static void replicas_end_equal(void **state)
{
    (void)state;
    enum { CHANGES = 400, TOPICS = 20 };
    struct rng rng = {3};
    struct publication changes[CHANGES];
    char topics[TOPICS][8];
    struct retained *a, *b;
    assert_ok(retained_create(&plenty, &a));
    assert_ok(retained_create(&plenty, &b));
    for (unsigned i = 0; i < TOPICS; i++) {
        (void)snprintf(topics[i], sizeof topics[i], "t/%u", i);
    }
    for (unsigned i = 0; i < CHANGES; i++) {
        changes[i] = publication(topics[rng_below(&rng, TOPICS)],
                                 rng_below(&rng, 3) == 0 ? "" : topics[i % TOPICS], i + 1);
        apply(a, &changes[i], 0);
    }
    for (unsigned i = CHANGES; i > 0; i--) {
        unsigned k = rng_below(&rng, i);
        apply(b, &changes[k], 0);
        changes[k] = changes[i - 1];
    }
    assert_int_equal(retained_count(a), retained_count(b));
    assert_int_equal(retained_bytes(a), retained_bytes(b));
    for (unsigned i = 0; i < TOPICS; i++) {
        struct found x = find(a, topics[i], 0), y = find(b, topics[i], 0);
        assert_int_equal(x.count, y.count);
        assert_string_equal(x.last, y.last);
    }
    retained_destroy(a);
    retained_destroy(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_latest_stamp_stays_whatever_the_order),
        cmocka_unit_test(gravestones_and_the_expired_go_away),
        cmocka_unit_test(limits_count_what_is_kept),
        cmocka_unit_test(topics_of_the_server_hide_from_wildcards),
        cmocka_unit_test(its_state_reads_back_and_damage_is_refused),
        cmocka_unit_test(state_of_version_1_has_no_publisher),
        cmocka_unit_test(replicas_end_equal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
