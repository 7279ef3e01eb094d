#include "broker/mqtt/restore.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "broker/mqtt/mqtt_state.h"
#include "broker/threads/metrics.h"
#include "storage/state/session_state.h"

enum { SESSIONS_FIRST = 64, MS_PER_S = 1000 };

struct restored_subscription {
    struct restored_subscription *next;
    uint32_t number;
    struct subscription_options options;
    size_t size;
    uint8_t filter[];
};

struct restored {
    uint64_t number;
    struct session *session; /* NULL: it has expired, or a loop has it. */
    struct restored_subscription *subscriptions;
};

struct restore {
    struct engine *engine;
    struct mqtt_common *common;
    struct restored *sessions; /* By number. */
    size_t count, capacity;
    struct batch *tidied; /* What changes on disk. */
    int64_t wall_ns, now_ms;
    uint64_t expired, orphans, damaged;
};

/* What changes on disk. */

static enum err put(struct restore *r, const struct session_state *state)
{
    uint8_t room[SESSION_STATE_KEY_BYTES_MAX];
    const size_t size = session_state_bytes(state);
    struct writer key = {room, 0, sizeof room}, value = {malloc(size), 0, size};
    if (value.at == NULL) {
        return E_NO_MEMORY;
    }
    enum err e = session_state_write(state, &key, &value);
    if (e == OK) {
        e = batch_put_state(r->tidied, (uint8_t)state->kind, 0, (struct bytes){key.at, key.size},
                            (struct bytes){value.at, value.size});
    }
    free(value.at);
    return e;
}

static enum err clear_away(struct restore *r, const struct batch_state *piece)
{
    return batch_put_state(r->tidied, piece->space, 0, piece->key, (struct bytes){NULL, 0});
}

/* Of what cannot be written now nothing is lost: the next start does it again. */
static void tidy(struct restore *r)
{
    if (r->tidied->state.size == 0) {
        return;
    }
    enum err e = engine_write(r->engine, &r->tidied, 1);
    if (e != OK) {
        log_line(LOG_ERROR, "broker", "sessions on disk are not tidied: %s", err_text(e));
    }
    batch_reset(r->tidied);
}

/* OK: `*out` is what the piece says. E_END: it is damaged, counted and cleared away. */
static enum err read_piece(struct restore *r, const struct batch_state *piece,
                           struct session_state *out)
{
    if (session_state_read(piece->space, piece->key, piece->value, out) == OK) {
        return OK;
    }
    r->damaged++;
    TRY(clear_away(r, piece));
    return E_END;
}

/* Sessions. */

static struct restored *session_find(struct restore *r, uint64_t number)
{
    size_t from = 0, to = r->count;
    while (from < to) {
        const size_t middle = (from + to) / 2;
        if (r->sessions[middle].number < number) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from < r->count && r->sessions[from].number == number ? &r->sessions[from] : NULL;
}

/* They come in the order of their numbers. */
static enum err session_add(struct restore *r, uint64_t number, struct restored **out)
{
    if (r->count == r->capacity) {
        const size_t capacity = r->capacity == 0 ? SESSIONS_FIRST : r->capacity * 2;
        struct restored *grown = realloc(r->sessions, capacity * sizeof *grown);
        if (grown == NULL) {
            return E_NO_MEMORY;
        }
        r->sessions = grown;
        r->capacity = capacity;
    }
    *out = &r->sessions[r->count++];
    **out = (struct restored){.number = number};
    return OK;
}

/* Milliseconds it still has, from now on; 0: none. */
static int64_t left_ms(const struct restore *r, const struct session_state *state)
{
    const int64_t most_ms = (int64_t)state->at.client.expiry_s * MS_PER_S;
    if (state->at.client.expiry_s == UINT32_MAX) {
        return SESSION_NEVER_MS;
    }
    const int64_t since_ns = state->at.client.since_ns;
    const int64_t gone_ns = r->wall_ns > since_ns ? r->wall_ns - since_ns : 0;
    const int64_t gone_ms = gone_ns / NS_PER_MS;
    return state->at.client.connected ? most_ms : gone_ms < most_ms ? most_ms - gone_ms : 0;
}

static enum err revive(struct restore *r, struct restored *to, struct session_state *state,
                       int64_t lasts_ms)
{
    struct session *session;
    TRY(session_create(state->at.client.client_id, &session));
    session->number = state->session;
    session->subscriber.durable = true;
    session->expiry_s = state->at.client.expiry_s;
    session->sent_below = state->at.client.connected ? UINT64_MAX : state->at.client.sent_below;
    session->end_due_ms = lasts_ms == SESSION_NEVER_MS ? lasts_ms : r->now_ms + lasts_ms;
    to->session = session;
    if (!state->at.client.connected) {
        return OK;
    }
    /* The broker died under it: its time runs from now on, over further restarts, too. */
    state->at.client.connected = false;
    state->at.client.since_ns = r->wall_ns;
    state->at.client.sent_below = UINT64_MAX;
    return put(r, state);
}

static enum err load_session(void *context, const struct batch_state *piece)
{
    struct restore *r = context;
    struct session_state state;
    struct restored *to;
    enum err e = read_piece(r, piece, &state);
    if (e != OK) {
        return e == E_END ? OK : e;
    }
    TRY(session_add(r, state.session, &to));
    const int64_t lasts_ms = left_ms(r, &state);
    if (lasts_ms > 0) {
        return revive(r, to, &state, lasts_ms);
    }
    r->expired++;
    return clear_away(r, piece);
}

/* The session a piece belongs to. E_END: none, or it has expired; then the piece is cleared away.
 */
static enum err owner_of(struct restore *r, const struct batch_state *piece, uint64_t number,
                         struct restored **out)
{
    struct restored *found = session_find(r, number);
    if (found != NULL && found->session != NULL) {
        *out = found;
        return OK;
    }
    r->orphans += found == NULL;
    TRY(clear_away(r, piece));
    return E_END;
}

static enum err add_subscription(struct restored *to, const struct session_state *state)
{
    const struct bytes filter = state->at.subscription.filter;
    struct restored_subscription *new = malloc(sizeof *new + filter.size);
    if (new == NULL) {
        return E_NO_MEMORY;
    }
    new->number = state->at.subscription.number;
    new->options = (struct subscription_options){.id = state->at.subscription.id,
                                                 .qos = state->at.subscription.qos,
                                                 .no_local = state->at.subscription.no_local,
                                                 .retain_as_published =
                                                     state->at.subscription.retain_as_published};
    new->size = filter.size;
    memcpy(new->filter, filter.at, filter.size);
    new->next = to->subscriptions;
    to->subscriptions = new;
    return OK;
}

static enum err load_subscription(void *context, const struct batch_state *piece)
{
    struct restore *r = context;
    struct session_state state;
    struct restored *to;
    enum err e = read_piece(r, piece, &state);
    if (e == OK) {
        e = owner_of(r, piece, state.session, &to);
    }
    if (e != OK) {
        return e == E_END ? OK : e;
    }
    return add_subscription(to, &state);
}

/* Making and ending. */

static enum err load_all(struct restore *r)
{
    TRY(batch_create(&r->tidied));
    TRY(engine_each_state(r->engine, SESSION_STATE_SESSION, load_session, r));
    TRY(engine_each_state(r->engine, SESSION_STATE_SUBSCRIPTION, load_subscription, r));
    tidy(r);
    if (r->count > 0) {
        atomic_store(&r->common->session_number, r->sessions[r->count - 1].number);
    }
    return OK;
}

static void report(const struct restore *r)
{
    if (r->orphans + r->damaged > 0) {
        log_line(LOG_WARN, "broker",
                 "of sessions on disk some pieces made no sense and are removed damaged=%" PRIu64
                 " orphans=%" PRIu64,
                 r->damaged, r->orphans);
    }
    if (r->count > 0) {
        log_line(LOG_INFO, "broker", "sessions are back count=%zu expired=%" PRIu64,
                 r->count - (size_t)r->expired, r->expired);
    }
}

enum err restore_load(struct engine *engine, struct mqtt_common *c, struct restore **out)
{
    struct restore *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return E_NO_MEMORY;
    }
    r->engine = engine;
    r->common = c;
    r->wall_ns = clock_wall_ns();
    r->now_ms = clock_now_ms();
    enum err e = load_all(r);
    if (e != OK) {
        restore_destroy(r);
        return e;
    }
    report(r);
    *out = r;
    return OK;
}

static void free_subscriptions(struct restored *of)
{
    while (of->subscriptions != NULL) {
        struct restored_subscription *first = of->subscriptions;
        of->subscriptions = first->next;
        free(first);
    }
}

void restore_destroy(struct restore *r)
{
    if (r == NULL) {
        return;
    }
    for (size_t i = 0; i < r->count; i++) {
        free_subscriptions(&r->sessions[i]);
        if (r->sessions[i].session != NULL) {
            session_destroy(r->sessions[i].session);
        }
    }
    batch_destroy(r->tidied);
    free(r->sessions);
    free(r);
}

/* To the loops. */

static enum err subscribe(struct mqtt_server *s, struct session *session,
                          const struct restored_subscription *from)
{
    const struct bytes filter = {from->filter, from->size};
    struct subscriber *subscriber = &session->subscriber;
    bool existed;
    enum err e = subscriptions_put(s->subscriptions, subscriber, filter, &from->options, &existed);
    if (e != OK) {
        return e == E_MALFORMED ? OK : e; /* "$share/" alone: was never put. */
    }
    metrics_add(METRIC_SUBSCRIPTIONS, !existed);
    subscriptions_find(s->subscriptions, subscriber, filter)->number = from->number;
    if (subscriber->numbered <= from->number) {
        subscriber->numbered = from->number + 1;
    }
    return OK;
}

static enum err adopt(struct mqtt_server *s, struct restored *from)
{
    struct session *session = from->session;
    from->session = NULL;
    session_table_add(&s->sessions, session);
    atomic_fetch_add(&s->common->sessions, 1);
    metrics_add(METRIC_SESSIONS, 1);
    for (const struct restored_subscription *at = from->subscriptions; at != NULL; at = at->next) {
        TRY(subscribe(s, session, at));
    }
    free_subscriptions(from);
    return OK;
}

enum err restore_adopt(struct restore *r, struct mqtt_server *s)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct session *session = r->sessions[i].session;
        if (session != NULL && session->hash % r->common->loops == s->index) {
            TRY(adopt(s, &r->sessions[i]));
        }
    }
    return OK;
}
