/* The plainest HTTP/1.1 client over one connection that is kept: enough to load and ask the peers,
 * and so cheap that what is measured is the peer. The answer's body is read to its end, not looked
 * at. Exits with a line on stderr when the peer does not play along. */

#ifndef BENCH_HTTP_H
#define BENCH_HTTP_H

#include <stdbool.h>
#include <stddef.h>

enum { HTTP_BUFFER_BYTES = 1 << 16 };

struct http {
    int fd;
    size_t size, at; /* buffer[at..size) is not looked at yet. */
    char buffer[HTTP_BUFFER_BYTES];
};

/* To 127.0.0.1. */
void http_connect(struct http *h, unsigned port);

/* Send a request (`body` NULL: GET, else POST) and read the answer; returns the bytes of its body.
 * Anything but a status of 2xx ends the program. */
size_t http_ask(struct http *h, const char *path, const char *body, size_t body_bytes);

#endif /* BENCH_HTTP_H */
