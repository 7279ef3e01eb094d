/* CONNECT: who is it, where does the session live, and what do both sides offer. MQTT 5.0 sections
 * 3.1 and 3.2. */

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/hash.h"
#include "broker/mqtt/conn.h"
#include "broker/mqtt/keep.h"
#include "broker/mqtt/mqtt_state.h"
#include "broker/threads/metrics.h"

enum { ASSIGNED_ID_BYTES = 32, PROPERTIES_BYTES = 128 };

/* What was settled about a connection before its session is touched. */
struct welcome {
    struct bytes client_id;
    uint64_t hash;
    bool is_assigned;
    uint32_t expiry_s;
    uint16_t keep_alive_s;
    char assigned[ASSIGNED_ID_BYTES];
};

/* Answer with a refusal, unless `version` is 0, and close. */
static enum err refuse(struct conn *c, uint8_t version, uint8_t reason)
{
    struct writer w;
    metrics_add(METRIC_CONNECTS_REFUSED, 1);
    if (version != 0 && octets_reserve(&c->out, PROPERTIES_BYTES, &w) == OK &&
        mqtt_connack_write(&w, version, false, reason, (struct bytes){NULL, 0}) == OK) {
        octets_commit(&c->out, &w);
    }
    conn_close_after_output(c);
    return E_END;
}

/* What of a well-formed CONNECT is not offered here; MQTT_SUCCESS: nothing. */
static uint8_t refusal_of(const struct mqtt_connect *p)
{
    if (mqtt_properties_has(&p->properties, MQTT_AUTH_METHOD)) {
        return MQTT_BAD_AUTH_METHOD;
    }
    if (p->client_id.size > SESSION_CLIENT_ID_BYTES_MAX) {
        return MQTT_CLIENT_ID_INVALID;
    }
    /* [MQTT-3.1.3-8] of 3.1.1; 3.1 knows no empty id. */
    if (p->client_id.size == 0 &&
        (p->version == MQTT_V31 || (p->version == MQTT_V311 && !p->clean_start))) {
        return MQTT_CLIENT_ID_INVALID;
    }
    if (p->has_will && p->will.topic.at[0] == '$') {
        return MQTT_NOT_AUTHORIZED;
    }
    return MQTT_SUCCESS;
}

/* An id of our own whose session lives on this loop. */
static void assign_id(struct mqtt_server *s, struct welcome *wel)
{
    do {
        const uint64_t parts[2] = {s->common->seed, s->assigned_ids++ * LOOPS_MAX + s->index};
        uint64_t name = hash_bytes((struct bytes){(const uint8_t *)parts, sizeof parts});
        int size = snprintf(wel->assigned, sizeof wel->assigned, "auto-%016" PRIx64, name);
        wel->client_id = (struct bytes){(const uint8_t *)wel->assigned, (size_t)size};
        wel->hash = hash_bytes(wel->client_id);
    } while (wel->hash % s->common->loops != s->index ||
             session_table_find(&s->sessions, wel->client_id, wel->hash) != NULL);
    wel->is_assigned = true;
}

static void settle_terms(const struct mqtt_options *o, const struct mqtt_connect *p,
                         struct welcome *wel)
{
    uint32_t wanted = p->clean_start ? 0 : UINT32_MAX; /* Before v5. */
    if (p->version >= MQTT_V5) {
        bool has = mqtt_properties_has(&p->properties, MQTT_SESSION_EXPIRY);
        wanted = has ? p->properties.session_expiry_s : 0;
    }
    wel->expiry_s = wanted < o->session_expiry_max_s ? wanted : o->session_expiry_max_s;
    wel->keep_alive_s = p->keep_alive_s;
    /* Only v5 can be told of another keep alive. */
    if (p->version >= MQTT_V5 && o->keep_alive_max_s > 0 &&
        (p->keep_alive_s == 0 || p->keep_alive_s > o->keep_alive_max_s)) {
        wel->keep_alive_s = o->keep_alive_max_s;
    }
}

/* The session of that client, as it is at this moment: what is due is done, not only once a second.
 */
static struct session *find_session(struct mqtt_server *s, const struct welcome *wel)
{
    struct session *found = session_table_find(&s->sessions, wel->client_id, wel->hash);

    if (found == NULL) {
        return NULL;
    }
    if (found->conn != NULL) {
        conn_close(found->conn, MQTT_SESSION_TAKEN_OVER, false); /* [MQTT-3.1.4-3] */
    } else {
        mqtt_server_settle_session(s, found); /* [MQTT-4.1.0-2] */
    }
    return session_table_find(&s->sessions, wel->client_id, wel->hash);
}

/* The session the client asked for. E_LIMIT: too many; E_NO_MEMORY. */
static enum err take_session(struct mqtt_server *s, const struct mqtt_connect *p,
                             const struct welcome *wel, struct session **out, bool *present)
{
    struct session *found = find_session(s, wel);

    if (found != NULL && p->clean_start) {
        mqtt_server_end_session(s, found); /* [MQTT-3.1.2-4] */
        found = NULL;
    }
    *present = found != NULL;
    if (found == NULL) {
        if (atomic_load(&s->common->sessions) >= s->options->sessions_max) {
            return E_LIMIT;
        }
        TRY(session_create(wel->client_id, &found));
        if (wel->expiry_s > 0) {
            keep_begin(s, found);
        }
        session_table_add(&s->sessions, found);
        atomic_fetch_add(&s->common->sessions, 1);
        metrics_add(METRIC_SESSIONS, 1);
    }
    *out = found;
    return OK;
}

/* Keep the will, as a publication of this client. E_NO_MEMORY. */
static enum err take_will(struct mqtt_server *s, struct session *session,
                          const struct mqtt_connect *p)
{
    struct writer properties;
    struct message *will;
    const struct mqtt_properties *from = &p->will.properties;

    TRY(octets_reserve(&s->scratch, from->raw.size + 1, &properties));
    TRY(mqtt_properties_forward(from->raw, &properties));
    const struct publication view = {.topic = p->will.topic,
                                     .payload = p->will.payload,
                                     .properties = {properties.at, properties.size},
                                     .topic_hash = hash_bytes(p->will.topic),
                                     .origin = session->hash,
                                     .expires_ns = mqtt_properties_has(from, MQTT_MESSAGE_EXPIRY)
                                                       ? from->message_expiry_s
                                                       : MESSAGE_NEVER_NS,
                                     .qos = p->will.qos,
                                     .retain = p->will.retain};
    TRY(message_create(&view, &will));
    session_set_will(session, will,
                     mqtt_properties_has(from, MQTT_WILL_DELAY) ? from->will_delay_s : 0);
    return OK;
}

/* What holds for every client. */
static enum err put_limits(struct writer *w, const struct mqtt_options *o)
{
    TRY(mqtt_property_put_u16(w, MQTT_RECEIVE_MAXIMUM, o->receive_maximum));
    TRY(mqtt_property_put_u32(w, MQTT_MAXIMUM_PACKET_SIZE, o->packet_bytes_max));
    return o->topic_alias_maximum == 0
               ? OK
               : mqtt_property_put_u16(w, MQTT_TOPIC_ALIAS_MAXIMUM, o->topic_alias_maximum);
}

/* The properties of CONNACK that differ from the standard's defaults (section 3.2.2.3). */
static enum err put_offers(struct writer *w, const struct mqtt_options *o,
                           const struct mqtt_connect *p, const struct welcome *wel)
{
    TRY(put_limits(w, o));
    if (mqtt_properties_has(&p->properties, MQTT_SESSION_EXPIRY) &&
        p->properties.session_expiry_s != wel->expiry_s) {
        TRY(mqtt_property_put_u32(w, MQTT_SESSION_EXPIRY, wel->expiry_s));
    }
    if (wel->is_assigned) {
        TRY(mqtt_property_put_bytes(w, MQTT_ASSIGNED_CLIENT_ID, wel->client_id));
    }
    return wel->keep_alive_s == p->keep_alive_s
               ? OK
               : mqtt_property_put_u16(w, MQTT_SERVER_KEEP_ALIVE, wel->keep_alive_s);
}

static enum err write_connack(struct conn *c, const struct mqtt_connect *p,
                              const struct welcome *wel, bool present)
{
    uint8_t memory[PROPERTIES_BYTES];
    struct writer offers = {memory, 0, sizeof memory}, w;
    TRY(put_offers(&offers, c->server->options, p, wel));
    TRY(octets_reserve(&c->out, PROPERTIES_BYTES + 16, &w));
    const size_t before = w.size;
    TRY(mqtt_connack_write(&w, c->version, present, MQTT_SUCCESS,
                           (struct bytes){offers.at, offers.size}));
    if (w.size - before > c->packet_bytes_max) {
        return E_LIMIT; /* [MQTT-3.1.2-24]: then there is nothing to say. */
    }
    conn_commit(c, &w);
    return OK;
}

static void set_terms(struct conn *c, const struct mqtt_connect *p, const struct welcome *wel)
{
    c->version = p->version;
    c->state = CONN_OPEN;
    c->heard_ms = clock_now_ms();
    c->silence_max_ms = (int64_t)wel->keep_alive_s * 1500; /* [MQTT-3.1.2-22] */
    if (mqtt_properties_has(&p->properties, MQTT_MAXIMUM_PACKET_SIZE)) {
        c->packet_bytes_max = p->properties.maximum_packet_size;
    }
    if (mqtt_properties_has(&p->properties, MQTT_TOPIC_ALIAS_MAXIMUM)) {
        const uint16_t ours = c->server->options->topic_alias_maximum;
        const uint16_t theirs = p->properties.topic_alias_maximum;
        c->book.limit = theirs < ours ? theirs : ours;
    }
}

static enum err open_session(struct conn *c, const struct mqtt_connect *p,
                             const struct welcome *wel)
{
    struct mqtt_server *s = c->server;
    struct session *session;
    bool present;
    uint16_t window = s->options->inflight_max;

    s->kept = 0;
    enum err e = take_session(s, p, wel, &session, &present);
    if (e != OK) {
        return refuse(c, p->version, e == E_LIMIT ? MQTT_QUOTA_EXCEEDED : MQTT_SERVER_BUSY);
    }
    if (mqtt_properties_has(&p->properties, MQTT_RECEIVE_MAXIMUM) &&
        p->properties.receive_maximum < window) {
        window = p->properties.receive_maximum;
    }
    session_attach(session, c, wel->expiry_s, window);
    subscriptions_set_here(s->subscriptions, &session->subscriber, true);
    c->session = session;
    set_terms(c, p, wel);
    if ((p->has_will && take_will(s, session, p) != OK) || keep_session(s, session) != OK ||
        write_connack(c, p, wel, present) != OK) {
        conn_close(c, 0, true);
        return E_END;
    }
    if (s->kept > 0) {
        conn_hold(c, s->kept); /* It may count on it: the session is there, or is gone. */
    }
    metrics_add(METRIC_CONNECTS, 1);
    return OK;
}

enum err conn_on_connect(struct conn *c, const struct mqtt_packet *p, struct bytes all)
{
    struct mqtt_server *s = c->server;
    struct mqtt_connect connect;
    struct welcome wel = {0};
    uint8_t reason;

    if (mqtt_connect_read(p, &connect, &reason) != OK) {
        metrics_add(METRIC_PROTOCOL_ERRORS, 1);
        return refuse(c, mqtt_connect_version(p), reason);
    }
    reason = refusal_of(&connect);
    if (reason != MQTT_SUCCESS) {
        return refuse(c, connect.version, reason);
    }
    if (connect.client_id.size == 0) {
        assign_id(s, &wel);
    } else {
        wel.client_id = connect.client_id;
        wel.hash = hash_bytes(connect.client_id);
    }
    if (wel.hash % s->common->loops != s->index) {
        return handover_post(c, (unsigned)(wel.hash % s->common->loops), all);
    }
    settle_terms(s->options, &connect, &wel);
    if (wel.expiry_s > 0 && !ingest_has_room(s->ingest)) {
        mqtt_turn_set_busy(s);
        return E_BUSY;
    }
    return open_session(c, &connect, &wel);
}
