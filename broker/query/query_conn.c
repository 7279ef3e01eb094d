#include "broker/query/query_conn.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "broker/query/query_handle.h"
#include "broker/query/query_pressure.h"
#include "broker/query/query_task.h"
#include "broker/threads/metrics.h"

enum { BUFFER_LEAST_BYTES = 4096 };

enum err query_conn_reserve(struct writer *w, size_t more)
{
    size_t limit = w->limit < BUFFER_LEAST_BYTES ? BUFFER_LEAST_BYTES : w->limit;
    if (w->limit - w->size >= more) {
        return OK;
    }
    while (limit - w->size < more) {
        limit *= 2;
    }
    uint8_t *at = realloc(w->at, limit);
    if (at == NULL) {
        return E_NO_MEMORY;
    }
    w->at = at;
    w->limit = limit;
    return OK;
}

static void drop_buffer(struct writer *w)
{
    free(w->at);
    *w = (struct writer){0};
}

void query_conn_mark(struct query_conn *c)
{
    if (!c->is_dirty) {
        c->is_dirty = true;
        c->next_dirty = c->server->dirty;
        c->server->dirty = c;
    }
}

bool query_conn_is_full(const struct query_conn *c)
{
    return c->out.size - c->out_from >= c->server->options.output_bytes_max;
}

void query_conn_drop_input(struct query_conn *c)
{
    drop_buffer(&c->in);
}

bool query_conn_is_stuck(const struct query_conn *c, int64_t now_ms)
{
    return c->in.size > 0 && !c->is_feeding && !query_conn_is_full(c) &&
           now_ms - c->in_ms > c->server->options.write_timeout_ms;
}

void query_conn_close(struct query_conn *c)
{
    if (c->fd < 0) {
        return;
    }
    loop_io_stop(&c->io);
    (void)close(c->fd);
    c->fd = -1;
    c->is_closing = true;
    drop_buffer(&c->out);
    c->out_from = 0;
    query_numbers_drop(&c->numbers, &c->server->number_count);
    c->server->conn_count--;
    metrics_add(METRIC_QUERY_CONNECTIONS, -1);
    for (struct query_task *t = c->tasks; t != NULL; t = t->next) {
        query_task_drop(t);
    }
    query_conn_mark(c);
}

void query_conn_free(struct query_conn *c)
{
    query_conn_close(c);
    while (c->tasks != NULL) {
        query_task_free(c->tasks);
    }
    *c->link = c->next;
    if (c->next != NULL) {
        c->next->link = c->link;
    }
    c->server->in_bytes -= c->in_counted;
    drop_buffer(&c->in);
    free(c);
}

/* Bytes the socket took; SIZE_MAX: it is broken. */
static size_t send_some(struct query_conn *c, struct bytes bytes)
{
    size_t sent = 0;
    while (sent < bytes.size) {
        ssize_t n = send(c->fd, bytes.at + sent, bytes.size - sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return errno == EAGAIN ? sent : SIZE_MAX;
        }
        sent += (size_t)n;
        c->progress_ms = loop_now_ms(c->server->loop);
    }
    return sent;
}

static void flush(struct query_conn *c)
{
    if (c->fd < 0 || c->out.size == 0) {
        return;
    }
    struct bytes left = {c->out.at + c->out_from, c->out.size - c->out_from};
    size_t sent = send_some(c, left);
    if (sent == SIZE_MAX) {
        query_conn_close(c);
        return;
    }
    c->out_from += sent;
    if (c->out_from == c->out.size) {
        drop_buffer(&c->out);
        c->out_from = 0;
    }
}

static enum err keep(struct query_conn *c, struct bytes bytes)
{
    if (c->out.size == 0) {
        c->progress_ms = loop_now_ms(c->server->loop);
    }
    if (c->out_from > 0 && c->out.limit - c->out.size < bytes.size) {
        memmove(c->out.at, c->out.at + c->out_from, c->out.size - c->out_from);
        c->out.size -= c->out_from;
        c->out_from = 0;
    }
    TRY(query_conn_reserve(&c->out, bytes.size));
    return writer_put(&c->out, bytes.at, bytes.size);
}

void query_conn_send_bytes(struct query_conn *c, struct bytes frame)
{
    size_t sent = 0;
    if (c->fd < 0) {
        return;
    }
    if (c->out.size == 0 && frame.size >= BUFFER_LEAST_BYTES) {
        sent = send_some(c, frame); /* Small ones leave together at the turn's end. */
    }
    if (sent == SIZE_MAX ||
        (sent < frame.size && keep(c, (struct bytes){frame.at + sent, frame.size - sent}) != OK)) {
        query_conn_close(c);
    }
    query_conn_mark(c);
}

void query_conn_send(struct query_conn *c, const frame_response *r)
{
    size_t size = frame_response_size(r);
    if (c->fd < 0) {
        return;
    }
    if (keep(c, (struct bytes){NULL, 0}) != OK || query_conn_reserve(&c->out, size) != OK) {
        query_conn_close(c);
        return;
    }
    CHECK(frame_response_write(&c->out, r) == OK);
    query_conn_mark(c);
}

void query_conn_send_fault(struct query_conn *c, uint32_t id, const struct query_fault *fault)
{
    Hejnal__V1__Error error = HEJNAL__V1__ERROR__INIT;
    frame_response r = HEJNAL__V1__RESPONSE__INIT;
    struct query_fault copy = *fault; /* The generated struct wants texts it could change. */

    error.code = copy.code;
    error.text = copy.text;
    error.field = copy.field;
    error.position = copy.position;
    r.id = id;
    r.error = &error;
    metrics_add(METRIC_QUERY_ERRORS, 1);
    query_conn_send(c, &r);
}

/* The peer does not speak the protocol: say so and close. */
static void refuse_peer(struct query_conn *c, const char *why)
{
    struct query_fault fault;
    query_fault_set(&fault, HEJNAL__V1__ERROR__CODE__MALFORMED, "", "%s", why);
    query_conn_send_fault(c, 0, &fault);
    c->is_closing = true;
}

static void handle_frame(struct query_conn *c, struct bytes body)
{
    frame_request *request;
    enum err e = frame_request_read(body, &request);
    if (e == OK) {
        query_handle(c, request);
    } else {
        refuse_peer(c, e == E_NO_MEMORY ? "this message takes too much memory"
                                        : "these bytes are no message of the query protocol");
    }
}

/* Handle whole frames at the front of `in`, as many as may be. */
static void handle_frames(struct query_conn *c, struct bytes *in)
{
    struct bytes body;
    while (!c->is_closing && !c->is_feeding && !query_conn_is_full(c)) {
        enum err e = frame_take(in, FRAME_REQUEST_BYTES_MAX, &body);
        if (e == E_MORE) {
            return;
        }
        if (e == OK) {
            handle_frame(c, body);
        } else {
            refuse_peer(c, "a frame larger than 4 MiB");
        }
    }
}

/* Frames that lie in `c->in`; what is left moves to its front. */
static void handle_kept(struct query_conn *c)
{
    struct bytes in = {c->in.at, c->in.size};
    handle_frames(c, &in);
    if (in.size == 0) {
        drop_buffer(&c->in);
        return;
    }
    if (in.at != c->in.at) {
        memmove(c->in.at, in.at, in.size);
        c->in.size = in.size;
        c->in_since_ms = loop_now_ms(c->server->loop);
    }
}

static void handle_scratch(struct query_conn *c, size_t size)
{
    struct bytes in = {c->server->scratch, size};
    handle_frames(c, &in);
    if (in.size > 0 && !c->is_closing) {
        c->in_since_ms = c->in_ms = loop_now_ms(c->server->loop);
        if (query_conn_reserve(&c->in, in.size) != OK || writer_put(&c->in, in.at, in.size) != OK) {
            query_conn_close(c);
        }
    }
}

static void read_some(struct query_conn *c)
{
    bool is_kept = c->in.size > 0 && !c->is_closing;
    if (is_kept && query_conn_reserve(&c->in, QUERY_READ_BYTES / 4) != OK) {
        query_conn_close(c);
        return;
    }
    uint8_t *to = is_kept ? c->in.at + c->in.size : c->server->scratch;
    size_t room = is_kept ? c->in.limit - c->in.size : QUERY_READ_BYTES;
    ssize_t n = recv(c->fd, to, room, 0);
    if (n <= 0) {
        if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
            query_conn_close(c);
        }
        return;
    }
    if (c->is_closing) {
        return; /* What it says now is of no interest. */
    }
    if (is_kept) {
        c->in.size += (size_t)n;
        c->in_ms = loop_now_ms(c->server->loop);
        handle_kept(c);
    } else {
        handle_scratch(c, (size_t)n);
    }
}

static void on_ready(struct loop_io *io, unsigned events)
{
    struct query_conn *c =
        (struct query_conn *)(void *)((uint8_t *)io - offsetof(struct query_conn, io));
    query_conn_mark(c); /* Settling sends. */
    if ((events & LOOP_READ) != 0) {
        read_some(c);
    }
}

struct query_conn *query_conn_create(struct query_server *s, int fd)
{
    struct query_conn *c = calloc(1, sizeof *c);
    if (c == NULL) {
        (void)close(fd);
        return NULL;
    }
    c->server = s;
    c->fd = fd;
    c->opened_ms = c->progress_ms = loop_now_ms(s->loop);
    c->next = s->conns;
    c->link = &s->conns;
    if (c->next != NULL) {
        c->next->link = &c->next;
    }
    s->conns = c;
    s->conn_count++;
    c->io.on_ready = on_ready;
    loop_io_start(s->loop, &c->io, fd, LOOP_READ);
    metrics_add(METRIC_QUERY_CONNECTIONS, 1);
    return c;
}

static void reap_tasks(struct query_conn *c)
{
    struct query_task *next;
    for (struct query_task *t = c->tasks; t != NULL; t = next) {
        next = t->next;
        if (t->is_ended && !t->is_held) {
            query_task_free(t);
        }
    }
}

/* Go on with what waited for room in `out`, as long as there is some: what answers send may fill
 * it, and flushing make room again. */
static void go_on(struct query_conn *c)
{
    size_t before;
    bool was_full;
    do {
        before = c->in.size;
        flush(c);
        if (c->fd < 0 || c->is_closing || query_conn_is_full(c)) {
            return;
        }
        query_task_go_all(c);
        was_full = query_conn_is_full(c);
        if (c->in.size > 0 && !c->is_feeding) {
            handle_kept(c);
        }
        flush(c);
    } while ((was_full && !query_conn_is_full(c)) || (c->in.size > 0 && c->in.size < before));
}

/* The last words are with the kernel: close our side, and read until the peer closes its own, or
 * unread bytes would make the kernel throw those words away. */
static void say_goodbye(struct query_conn *c)
{
    if (!c->is_shut) {
        c->is_shut = true;
        c->opened_ms = loop_now_ms(c->server->loop);
        (void)shutdown(c->fd, SHUT_WR);
    }
}

void query_conn_settle(struct query_conn *c)
{
    go_on(c);
    if (c->fd >= 0 && c->is_closing && c->out.size == 0) {
        say_goodbye(c);
    }
    if (c->fd < 0) {
        query_conn_drop_input(c);
    }
    query_pressure_input(c); /* May close it too. */
    reap_tasks(c);
    c->is_dirty = false;
    if (c->fd < 0) {
        if (c->tasks == NULL) {
            query_conn_free(c);
        }
        return;
    }
    bool reads = c->is_closing || (!c->is_feeding && !query_conn_is_full(c));
    loop_io_change(&c->io, (reads ? LOOP_READ : 0U) | (c->out.size > 0 ? LOOP_WRITE : 0U));
}
