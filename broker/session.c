#include "broker/session.h"

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
    free(s->unacked);
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
    outbox_rewind(&s->outbox, lost);
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

void session_add_unacked(struct session *s, uint16_t packet_id)
{
    uint16_t *grown = realloc(s->unacked, (s->unacked_count + 1) * sizeof *grown);
    if (grown != NULL) {
        s->unacked = grown;
        s->unacked[s->unacked_count++] = packet_id;
    }
}

bool session_has_unacked(const struct session *s, uint16_t packet_id)
{
    for (uint32_t i = 0; i < s->unacked_count; i++) {
        if (s->unacked[i] == packet_id) {
            return true;
        }
    }
    return false;
}

void session_forget_unacked(struct session *s, uint16_t packet_id)
{
    uint32_t left = 0;
    for (uint32_t i = 0; i < s->unacked_count; i++) {
        if (s->unacked[i] != packet_id) {
            s->unacked[left++] = s->unacked[i];
        }
    }
    s->unacked_count = left;
    if (left == 0) {
        free(s->unacked);
        s->unacked = NULL;
    }
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
