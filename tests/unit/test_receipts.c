#include "storage/journal/receipts.h"

#include "tests/lib/test.h"

static struct receipt receipt_of(uint64_t client, uint16_t packet, int64_t time_ns)
{
    return (struct receipt){.client_hash = client, .packet_id = packet, .time_ns = time_ns};
}

static void sum_times(void *context, const struct receipt *receipt)
{
    *(int64_t *)context += receipt->time_ns;
}

static void the_latest_of_a_client_and_packet_is_found(void **state)
{
    (void)state;
    struct receipts *r = NULL;
    assert_ok(receipts_create(&r));
    struct receipt a = receipt_of(7, 1, 100), b = receipt_of(7, 2, 200), c = receipt_of(7, 1, 300);
    receipts_add(r, &a);
    receipts_add(r, &b);
    assert_int_equal(receipts_find(r, 7, 1)->time_ns, 100);
    receipts_add(r, &c);
    assert_int_equal(receipts_find(r, 7, 1)->time_ns, 300);
    assert_int_equal(receipts_find(r, 7, 2)->time_ns, 200);
    assert_null(receipts_find(r, 8, 1));
    assert_null(receipts_find(r, 7, 3));
    int64_t sum = 0;
    receipts_each(r, sum_times, &sum);
    assert_int_equal(sum, 500);
    assert_int_equal(receipts_count(r), 2);
    receipts_destroy(r);
}

static void the_oldest_goes_when_the_ring_is_full(void **state)
{
    (void)state;
    struct receipts *r = NULL;
    assert_ok(receipts_create(&r));
    for (uint32_t i = 0; i < 3 * RECEIPTS_MAX; i++) {
        struct receipt one = receipt_of(i / 1000, (uint16_t)(i % 1000 + 1), (int64_t)i);
        receipts_add(r, &one);
    }
    assert_int_equal(receipts_count(r), RECEIPTS_MAX);
    uint32_t gone = 2 * RECEIPTS_MAX - 1, kept = 2 * RECEIPTS_MAX;
    assert_null(receipts_find(r, gone / 1000, (uint16_t)(gone % 1000 + 1)));
    assert_int_equal(receipts_find(r, kept / 1000, (uint16_t)(kept % 1000 + 1))->time_ns, kept);
    receipts_destroy(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_latest_of_a_client_and_packet_is_found),
        cmocka_unit_test(the_oldest_goes_when_the_ring_is_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
