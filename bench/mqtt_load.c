/* A load of MQTT 3.1.1 publishers for measuring any broker: raw sockets, packets made in place, one
 * thread, so that it costs far less than what it measures.
 *
 * mqtt_load --port P --connections C --qos 0|1 --messages N [--window W] [--payload json|scalar]
 *           [--rate R] [--host A]
 * Each connection publishes on a topic of its own: 64-byte payloads {"ts":...,"value":...} with
 * times that only rise, or plain numbers. Ends when the broker has acknowledged all: QoS 0 by the
 * PUBACK of a last message sent at QoS 1, which hejnald gives when all before it are on disk, too.
 * Prints one line of figures. */

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>

#include "base/check.h"
#include "base/clock.h"

enum { OUT_BYTES = 65536, IN_BYTES = 65536, PAYLOAD_BYTES = 64, PACKET_BYTES_MAX = 160 };

struct settings {
    const char *host;
    unsigned port, connections, qos, window;
    uint64_t messages;
    uint64_t rate; /* Messages a second in all; 0: as fast as it goes. */
    bool scalar;
};

struct publisher {
    int fd;
    unsigned index;
    uint64_t sent, acked, goal;
    size_t out_at, out_size;
    size_t in_size;
    uint8_t out[OUT_BYTES];
    uint8_t in[8];
    int64_t *sent_ns; /* QoS 1: when each packet of the window left. */
};

static struct settings settings = {.host = "127.0.0.1",
                                   .port = 1883,
                                   .connections = 100,
                                   .qos = 1,
                                   .window = 256,
                                   .messages = 1000000};
static int64_t start_ns;
static int64_t base_ms;
static uint64_t done_count;
static uint32_t *latency_us;
static size_t latency_count;

static void fail(const char *what)
{
    fprintf(stderr, "mqtt_load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void send_all(int fd, const uint8_t *at, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, at, size);
        if (n < 0) {
            fail("write");
        }
        at += n;
        size -= (size_t)n;
    }
}

static void publisher_connect(struct publisher *p)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)settings.port)};
    uint8_t packet[64] = {0x10, 0, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0};
    uint8_t answer[4];
    int one = 1;

    CHECK(inet_pton(AF_INET, settings.host, &to.sin_addr) == 1);
    p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (p->fd < 0 || connect(p->fd, (struct sockaddr *)&to, sizeof to) != 0) {
        fail("connect");
    }
    (void)setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    int name = snprintf((char *)packet + 14, 40, "load-%u-%d", p->index, (int)getpid());
    packet[13] = (uint8_t)name;
    packet[1] = (uint8_t)(12 + name);
    send_all(p->fd, packet, (size_t)(14 + name));
    if (recv(p->fd, answer, 4, MSG_WAITALL) != 4 || answer[0] != 0x20 || answer[3] != 0) {
        fail("CONNACK");
    }
    CHECK(fcntl(p->fd, F_SETFL, O_NONBLOCK) == 0);
    p->goal = settings.messages / settings.connections;
    p->sent_ns = calloc(settings.window, sizeof *p->sent_ns);
    CHECK(p->sent_ns != NULL);
}

/* Write one PUBLISH at `to`; returns its size. */
static size_t publish_make(const struct publisher *p, uint8_t *to)
{
    char topic[32], payload[PAYLOAD_BYTES + 1];
    int topic_size = snprintf(topic, sizeof topic, "load/device/%04u", p->index);
    int size = settings.scalar
                   ? snprintf(payload, sizeof payload, "%u.%02u", (unsigned)(p->sent % 1000),
                              (unsigned)(p->sent * 7 % 100))
                   : snprintf(payload, sizeof payload,
                              "{\"ts\":%lld,\"value\":%u.%02u,\"unit\":\"ug/m3\",\"ok\":\"%.*s\"}",
                              (long long)(base_ms + (int64_t)p->sent), (unsigned)(p->sent % 1000),
                              (unsigned)(p->sent * 7 % 100),
                              2 + (p->sent % 1000 < 100) + (p->sent % 1000 < 10), "yesyes");
    bool acked = settings.qos > 0 || p->sent + 1 == p->goal;
    size_t body = 2 + (size_t)topic_size + (acked ? 2 : 0) + (size_t)size, at = 0;
    CHECK(body < 128);
    to[at++] = acked ? 0x32 : 0x30;
    to[at++] = (uint8_t)body;
    to[at++] = 0;
    to[at++] = (uint8_t)topic_size;
    memcpy(to + at, topic, (size_t)topic_size);
    at += (size_t)topic_size;
    if (acked) {
        uint16_t id = (uint16_t)(p->sent % 65535 + 1);
        to[at++] = (uint8_t)(id >> 8);
        to[at++] = (uint8_t)id;
    }
    memcpy(to + at, payload, (size_t)size);
    return at + (size_t)size;
}

static uint64_t allowed_by_rate(const struct publisher *p, int64_t now_ns)
{
    if (settings.rate == 0) {
        return p->goal;
    }
    /* One after another, as devices without a common clock. */
    double share = ((double)(now_ns - start_ns) / 1e9 * (double)settings.rate + p->index) /
                   settings.connections;
    return share > (double)p->goal ? p->goal : (uint64_t)share;
}

static void publisher_fill(struct publisher *p, int64_t now_ns)
{
    uint64_t allowed = allowed_by_rate(p, now_ns);
    if (p->out_at == p->out_size) {
        p->out_at = p->out_size = 0;
    }
    while (p->sent < allowed && p->out_size + PACKET_BYTES_MAX <= OUT_BYTES &&
           (settings.qos == 0 || p->sent - p->acked < settings.window)) {
        p->out_size += publish_make(p, p->out + p->out_size);
        p->sent_ns[p->sent % settings.window] = now_ns;
        p->sent++;
    }
}

/* Returns whether there is more to write than the socket took. */
static bool publisher_write(struct publisher *p, int64_t now_ns)
{
    for (;;) {
        publisher_fill(p, now_ns);
        if (p->out_at == p->out_size) {
            return false;
        }
        ssize_t n = write(p->fd, p->out + p->out_at, p->out_size - p->out_at);
        if (n < 0 && errno == EAGAIN) {
            return true;
        }
        if (n < 0) {
            fail("write");
        }
        p->out_at += (size_t)n;
    }
}

static void publisher_acked(struct publisher *p, int64_t now_ns)
{
    if (settings.qos > 0) {
        int64_t took_ns = now_ns - p->sent_ns[p->acked % settings.window];
        latency_us[latency_count++ % settings.messages] = (uint32_t)(took_ns / 1000);
    }
    p->acked = settings.qos > 0 ? p->acked + 1 : p->goal;
    done_count += p->acked == p->goal;
}

static void publisher_read(struct publisher *p)
{
    static uint8_t buffer[IN_BYTES];
    memcpy(buffer, p->in, p->in_size);
    ssize_t n = read(p->fd, buffer + p->in_size, sizeof buffer - p->in_size);
    if (n < 0 && errno == EAGAIN) {
        return;
    }
    if (n <= 0) {
        fail("the broker closed a connection");
    }
    size_t size = p->in_size + (size_t)n, at = 0;
    int64_t now_ns = clock_now_ns();
    for (; size - at >= 2 && size - at >= 2u + buffer[at + 1]; at += 2u + buffer[at + 1]) {
        if (buffer[at] >> 4 == 4) {
            publisher_acked(p, now_ns);
        }
    }
    p->in_size = size - at;
    CHECK(p->in_size <= sizeof p->in);
    memcpy(p->in, buffer + at, p->in_size);
}

static void settings_read(int argc, char **argv)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *name = argv[i], *text = argv[i + 1];
        uint64_t number = strtoull(text, NULL, 10);
        if (strcmp(name, "--host") == 0) {
            settings.host = text;
        } else if (strcmp(name, "--port") == 0) {
            settings.port = (unsigned)number;
        } else if (strcmp(name, "--connections") == 0) {
            settings.connections = (unsigned)number;
        } else if (strcmp(name, "--qos") == 0) {
            settings.qos = (unsigned)number;
        } else if (strcmp(name, "--window") == 0) {
            settings.window = (unsigned)number;
        } else if (strcmp(name, "--messages") == 0) {
            settings.messages = number;
        } else if (strcmp(name, "--rate") == 0) {
            settings.rate = number;
        } else if (strcmp(name, "--payload") == 0) {
            settings.scalar = strcmp(text, "scalar") == 0;
        } else {
            fprintf(stderr, "mqtt_load: unknown option %s\n", name);
            exit(2);
        }
    }
    settings.messages = settings.messages / settings.connections * settings.connections;
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void report(double seconds)
{
    printf("messages=%llu seconds=%.3f rate=%.0f", (unsigned long long)settings.messages, seconds,
           (double)settings.messages / seconds);
    if (latency_count > 0) {
        size_t count = latency_count < settings.messages ? latency_count : settings.messages;
        qsort(latency_us, count, sizeof *latency_us, by_size);
        printf(" ack_us_p50=%u ack_us_p99=%u ack_us_max=%u", latency_us[count / 2],
               latency_us[count * 99 / 100], latency_us[count - 1]);
    }
    printf("\n");
}

static void run(struct publisher *all, int poll_fd)
{
    struct epoll_event events[256];
    while (done_count < settings.connections) {
        int count = epoll_wait(poll_fd, events, 256, settings.rate > 0 ? 1 : 1000);
        int64_t now_ns = clock_now_ns();
        for (int i = 0; i < count; i++) {
            struct publisher *p = events[i].data.ptr;
            if ((events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
                publisher_read(p);
            }
            struct epoll_event again = {.events = EPOLLIN, .data.ptr = p};
            again.events |= publisher_write(p, now_ns) ? EPOLLOUT : 0u;
            CHECK(epoll_ctl(poll_fd, EPOLL_CTL_MOD, p->fd, &again) == 0);
        }
        for (unsigned i = 0; settings.rate > 0 && i < settings.connections; i++) {
            (void)publisher_write(&all[i], now_ns);
        }
    }
}

int main(int argc, char **argv)
{
    settings_read(argc, argv);
    struct publisher *all = calloc(settings.connections, sizeof *all);
    latency_us = calloc(settings.messages, sizeof *latency_us);
    int poll_fd = epoll_create1(EPOLL_CLOEXEC);
    CHECK(all != NULL && latency_us != NULL && poll_fd >= 0);
    base_ms = clock_wall_ns() / NS_PER_MS - (int64_t)settings.messages;
    for (unsigned i = 0; i < settings.connections; i++) {
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = &all[i]};
        all[i].index = i;
        publisher_connect(&all[i]);
        CHECK(epoll_ctl(poll_fd, EPOLL_CTL_ADD, all[i].fd, &event) == 0);
    }
    start_ns = clock_now_ns();
    run(all, poll_fd);
    report((double)(clock_now_ns() - start_ns) / 1e9);
    return 0;
}
