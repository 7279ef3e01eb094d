/* From a publication to points: decode, give it a time, put it into the batch of this turn, with
 * its receipt and its retained state (promises P1 and P3). */

#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "broker/mqtt/mqtt_state.h"
#include "broker/threads/metrics.h"
#include "broker/threads/rejects.h"

#define TOO_OLD "older than retention"

uint64_t intake_stamp(struct mqtt_server *s)
{
    return atomic_fetch_add(&s->common->stamp, 1) + 1;
}

static void reject(struct mqtt_server *s, const struct publication *p, const char *reason)
{
    metrics_add(METRIC_REJECTS, 1);
    rejects_add(loop_wall_ns(s->loop), p->topic, p->payload, reason);
}

/* The change of a retained message, to be on disk with the batch. */
static enum err put_state(struct mqtt_server *s, const struct publication *p, uint64_t *number)
{
    struct batch *batch;
    struct writer w;
    struct bytes value = {NULL, 0};

    if (p->payload.size > 0) {
        size_t size = RETAINED_HEADER_BYTES + p->payload.size + p->properties.size;
        TRY(octets_reserve(&s->state_scratch, size, &w));
        TRY(retained_write(p, &w));
        value = (struct bytes){w.at, w.size};
    }
    TRY(ingest_batch(s->ingest, &batch, number));
    return batch_put_state(batch, RETAINED_STATE_SPACE, p->stamp, p->topic, value);
}

static uint64_t content_hash(const struct publication *p)
{
    return hash_seeded(p->topic_hash, p->payload);
}

/* The time of a QoS 1 or 2 message without one of its own: that of its first arrival if it came
 * before, and surely or (by its DUP flag) admittedly was not acknowledged. */
static struct receipt receipt_for(struct mqtt_server *s, const struct publication *p,
                                  const struct intake_source *from)
{
    struct receipt r = {.client_hash = from->client_hash,
                        .content_hash = content_hash(p),
                        .packet_id = from->packet_id};
    const struct receipt *first = receipts_find(s->receipts, from->client_hash, from->packet_id);

    if (first != NULL && first->content_hash == r.content_hash &&
        (from->duplicate || conn_has_unacked(from->conn, from->packet_id))) {
        r.time_ns = first->time_ns;
        metrics_add(METRIC_REDELIVERED, 1);
    } else {
        r.time_ns = ingest_arrival(s->ingest, p->topic);
    }
    return r;
}

static enum err put_receipt(struct mqtt_server *s, const struct receipt *r, uint64_t *number)
{
    struct batch *batch;
    TRY(ingest_batch(s->ingest, &batch, number));
    TRY(batch_put_receipt(batch, r));
    receipts_add(s->receipts, r);
    return OK;
}

static void count_long_texts(const struct mqtt_server *s)
{
    if (s->payload->texts_long > 0) {
        metrics_add(METRIC_TEXTS_LONG, s->payload->texts_long);
    }
}

static enum err intern(struct mqtt_server *s, struct number *number)
{
    uint32_t id;
    TRY(texts_intern(s->texts, s->payload->texts[number->mantissa], &id));
    *number = (struct number){.value = text_value(id), .scale = NUMBER_RAW};
    return OK;
}

/* Texts become the values that stand for them; those the dictionary has no room for are left out.
 */
static enum err resolve_texts(struct mqtt_server *s, const struct publication *p)
{
    struct payload *in = s->payload;
    unsigned kept = 0;
    for (unsigned i = 0; i < in->count; i++) {
        struct payload_point *point = &in->points[i];
        const enum err e = point->number.scale == PAYLOAD_TEXT ? intern(s, &point->number) : OK;
        if (e == OK) {
            in->points[kept++] = *point;
        } else if (e != E_LIMIT) {
            return e;
        }
    }
    if (kept < in->count) {
        metrics_add(METRIC_REFUSED_TEXTS, in->count - kept);
        metrics_add(METRIC_REJECTS, kept == 0);
        rejects_add(loop_wall_ns(s->loop), p->topic, p->payload,
                    "over the limit of distinct texts (texts_max)");
    }
    in->count = kept;
    in->text_count = 0;
    return OK;
}

static enum err put_points(struct mqtt_server *s, const struct publication *p,
                           const struct intake_source *from, uint64_t *number)
{
    struct payload *in = s->payload;
    struct receipt receipt = {0};
    bool needs_receipt = !in->has_time && from->packet_id != 0;
    int64_t time_ns = in->time_ns;

    if (!ingest_has_room(s->ingest)) {
        return E_BUSY; /* Before a redelivery is counted. */
    }
    count_long_texts(s);
    if (in->text_count > 0) {
        TRY(resolve_texts(s, p));
        if (in->count == 0) {
            return OK;
        }
    }
    if (needs_receipt) {
        receipt = receipt_for(s, p, from);
        time_ns = receipt.time_ns;
    } else if (!in->has_time) {
        time_ns = ingest_arrival(s->ingest, p->topic);
    }
    ingest_charge(s->ingest, from->conn == NULL ? NULL : &from->conn->session->allowance);
    TRY(ingest_put(s->ingest, p->topic, time_ns, in->points, in->count, number));
    const char *why;
    if (ingest_left_out(s->ingest, &why) > 0) { /* The others are stored. */
        rejects_add(loop_wall_ns(s->loop), p->topic, p->payload, why);
    }
    if (ingest_too_old(s->ingest) > 0) {
        rejects_add(loop_wall_ns(s->loop), p->topic, p->payload, TOO_OLD);
    }
    return needs_receipt ? put_receipt(s, &receipt, number) : OK;
}

static enum err store_points(struct mqtt_server *s, const struct publication *p,
                             const struct intake_source *from, uint64_t *number)
{
    enum payload_reason reason = payload_decode(p->payload, s->payload);
    if (reason != PAYLOAD_OK) {
        count_long_texts(s);
        reject(s, p, payload_reason_text(reason));
        return OK;
    }
    enum err e = put_points(s, p, from, number);
    if (e == E_LIMIT || e == E_DENIED) {
        const char *why;
        (void)ingest_left_out(s->ingest, &why);
        reject(s, p, e == E_DENIED ? TOO_OLD : why);
        return OK;
    }
    return e;
}

enum err intake_store(struct mqtt_server *s, const struct publication *p,
                      const struct intake_source *from, uint64_t *number)
{
    /* Not data: the server's own topics, and clearing a retained message. */
    const bool is_data = p->topic.at[0] != '$' && (!p->retain || p->payload.size > 0);
    *number = 0;
    if (p->retain) {
        TRY(ingest_reserve_message(s->ingest)); /* One batch: it is kept as a whole or refused. */
    }
    if (is_data) {
        TRY(store_points(s, p, from, number));
    }
    return p->retain ? put_state(s, p, number) : OK;
}

static enum err publish_will(struct mqtt_server *s, const struct message *will)
{
    const struct intake_source from = {.client_hash = will->view.origin};
    struct publication p = will->view;
    uint64_t number;

    if (p.expires_ns != MESSAGE_NEVER_NS) {
        p.expires_ns = loop_wall_ns(s->loop) + p.expires_ns * NS_PER_S;
    }
    if (p.retain && retained_is_over(s->retained, &p)) {
        metrics_add(METRIC_RETAINED_REFUSED, 1);
        p.retain = false;
    }
    p.stamp = p.retain ? intake_stamp(s) : 0;
    TRY(intake_store(s, &p, &from, &number));
    route_publication(s, &p);
    return OK;
}

/* Keep it for intake_retry_wills(). */
static void put_off(struct mqtt_server *s, struct message *will)
{
    struct message **grown =
        realloc((void *)s->wills, (s->will_count + 1) * sizeof(struct message *));
    if (grown == NULL) {
        metrics_add(METRIC_DROPPED_QUEUE, 1);
        message_drop(will);
        return;
    }
    s->wills = grown;
    s->wills[s->will_count++] = will;
    mqtt_turn_set_busy(s);
}

void intake_will(struct mqtt_server *s, struct message *will)
{
    if (s->is_stopped) {
        message_drop(will);
        return;
    }
    enum err e = s->is_busy ? E_BUSY : publish_will(s, will);
    if (e == E_BUSY) {
        put_off(s, will);
        return;
    }
    if (e != OK) {
        metrics_add(METRIC_DROPPED_QUEUE, 1);
    }
    message_drop(will);
}

void intake_retry_wills(struct mqtt_server *s)
{
    size_t count = s->will_count;
    struct message **wills = s->wills;

    s->wills = NULL;
    s->will_count = 0;
    for (size_t i = 0; i < count; i++) {
        intake_will(s, wills[i]);
    }
    free((void *)wills);
}
