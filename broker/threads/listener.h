/* Listening sockets: one for each loop and port, all on the same address (SO_REUSEPORT), so that
 * the kernel spreads new connections over the loops. */

#ifndef BROKER_THREADS_LISTENER_H
#define BROKER_THREADS_LISTENER_H

#include <sys/socket.h>

#include "base/err.h"
#include "broker/threads/loop.h"

/* Open the first socket on a numeric IPv4 or IPv6 address or a host name; `port` 0 picks a free
 * one. The caller closes `*fd` unless listener_start() got it. E_BUSY: another listens there.
 * E_DENIED: the system forbids that port. E_NOT_FOUND: no such address here. E_MALFORMED: no
 * address. E_IO: anything else. */
MUST_USE enum err listener_open(const char *bind, unsigned port, int *fd, unsigned *actual_port);

/* One more on the port that the first one got, for another loop. Same errors. */
MUST_USE enum err listener_open_again(const char *bind, unsigned port, int *fd);

struct listener {
    struct loop_io io;
    struct loop_timer pause; /* After EMFILE and the like: try again later, do not spin. */
    int fd;
    void (*on_accept)(void *context, int fd, const struct sockaddr_storage *peer);
    void *context;
};

/* Accept on this loop from now on: sockets are non-blocking, close-on-exec, without Nagle's delay,
 * and belong to `on_accept`. Takes `fd` over. On the loop's thread, or before it runs. */
void listener_start(struct listener *li, struct loop *loop, int fd,
                    void (*on_accept)(void *context, int fd, const struct sockaddr_storage *peer),
                    void *context);

/* Close. Not started (zeroed): fine. */
void listener_stop(struct listener *li);

/* "127.0.0.1:1883" or "[::1]:1883", cut to `size`; for logs and the ready line. */
void listener_name(const struct sockaddr_storage *address, char *to, size_t size);

#endif /* BROKER_THREADS_LISTENER_H */
