#include "broker/query/query_ask.h"

#include <stdio.h>

#include "base/timestamp.h"
#include "base/zone.h"

#define INVALID HEJNAL__V1__ERROR__CODE__INVALID

_Static_assert((int)HEJNAL__V1__AGGREGATE__COUNT == (int)QUERY_COUNT &&
                   (int)HEJNAL__V1__AGGREGATE__STDDEV == (int)QUERY_STDDEV &&
                   (int)HEJNAL__V1__AGGREGATE__COVERAGE == (int)QUERY_COVERAGE,
               "the protocol numbers aggregates as the store does");
_Static_assert((int)HEJNAL__V1__FILL__FILL_NULL == (int)QUERY_FILL_NULL &&
                   (int)HEJNAL__V1__FILL__FILL_LINEAR == (int)QUERY_FILL_LINEAR,
               "and fills");
_Static_assert((int)HEJNAL__V1__CALENDAR__UNIT__DAY + 1 == (int)BUCKET_DAY &&
                   (int)HEJNAL__V1__CALENDAR__UNIT__YEAR + 1 == (int)BUCKET_YEAR,
               "and units of the calendar, but for the one that is none");

static bool has_buckets(const Hejnal__V1__Query *q)
{
    return q->bucket_ns > 0 || q->calendar != NULL;
}

static enum err check_buckets(const Hejnal__V1__Query *q, struct query_fault *fault)
{
    const Hejnal__V1__Calendar *c = q->calendar;
    if (q->bucket_ns < 0) {
        return query_fault_at(fault, "bucket_ns", 0, "a bucket must be longer than nothing");
    }
    if (c == NULL) {
        return OK;
    }
    if (q->bucket_ns > 0) {
        return query_fault_at(fault, "bucket_ns", 0,
                              "buckets are of a fixed length or of the calendar, not both");
    }
    if ((int)c->unit < 0 || c->unit > HEJNAL__V1__CALENDAR__UNIT__YEAR) {
        query_fault_set(fault, INVALID, "calendar", "no unit has the number %d", (int)c->unit);
        return E_MALFORMED;
    }
    if (c->count > BUCKET_UNITS_MAX) {
        query_fault_set(fault, INVALID, "calendar", "a bucket is of at most %d units",
                        BUCKET_UNITS_MAX);
        return E_MALFORMED;
    }
    return strlen(c->time_zone) <= ZONE_NAME_BYTES_MAX
               ? OK
               : query_fault_at(fault, "time_zone", ZONE_NAME_BYTES_MAX + 1,
                                "no time zone has so long a name");
}

static enum err check_columns(const Hejnal__V1__Query *q, struct query_fault *fault)
{
    for (size_t i = 0; i < q->n_aggregates; i++) {
        if ((int)q->aggregates[i] < 0 || (int)q->aggregates[i] >= QUERY_AGGREGATES) {
            query_fault_set(fault, INVALID, "aggregates", "no aggregate has the number %d",
                            (int)q->aggregates[i]);
            return E_MALFORMED;
        }
    }
    if (q->n_percentiles > QUERY_PERCENTILES_MAX) {
        query_fault_set(fault, INVALID, "percentiles", "at most %d percentiles in a query",
                        QUERY_PERCENTILES_MAX);
        return E_MALFORMED;
    }
    for (size_t i = 0; i < q->n_percentiles; i++) {
        if (!(q->percentiles[i] >= 0 && q->percentiles[i] <= 100)) {
            return query_fault_at(fault, "percentiles", 0, "a percentile is from 0 to 100");
        }
    }
    const bool has_columns = q->n_aggregates > 0 || q->n_percentiles > 0;
    if (has_buckets(q) && !has_columns) {
        return query_fault_at(fault, "aggregates", 0, "buckets need an aggregate, such as mean");
    }
    if (!has_buckets(q) && has_columns) {
        return query_fault_at(fault, "bucket_ns", 0, "aggregates need buckets, such as 5 minutes");
    }
    return OK;
}

static enum err check_fill(const Hejnal__V1__Query *q, struct query_fault *fault)
{
    if ((int)q->fill < 0 || q->fill > HEJNAL__V1__FILL__FILL_LINEAR) {
        query_fault_set(fault, INVALID, "fill", "no fill has the number %d", (int)q->fill);
        return E_MALFORMED;
    }
    if (q->fill != HEJNAL__V1__FILL__FILL_NONE && !has_buckets(q)) {
        return query_fault_at(fault, "fill", 0, "only buckets can be filled");
    }
    if (q->fill_max_ns < 0) {
        return query_fault_at(fault, "fill_max_ns", 0, "a length of time is not negative");
    }
    if (q->as_known_at_ns < 0) {
        return query_fault_at(fault, "as_known_at_ns", 0, "nothing was known before 1970");
    }
    return q->gap_max_ns >= 0
               ? OK
               : query_fault_at(fault, "gap_max_ns", 0, "a length of time is not negative");
}

static enum err check_key(const Hejnal__V1__Key *key, const char *field, struct query_fault *fault)
{
    const size_t size = strlen(key->tag);
    if (key->level != 0 && size > 0) {
        return query_fault_at(fault, field, 0, "a key is a level or a tag, not both");
    }
    if (key->level < -TOPIC_LEVELS_MAX || key->level > TOPIC_LEVELS_MAX) {
        return query_fault_at(fault, field, 0, "a path has at most 128 levels");
    }
    if (key->level == 0 && size == 0) {
        return query_fault_at(fault, field, 0, "a key is a level, from 1, or the name of a tag");
    }
    return size <= QUERY_TAG_BYTES_MAX
               ? OK
               : query_fault_at(fault, field, QUERY_TAG_BYTES_MAX + 1, "longer than 64 bytes");
}

static enum err check_keys(const Hejnal__V1__Query *q, struct query_fault *fault)
{
    char field[QUERY_FAULT_FIELD_BYTES];
    if (q->n_group_by > QUERY_KEYS_MAX) {
        query_fault_set(fault, INVALID, "group_by", "at most %d keys", QUERY_KEYS_MAX);
        return E_MALFORMED;
    }
    if (q->n_group_by > 0 && !has_buckets(q)) {
        return query_fault_at(fault, "group_by", 0, "only buckets can be grouped");
    }
    for (size_t i = 0; i < q->n_group_by; i++) {
        (void)snprintf(field, sizeof field, "group_by[%zu]", i);
        TRY(check_key(q->group_by[i], field, fault));
    }
    return OK;
}

static enum err check_where(const Hejnal__V1__Query *q, struct query_fault *fault)
{
    struct predicate_fault why;
    struct predicate *where;
    if (q->where[0] == 0) {
        return OK;
    }
    const enum err e = predicate_read(bytes_of(q->where), &where, &why);
    if (e == E_NO_MEMORY) {
        query_fault_set(fault, HEJNAL__V1__ERROR__CODE__UNAVAILABLE, "", "out of memory");
        return E_MALFORMED;
    }
    if (e != OK) {
        return query_fault_at(fault, "where", why.position, why.text);
    }
    predicate_destroy(where);
    return OK;
}

enum err query_ask_check(const Hejnal__V1__Query *q, struct query_fault *fault)
{
    if (q->from_ns >= q->to_ns) {
        return query_fault_at(fault, "from_ns", 0, "the window is empty: from must be before to");
    }
    TRY(check_buckets(q, fault));
    TRY(check_columns(q, fault));
    TRY(check_fill(q, fault));
    TRY(check_keys(q, fault));
    return check_where(q, fault);
}

static struct buckets read_buckets(const Hejnal__V1__Query *q)
{
    const Hejnal__V1__Calendar *c = q->calendar;
    if (c == NULL) {
        return (struct buckets){BUCKET_FIXED, q->bucket_ns, NULL};
    }
    return (struct buckets){(enum bucket_unit)(c->unit + 1), c->count == 0 ? 1 : c->count, NULL};
}

void query_ask_read(const Hejnal__V1__Query *q, struct query_request *out)
{
    *out = (struct query_request){
        .known_ns = q->as_known_at_ns,
        .from_ns = q->from_ns < TIMESTAMP_MIN_NS ? TIMESTAMP_MIN_NS : q->from_ns,
        .to_ns = q->to_ns > TIMESTAMP_MAX_NS ? TIMESTAMP_MAX_NS : q->to_ns,
        .buckets = read_buckets(q),
        .percentile_count = (unsigned)q->n_percentiles,
        .fill = (enum query_fill)q->fill,
        .fill_max_ns = q->fill_max_ns,
        .gap_max_ns = q->gap_max_ns,
        .key_count = (unsigned)q->n_group_by,
        .rows_max = q->rows_max,
    };
    for (size_t i = 0; i < q->n_aggregates; i++) {
        out->aggregates |= UINT32_C(1) << (unsigned)q->aggregates[i];
    }
    for (size_t i = 0; i < q->n_percentiles; i++) {
        out->percentiles[i] = q->percentiles[i];
    }
    for (size_t i = 0; i < q->n_group_by; i++) {
        struct query_key *key = &out->keys[i];
        key->level = q->group_by[i]->level;
        key->tag_bytes = (uint8_t)strlen(q->group_by[i]->tag);
        memcpy(key->tag, q->group_by[i]->tag, key->tag_bytes);
    }
}
