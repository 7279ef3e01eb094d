#include "broker/threads/listener.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/lib/test.h"

struct world {
    struct loop *loop;
    struct listener listener;
    struct loop_timer timer;
    int accepted;
    int fds[8];
};

static void on_accept(void *context, int fd, const struct sockaddr_storage *peer)
{
    struct world *w = context;
    assert_int_equal(peer->ss_family, AF_INET);
    w->fds[w->accepted++] = fd;
    if (w->accepted == 2) {
        loop_stop(w->loop);
    }
}

static int dial(unsigned port)
{
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static void connections_are_accepted_on_a_port_that_was_free(void **state)
{
    struct world w = {0};
    unsigned port = 0;
    int fd, again;
    (void)state;
    assert_ok(loop_create(1, &w.loop));
    assert_ok(listener_open("127.0.0.1", 0, &fd, &port));
    assert_true(port > 0);
    listener_start(&w.listener, w.loop, fd, on_accept, &w);
    int first = dial(port), second = dial(port);
    loop_run(w.loop);
    assert_int_equal(w.accepted, 2);
    assert_ok(listener_open_again("127.0.0.1", port, &again));
    (void)close(again);
    assert_int_equal(listener_open("127.0.0.1", port, &again, &port), E_BUSY);
    listener_stop(&w.listener);
    listener_stop(&w.listener);
    loop_destroy(w.loop);
    (void)close(first);
    (void)close(second);
    (void)close(w.fds[0]);
    (void)close(w.fds[1]);
}

static struct rlimit files;

static void give_files_back(struct loop_timer *timer)
{
    (void)timer;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
}

static void running_out_of_descriptors_waits_and_recovers(void **state)
{
    struct world w = {0};
    struct rlimit none;
    unsigned port;
    int fd;
    (void)state;
    assert_ok(loop_create(2, &w.loop));
    assert_ok(listener_open("127.0.0.1", 0, &fd, &port));
    listener_start(&w.listener, w.loop, fd, on_accept, &w);
    int first = dial(port), second = dial(port);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    none = files;
    none.rlim_cur = 3;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    w.timer.on_time = give_files_back;
    loop_timer_start(w.loop, &w.timer, 50, 0);
    loop_run(w.loop);
    assert_int_equal(w.accepted, 2);
    listener_stop(&w.listener);
    loop_destroy(w.loop);
    (void)close(first);
    (void)close(second);
    (void)close(w.fds[0]);
    (void)close(w.fds[1]);
}

static void wrong_addresses_are_told_apart(void **state)
{
    unsigned port;
    int fd;
    (void)state;
    assert_int_equal(listener_open("", 0, &fd, &port), E_MALFORMED);
    assert_int_equal(listener_open("300.1.1.1.1", 0, &fd, &port), E_MALFORMED);
    assert_int_equal(listener_open("192.0.2.1", 0, &fd, &port), E_NOT_FOUND);
}

static void addresses_are_named_as_people_write_them(void **state)
{
    struct sockaddr_storage address = {0};
    const struct sockaddr_in six_less = {.sin_family = AF_INET, .sin_port = htons(1883)};
    const struct sockaddr_in6 six = {
        .sin6_family = AF_INET6, .sin6_port = htons(4380), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    char text[64];
    (void)state;
    memcpy(&address, &six_less, sizeof six_less);
    listener_name(&address, text, sizeof text);
    assert_string_equal(text, "0.0.0.0:1883");
    memcpy(&address, &six, sizeof six);
    listener_name(&address, text, sizeof text);
    assert_string_equal(text, "[::1]:4380");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connections_are_accepted_on_a_port_that_was_free),
        cmocka_unit_test(running_out_of_descriptors_waits_and_recovers),
        cmocka_unit_test(wrong_addresses_are_told_apart),
        cmocka_unit_test(addresses_are_named_as_people_write_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
