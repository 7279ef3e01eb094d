#include "broker/mqtt/outbox.h"

#include <stdlib.h>

#include "base/check.h"

enum { IDS = 65535, CAPACITY_FIRST = 8 };

static struct outbox_entry *entry_at(const struct outbox *o, uint64_t sequence)
{
    return &o->ring[sequence & (o->capacity - 1)];
}

static uint16_t id_of(uint64_t sequence)
{
    return (uint16_t)(sequence % IDS + 1);
}

static bool entry_is_done(const struct outbox_entry *e)
{
    return e->message == NULL && !e->received;
}

static void entry_clear(struct outbox *o, struct outbox_entry *e)
{
    if (e->message != NULL) {
        o->bytes -= message_bytes(e->message);
        message_drop(e->message);
        free(e->ids);
    }
    *e = (struct outbox_entry){0};
}

/* Move the head over what is done; an empty ring gives its memory back. */
static void settle(struct outbox *o)
{
    while (o->head < o->next && entry_is_done(entry_at(o, o->head))) {
        o->head++;
    }
    if (o->head == o->tail) {
        free(o->ring);
        o->ring = NULL;
        o->capacity = 0;
    }
}

void outbox_clear(struct outbox *o)
{
    for (uint64_t i = o->head; i < o->tail; i++) {
        entry_clear(o, entry_at(o, i));
    }
    free(o->ring);
    *o = (struct outbox){0};
}

static enum err grow(struct outbox *o)
{
    struct outbox larger = *o;
    larger.capacity = o->capacity == 0 ? CAPACITY_FIRST : o->capacity * 2;
    larger.ring = calloc(larger.capacity, sizeof *larger.ring);
    if (larger.ring == NULL) {
        return E_NO_MEMORY;
    }
    for (uint64_t i = o->head; i < o->tail; i++) {
        *entry_at(&larger, i) = *entry_at(o, i);
    }
    free(o->ring);
    *o = larger;
    return OK;
}

static enum err entry_set_ids(struct outbox_entry *e, const struct delivery *d)
{
    if (d->id_count == 0) {
        return OK;
    }
    if (d->id_count == 1) {
        e->id = d->ids[0];
        return OK;
    }
    e->ids = malloc((d->id_count + 1) * sizeof *e->ids);
    if (e->ids == NULL) {
        return E_NO_MEMORY;
    }
    e->ids[0] = d->id_count;
    memcpy(e->ids + 1, d->ids, d->id_count * sizeof *e->ids);
    return OK;
}

enum err outbox_put(struct outbox *o, struct message *message, const struct delivery *d)
{
    struct outbox_entry e = {.qos = d->qos, .retain = d->retain};
    if (o->tail - o->head == o->capacity) {
        TRY(grow(o));
    }
    TRY(entry_set_ids(&e, d));
    e.message = message_hold(message);
    o->bytes += message_bytes(message);
    o->qos0 += d->qos == 0;
    *entry_at(o, o->tail++) = e;
    return OK;
}

enum err outbox_next(const struct outbox *o, uint32_t window, struct delivery *out)
{
    if (o->next == o->tail) {
        return E_END;
    }
    const struct outbox_entry *e = entry_at(o, o->next);
    if (e->received) {
        *out = (struct delivery){.packet_id = id_of(o->next), .qos = 2};
        return OK;
    }
    /* The second bound keeps ids unique when the oldest packet is never acknowledged. */
    if (e->qos > 0 && (o->unacked >= window || o->next - o->head >= IDS)) {
        return E_BUSY;
    }
    *out = (struct delivery){.publication = &e->message->view,
                             .ids = e->ids != NULL ? e->ids + 1 : &e->id,
                             .id_count = e->ids != NULL ? e->ids[0] : e->id != 0,
                             .packet_id = e->qos > 0 ? id_of(o->next) : 0,
                             .qos = e->qos,
                             .retain = e->retain,
                             .duplicate = e->sent};
    return OK;
}

/* Step over entries that were acknowledged before the connection was lost. */
static void next_settle(struct outbox *o)
{
    while (o->next < o->tail && entry_is_done(entry_at(o, o->next))) {
        o->next++;
    }
}

void outbox_sent(struct outbox *o)
{
    struct outbox_entry *e = entry_at(o, o->next);
    CHECK(o->next < o->tail);
    if (e->qos == 0) {
        outbox_skip(o);
        return;
    }
    e->sent = true;
    o->unacked++;
    o->next++;
    next_settle(o);
}

void outbox_skip(struct outbox *o)
{
    struct outbox_entry *e = entry_at(o, o->next);
    CHECK(o->next < o->tail);
    o->qos0 -= e->qos == 0;
    entry_clear(o, e);
    o->next++;
    next_settle(o);
    settle(o);
}

/* The entry under way with that id; NULL: none. */
static struct outbox_entry *entry_find(struct outbox *o, uint16_t packet_id)
{
    uint16_t first = id_of(o->head);
    uint64_t sequence = o->head + (uint64_t)((packet_id + IDS - first) % IDS);
    if (packet_id == 0 || sequence >= o->next) {
        return NULL;
    }
    struct outbox_entry *e = entry_at(o, sequence);
    return e->qos == 0 ? NULL : e; /* A cleared entry has QoS 0, too. */
}

static void finish(struct outbox *o, struct outbox_entry *e)
{
    entry_clear(o, e);
    o->unacked--;
    settle(o);
}

enum err outbox_ack(struct outbox *o, uint16_t packet_id)
{
    struct outbox_entry *e = entry_find(o, packet_id);
    if (e == NULL) {
        return E_NOT_FOUND;
    }
    if (e->qos != 1) {
        return E_DENIED;
    }
    finish(o, e);
    return OK;
}

enum err outbox_receive(struct outbox *o, uint16_t packet_id)
{
    struct outbox_entry *e = entry_find(o, packet_id);
    if (e == NULL) {
        return E_NOT_FOUND;
    }
    if (e->qos != 2) {
        return E_DENIED;
    }
    entry_clear(o, e);
    *e = (struct outbox_entry){.qos = 2, .sent = true, .received = true};
    return OK;
}

enum err outbox_complete(struct outbox *o, uint16_t packet_id)
{
    struct outbox_entry *e = entry_find(o, packet_id);
    if (e == NULL) {
        return E_NOT_FOUND;
    }
    if (!e->received) {
        return E_DENIED;
    }
    finish(o, e);
    return OK;
}

enum err outbox_refuse(struct outbox *o, uint16_t packet_id)
{
    struct outbox_entry *e = entry_find(o, packet_id);
    if (e == NULL) {
        return E_NOT_FOUND;
    }
    if (e->qos != 2) {
        return E_DENIED;
    }
    finish(o, e);
    return OK;
}

void outbox_rewind(struct outbox *o, uint64_t *lost)
{
    for (uint64_t i = o->next; i < o->tail && o->qos0 > 0; i++) {
        struct outbox_entry *e = entry_at(o, i);
        if (e->message != NULL && e->qos == 0) {
            entry_clear(o, e);
            o->qos0--;
            *lost += 1;
        }
    }
    o->next = o->head;
    next_settle(o);
    o->unacked = 0;
    settle(o);
}
