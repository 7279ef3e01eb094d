/* A session under any sequence of events: every message is sent in order, at most once a
 * connection, ids under way are unique, nothing acknowledged comes back (of QoS 2: nothing that was
 * received), and memory balances. */

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "broker/mqtt/session.h"

enum { MESSAGES_MAX = 4096 };

static struct conn *const connection = (struct conn *)(void *)1;

/* What the other side of the connection knows. */
struct client {
    struct {
        uint16_t id;
        uint8_t qos;
    } under_way[MESSAGES_MAX];
    unsigned count;
    uint32_t last;          /* The number of the last message first sent. */
    bool received[1 << 16]; /* By packet id: PUBREC was sent, PUBCOMP was not. */
};

static void on_sent(struct client *c, const struct delivery *d)
{
    uint32_t number;
    for (unsigned i = 0; d->qos > 0 && i < c->count; i++) {
        CHECK(c->under_way[i].id != d->packet_id);
    }
    if (d->qos > 0) {
        CHECK(d->packet_id != 0 && c->count < MESSAGES_MAX);
        c->under_way[c->count].qos = d->qos;
        c->under_way[c->count++].id = d->packet_id;
    }
    CHECK((d->publication == NULL) == (d->qos == 2 && c->received[d->packet_id]));
    if (d->publication == NULL) {
        return;
    }
    CHECK(d->publication->payload.size == sizeof number);
    memcpy(&number, d->publication->payload.at, sizeof number);
    if (!d->duplicate) {
        CHECK(number > c->last);
        c->last = number;
    }
}

static void send_some(struct session *s, struct client *c, unsigned most)
{
    struct delivery d;
    for (unsigned i = 0; i < most && session_next(s, &d) == OK; i++) {
        on_sent(c, &d);
        outbox_sent(&s->outbox);
    }
}

static void offer(struct session *s, uint32_t number, uint8_t argument)
{
    static const uint32_t ids[3] = {1, 2, 3};
    const struct session_limits limits = {200, 1 << 16};
    const struct publication p = {.topic = bytes_of("a"),
                                  .payload = {(const uint8_t *)&number, sizeof number}};
    const struct delivery d = {
        .publication = &p, .ids = ids, .id_count = argument >> 2 & 3, .qos = (argument & 3) % 3};
    struct message *m;
    CHECK(message_create(&p, &m) == OK);
    enum err e = session_offer(s, m, &d, &limits);
    CHECK(e == OK || e == E_LIMIT);
    message_drop(m);
}

static void acknowledge(struct session *s, struct client *c, uint8_t argument)
{
    if (c->count == 0) {
        CHECK(outbox_ack(&s->outbox, argument) == E_NOT_FOUND);
        return;
    }
    unsigned which = argument % c->count;
    uint16_t id = c->under_way[which].id;
    if (c->under_way[which].qos == 2 && !c->received[id]) {
        CHECK(outbox_ack(&s->outbox, id) == E_DENIED);
        CHECK(outbox_complete(&s->outbox, id) == E_DENIED);
        CHECK(outbox_receive(&s->outbox, id) == OK);
        c->received[id] = true;
        return;
    }
    bool is_complete = c->under_way[which].qos == 2;
    c->received[id] = false;
    c->under_way[which] = c->under_way[--c->count];
    CHECK((is_complete ? outbox_complete : outbox_ack)(&s->outbox, id) == OK);
    CHECK((is_complete ? outbox_complete : outbox_ack)(&s->outbox, id) == E_NOT_FOUND);
}

/* A publish of the client: what is received is known until it is released. */
static void arrive(struct session *s, uint8_t argument)
{
    uint16_t id = (uint16_t)(argument >> 2) + 1;
    uint8_t qos = 1 + (argument & 1);
    bool is_released = (argument & 2) != 0;
    CHECK(session_receive(s, id, qos) == OK);
    CHECK(session_arrive(s, id, 1) == SESSION_NEW);
    CHECK(session_arrive(s, id, 2) == SESSION_KNOWN || qos == 1);
    if (is_released) {
        CHECK(session_release(s, id) || qos == 1);
        CHECK(session_arrive(s, id, 2) == SESSION_NEW);
    } else {
        session_doubt(s, id);
        CHECK(session_arrive(s, id, qos) == SESSION_UNSURE);
    }
}

static void set_will(struct session *s, uint8_t argument)
{
    const struct publication p = {.topic = bytes_of("will")};
    struct message *will;
    CHECK(message_create(&p, &will) == OK);
    session_set_will(s, will, argument % 16);
}

/* False: the session has ended. */
static bool tick(struct session *s, int64_t now_ms)
{
    struct session_due due = session_tick(s, now_ms);
    CHECK(s->conn == NULL || (due.will == NULL && !due.ended));
    CHECK(!due.ended || s->will == NULL); /* A will never outlives its session. */
    message_drop(due.will);
    return !due.ended;
}

static void toggle(struct session *s, struct client *c, int64_t now_ms, uint8_t argument)
{
    uint64_t lost = 0;
    if (s->conn == NULL) {
        session_attach(s, connection, argument % 32, 1 + argument % 9);
    } else {
        session_detach(s, now_ms, (argument & 1) != 0, &lost);
        c->count = 0;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct client c;
    struct session *s;
    int64_t now_ms = 0;
    bool lives = true;

    memset(&c, 0, sizeof c);
    CHECK(session_create(bytes_of("fuzz"), &s) == OK);
    session_attach(s, connection, 10, 4);
    for (size_t i = 0; i + 1 < size && i < (size_t)MESSAGES_MAX && lives; i += 2) {
        const uint8_t argument = data[i + 1];
        switch (data[i] % 8) {
        case 0:
        case 1:
            offer(s, (uint32_t)i + 1, argument);
            break;
        case 2:
            if (s->conn != NULL) {
                send_some(s, &c, argument % 8);
            }
            break;
        case 3:
            acknowledge(s, &c, argument);
            break;
        case 4:
            toggle(s, &c, now_ms, argument);
            break;
        case 5:
            if (s->conn != NULL) {
                set_will(s, argument);
            }
            break;
        case 6:
            arrive(s, argument);
            break;
        default:
            now_ms += (int64_t)argument * 100;
            lives = tick(s, now_ms);
        }
    }
    outbox_clear(&s->outbox);
    CHECK(s->outbox.bytes == 0);
    session_destroy(s);
    return 0;
}
