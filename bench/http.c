#include "bench/http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LINE_BYTES = 1024, HEAD_BYTES = 4096 };

__attribute__((noreturn)) static void give_up(const char *why, const char *detail)
{
    (void)fprintf(stderr, "http: %s%s\n", why, detail);
    exit(1);
}

void http_connect(struct http *h, unsigned port)
{
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int on = 1;
    h->size = h->at = 0;
    h->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (h->fd < 0 || connect(h->fd, (const struct sockaddr *)&to, sizeof to) != 0) {
        give_up("no connection", "");
    }
    (void)setsockopt(h->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static void send_all(struct http *h, const char *at, size_t size, int flags)
{
    while (size > 0) {
        ssize_t n = send(h->fd, at, size, MSG_NOSIGNAL | flags);
        if (n <= 0) {
            give_up("the peer hung up while we sent", "");
        }
        at += n;
        size -= (size_t)n;
    }
}

/* More bytes into the buffer, behind those not looked at. */
static void receive(struct http *h)
{
    if (h->at == h->size) {
        h->at = h->size = 0;
    } else if (h->at > 0) {
        memmove(h->buffer, h->buffer + h->at, h->size - h->at);
        h->size -= h->at;
        h->at = 0;
    }
    ssize_t n = recv(h->fd, h->buffer + h->size, sizeof h->buffer - h->size, 0);
    if (n <= 0) {
        give_up("the peer hung up in the middle of an answer", "");
    }
    h->size += (size_t)n;
}

/* A line without its end. */
static void take_line(struct http *h, char line[LINE_BYTES])
{
    for (;;) {
        char *start = h->buffer + h->at;
        char *end = memchr(start, '\n', h->size - h->at);
        if (end != NULL) {
            size_t size = (size_t)(end - start);
            size_t kept = size < LINE_BYTES ? size : LINE_BYTES - 1;
            memcpy(line, start, kept);
            line[kept] = 0;
            line[strcspn(line, "\r")] = 0;
            h->at += size + 1;
            return;
        }
        receive(h);
    }
}

static void skip(struct http *h, size_t bytes)
{
    while (bytes > 0) {
        if (h->at == h->size) {
            receive(h);
        }
        size_t here = h->size - h->at < bytes ? h->size - h->at : bytes;
        h->at += here;
        bytes -= here;
    }
}

static size_t skip_chunks(struct http *h)
{
    char line[LINE_BYTES];
    for (size_t total = 0;;) {
        take_line(h, line);
        size_t bytes = strtoul(line, NULL, 16);
        skip(h, bytes);
        take_line(h, line); /* What ends a chunk, and the last one too: no trailers come. */
        if (bytes == 0) {
            return total;
        }
        total += bytes;
    }
}

static size_t take_answer(struct http *h)
{
    char line[LINE_BYTES], status[LINE_BYTES];
    size_t bytes = 0;
    bool is_chunked = false;
    take_line(h, status);
    for (take_line(h, line); line[0] != 0; take_line(h, line)) {
        if (strncasecmp(line, "Content-Length:", 15) == 0) {
            bytes = strtoul(line + 15, NULL, 10);
        } else if (strncasecmp(line, "Transfer-Encoding: chunked", 26) == 0) {
            is_chunked = true;
        }
    }
    if (strncmp(status, "HTTP/1.1 2", 10) != 0) {
        receive(h);
        h->buffer[h->size < sizeof h->buffer ? h->size : h->size - 1] = 0;
        (void)fprintf(stderr, "http: %s\n", h->buffer + h->at);
        give_up("not the answer hoped for: ", status);
    }
    if (is_chunked) {
        return skip_chunks(h);
    }
    skip(h, bytes);
    return bytes;
}

size_t http_ask(struct http *h, const char *path, const char *body, size_t body_bytes)
{
    char head[HEAD_BYTES];
    int size = snprintf(head, sizeof head,
                        "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %zu\r\n\r\n",
                        body == NULL ? "GET" : "POST", path, body_bytes);
    if (size < 0 || (size_t)size >= sizeof head) {
        give_up("a path too long", "");
    }
    send_all(h, head, (size_t)size, body_bytes > 0 ? MSG_MORE : 0);
    send_all(h, body, body_bytes, 0);
    return take_answer(h);
}
