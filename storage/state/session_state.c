#include "storage/state/session_state.h"

#include "base/check.h"
#include "base/topic.h"

enum { VERSION = 1, QOS_MASK = 3, QOS_MAX = 2, CLIENT_ID_BYTES_MAX = 65535 };
enum { CONNECTED = 1 };                         /* Flags of a session, */
enum { NO_LOCAL = 4, RETAIN_AS_PUBLISHED = 8 }; /* a subscription, */
enum { RETAIN = 4, RECEIVED = 8 };              /* a message and a place in a queue. */

/* Keys are big-endian, so that they stand in their order. */

static void put_be(struct writer *w, uint64_t value, unsigned bytes)
{
    uint8_t raw[8];
    for (unsigned i = 0; i < bytes; i++) {
        raw[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
    }
    CHECK(writer_put(w, raw, bytes) == OK);
}

/* The caller knows that the key is long enough. */
static uint64_t take_be(struct bytes *in, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++) {
        value = value << 8 | in->at[i];
    }
    in->at += bytes;
    in->size -= bytes;
    return value;
}

void session_state_write_key(const struct session_state *s, struct writer *key)
{
    switch (s->kind) {
    case SESSION_STATE_MESSAGE:
        put_be(key, s->at.message.number, 8);
        return;
    case SESSION_STATE_CROSSING:
        put_be(key, s->at.crossing.from, 1);
        put_be(key, s->at.crossing.number, 8);
        return;
    case SESSION_STATE_CROSSED:
        put_be(key, s->at.crossed.from, 1);
        put_be(key, s->at.crossed.to, 1);
        return;
    case SESSION_STATE_LOOPS:
        put_be(key, 0, 1);
        return;
    case SESSION_STATE_SESSION:
    case SESSION_STATE_SUBSCRIPTION:
    case SESSION_STATE_QUEUED:
    case SESSION_STATE_RECEIVED:
    case SESSION_STATE_WILL:
        break;
    }
    put_be(key, s->session, 8);
    if (s->kind == SESSION_STATE_SUBSCRIPTION) {
        put_be(key, s->at.subscription.number, 4);
    } else if (s->kind == SESSION_STATE_QUEUED) {
        put_be(key, s->at.queued.sequence, 8);
    } else if (s->kind == SESSION_STATE_RECEIVED) {
        put_be(key, s->at.received.packet_id, 2);
    }
}

static size_t key_bytes(enum session_state_kind kind)
{
    switch (kind) {
    case SESSION_STATE_SESSION:
    case SESSION_STATE_MESSAGE:
    case SESSION_STATE_WILL:
        return 8;
    case SESSION_STATE_SUBSCRIPTION:
        return 12;
    case SESSION_STATE_QUEUED:
        return 16;
    case SESSION_STATE_RECEIVED:
        return 10;
    case SESSION_STATE_CROSSING:
        return 9;
    case SESSION_STATE_CROSSED:
        return 2;
    case SESSION_STATE_LOOPS:
        return 1;
    }
    return 0;
}

static void read_key(struct bytes key, struct session_state *out)
{
    switch (out->kind) {
    case SESSION_STATE_MESSAGE:
        out->at.message.number = take_be(&key, 8);
        return;
    case SESSION_STATE_CROSSING:
        out->at.crossing.from = (uint8_t)take_be(&key, 1);
        out->at.crossing.number = take_be(&key, 8);
        return;
    case SESSION_STATE_CROSSED:
        out->at.crossed.from = (uint8_t)take_be(&key, 1);
        out->at.crossed.to = (uint8_t)take_be(&key, 1);
        return;
    case SESSION_STATE_LOOPS:
        return;
    case SESSION_STATE_SESSION:
    case SESSION_STATE_SUBSCRIPTION:
    case SESSION_STATE_QUEUED:
    case SESSION_STATE_RECEIVED:
    case SESSION_STATE_WILL:
        break;
    }
    out->session = take_be(&key, 8);
    if (out->kind == SESSION_STATE_SUBSCRIPTION) {
        out->at.subscription.number = (uint32_t)take_be(&key, 4);
    } else if (out->kind == SESSION_STATE_QUEUED) {
        out->at.queued.sequence = take_be(&key, 8);
    } else if (out->kind == SESSION_STATE_RECEIVED) {
        out->at.received.packet_id = (uint16_t)take_be(&key, 2);
    }
}

/* Values. */

static enum err put_message(struct writer *w, const struct session_state_message *m)
{
    TRY(writer_put_u8(w, VERSION));
    TRY(writer_put_u8(w, (uint8_t)(m->qos | (m->retain ? RETAIN : 0))));
    TRY(writer_put_le16(w, (uint16_t)m->topic.size));
    TRY(writer_put_le32(w, (uint32_t)m->properties.size));
    TRY(writer_put_le64(w, (uint64_t)m->expires_ns));
    TRY(writer_put_le64(w, m->origin));
    TRY(writer_put(w, m->topic.at, m->topic.size));
    TRY(writer_put(w, m->properties.at, m->properties.size));
    return writer_put(w, m->payload.at, m->payload.size);
}

static enum err take_version(struct bytes *in)
{
    uint8_t version;
    TRY(bytes_take_u8(in, &version));
    return version == VERSION ? OK : E_VERSION;
}

/* Takes all that is left. */
static enum err take_message(struct bytes *in, struct session_state_message *m)
{
    uint8_t flags;
    uint16_t topic_bytes;
    uint32_t properties_bytes;
    uint64_t expires;
    TRY(take_version(in));
    TRY(bytes_take_u8(in, &flags));
    TRY(bytes_take_le16(in, &topic_bytes));
    TRY(bytes_take_le32(in, &properties_bytes));
    TRY(bytes_take_le64(in, &expires));
    TRY(bytes_take_le64(in, &m->origin));
    TRY(bytes_take(in, topic_bytes, &m->topic));
    TRY(bytes_take(in, properties_bytes, &m->properties));
    TRY(bytes_take(in, in->size, &m->payload));
    m->qos = flags & QOS_MASK;
    m->retain = (flags & RETAIN) != 0;
    m->expires_ns = (int64_t)expires;
    return flags <= (QOS_MASK | RETAIN) && m->qos <= QOS_MAX && topic_is_name(m->topic) ? OK
                                                                                        : E_CORRUPT;
}

static enum err put_client(struct writer *w, const struct session_state *s)
{
    TRY(writer_put_u8(w, VERSION));
    TRY(writer_put_u8(w, s->at.client.connected ? CONNECTED : 0));
    TRY(writer_put_le16(w, 0));
    TRY(writer_put_le32(w, s->at.client.expiry_s));
    TRY(writer_put_le64(w, (uint64_t)s->at.client.since_ns));
    TRY(writer_put_le64(w, s->at.client.sent_below));
    return writer_put(w, s->at.client.client_id.at, s->at.client.client_id.size);
}

static enum err take_client(struct bytes *in, struct session_state *out)
{
    uint8_t flags;
    uint16_t spare;
    uint64_t since;
    TRY(take_version(in));
    TRY(bytes_take_u8(in, &flags));
    TRY(bytes_take_le16(in, &spare));
    TRY(bytes_take_le32(in, &out->at.client.expiry_s));
    TRY(bytes_take_le64(in, &since));
    TRY(bytes_take_le64(in, &out->at.client.sent_below));
    TRY(bytes_take(in, in->size, &out->at.client.client_id));
    out->at.client.connected = (flags & CONNECTED) != 0;
    out->at.client.since_ns = (int64_t)since;
    return flags <= CONNECTED && spare == 0 && out->at.client.client_id.size > 0 &&
                   out->at.client.client_id.size <= CLIENT_ID_BYTES_MAX &&
                   topic_is_utf8(out->at.client.client_id)
               ? OK
               : E_CORRUPT;
}

static enum err put_subscription(struct writer *w, const struct session_state *s)
{
    const unsigned flags = s->at.subscription.qos | (s->at.subscription.no_local ? NO_LOCAL : 0U) |
                           (s->at.subscription.retain_as_published ? RETAIN_AS_PUBLISHED : 0U);
    TRY(writer_put_u8(w, VERSION));
    TRY(writer_put_u8(w, (uint8_t)flags));
    TRY(writer_put_le16(w, 0));
    TRY(writer_put_le32(w, s->at.subscription.id));
    return writer_put(w, s->at.subscription.filter.at, s->at.subscription.filter.size);
}

static enum err take_subscription(struct bytes *in, struct session_state *out)
{
    uint8_t flags;
    uint16_t spare;
    TRY(take_version(in));
    TRY(bytes_take_u8(in, &flags));
    TRY(bytes_take_le16(in, &spare));
    TRY(bytes_take_le32(in, &out->at.subscription.id));
    TRY(bytes_take(in, in->size, &out->at.subscription.filter));
    out->at.subscription.qos = flags & QOS_MASK;
    out->at.subscription.no_local = (flags & NO_LOCAL) != 0;
    out->at.subscription.retain_as_published = (flags & RETAIN_AS_PUBLISHED) != 0;
    return flags <= (QOS_MASK | NO_LOCAL | RETAIN_AS_PUBLISHED) && spare == 0 &&
                   out->at.subscription.qos <= QOS_MAX &&
                   topic_is_filter(out->at.subscription.filter)
               ? OK
               : E_CORRUPT;
}

static enum err put_queued(struct writer *w, const struct session_state *s)
{
    const unsigned flags = s->at.queued.qos | (s->at.queued.retain ? RETAIN : 0U) |
                           (s->at.queued.received ? RECEIVED : 0U);
    TRY(writer_put_u8(w, VERSION));
    TRY(writer_put_u8(w, (uint8_t)flags));
    TRY(writer_put_le16(w, (uint16_t)s->at.queued.id_count));
    TRY(writer_put_le64(w, s->at.queued.message));
    for (unsigned i = 0; i < s->at.queued.id_count; i++) {
        TRY(writer_put_le32(w, s->at.queued.ids[i]));
    }
    return OK;
}

static enum err take_queued(struct bytes *in, struct session_state *out)
{
    uint8_t flags;
    uint16_t count;
    TRY(take_version(in));
    TRY(bytes_take_u8(in, &flags));
    TRY(bytes_take_le16(in, &count));
    TRY(bytes_take_le64(in, &out->at.queued.message));
    out->at.queued.qos = flags & QOS_MASK;
    out->at.queued.retain = (flags & RETAIN) != 0;
    out->at.queued.received = (flags & RECEIVED) != 0;
    out->at.queued.id_count = count;
    if (flags > (QOS_MASK | RETAIN | RECEIVED) || count > SESSION_STATE_IDS_MAX ||
        out->at.queued.qos == 0 || out->at.queued.qos > QOS_MAX ||
        (out->at.queued.received && out->at.queued.qos != 2) ||
        out->at.queued.received != (out->at.queued.message == 0)) {
        return E_CORRUPT;
    }
    for (unsigned i = 0; i < count; i++) {
        TRY(bytes_take_le32(in, &out->at.queued.ids[i]));
    }
    return OK;
}

static enum err put_will(struct writer *w, const struct session_state *s)
{
    TRY(writer_put_u8(w, VERSION));
    TRY(writer_put_le32(w, s->at.will.delay_s));
    return put_message(w, &s->at.will.of);
}

static enum err take_will(struct bytes *in, struct session_state *out)
{
    TRY(take_version(in));
    TRY(bytes_take_le32(in, &out->at.will.delay_s));
    return take_message(in, &out->at.will.of);
}

static enum err put_crossing(struct writer *w, const struct session_state *s)
{
    TRY(writer_put_u8(w, VERSION));
    TRY(writer_put_le64(w, s->at.crossing.loops));
    TRY(writer_put_le16(w, (uint16_t)s->at.crossing.filter.size));
    TRY(writer_put(w, s->at.crossing.filter.at, s->at.crossing.filter.size));
    return put_message(w, &s->at.crossing.of);
}

static enum err take_crossing(struct bytes *in, struct session_state *out)
{
    uint16_t filter_bytes;
    TRY(take_version(in));
    TRY(bytes_take_le64(in, &out->at.crossing.loops));
    TRY(bytes_take_le16(in, &filter_bytes));
    TRY(bytes_take(in, filter_bytes, &out->at.crossing.filter));
    TRY(take_message(in, &out->at.crossing.of));
    return out->at.crossing.loops != 0 && out->at.crossing.from < SESSION_STATE_LOOPS_MAX &&
                   (filter_bytes == 0 || topic_is_filter(out->at.crossing.filter))
               ? OK
               : E_CORRUPT;
}

static enum err put_crossed(struct writer *w, const struct session_state *s)
{
    TRY(writer_put_u8(w, VERSION));
    return writer_put_le64(w, s->at.crossed.number);
}

static enum err take_crossed(struct bytes *in, struct session_state *out)
{
    TRY(take_version(in));
    TRY(bytes_take_le64(in, &out->at.crossed.number));
    return out->at.crossed.from < SESSION_STATE_LOOPS_MAX &&
                   out->at.crossed.to < SESSION_STATE_LOOPS_MAX
               ? OK
               : E_CORRUPT;
}

static enum err put_loops(struct writer *w, const struct session_state *s)
{
    TRY(writer_put_u8(w, VERSION));
    return writer_put_le32(w, s->at.loops.count);
}

static enum err take_loops(struct bytes *in, struct session_state *out)
{
    TRY(take_version(in));
    TRY(bytes_take_le32(in, &out->at.loops.count));
    return out->at.loops.count > 0 && out->at.loops.count <= SESSION_STATE_LOOPS_MAX ? OK
                                                                                     : E_CORRUPT;
}

static enum err put_value(struct writer *w, const struct session_state *s)
{
    switch (s->kind) {
    case SESSION_STATE_SESSION:
        return put_client(w, s);
    case SESSION_STATE_SUBSCRIPTION:
        return put_subscription(w, s);
    case SESSION_STATE_MESSAGE:
        return put_message(w, &s->at.message.of);
    case SESSION_STATE_QUEUED:
        return put_queued(w, s);
    case SESSION_STATE_RECEIVED:
        return writer_put_u8(w, VERSION);
    case SESSION_STATE_WILL:
        return put_will(w, s);
    case SESSION_STATE_CROSSING:
        return put_crossing(w, s);
    case SESSION_STATE_CROSSED:
        return put_crossed(w, s);
    case SESSION_STATE_LOOPS:
        return put_loops(w, s);
    }
    return E_LIMIT;
}

static enum err take_value(struct bytes *in, struct session_state *out)
{
    switch (out->kind) {
    case SESSION_STATE_SESSION:
        return take_client(in, out);
    case SESSION_STATE_SUBSCRIPTION:
        return take_subscription(in, out);
    case SESSION_STATE_MESSAGE:
        return take_message(in, &out->at.message.of);
    case SESSION_STATE_QUEUED:
        return take_queued(in, out);
    case SESSION_STATE_RECEIVED:
        return take_version(in);
    case SESSION_STATE_WILL:
        return take_will(in, out);
    case SESSION_STATE_CROSSING:
        return take_crossing(in, out);
    case SESSION_STATE_CROSSED:
        return take_crossed(in, out);
    case SESSION_STATE_LOOPS:
        return take_loops(in, out);
    }
    return E_CORRUPT;
}

enum err session_state_write(const struct session_state *s, struct writer *key,
                             struct writer *value)
{
    struct writer at = *value;
    if (key->limit - key->size < SESSION_STATE_KEY_BYTES_MAX) {
        return E_LIMIT;
    }
    TRY(put_value(&at, s));
    session_state_write_key(s, key);
    *value = at;
    return OK;
}

static size_t message_bytes(const struct session_state_message *m)
{
    return m->topic.size + m->properties.size + m->payload.size;
}

size_t session_state_bytes(const struct session_state *s)
{
    size_t size = SESSION_STATE_HEAD_BYTES_MAX;
    if (s->kind == SESSION_STATE_SESSION) {
        size += s->at.client.client_id.size;
    } else if (s->kind == SESSION_STATE_SUBSCRIPTION) {
        size += s->at.subscription.filter.size;
    } else if (s->kind == SESSION_STATE_MESSAGE) {
        size += message_bytes(&s->at.message.of);
    } else if (s->kind == SESSION_STATE_QUEUED) {
        size += s->at.queued.id_count * sizeof s->at.queued.ids[0];
    } else if (s->kind == SESSION_STATE_WILL) {
        size += message_bytes(&s->at.will.of);
    } else if (s->kind == SESSION_STATE_CROSSING) {
        size += s->at.crossing.filter.size + message_bytes(&s->at.crossing.of);
    }
    return size;
}

enum err session_state_read(uint8_t space, struct bytes key, struct bytes value,
                            struct session_state *out)
{
    if (space < SESSION_STATE_FIRST || space > SESSION_STATE_LAST) {
        return E_VERSION;
    }
    out->kind = (enum session_state_kind)space;
    out->session = 0;
    if (key.size != key_bytes(out->kind)) {
        return E_CORRUPT;
    }
    read_key(key, out);
    enum err e = take_value(&value, out);
    return e == E_VERSION ? e : e != OK || value.size > 0 ? E_CORRUPT : OK;
}
