/* The writing half of a connection: one buffer, one send per turn. */

#include <errno.h>

#include "base/check.h"
#include "base/clock.h"
#include "broker/mqtt/conn.h"
#include "broker/mqtt/mqtt_state.h"
#include "broker/threads/metrics.h"

/* PUMP_BYTES: what is taken out of a session's queue before the socket is tried. ROUNDS_MAX: how
 * often in one turn, so that one fast reader does not keep the loop from the others. */
enum { PUMP_BYTES = 64 << 10, ROUNDS_MAX = 16 };

enum err conn_reserve(struct conn *c, size_t size, struct writer *w)
{
    size_t used = octets_size(&c->out);
    if (used > 0 && used + size > c->server->options->output_bytes_max) {
        return E_LIMIT;
    }
    return octets_reserve(&c->out, size, w);
}

bool conn_is_clogged(const struct conn *c)
{
    return octets_size(&c->out) > c->server->options->output_bytes_max;
}

void conn_commit(struct conn *c, const struct writer *w)
{
    octets_commit(&c->out, w);
    conn_list_add(&c->server->dirty, c);
}

/* The bytes of one message, not yet committed. E_END: it never will be sent, counted. */
static enum err write_message(struct conn *c, const struct delivery *d, struct writer *w)
{
    size_t before = w->size;
    enum err e = message_write(w, c->version, d, loop_wall_ns(c->server->loop));
    if (e == OK && w->size - before > c->packet_bytes_max) {
        metrics_add(METRIC_DROPPED_SIZE, 1); /* [MQTT-3.1.2-25] */
        return E_END;
    }
    if (e != OK) {
        metrics_add(e == E_END ? METRIC_DROPPED_EXPIRED : METRIC_DROPPED_QUEUE, 1);
        return E_END;
    }
    return OK;
}

/* Encode one message. OK; E_END: nothing was written and never will be; E_LIMIT: not now. */
static enum err put_message(struct conn *c, const struct delivery *d)
{
    const struct publication *p = d->publication;
    struct delivery aliased = *d;
    struct writer w;

    TRY(conn_reserve(c, message_wire_bytes(d), &w));
    aliased.alias = alias_book_take(&c->book, p->topic, p->topic_hash, &aliased.alias_is_known);
    enum err e = write_message(c, &aliased, &w);
    if (e != OK) {
        if (aliased.alias != 0 && !aliased.alias_is_known) {
            alias_book_drop(&c->book);
        }
        return e;
    }
    conn_commit(c, &w);
    metrics_add(METRIC_MESSAGES_OUT, 1);
    return OK;
}

void conn_send_direct(struct conn *c, const struct delivery *d)
{
    enum err e = put_message(c, d);
    if (e != OK && e != E_END) {
        metrics_add(METRIC_DROPPED_QOS0, 1);
    }
}

/* The same for the PUBREL of a message that the client received on an earlier connection. */
static enum err put_release(struct conn *c, uint16_t packet_id)
{
    struct writer w;
    TRY(conn_reserve(c, MQTT_ACK_BYTES_MAX, &w));
    TRY(mqtt_ack_write(&w, c->version, MQTT_PUBREL, packet_id, MQTT_SUCCESS));
    conn_commit(c, &w);
    return OK;
}

/* From the session's queue into the buffer. */
static void pump(struct conn *c)
{
    struct delivery d;
    while (octets_size(&c->out) < PUMP_BYTES && session_next(c->session, &d) == OK) {
        enum err e = d.publication == NULL ? put_release(c, d.packet_id) : put_message(c, &d);
        if (e == OK) {
            outbox_sent(&c->session->outbox);
        } else if (e == E_END) {
            outbox_skip(&c->session->outbox);
        } else {
            return;
        }
    }
}

/* OK: all is sent. E_BUSY: the socket takes no more. E_IO: it is broken. */
static enum err send_output(struct conn *c)
{
    while (octets_size(&c->out) > 0) {
        struct bytes left = octets_view(&c->out);
        ssize_t sent = send(c->fd, left.at, left.size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0) {
            return errno == EAGAIN ? E_BUSY : E_IO;
        }
        metrics_add(METRIC_BYTES_OUT, sent);
        if (c->is_full) {
            c->heard_ms = clock_now_ms(); /* It reads us, while we do not read it. */
        }
        octets_skip(&c->out, (size_t)sent);
    }
    return OK;
}

/* Ask to be told when the socket takes more, or no longer. */
static void watch_write(struct conn *c, bool wanted)
{
    if (c->wants_write != wanted) {
        bool reads = !c->is_full && !conn_list_has(&c->server->stalled, c);
        c->wants_write = wanted;
        loop_io_change(&c->io, (reads ? LOOP_READ : 0) | (wanted ? LOOP_WRITE : 0));
    }
}

void conn_hold(struct conn *c, uint64_t number)
{
    c->held_for = number;
    conn_list_add(&c->server->held, c);
}

void conn_release_held(struct conn *c, uint64_t done, enum err result)
{
    if (result != OK) {
        conn_close(c, 0, false);
    } else if (c->held_for <= done) {
        conn_list_remove(&c->server->held, c);
        conn_list_add(&c->server->dirty, c);
    }
}

void conn_flush(struct conn *c)
{
    struct delivery next;
    if (conn_list_has(&c->server->held, c)) {
        return;
    }
    for (unsigned round = 0; round < ROUNDS_MAX; round++) {
        if (c->state == CONN_OPEN) {
            pump(c);
        }
        enum err e = send_output(c);
        if (e == E_IO) {
            conn_close(c, 0, false);
            return;
        }
        if (e == E_BUSY || c->state != CONN_OPEN || session_next(c->session, &next) != OK) {
            watch_write(c, e == E_BUSY && c->state == CONN_OPEN);
            return;
        }
    }
    watch_write(c, true); /* More next turn. */
}

/* Write one answer, for which there is room, and see whether that publish is finished by it. */
static void write_ack(struct conn *c, struct writer *w, const struct ack *ack, uint8_t reason)
{
    bool goes_on = ack->type == MQTT_PUBREC && reason < MQTT_UNSPECIFIED;
    CHECK(mqtt_ack_write(w, c->version, ack->type, ack->packet_id, reason) == OK);
    c->unfinished -= c->unfinished > 0 && !goes_on;
}

enum err conn_put_ack(struct conn *c, const struct ack *ack)
{
    struct writer w;
    if (ack->number > 0 || c->acks.count > 0) {
        TRY(ack_ring_put(&c->acks, ack));
        conn_list_add(&c->server->waiting, c);
        c->unfinished += ack->type != MQTT_PUBCOMP;
        return OK;
    }
    TRY(octets_reserve(&c->out, MQTT_ACK_BYTES_MAX, &w));
    c->unfinished += ack->type != MQTT_PUBCOMP;
    write_ack(c, &w, ack, ack->reason);
    conn_commit(c, &w);
    return OK;
}

bool conn_has_unacked(const struct conn *c, uint16_t packet_id)
{
    return session_arrive(c->session, packet_id, 1) == SESSION_UNSURE ||
           ack_ring_has(&c->acks, MQTT_PUBACK, packet_id);
}

/* What was to be stored was not: the client shall send it again. False: the connection is closed,
 * as before v5 there is no other way to say so. */
static bool take_back(struct conn *c, const struct ack *ack)
{
    if (c->version < MQTT_V5) {
        session_doubt(c->session, ack->packet_id);
        conn_close(c, 0, false);
        return false;
    }
    (void)session_release(c->session, ack->packet_id);
    return true;
}

static uint8_t failure_reason(enum err result)
{
    return result == E_NO_SPACE ? MQTT_QUOTA_EXCEEDED : MQTT_IMPLEMENTATION_ERROR;
}

void conn_release_acks(struct conn *c, uint64_t done, enum err result)
{
    struct writer w;
    struct ack ack;

    if (octets_reserve(&c->out, (size_t)c->acks.count * MQTT_ACK_BYTES_MAX, &w) != OK) {
        conn_close(c, MQTT_UNSPECIFIED, false);
        return;
    }
    while (ack_ring_take(&c->acks, done, &ack) == OK) {
        bool failed = ack.number == done && result != OK;
        if (failed) {
            octets_commit(&c->out, &w);
            if (!take_back(c, &ack)) {
                return;
            }
        }
        write_ack(c, &w, &ack, failed ? failure_reason(result) : ack.reason);
    }
    conn_commit(c, &w);
    if (c->acks.count == 0) {
        conn_list_remove(&c->server->waiting, c);
    }
}
