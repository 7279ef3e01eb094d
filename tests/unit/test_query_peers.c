/* Peers that do not keep to the query protocol, or to its limits. */

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/frame.h"
#include "tests/lib/query_world.h"
#include "tests/lib/test.h"

static int dial(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)w.port),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* The error code of the one frame the server answers with before it closes; -1: none. */
static int last_words(int fd)
{
    uint8_t bytes[1024];
    struct bytes in = {bytes, 0}, body;
    frame_response *r;
    int code = -1;
    ssize_t n;
    while ((n = recv(fd, bytes + in.size, sizeof bytes - in.size, 0)) > 0) {
        in.size += (size_t)n;
    }
    (void)close(fd);
    if (frame_take(&in, sizeof bytes, &body) == OK && frame_response_read(body, &r) == OK) {
        code = r->error == NULL ? -1 : (int)r->error->code;
        frame_response_free(r);
    }
    return code;
}

static int outcome_of(struct bytes bytes)
{
    int fd = dial();
    assert_int_equal(send(fd, bytes.at, bytes.size, MSG_NOSIGNAL), bytes.size);
    return last_words(fd);
}

static void bytes_that_are_no_requests_are_refused_and_closed(void **state)
{
    (void)state;
    assert_int_equal(outcome_of(bytes_of("GET / HTTP/1.1\r\nHost: a\r\n\r\n")),
                     HEJNAL__V1__ERROR__CODE__MALFORMED); /* A frame of 542 MB. */
    assert_int_equal(outcome_of((struct bytes){(const uint8_t *)"\2\0\0\0\xff\xff", 6}),
                     HEJNAL__V1__ERROR__CODE__MALFORMED);
    /* A good request (stats), but without a hello before it. */
    assert_int_equal(outcome_of((struct bytes){(const uint8_t *)"\4\0\0\0\x08\x01\x42\0", 8}),
                     HEJNAL__V1__ERROR__CODE__MALFORMED);
    /* Hello of version 9. */
    assert_int_equal(
        outcome_of((struct bytes){(const uint8_t *)"\6\0\0\0\x08\x01\x12\2\x08\x09", 10}),
        HEJNAL__V1__ERROR__CODE__VERSION);
    write_rows("a", 1);
}

static void who_says_nothing_is_closed(void **state)
{
    (void)state;
    assert_int_equal(last_words(dial()), -1);
    assert_int_equal(outcome_of((struct bytes){(const uint8_t *)"\4\0\0", 3}), -1);
}

static void hello(int fd)
{
    uint8_t answer[256];
    const uint8_t bytes[] = {6, 0, 0, 0, 0x08, 1, 0x12, 2, 0x08, 1};
    assert_int_equal(send(fd, bytes, sizeof bytes, MSG_NOSIGNAL), sizeof bytes);
    assert_true(recv(fd, answer, sizeof answer, 0) > 0);
}

static void more_than_64_requests_in_flight_are_refused(void **state)
{
    enum { TAILS = 70 };
    int fd = dial();
    uint8_t bytes[8192];
    size_t size = 0;
    unsigned refusals = 0, answers = 0;
    (void)state;
    hello(fd);
    for (uint8_t id = 1; id <= TAILS; id++) {
        const uint8_t tail[] = {7, 0, 0, 0, 0x08, id, 0x3a, 3, 0x0a, 1, '#'};
        assert_int_equal(send(fd, tail, sizeof tail, MSG_NOSIGNAL), sizeof tail);
    }
    while (answers < TAILS) {
        ssize_t n = recv(fd, bytes + size, sizeof bytes - size, 0);
        assert_true(n > 0);
        size += (size_t)n;
        struct bytes in = {bytes, size}, body;
        frame_response *r;
        answers = refusals = 0;
        while (frame_take(&in, sizeof bytes, &body) == OK) {
            assert_ok(frame_response_read(body, &r));
            answers++;
            refusals += r->error != NULL && r->error->code == HEJNAL__V1__ERROR__CODE__LIMIT;
            frame_response_free(r);
        }
    }
    assert_int_equal(refusals, TAILS - 64);
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bytes_that_are_no_requests_are_refused_and_closed),
        TEST(who_says_nothing_is_closed),
        TEST(more_than_64_requests_in_flight_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
