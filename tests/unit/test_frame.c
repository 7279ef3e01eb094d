#include "proto/frame.h"

#include "tests/lib/test.h"

static uint8_t memory[4096];

static void a_frame_is_taken_only_whole_and_only_within_its_limit(void **state)
{
    const uint8_t bytes[] = {3, 0, 0, 0, 'a', 'b', 'c', 9};
    struct bytes in = {bytes, 6}, body;
    (void)state;
    assert_int_equal(frame_take(&in, 10, &body), E_MORE);
    assert_int_equal(in.size, 6);
    assert_int_equal(frame_take(&in, 2, &body), E_LIMIT);
    in.size = sizeof bytes;
    assert_ok(frame_take(&in, 3, &body));
    assert_memory_equal(body.at, "abc", 3);
    assert_int_equal(in.size, 1);
}

static void a_request_comes_back_as_it_was_sent(void **state)
{
    char filter[] = "krakow/#";
    Hejnal__V1__Query q = HEJNAL__V1__QUERY__INIT;
    frame_request r = HEJNAL__V1__REQUEST__INIT, *back;
    struct writer w = {memory, 0, sizeof memory};
    struct bytes in, body;
    (void)state;
    q.filter = filter;
    q.from_ns = -5;
    q.to_ns = INT64_MAX;
    r.id = 7;
    r.body_case = HEJNAL__V1__REQUEST__BODY_QUERY;
    r.query = &q;
    assert_ok(frame_request_write(&w, &r));
    assert_int_equal(w.size, frame_request_size(&r));
    in = (struct bytes){memory, w.size};
    assert_ok(frame_take(&in, FRAME_REQUEST_BYTES_MAX, &body));
    assert_ok(frame_request_read(body, &back));
    assert_int_equal(back->id, 7);
    assert_int_equal(back->body_case, HEJNAL__V1__REQUEST__BODY_QUERY);
    assert_string_equal(back->query->filter, filter);
    assert_true(back->query->from_ns == -5 && back->query->to_ns == INT64_MAX);
    frame_request_free(back);
}

static void blocks_put_one_by_one_are_one_answer(void **state)
{
    int64_t deltas[] = {5, 1};
    double values[] = {1.5, 2.5};
    Hejnal__V1__Column column = HEJNAL__V1__COLUMN__INIT, *columns = &column;
    Hejnal__V1__SeriesBlock block = HEJNAL__V1__SERIES_BLOCK__INIT, *list = &block;
    frame_response head = HEJNAL__V1__RESPONSE__INIT, part = head, *back;
    struct writer w = {memory, 0, sizeof memory};
    struct bytes body;
    size_t start;
    (void)state;
    column.n_value = 2;
    column.value = values;
    block.n_time_delta = 2;
    block.time_delta = deltas;
    block.n_columns = 1;
    block.columns = &columns;
    head.id = 9;
    part.n_block = 1;
    part.block = &list;
    assert_ok(frame_begin(&w, &start));
    assert_ok(frame_part(&w, &head));
    block.series = 1;
    assert_ok(frame_part(&w, &part));
    block.series = 2;
    assert_ok(frame_part(&w, &part));
    body = frame_end(&w, start);
    assert_int_equal(body.size + FRAME_LENGTH_BYTES, w.size);
    assert_ok(frame_response_read(body, &back));
    assert_int_equal(back->id, 9);
    assert_int_equal(back->n_block, 2);
    assert_int_equal(back->block[1]->series, 2);
    assert_int_equal(back->block[1]->columns[0]->n_value, 2);
    frame_response_free(back);
    w.limit = w.size;
    assert_int_equal(frame_part(&w, &part), E_LIMIT);
}

static void a_message_that_would_swell_in_memory_is_refused(void **state)
{
    static uint8_t bytes[1 << 20]; /* Request.write with 500,000 empty WriteRows. */
    frame_request *r;
    struct writer w = {bytes, 0, sizeof bytes};
    (void)state;
    assert_ok(writer_put_u8(&w, 3 << 3 | 2));
    assert_ok(writer_put_varint(&w, 1000000));
    for (size_t i = 0; i < 500000; i++) {
        assert_ok(writer_put_u8(&w, 1 << 3 | 2));
        assert_ok(writer_put_u8(&w, 0));
    }
    assert_int_equal(frame_request_read((struct bytes){bytes, w.size}, &r), E_NO_MEMORY);
}

static void bytes_that_are_no_message_are_refused(void **state)
{
    frame_request *r;
    (void)state;
    assert_int_equal(frame_request_read(bytes_of("\xff\xff\xff"), &r), E_MALFORMED);
    assert_int_equal(frame_request_read(bytes_of("GET / HTTP/1.1\r\n\r\n"), &r), E_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_is_taken_only_whole_and_only_within_its_limit),
        cmocka_unit_test(a_request_comes_back_as_it_was_sent),
        cmocka_unit_test(blocks_put_one_by_one_are_one_answer),
        cmocka_unit_test(a_message_that_would_swell_in_memory_is_refused),
        cmocka_unit_test(bytes_that_are_no_message_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
