/* The request of a query, put together. */

#include "clients/hejnal_connection.h"

/* Drops const from a text or array that is lent to a generated struct, which only reads it. */
static void *lend(const void *from)
{
    void *lent;
    memcpy(&lent, &from, sizeof lent);
    return lent;
}

static enum hejnal_result misuse(struct hejnal *h, const char *text)
{
    return hejnal_connection_fail(h, HEJNAL_MISUSE, "%s", text);
}

/* The message and the parts it points to. */
struct asked {
    Hejnal__V1__Query query;
    Hejnal__V1__Aggregate aggregates[HEJNAL_AGGREGATES_MAX];
    Hejnal__V1__Calendar calendar;
    Hejnal__V1__Key keys[HEJNAL_KEYS_MAX], *key[HEJNAL_KEYS_MAX];
};

static void ask_calendar(struct asked *a, const struct hejnal_query *query)
{
    hejnal__v1__calendar__init(&a->calendar);
    if (query->unit != HEJNAL_FIXED) {
        a->calendar.unit = (Hejnal__V1__Calendar__Unit)(query->unit - HEJNAL_DAY);
        a->calendar.count = query->unit_count;
        if (query->time_zone != NULL) {
            a->calendar.time_zone = lend(query->time_zone);
        }
        a->query.calendar = &a->calendar;
    }
}

static void ask_keys(struct asked *a, const struct hejnal_query *query)
{
    for (unsigned i = 0; i < query->key_count; i++) {
        hejnal__v1__key__init(&a->keys[i]);
        if (query->keys[i].tag != NULL) {
            a->keys[i].tag = lend(query->keys[i].tag);
        } else {
            a->keys[i].level = query->keys[i].level;
        }
        a->key[i] = &a->keys[i];
    }
    a->query.n_group_by = query->key_count;
    a->query.group_by = a->key;
}

static void ask(struct asked *a, const struct hejnal_query *query)
{
    Hejnal__V1__Query *q = &a->query;
    hejnal__v1__query__init(q);
    for (unsigned i = 0; i < HEJNAL_AGGREGATES_MAX; i++) {
        if ((query->aggregates >> i & 1) != 0) {
            a->aggregates[q->n_aggregates++] = (Hejnal__V1__Aggregate)i;
        }
    }
    q->aggregates = a->aggregates;
    q->n_percentiles = query->percentile_count;
    q->percentiles = lend(query->percentiles);
    q->filter = lend(query->filter);
    q->from_ns = query->from_ns;
    q->to_ns = query->to_ns;
    q->bucket_ns = query->bucket_ns;
    q->rows_max = query->rows_max;
    q->as_known_at_ns = query->as_known_at_ns;
    q->fill = (Hejnal__V1__Fill)query->fill;
    q->fill_max_ns = query->fill_max_ns;
    q->gap_max_ns = query->gap_max_ns;
    if (query->where != NULL) {
        q->where = lend(query->where);
    }
    ask_calendar(a, query);
    ask_keys(a, query);
}

enum hejnal_result hejnal_query(struct hejnal *h, const struct hejnal_query *query,
                                struct hejnal_answer **out)
{
    frame_request r = HEJNAL__V1__REQUEST__INIT;
    struct asked asked;
    if (query->filter == NULL) {
        return misuse(h, "no filter given");
    }
    if (query->aggregates >> HEJNAL_AGGREGATES_MAX != 0) {
        return misuse(h, "an unknown aggregate");
    }
    if (query->percentile_count > HEJNAL_PERCENTILES_MAX || query->key_count > HEJNAL_KEYS_MAX) {
        return misuse(h, "too many percentiles or keys");
    }
    ask(&asked, query);
    r.body_case = HEJNAL__V1__REQUEST__BODY_QUERY;
    r.query = &asked.query;
    const enum hejnal_result result = hejnal_answer_open(h, HEJNAL_KIND_QUERY, &r, out);
    if (result == HEJNAL_OK) {
        const size_t columns = asked.query.n_aggregates + asked.query.n_percentiles;
        (*out)->columns = columns > 0 ? (unsigned)columns : 1;
        (*out)->key_count = query->key_count;
    }
    return result;
}
