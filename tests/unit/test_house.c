#include "broker/house.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/thread.h"
#include "tests/lib/directory.h"
#include "tests/lib/test.h"

/* The whole daemon in one process, driven over sockets by the plainest of clients. */

enum { CLIENTS = 4, MESSAGES = 200 };

struct world {
    struct directory directory;
    struct config config;
    struct house *house;
    unsigned mqtt_port;
    char complaint[CONFIG_COMPLAINT_BYTES_MAX];
};

static struct world w;

static void set(const char *name, const char *value)
{
    unsigned index;
    assert_ok(config_find(name, &index));
    assert_ok(config_set(&w.config, index, value));
}

static void open_house(void)
{
    char text[CONFIG_COMPLAINT_BYTES_MAX];
    const enum err e = house_create(&w.config, &w.house, w.complaint);
    if (e != OK) {
        fail_msg("%s", w.complaint);
    }
    assert_ok(house_start(w.house));
    house_describe(w.house, text, sizeof text);
    assert_int_equal(sscanf(text, "mqtt=127.0.0.1:%u query=127.0.0.1:", &w.mqtt_port), 1);
}

static int set_up(void **state)
{
    (void)state;
    memset(&w, 0, sizeof w);
    directory_make(&w.directory);
    config_init(&w.config);
    set("data", w.directory.path);
    set("mqtt_port", "0");
    set("query_port", "0");
    set("loops", "3");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    house_destroy(w.house);
    directory_remove(&w.directory);
    return 0;
}

static int dial(void)
{
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)w.mqtt_port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct timeval limit = {.tv_sec = 30};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static void send_all(int fd, const void *bytes, size_t size)
{
    assert_int_equal(send(fd, bytes, size, MSG_NOSIGNAL), size);
}

static void receive(int fd, void *bytes, size_t size)
{
    assert_int_equal(recv(fd, bytes, size, MSG_WAITALL), size);
}

/* MQTT 3.1.1: CONNECT as "c<number>", then `MESSAGES` publishes with QoS 1, then their PUBACKs. */
static void publish(void *raw)
{
    const int number = *(const int *)raw;
    uint8_t connect[] = {0x10, 14, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0, 2, 'c', 0};
    uint8_t message[] = {0x32, 9, 0, 3, 'a', '/', 0, 0, 0, '4', '2'};
    uint8_t answer[4];
    const int fd = dial();
    connect[15] = (uint8_t)('0' + number);
    message[6] = (uint8_t)('0' + number);
    send_all(fd, connect, sizeof connect);
    receive(fd, answer, sizeof answer);
    assert_int_equal(answer[0], 0x20);
    assert_int_equal(answer[3], 0);
    for (int i = 1; i <= MESSAGES; i++) {
        message[8] = (uint8_t)i;
        send_all(fd, message, sizeof message);
    }
    for (int i = 1; i <= MESSAGES; i++) {
        receive(fd, answer, sizeof answer);
        assert_int_equal(answer[0], 0x40);
        assert_int_equal(answer[3], i); /* In order, each durable. */
    }
    (void)close(fd);
}

static void a_house_opens_serves_and_closes(void **state)
{
    struct thread threads[CLIENTS];
    int numbers[CLIENTS];
    (void)state;
    open_house();
    for (int i = 0; i < CLIENTS; i++) {
        numbers[i] = i;
        assert_ok(thread_start(&threads[i], "client", publish, &numbers[i]));
    }
    for (int i = 0; i < CLIENTS; i++) {
        thread_join(&threads[i]);
    }
    house_destroy(w.house);
    w.house = NULL;
    open_house(); /* The same store again. */
    const int left_open = dial();
    house_destroy(w.house);
    w.house = NULL;
    (void)close(left_open);
}

static void a_second_house_on_the_same_store_is_refused_with_reasons(void **state)
{
    struct house *second;
    char text[32];
    (void)state;
    open_house();
    assert_int_equal(house_create(&w.config, &second, w.complaint), E_BUSY);
    assert_non_null(strstr(w.complaint, "another hejnald"));
    (void)snprintf(text, sizeof text, "%u", w.mqtt_port);
    set("mqtt_port", text);
    struct directory other;
    directory_make(&other);
    set("data", other.path);
    assert_int_equal(house_create(&w.config, &second, w.complaint), E_BUSY);
    assert_non_null(strstr(w.complaint, "another program listens"));
    directory_remove(&other);
    set("data", "/proc/nowhere");
    assert_true(house_create(&w.config, &second, w.complaint) != OK);
    assert_non_null(strstr(w.complaint, "/proc/nowhere: "));
    set("data", w.directory.path);
}

int main(void)
{
#define HOUSE_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        HOUSE_TEST(a_house_opens_serves_and_closes),
        HOUSE_TEST(a_second_house_on_the_same_store_is_refused_with_reasons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
