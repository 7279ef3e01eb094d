/* libhejnal against peers that do not keep to the protocol: nothing incomplete passes for whole. */

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/thread.h"
#include "clients/hejnal.h"
#include "proto/frame.h"
#include "tests/lib/test.h"

enum { TIMEOUT_MS = 5000, SHORT_MS = 100 };

/* A peer of one connection: greets, reads the request, then acts its part. */
struct peer {
    int listener, fd;
    unsigned port;
    struct thread thread;
    void (*act)(struct peer *p, uint32_t id);
    uint64_t frames, checksum;
    uint8_t memory[65536];
};

static struct peer peer;

static frame_request *read_request(struct peer *p)
{
    frame_request *r;
    size_t size = 0;
    struct bytes body;
    for (;;) {
        struct bytes in = {p->memory, size};
        if (frame_take(&in, sizeof p->memory, &body) == OK) {
            break;
        }
        ssize_t n = recv(p->fd, p->memory + size, sizeof p->memory - size, 0);
        if (n <= 0) {
            return NULL;
        }
        size += (size_t)n;
    }
    CHECK(frame_request_read(body, &r) == OK);
    return r;
}

static void send_raw(struct peer *p, struct bytes bytes)
{
    (void)!send(p->fd, bytes.at, bytes.size, MSG_NOSIGNAL);
}

static void send_response(struct peer *p, const frame_response *r)
{
    struct writer w = {p->memory, 0, sizeof p->memory};
    CHECK(frame_response_write(&w, r) == OK);
    struct bytes body = {w.at + FRAME_LENGTH_BYTES, w.size - FRAME_LENGTH_BYTES};
    if (r->end == NULL && r->error == NULL) {
        p->frames++;
        p->checksum = frame_checksum(p->checksum, body);
    }
    send_raw(p, (struct bytes){w.at, w.size});
}

static void send_end(struct peer *p, uint32_t id, uint64_t frames, uint64_t checksum)
{
    Hejnal__V1__End end = HEJNAL__V1__END__INIT;
    frame_response r = HEJNAL__V1__RESPONSE__INIT;
    end.frames = frames;
    end.checksum = checksum;
    r.id = id;
    r.end = &end;
    send_response(p, &r);
}

static void send_block(struct peer *p, uint32_t id, size_t times, size_t values)
{
    static char path[] = "a/b";
    int64_t deltas[4] = {10, 1, 1, 1};
    double doubles[4] = {1, 2, 3, 4};
    Hejnal__V1__Column column = HEJNAL__V1__COLUMN__INIT, *columns = &column;
    Hejnal__V1__SeriesBlock block = HEJNAL__V1__SERIES_BLOCK__INIT, *list = &block;
    frame_response r = HEJNAL__V1__RESPONSE__INIT;
    column.n_value = values;
    column.value = doubles;
    block.path = path;
    block.n_time_delta = times;
    block.time_delta = deltas;
    block.n_columns = 1;
    block.columns = &columns;
    r.id = id;
    r.n_block = 1;
    r.block = &list;
    send_response(p, &r);
}

static void run_peer(void *raw)
{
    struct peer *p = raw;
    p->fd = accept(p->listener, NULL, NULL);
    frame_request *hello = read_request(p);
    if (hello != NULL) {
        send_end(p, hello->id, 0, 0);
        frame_request_free(hello);
        frame_request *r = read_request(p);
        if (r != NULL) {
            p->act(p, r->id);
            frame_request_free(r);
        }
    }
    (void)close(p->fd);
}

static struct hejnal *connect_to(void (*act)(struct peer *p, uint32_t id))
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    struct hejnal *h;
    peer = (struct peer){.act = act};
    peer.listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(peer.listener >= 0);
    assert_int_equal(bind(peer.listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(peer.listener, 1), 0);
    assert_int_equal(getsockname(peer.listener, (struct sockaddr *)&address, &size), 0);
    peer.port = ntohs(address.sin_port);
    assert_ok(thread_start(&peer.thread, "peer", run_peer, &peer));
    assert_int_equal(hejnal_connect("127.0.0.1", peer.port, TIMEOUT_MS, &h), HEJNAL_OK);
    return h;
}

static void leave(struct hejnal *h)
{
    hejnal_close(h);
    thread_join(&peer.thread);
    (void)close(peer.listener);
}

static struct hejnal_answer *ask(struct hejnal *h)
{
    const struct hejnal_query query = {.filter = "#", .from_ns = 0, .to_ns = 100};
    struct hejnal_answer *a;
    assert_int_equal(hejnal_query(h, &query, &a), HEJNAL_OK);
    return a;
}

/* What reading the whole answer ends with. */
static enum hejnal_result drain(struct hejnal_answer *a, size_t *rows)
{
    struct hejnal_block block;
    enum hejnal_result result;
    *rows = 0;
    while ((result = hejnal_next_block(a, &block)) == HEJNAL_OK) {
        assert_string_equal(block.path, "a/b");
        assert_true(block.times[0] == 10 && block.column[0][0] == 1);
        *rows += block.rows;
    }
    return result;
}

static enum hejnal_result outcome(void (*act)(struct peer *p, uint32_t id), size_t *rows)
{
    struct hejnal *h = connect_to(act);
    struct hejnal_answer *a = ask(h);
    enum hejnal_result result = drain(a, rows);
    if (result != HEJNAL_END) {
        assert_true(hejnal_error(h)[0] != 0);
    }
    assert_int_equal(hejnal_next_block(a, &(struct hejnal_block){0}), result); /* And stays so. */
    hejnal_answer_close(a);
    leave(h);
    return result;
}

static void act_well(struct peer *p, uint32_t id)
{
    send_block(p, id, 3, 3);
    send_block(p, id, 4, 4);
    send_end(p, id, p->frames, p->checksum);
}

static void act_a_frame_short(struct peer *p, uint32_t id)
{
    send_block(p, id, 3, 3);
    send_end(p, id, 2, p->checksum);
}

static void act_a_bit_wrong(struct peer *p, uint32_t id)
{
    send_block(p, id, 3, 3);
    send_end(p, id, 1, p->checksum ^ 1);
}

static void act_hanging_up(struct peer *p, uint32_t id)
{
    send_block(p, id, 3, 3);
}

static void act_in_half_frames(struct peer *p, uint32_t id)
{
    send_block(p, id, 3, 3);
    send_raw(p, (struct bytes){(const uint8_t *)"\x40\0\0\0half", 8});
}

static void act_in_tongues(struct peer *p, uint32_t id)
{
    (void)id;
    send_raw(p, (struct bytes){(const uint8_t *)"\3\0\0\0\xff\xff\xff", 7});
}

static void act_too_large(struct peer *p, uint32_t id)
{
    (void)id;
    send_raw(p, bytes_of("HTTP/1.1 400 Bad Request\r\n"));
}

static void act_unevenly(struct peer *p, uint32_t id)
{
    send_block(p, id, 3, 2);
    send_end(p, id, p->frames, p->checksum);
}

static void act_silent(struct peer *p, uint32_t id)
{
    (void)id;
    (void)read_request(p); /* Until the client leaves. */
}

static void a_whole_answer_is_read_to_its_end(void **state)
{
    size_t rows;
    (void)state;
    assert_int_equal(outcome(act_well, &rows), HEJNAL_END);
    assert_int_equal(rows, 7);
}

static void a_missing_frame_or_a_changed_bit_is_no_success(void **state)
{
    size_t rows;
    (void)state;
    assert_int_equal(outcome(act_a_frame_short, &rows), HEJNAL_TRUNCATED);
    assert_int_equal(outcome(act_a_bit_wrong, &rows), HEJNAL_TRUNCATED);
}

static void a_connection_cut_in_an_answer_is_lost(void **state)
{
    size_t rows;
    (void)state;
    assert_int_equal(outcome(act_hanging_up, &rows), HEJNAL_LOST);
    assert_int_equal(rows, 3);
    assert_int_equal(outcome(act_in_half_frames, &rows), HEJNAL_LOST);
}

static void garbage_is_told_as_such(void **state)
{
    size_t rows;
    (void)state;
    assert_int_equal(outcome(act_in_tongues, &rows), HEJNAL_BROKEN);
    assert_int_equal(outcome(act_too_large, &rows), HEJNAL_BROKEN);
}

static void columns_that_do_not_match_are_not_given_out(void **state)
{
    struct hejnal *h = connect_to(act_unevenly);
    struct hejnal_answer *a = ask(h);
    struct hejnal_block block;
    (void)state;
    assert_int_equal(hejnal_next_block(a, &block), HEJNAL_BROKEN);
    leave(h);
}

static void a_silent_peer_is_a_timeout_and_the_answer_stays_open(void **state)
{
    struct hejnal *h = connect_to(act_silent);
    struct hejnal_answer *a = ask(h);
    struct hejnal_block block;
    (void)state;
    hejnal_set_timeout(h, SHORT_MS);
    assert_int_equal(hejnal_next_block(a, &block), HEJNAL_TIMEOUT);
    assert_int_equal(hejnal_next_block(a, &block), HEJNAL_TIMEOUT);
    leave(h);
}

static void writes_under_way_fail_when_the_connection_does(void **state)
{
    struct hejnal *h = connect_to(act_hanging_up);
    struct hejnal_batch *b;
    const double value = 1;
    (void)state;
    assert_int_equal(hejnal_batch_create(&b), HEJNAL_OK);
    assert_int_equal(hejnal_batch_row(b, 1, &value, 1), HEJNAL_MISUSE);
    assert_int_equal(hejnal_batch_section(b, "a/b", NULL, 0), HEJNAL_OK);
    assert_int_equal(hejnal_batch_row(b, 1, &value, 1), HEJNAL_OK);
    assert_int_equal(hejnal_write_post(h, b), HEJNAL_OK);
    assert_int_equal(hejnal_write_wait(h, 0), HEJNAL_LOST);
    assert_int_equal(hejnal_write(h, b), HEJNAL_LOST);
    assert_int_equal(hejnal_write_acked(h), 0);
    hejnal_batch_destroy(b);
    leave(h);
}

static void nobody_listening_is_said_in_a_sentence(void **state)
{
    struct hejnal *h;
    (void)state;
    assert_int_equal(hejnal_connect("127.0.0.1", 1, TIMEOUT_MS, &h), HEJNAL_LOST);
    assert_non_null(strstr(hejnal_error(h), "127.0.0.1 port 1"));
    assert_int_equal(hejnal_checkpoint(h), HEJNAL_LOST);
    hejnal_close(h);
    assert_int_equal(hejnal_connect("127.0.0.1", 0, TIMEOUT_MS, &h), HEJNAL_MISUSE);
    hejnal_close(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_answer_is_read_to_its_end),
        cmocka_unit_test(a_missing_frame_or_a_changed_bit_is_no_success),
        cmocka_unit_test(a_connection_cut_in_an_answer_is_lost),
        cmocka_unit_test(garbage_is_told_as_such),
        cmocka_unit_test(columns_that_do_not_match_are_not_given_out),
        cmocka_unit_test(a_silent_peer_is_a_timeout_and_the_answer_stays_open),
        cmocka_unit_test(writes_under_way_fail_when_the_connection_does),
        cmocka_unit_test(nobody_listening_is_said_in_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
