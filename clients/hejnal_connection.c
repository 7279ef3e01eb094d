#include "clients/hejnal_connection.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"

enum { BUFFER_BYTES = 64 << 10 };

const char *hejnal_result_text(enum hejnal_result result)
{
    static const char *const texts[] = {
        [HEJNAL_OK] = "ok",
        [HEJNAL_END] = "no more",
        [HEJNAL_TIMEOUT] = "timeout",
        [HEJNAL_LOST] = "connection lost",
        [HEJNAL_TRUNCATED] = "answer incomplete",
        [HEJNAL_BROKEN] = "not the query protocol",
        [HEJNAL_NO_MEMORY] = "out of memory",
        [HEJNAL_MISUSE] = "wrong use of the library",
        [HEJNAL_INVALID] = "invalid request",
        [HEJNAL_LIMIT] = "over a limit",
        [HEJNAL_NOT_FOUND] = "not found",
        [HEJNAL_NO_SPACE] = "no space on the server",
        [HEJNAL_UNAVAILABLE] = "unavailable",
        [HEJNAL_CANCELLED] = "cancelled",
        [HEJNAL_VERSION] = "another protocol version",
    };
    size_t index = (size_t)result;
    return index < sizeof texts / sizeof texts[0] ? texts[index] : "unknown";
}

const char *hejnal_version(void)
{
    return HEJNAL_RELEASE;
}

enum hejnal_result hejnal_connection_tell(struct hejnal *h, const struct hejnal_fault *fault)
{
    h->fault = *fault;
    return fault->result;
}

enum hejnal_result hejnal_connection_fail(struct hejnal *h, enum hejnal_result result,
                                          const char *format, ...)
{
    va_list arguments;
    h->fault = (struct hejnal_fault){.result = result};
    va_start(arguments, format);
    // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): started in the line above
    (void)vsnprintf(h->fault.text, sizeof h->fault.text, format, arguments);
    va_end(arguments);
    return result;
}

/* The connection ends here, and all that waits for it. `h->fault` was set. */
static enum hejnal_result lose(struct hejnal *h)
{
    if (h->fd >= 0) {
        (void)close(h->fd);
        h->fd = -1;
    }
    h->lost = h->fault;
    h->write_count = 0;
    if (h->write_fault.result == HEJNAL_OK) {
        h->write_fault = h->fault;
    }
    for (struct hejnal_answer *a = h->answers; a != NULL; a = a->next) {
        hejnal_answer_lose(a);
    }
    return h->fault.result;
}

static enum hejnal_result lose_by_errno(struct hejnal *h, const char *what)
{
    char text[128];
    const char *why = strerror_r(errno, text, sizeof text); /* The GNU one, safe in threads. */
    (void)hejnal_connection_fail(h, HEJNAL_LOST, "%s: %s", what, why);
    return lose(h);
}

bool hejnal_connection_reserve(struct writer *w, size_t more)
{
    size_t limit = w->limit < BUFFER_BYTES ? BUFFER_BYTES : w->limit;
    if (w->limit - w->size >= more) {
        return true;
    }
    while (limit - w->size < more) {
        limit *= 2;
    }
    uint8_t *at = realloc(w->at, limit);
    if (at == NULL) {
        return false;
    }
    w->at = at;
    w->limit = limit;
    return true;
}

uint32_t hejnal_connection_id(struct hejnal *h)
{
    h->last_id++;
    if (h->last_id == 0) {
        h->last_id = 1; /* 0 is the connection itself. */
    }
    return h->last_id;
}

/* HEJNAL_OK: `*ready` has what poll() said. */
static enum hejnal_result wait_for(struct hejnal *h, short events, short *ready)
{
    struct pollfd poll_fd = {.fd = h->fd, .events = events};
    int count;
    do {
        count = poll(&poll_fd, 1, h->timeout_ms); /* A signal starts the wait anew. */
    } while (count < 0 && errno == EINTR);
    if (count < 0) {
        return lose_by_errno(h, "waiting for the server");
    }
    if (count == 0) {
        return hejnal_connection_fail(h, HEJNAL_TIMEOUT, "the server did not answer within %d ms",
                                      h->timeout_ms);
    }
    *ready = poll_fd.revents;
    return HEJNAL_OK;
}

/* -- Receiving -------------------------------------------------------------------------------- */

static enum hejnal_result hand_out(struct hejnal *h, struct bytes body)
{
    frame_response *r;
    if (frame_response_read(body, &r) != OK) {
        (void)hejnal_connection_fail(h, HEJNAL_BROKEN,
                                     "the peer sent bytes that are no answer of a Hejnał server");
        return lose(h);
    }
    for (struct hejnal_answer *a = h->answers; a != NULL; a = a->next) {
        if (a->id == r->id && !a->is_ended) {
            hejnal_answer_put(a, r, body);
            return HEJNAL_OK;
        }
    }
    if (r->id == 0 && r->error != NULL) {
        hejnal_answer_fault(r->error, &h->fault);
        frame_response_free(r);
        return lose(h);
    }
    (void)hejnal_write_take(h, r); /* Else it is the rest of a cancelled answer. */
    frame_response_free(r);
    return HEJNAL_OK;
}

static enum hejnal_result hand_out_all(struct hejnal *h, unsigned *count)
{
    struct bytes in = {h->in.at + h->in_from, h->in.size - h->in_from};
    struct bytes body;
    enum err e;
    while ((e = frame_take(&in, FRAME_BYTES_MAX, &body)) == OK) {
        enum hejnal_result result = hand_out(h, body);
        if (result != HEJNAL_OK) {
            return result;
        }
        ++*count;
    }
    if (e != E_MORE) {
        (void)hejnal_connection_fail(h, HEJNAL_BROKEN,
                                     "the peer announced a frame of more than 16 MiB");
        return lose(h);
    }
    h->in_from = h->in.size - in.size;
    return HEJNAL_OK;
}

/* Bytes of the socket to the buffer; handled ones make room. */
static enum hejnal_result fill(struct hejnal *h)
{
    size_t left = h->in.size - h->in_from;
    if (h->in_from > 0) {
        memmove(h->in.at, h->in.at + h->in_from, left);
        h->in.size = left;
        h->in_from = 0;
    }
    if (!hejnal_connection_reserve(&h->in, BUFFER_BYTES)) {
        return hejnal_connection_fail(h, HEJNAL_NO_MEMORY, "out of memory");
    }
    ssize_t n = recv(h->fd, h->in.at + h->in.size, h->in.limit - h->in.size, 0);
    if (n > 0) {
        h->in.size += (size_t)n;
    } else if (n == 0) {
        (void)hejnal_connection_fail(h, HEJNAL_LOST, "the server closed the connection");
        return lose(h);
    } else if (errno != EAGAIN && errno != EINTR) {
        return lose_by_errno(h, "reading from the server");
    }
    return HEJNAL_OK;
}

enum hejnal_result hejnal_connection_receive(struct hejnal *h)
{
    unsigned count = 0;
    short ready = 0;
    while (count == 0) {
        if (h->fd < 0) {
            return hejnal_connection_tell(h, &h->lost);
        }
        enum hejnal_result result = wait_for(h, POLLIN, &ready);
        if (result == HEJNAL_OK) {
            result = fill(h);
        }
        if (result == HEJNAL_OK) {
            result = hand_out_all(h, &count);
        }
        if (result != HEJNAL_OK) {
            return result;
        }
    }
    return HEJNAL_OK;
}

/* -- Sending ---------------------------------------------------------------------------------- */

/* The socket is full: wait until it takes bytes, and take what comes meanwhile, or both sides might
 * wait for ever. */
static enum hejnal_result wait_to_send(struct hejnal *h)
{
    unsigned count = 0;
    short ready = 0;
    enum hejnal_result result = wait_for(h, POLLIN | POLLOUT, &ready);
    if (result == HEJNAL_TIMEOUT) { /* Half a request is out: nothing can follow it. */
        h->fault.result = HEJNAL_LOST;
        return lose(h);
    }
    if (result == HEJNAL_OK && (ready & POLLIN) != 0) {
        result = fill(h);
        if (result == HEJNAL_OK) {
            result = hand_out_all(h, &count);
        }
    }
    return result;
}

static enum hejnal_result send_bytes(struct hejnal *h, struct bytes bytes)
{
    while (bytes.size > 0) {
        if (h->fd < 0) {
            return hejnal_connection_tell(h, &h->lost);
        }
        ssize_t n = send(h->fd, bytes.at, bytes.size, MSG_NOSIGNAL);
        if (n >= 0) {
            bytes.at += n;
            bytes.size -= (size_t)n;
        } else if (errno == EAGAIN) {
            enum hejnal_result result = wait_to_send(h);
            if (result != HEJNAL_OK) {
                return result;
            }
        } else if (errno != EINTR) {
            /* The server may have said why before it closed. */
            int number = errno;
            unsigned count = 0;
            if (fill(h) == HEJNAL_OK && hand_out_all(h, &count) == HEJNAL_OK) {
                errno = number;
                return lose_by_errno(h, "writing to the server");
            }
            return h->fault.result;
        }
    }
    return HEJNAL_OK;
}

enum hejnal_result hejnal_connection_send(struct hejnal *h, const frame_request *r)
{
    h->out.size = 0;
    if (h->fd < 0) {
        return hejnal_connection_tell(h, &h->lost);
    }
    if (!hejnal_connection_reserve(&h->out, frame_request_size(r))) {
        return hejnal_connection_fail(h, HEJNAL_NO_MEMORY, "out of memory");
    }
    CHECK(frame_request_write(&h->out, r) == OK);
    return send_bytes(h, (struct bytes){h->out.at, h->out.size});
}

/* -- Opening and closing ---------------------------------------------------------------------- */

/* Whether the connection of a non-blocking socket came about; else errno. */
static bool finish_connect(struct hejnal *h, const struct addrinfo *address)
{
    int error = 0;
    socklen_t size = sizeof error;
    struct pollfd poll_fd = {.fd = h->fd, .events = POLLOUT};

    if (connect(h->fd, address->ai_addr, address->ai_addrlen) == 0) {
        return true;
    }
    if (errno != EINPROGRESS) {
        return false;
    }
    int ready;
    do {
        ready = poll(&poll_fd, 1, h->timeout_ms);
    } while (ready < 0 && errno == EINTR);
    if (ready <= 0) {
        errno = ETIMEDOUT;
        return false;
    }
    if (getsockopt(h->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
        return false;
    }
    errno = error;
    return error == 0;
}

static bool connect_one(struct hejnal *h, const struct addrinfo *address)
{
    const int on = 1;
    h->fd = socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
                   address->ai_protocol);
    if (h->fd < 0) {
        return false;
    }
    if (!finish_connect(h, address)) {
        int number = errno;
        (void)close(h->fd);
        h->fd = -1;
        errno = number;
        return false;
    }
    (void)setsockopt(h->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* Only slower without. */
    return true;
}

static enum hejnal_result connect_any(struct hejnal *h, const char *host, unsigned port)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *addresses;
    char service[16], what[160];

    (void)snprintf(service, sizeof service, "%u", port);
    (void)snprintf(what, sizeof what, "cannot connect to %s port %u", host, port);
    int failure = getaddrinfo(host, service, &hints, &addresses);
    if (failure != 0) {
        (void)hejnal_connection_fail(h, HEJNAL_LOST, "%s: %s", what, gai_strerror(failure));
        return lose(h);
    }
    const struct addrinfo *address = addresses;
    while (address != NULL && !connect_one(h, address)) {
        address = address->ai_next;
    }
    int number = errno;
    freeaddrinfo(addresses);
    errno = number;
    return address == NULL ? lose_by_errno(h, what) : HEJNAL_OK;
}

static atomic_uint_fast64_t last_serial;

static enum hejnal_result greet(struct hejnal *h)
{
    char client[] = "libhejnal " HEJNAL_RELEASE;
    Hejnal__V1__Hello hello = HEJNAL__V1__HELLO__INIT;
    frame_request r = HEJNAL__V1__REQUEST__INIT;

    hello.version = FRAME_VERSION;
    hello.client = client;
    hello.words = true;
    r.body_case = HEJNAL__V1__REQUEST__BODY_HELLO;
    r.hello = &hello;
    enum hejnal_result result = hejnal_answer_call(h, &r, NULL);
    if (result == HEJNAL_OK || h->fd < 0) {
        return result;
    }
    if (result == HEJNAL_TIMEOUT) {
        h->fault.result = HEJNAL_LOST;
    }
    return lose(h);
}

enum hejnal_result hejnal_connect(const char *host, unsigned port, int timeout_ms,
                                  struct hejnal **out)
{
    struct hejnal *h = calloc(1, sizeof *h);
    if (h == NULL) {
        return HEJNAL_NO_MEMORY;
    }
    h->fd = -1;
    h->serial = atomic_fetch_add(&last_serial, 1) + 1;
    h->timeout_ms = timeout_ms;
    *out = h;
    if (host == NULL || port == 0 || port > 65535) {
        (void)hejnal_connection_fail(h, HEJNAL_MISUSE, "no host, or no port between 1 and 65535");
        return lose(h);
    }
    enum hejnal_result result = connect_any(h, host, port);
    return result == HEJNAL_OK ? greet(h) : result;
}

void hejnal_close(struct hejnal *h)
{
    if (h == NULL) {
        return;
    }
    if (h->fd >= 0) {
        (void)close(h->fd);
        h->fd = -1; /* So that closing answers sends no cancels. */
    }
    while (h->answers != NULL) {
        hejnal_answer_close(h->answers);
    }
    hejnal_write_free_packer(h->packer);
    free(h->in.at);
    free(h->out.at);
    free(h);
}

void hejnal_set_timeout(struct hejnal *h, int timeout_ms)
{
    h->timeout_ms = timeout_ms;
}

const char *hejnal_server(const struct hejnal *h)
{
    return h->server;
}

int hejnal_fd(const struct hejnal *h)
{
    return h->fd;
}

const char *hejnal_error(const struct hejnal *h)
{
    return h->fault.text;
}

const char *hejnal_error_field(const struct hejnal *h)
{
    return h->fault.field;
}

unsigned hejnal_error_position(const struct hejnal *h)
{
    return h->fault.position;
}
