#include "broker/mqtt/session.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/hash.h"

enum { MS_PER_S = 1000 };

enum err session_create(struct bytes client_id, struct session **out)
{
    struct session *s = calloc(1, sizeof *s + client_id.size);
    if (s == NULL) {
        return E_NO_MEMORY;
    }
    s->will_due_ms = s->end_due_ms = SESSION_NEVER_MS;
    s->hash = hash_bytes(client_id);
    s->id_bytes = (uint32_t)client_id.size;
    memcpy(s->id, client_id.at, client_id.size);
    *out = s;
    return OK;
}

void session_destroy(struct session *s)
{
    CHECK(s->subscriber.first == NULL);
    outbox_clear(&s->outbox);
    message_drop(s->will);
    packet_ids_clear(&s->unacked);
    packet_ids_clear(&s->received);
    free(s);
}

void session_attach(struct session *s, struct conn *conn, uint32_t expiry_s, uint16_t window)
{
    CHECK(s->conn == NULL);
    s->conn = conn;
    s->expiry_s = expiry_s;
    s->window = window;
    message_drop(s->will);
    s->will = NULL;
    s->will_due_ms = s->end_due_ms = SESSION_NEVER_MS;
}

void session_set_will(struct session *s, struct message *will, uint32_t delay_s)
{
    message_drop(s->will);
    s->will = will;
    s->will_delay_s = delay_s;
}

void session_detach(struct session *s, int64_t now_ms, bool discard_will, uint64_t *lost)
{
    s->conn = NULL;
    if (s->sent_below < s->outbox.next) {
        s->sent_below = s->outbox.next;
    }
    outbox_rewind(&s->outbox, lost);
    packet_ids_trim(&s->unacked);
    packet_ids_trim(&s->received);
    s->end_due_ms =
        s->expiry_s == UINT32_MAX ? SESSION_NEVER_MS : now_ms + (int64_t)s->expiry_s * MS_PER_S;
    if (discard_will) {
        message_drop(s->will);
        s->will = NULL;
    }
    if (s->will != NULL) {
        int64_t due_ms = now_ms + (int64_t)s->will_delay_s * MS_PER_S;
        s->will_due_ms = due_ms < s->end_due_ms ? due_ms : s->end_due_ms;
    }
}

enum session_arrival session_arrive(const struct session *s, uint16_t packet_id, uint8_t qos)
{
    bool is_unsure = packet_ids_has(&s->unacked, packet_id);
    if (qos < 2) {
        return is_unsure ? SESSION_UNSURE : SESSION_NEW;
    }
    if (!packet_ids_has(&s->received, packet_id)) {
        return SESSION_NEW;
    }
    return is_unsure ? SESSION_UNSURE : SESSION_KNOWN;
}

enum err session_receive(struct session *s, uint16_t packet_id, uint8_t qos)
{
    if (qos == 2) {
        TRY(packet_ids_add(&s->received, packet_id));
    }
    (void)packet_ids_remove(&s->unacked, packet_id);
    return OK;
}

void session_doubt(struct session *s, uint16_t packet_id)
{
    if (packet_ids_add(&s->unacked, packet_id) != OK) {
        (void)session_release(s, packet_id); /* Rather forwarded twice than never stored. */
    }
}

bool session_release(struct session *s, uint16_t packet_id)
{
    return packet_ids_remove(&s->received, packet_id);
}

struct message *session_end(struct session *s)
{
    struct message *will = s->will;
    s->will = NULL;
    s->will_due_ms = SESSION_NEVER_MS;
    return will;
}

struct session_due session_tick(struct session *s, int64_t now_ms)
{
    struct session_due due = {NULL, false};
    if (s->conn == NULL) {
        due.will = s->will_due_ms <= now_ms ? session_end(s) : NULL;
        due.ended = s->end_due_ms <= now_ms;
    }
    return due;
}

enum err session_offer(struct session *s, struct message *message, const struct delivery *d,
                       const struct session_limits *limits)
{
    if ((d->qos == 0 && s->conn == NULL) || outbox_waiting(&s->outbox) >= limits->messages ||
        s->outbox.bytes + message_bytes(message) > limits->bytes) {
        return E_LIMIT;
    }
    return outbox_put(&s->outbox, message, d);
}
