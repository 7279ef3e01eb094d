#include "broker/mqtt/keep.h"

#include "base/check.h"
#include "broker/mqtt/mqtt_state.h"
#include "storage/state/session_state.h"

static enum err put(struct mqtt_server *s, const struct session_state *state)
{
    uint8_t room[SESSION_STATE_KEY_BYTES_MAX];
    struct writer key = {room, 0, sizeof room}, value;
    TRY(octets_reserve(&s->state_scratch, session_state_bytes(state), &value));
    CHECK(session_state_write(state, &key, &value) == OK);
    return ingest_put_state(s->ingest, (uint8_t)state->kind, (struct bytes){key.at, key.size},
                            (struct bytes){value.at, value.size}, &s->kept);
}

static enum err forget(struct mqtt_server *s, const struct session_state *state)
{
    uint8_t room[SESSION_STATE_KEY_BYTES_MAX];
    struct writer key = {room, 0, sizeof room};
    session_state_write_key(state, &key);
    return ingest_put_state(s->ingest, (uint8_t)state->kind, (struct bytes){key.at, key.size},
                            (struct bytes){NULL, 0}, &s->kept);
}

void keep_begin(struct mqtt_server *s, struct session *session)
{
    session->number = atomic_fetch_add(&s->common->session_number, 1) + 1;
    session->subscriber.durable = true;
}

enum err keep_session(struct mqtt_server *s, const struct session *session)
{
    const bool connected = session->conn != NULL;
    const struct session_state state = {
        .kind = SESSION_STATE_SESSION,
        .session = session->number,
        .at.client = {.client_id = session_id(session),
                      .expiry_s = session->expiry_s,
                      .connected = connected,
                      .since_ns = connected ? 0 : loop_wall_ns(s->loop),
                      .sent_below = session->sent_below}};
    return session->number == 0 ? OK : put(s, &state);
}

void keep_end(struct mqtt_server *s, const struct session *session)
{
    struct session_state state = {.kind = SESSION_STATE_SESSION, .session = session->number};
    if (session->number == 0 || forget(s, &state) != OK) {
        return; /* For lack of memory: it comes back at the next start, and expires. */
    }
    state.kind = SESSION_STATE_SUBSCRIPTION;
    for (const struct subscription *at = session->subscriber.first; at != NULL; at = at->next) {
        state.at.subscription.number = at->number;
        (void)!forget(s, &state); /* Without its session the next start clears it away. */
    }
}

enum err keep_subscription(struct mqtt_server *s, const struct session *session,
                           const struct subscription *subscription, struct bytes filter)
{
    const struct subscription_options *o = &subscription->options;
    const struct session_state state = {
        .kind = SESSION_STATE_SUBSCRIPTION,
        .session = session->number,
        .at.subscription = {.filter = filter,
                            .number = subscription->number,
                            .id = o->id,
                            .qos = o->qos,
                            .no_local = o->no_local,
                            .retain_as_published = o->retain_as_published}};
    return session->number == 0 ? OK : put(s, &state);
}

enum err keep_no_subscription(struct mqtt_server *s, const struct session *session, uint32_t number)
{
    const struct session_state state = {.kind = SESSION_STATE_SUBSCRIPTION,
                                        .session = session->number,
                                        .at.subscription.number = number};
    return session->number == 0 ? OK : forget(s, &state);
}

bool keep_has_room(struct mqtt_server *s, const struct session *session)
{
    if (session->number == 0 || ingest_has_room(s->ingest)) {
        return true;
    }
    mqtt_turn_set_busy(s);
    return false;
}
