#include "broker/threads/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"

enum { BACKLOG = 4096, ACCEPTS_A_TURN_MAX = 64, PAUSE_MS = 200 };

static enum err translate(int code)
{
    switch (code) {
    case EADDRINUSE:
        return E_BUSY;
    case EACCES:
    case EPERM:
        return E_DENIED;
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
        return E_NOT_FOUND;
    default:
        return E_IO;
    }
}

/* The address `bind`, first of those it may stand for. */
static enum err resolve(const char *bind, unsigned port, struct sockaddr_storage *out,
                        socklen_t *size)
{
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
                                   .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    char service[8];
    (void)snprintf(service, sizeof service, "%u", port);
    if (bind[0] == 0 || getaddrinfo(bind, service, &hints, &found) != 0) {
        return E_MALFORMED;
    }
    CHECK(found->ai_addrlen <= sizeof *out);
    memcpy(out, found->ai_addr, found->ai_addrlen);
    *size = found->ai_addrlen;
    freeaddrinfo(found);
    return OK;
}

static enum err open_socket(const struct sockaddr_storage *address, socklen_t size, bool shared,
                            int *out)
{
    const int one = 1;
    const int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return translate(errno);
    }
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        (shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) != 0) ||
        bind(fd, (const struct sockaddr *)address, size) != 0 || listen(fd, BACKLOG) != 0) {
        enum err e = translate(errno);
        (void)close(fd);
        return e;
    }
    *out = fd;
    return OK;
}

static unsigned port_of(const struct sockaddr_storage *address)
{
    struct sockaddr_in in4;
    struct sockaddr_in6 in6;
    if (address->ss_family == AF_INET6) {
        memcpy(&in6, address, sizeof in6);
        return ntohs(in6.sin6_port);
    }
    memcpy(&in4, address, sizeof in4);
    return ntohs(in4.sin_port);
}

/* SO_REUSEPORT would let a second daemon share our port in silence, so a socket without it asks
 * first. */
enum err listener_open(const char *bind, unsigned port, int *fd, unsigned *actual_port)
{
    struct sockaddr_storage address;
    socklen_t size;
    int probe;
    TRY(resolve(bind, port, &address, &size));
    TRY(open_socket(&address, size, false, &probe));
    bool named = getsockname(probe, (struct sockaddr *)&address, &size) == 0;
    (void)close(probe);
    if (!named) {
        return E_IO;
    }
    TRY(open_socket(&address, size, true, fd));
    *actual_port = port_of(&address);
    return OK;
}

enum err listener_open_again(const char *bind, unsigned port, int *fd)
{
    struct sockaddr_storage address;
    socklen_t size;
    TRY(resolve(bind, port, &address, &size));
    return open_socket(&address, size, true, fd);
}

static void on_pause_over(struct loop_timer *timer)
{
    struct listener *li =
        (struct listener *)(void *)((char *)timer - offsetof(struct listener, pause));
    loop_io_change(&li->io, LOOP_READ);
}

static bool is_shortage(int code)
{
    return code == EMFILE || code == ENFILE || code == ENOBUFS || code == ENOMEM;
}

static void on_ready(struct loop_io *io, unsigned events)
{
    struct listener *li = (struct listener *)(void *)((char *)io - offsetof(struct listener, io));
    const int one = 1;
    (void)events;
    for (int i = 0; i < ACCEPTS_A_TURN_MAX && li->fd >= 0; i++) {
        struct sockaddr_storage peer = {0};
        socklen_t size = sizeof peer;
        int fd = accept4(li->fd, (struct sockaddr *)&peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            li->on_accept(li->context, fd, &peer);
        } else if (is_shortage(errno)) {
            log_line(LOG_WARN, "listener", "cannot accept, waiting %d ms: %s", PAUSE_MS,
                     errno == EMFILE ? "this process has no file descriptor left"
                                     : "the system is out of files or memory");
            loop_io_change(&li->io, 0);
            loop_timer_start(li->io.loop, &li->pause, PAUSE_MS, 0);
            return;
        } else if (errno == EAGAIN) {
            return;
        }
    }
}

void listener_start(struct listener *li, struct loop *loop, int fd,
                    void (*on_accept)(void *context, int fd, const struct sockaddr_storage *peer),
                    void *context)
{
    *li = (struct listener){.fd = fd, .on_accept = on_accept, .context = context};
    li->io.on_ready = on_ready;
    li->pause.on_time = on_pause_over;
    loop_io_start(loop, &li->io, fd, LOOP_READ);
}

void listener_stop(struct listener *li)
{
    if (li->on_accept != NULL && li->fd >= 0) {
        loop_timer_stop(&li->pause);
        loop_io_stop(&li->io);
        (void)close(li->fd);
        li->fd = -1;
    }
}

void listener_name(const struct sockaddr_storage *address, char *to, size_t size)
{
    char host[INET6_ADDRSTRLEN] = "?";
    const bool six = address->ss_family == AF_INET6;
    struct sockaddr_in in4;
    struct sockaddr_in6 in6;
    if (six) {
        memcpy(&in6, address, sizeof in6);
        (void)inet_ntop(AF_INET6, &in6.sin6_addr, host, sizeof host);
    } else {
        memcpy(&in4, address, sizeof in4);
        (void)inet_ntop(AF_INET, &in4.sin_addr, host, sizeof host);
    }
    (void)snprintf(to, size, six ? "[%s]:%u" : "%s:%u", host, port_of(address));
}
