#include "broker/mqtt/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "broker/mqtt/keep.h"
#include "broker/mqtt/mqtt_state.h"
#include "broker/threads/metrics.h"

/* A packet larger than this collects in its own buffer instead of the loop's. */
enum { LARGE_BYTES = READ_BUFFER_BYTES / 2, LARGE_STEP_BYTES = 64 << 10 };

static void on_ready(struct loop_io *io, unsigned events);

enum err conn_create(struct mqtt_server *s, int fd, struct bytes first, struct conn **out)
{
    struct conn *c = calloc(1, sizeof *c);
    if (c == NULL || octets_put(&c->in, first) != OK) {
        free(c);
        (void)close(fd);
        return E_NO_MEMORY;
    }
    c->server = s;
    c->fd = fd;
    c->heard_ms = clock_now_ms();
    c->packet_bytes_max = UINT32_MAX;
    c->io.on_ready = on_ready;
    loop_io_start(s->loop, &c->io, fd, LOOP_READ);
    conn_list_add(&s->all, c);
    atomic_fetch_add(&s->common->connections, 1);
    metrics_add(METRIC_CONNECTIONS, 1);
    *out = c;
    return OK;
}

/* The session goes on alone. */
static void leave_session(struct conn *c, bool discard_will)
{
    struct session *session = c->session;
    uint64_t lost = 0;
    struct ack ack;

    if (session == NULL) {
        return;
    }
    c->session = NULL;
    while (ack_ring_take(&c->acks, UINT64_MAX, &ack) == OK) {
        if (ack.type != MQTT_PUBCOMP) {
            session_doubt(session, ack.packet_id);
        }
    }
    session_detach(session, clock_now_ms(), discard_will, &lost);
    subscriptions_set_here(c->server->subscriptions, &session->subscriber, false);
    metrics_add(METRIC_DROPPED_QOS0, (int64_t)lost);
    if (session->expiry_s > 0) {
        (void)!keep_session(c->server, session); /* Else its time runs from the next start. */
    }
    mqtt_server_settle_session(c->server, session);
}

static void leave_lists(struct conn *c)
{
    struct mqtt_server *s = c->server;
    conn_list_remove(&s->dirty, c);
    conn_list_remove(&s->waiting, c);
    conn_list_remove(&s->stalled, c);
    conn_list_remove(&s->held, c);
}

/* To the graveyard, where the end of the turn finds it. */
static void bury(struct conn *c)
{
    struct mqtt_server *s = c->server;
    loop_io_stop(&c->io);
    leave_lists(c);
    conn_list_remove(&s->all, c);
    conn_list_add(&s->graveyard, c);
    c->state = CONN_CLOSED;
    atomic_fetch_sub(&s->common->connections, 1);
    metrics_add(METRIC_CONNECTIONS, -1);
}

int conn_release_socket(struct conn *c)
{
    int fd = c->fd;
    CHECK(c->session == NULL && c->state == CONN_NEW);
    c->fd = -1;
    bury(c);
    return fd;
}

static void close_socket(struct conn *c)
{
    bury(c);
    (void)close(c->fd);
    c->fd = -1;
}

/* Wait until the peer has read the last word: closing with unread input would reset the connection
 * and destroy what is on its way. */
static void linger(struct conn *c)
{
    c->state = CONN_LINGERING;
    c->heard_ms = clock_now_ms() + CONN_LINGER_MS;
    leave_lists(c);
    conn_flush(c);
    if (c->state == CONN_LINGERING) {
        (void)shutdown(c->fd, SHUT_WR);
        loop_io_change(&c->io, LOOP_READ);
    }
}

void conn_close_after_output(struct conn *c)
{
    if (c->state < CONN_LINGERING) {
        linger(c);
        leave_session(c, false);
    }
}

void conn_close(struct conn *c, uint8_t reason, bool discard_will)
{
    struct writer w;
    /* What is held must not be sent, and nothing behind it. */
    bool speaks = c->state == CONN_OPEN && c->version >= MQTT_V5 && reason != 0 &&
                  !conn_list_has(&c->server->held, c);

    if (c->state == CONN_LINGERING) {
        close_socket(c);
    }
    if (c->state == CONN_CLOSED) {
        return;
    }
    if (speaks && octets_reserve(&c->out, 16, &w) == OK &&
        mqtt_disconnect_write(&w, reason, (struct bytes){NULL, 0}) == OK) {
        octets_commit(&c->out, &w);
        linger(c);
    } else {
        close_socket(c);
    }
    leave_session(c, discard_will);
}

void conn_alias_free(struct bytes *alias)
{
    union {
        const uint8_t *borrowed;
        uint8_t *owned;
    } topic = {alias->at};
    free(topic.owned);
    *alias = (struct bytes){NULL, 0};
}

static void aliases_free(struct conn *c)
{
    for (unsigned i = 0; c->aliases != NULL && i < c->server->options->topic_alias_maximum; i++) {
        conn_alias_free(&c->aliases[i]);
    }
    free(c->aliases);
}

void conn_destroy(struct conn *c)
{
    CHECK(c->state == CONN_CLOSED);
    aliases_free(c);
    alias_book_clear(&c->book);
    octets_clear(&c->in);
    octets_clear(&c->out);
    ack_ring_clear(&c->acks);
    free(c);
}

static size_t size_limit(const struct conn *c)
{
    uint32_t most = c->server->options->packet_bytes_max;
    bool is_new = c->state == CONN_NEW && most > CONN_BEFORE_CONNECT_BYTES;
    return is_new ? CONN_BEFORE_CONNECT_BYTES : most;
}

/* Handle whole packets; `in` is left at the first that is not whole or not possible now. */
static enum err take_packets(struct conn *c, struct bytes *in)
{
    while (in->size > 0) {
        struct bytes before = *in;
        struct mqtt_packet p;
        size_t needed = 0;

        if (conn_is_clogged(c)) {
            c->is_full = true;
            return E_BUSY;
        }
        if (c->state == CONN_NEW && in->at[0] != MQTT_CONNECT << 4) {
            return conn_refuse(c, MQTT_PROTOCOL_ERROR); /* [MQTT-3.1.0-1] */
        }
        enum err e = mqtt_packet_take(in, size_limit(c), &p, &needed);
        if (e == E_MORE) {
            return OK;
        }
        if (e != OK) {
            return conn_refuse(c, e == E_LIMIT ? MQTT_PACKET_TOO_LARGE : MQTT_MALFORMED);
        }
        e = conn_take_packet(c, &p, before);
        if (e != OK) {
            *in = before;
            return e;
        }
    }
    return OK;
}

/* Stop reading until somebody resumes this connection. */
static void stall(struct conn *c)
{
    loop_io_change(&c->io, c->wants_write ? LOOP_WRITE : 0);
    if (!c->is_full) {
        conn_list_add(&c->server->stalled, c);
    }
}

/* `in` is all input there is: the buffered input followed by what was just read, or the buffered
 * input itself when `is_own`. What is not taken is kept. */
static void take_input(struct conn *c, struct bytes in, bool is_own)
{
    size_t before = in.size;
    enum err e = take_packets(c, &in);
    if (c->state >= CONN_LINGERING) {
        return;
    }
    if (is_own) {
        octets_skip(&c->in, before - in.size);
    } else {
        octets_clear(&c->in);
        if (in.size > 0 && octets_put(&c->in, in) != OK) {
            conn_close(c, MQTT_UNSPECIFIED, false);
            return;
        }
    }
    if (e == E_BUSY) {
        stall(c);
    }
}

void conn_resume(struct conn *c)
{
    if (c->state >= CONN_LINGERING) {
        return;
    }
    loop_io_change(&c->io, c->wants_write ? LOOP_READ | LOOP_WRITE : LOOP_READ);
    take_input(c, octets_view(&c->in), true);
}

/* False: nothing was read, or the connection ended. */
static bool read_ended(struct conn *c, ssize_t got)
{
    if (got > 0) {
        metrics_add(METRIC_BYTES_IN, got);
        pace_on_read(&c->server->pace, (size_t)got, c->heard_ms);
        c->heard_ms = c->state == CONN_OPEN ? clock_now_ms() : c->heard_ms;
        return false;
    }
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return true;
    }
    conn_close(c, 0, false);
    return true;
}

static void read_large(struct conn *c)
{
    struct writer w;
    if (octets_reserve(&c->in, LARGE_STEP_BYTES, &w) != OK) {
        conn_close(c, MQTT_UNSPECIFIED, false);
        return;
    }
    ssize_t got = recv(c->fd, w.at + w.size, w.limit - w.size, 0);
    if (!read_ended(c, got)) {
        w.size += (size_t)got;
        octets_commit(&c->in, &w);
        take_input(c, octets_view(&c->in), true);
    }
}

static void read_socket(struct conn *c)
{
    uint8_t *buffer = c->server->read_buffer;
    struct bytes held = octets_view(&c->in);

    if (held.size > LARGE_BYTES) {
        read_large(c);
        return;
    }
    ssize_t got = recv(c->fd, buffer + held.size, READ_BUFFER_BYTES - held.size, 0);
    if (!read_ended(c, got)) {
        if (held.size > 0) {
            memcpy(buffer, held.at, held.size);
        }
        take_input(c, (struct bytes){buffer, held.size + (size_t)got}, false);
    }
}

static void read_lingering(struct conn *c)
{
    ssize_t got = recv(c->fd, c->server->read_buffer, READ_BUFFER_BYTES, 0);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
        conn_close(c, 0, false);
    }
}

static void on_ready(struct loop_io *io, unsigned events)
{
    struct conn *c = (struct conn *)(void *)io;

    /* What other loops said before this client could know of it is in force before it is read. */
    loop_take_letters(c->server->loop);
    if (c->state == CONN_LINGERING) {
        read_lingering(c);
        return;
    }
    if (c->state != CONN_CLOSED && (events & LOOP_WRITE) != 0) {
        conn_list_add(&c->server->dirty, c);
    }
    if (c->state == CONN_CLOSED || (events & LOOP_READ) == 0) {
        return;
    }
    if (c->server->is_busy && c->state == CONN_OPEN) {
        stall(c);
        return;
    }
    read_socket(c);
}
