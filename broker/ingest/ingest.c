#include "broker/ingest/ingest.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/timestamp.h"
#include "broker/ingest/topic_entry.h"
#include "broker/threads/metrics.h"

/* POSTED_MAX: while this many batches wait for the disk, a turn's end does not post a small one:
 * the batch goes on filling, so the disk's pace makes the batches larger. */
enum {
    POSTED_MAX = 2,
    STATE_BYTES_MAX = 256 << 10,
    TOPIC_BYTES = 256 << 20,
    STEP_BACK_MS = 1000,
    LEFT_OUT_LOG_MS = 60000
};
#define GROUP_NONE UINT32_MAX /* Of a point that is left out. */

/* What a row, a value, a receipt and, without its texts, a tag take at most in a record. */
enum { ROW_BYTES = 32, VALUE_BYTES = 16, RECEIPT_BYTES = 64, TAG_BYTES = 32 };

struct listener_of_done {
    void (*call)(void *context, uint64_t number, enum err result);
    void *context;
};

/* The message at hand. */
struct message_points {
    int64_t time_ns;
    const struct payload_point *points;
    unsigned count;
    struct series_ref refs[PAYLOAD_POINTS_MAX];
    uint64_t taken[PAYLOAD_POINTS_MAX / 64]; /* Bit i: point i is in a row already. */
    bool is_old;                             /* Some series keep nothing of its time. */
};

struct ingest {
    struct loop *loop;
    struct engine *engine;
    struct catalogue *catalogue;
    struct store_thread *store;
    struct ingest_options options;
    struct topic_table *topics;
    struct batch *batch;     /* Being filled; its owner is its parcel. NULL: none taken yet. */
    struct batch late;       /* State for the next one, put while none was free. Nothing else. */
    uint64_t posted, done;   /* Numbers; that of `batch` is posted + 1. */
    int64_t clock_offset_ms; /* Wall clock less monotonic. */
    bool clock_seen;
    struct listener_of_done listeners[INGEST_LISTENERS_MAX];
    unsigned listener_count;
    struct message_points message;
    struct allowance *client; /* Whose messages come; NULL: nobody's. */
    unsigned left_out;        /* Points of the message at hand; */
    unsigned too_old;         /* other points of it. */
    const char *left_out_why;
    int64_t left_out_told_ms;
    unsigned free_count;
    struct parcel **free_parcels;
    struct parcel parcels[];
};

static bool is_empty(const struct batch *b)
{
    return b->record_bytes == BATCH_HEADER_BYTES && b->state.size == 0;
}

/* Hand the batch being filled to the store. False: the store takes no letter now. */
static bool post(struct ingest *in)
{
    struct parcel *parcel = in->batch->owner;
    in->batch->counter = in->posted + 1;
    in->batch->producer = loop_index(in->loop);
    in->batch->arrival_ns = loop_wall_ns(in->loop);
    if (store_post(in->store, parcel) != OK) {
        return false;
    }
    in->posted++;
    in->batch = NULL;
    return true;
}

/* Begin a batch, with the state that waited for one. False: none is free. */
static bool take_batch(struct ingest *in)
{
    if (in->free_count == 0) {
        return false;
    }
    in->batch = in->free_parcels[--in->free_count]->batch;
    const struct writer empty = in->batch->state;
    in->batch->state = in->late.state;
    in->late.state = empty;
    return true;
}

static void on_turn_end(void *context)
{
    struct ingest *in = context;
    if (in->batch == NULL && in->late.state.size > 0) {
        (void)take_batch(in);
    }
    if (in->batch != NULL && !is_empty(in->batch) && in->posted - in->done < POSTED_MAX) {
        (void)post(in); /* Refused: the next turn tries again; a waiting store wakes us. */
    }
}

void ingest_watch_turns(struct ingest *in)
{
    loop_on_turn_end(in->loop, on_turn_end, in);
}

static void on_batch_home(void *context, struct letter *letter)
{
    struct ingest *in = context;
    struct parcel *parcel = (struct parcel *)(void *)letter;
    struct batch *b = parcel->batch;
    const enum err result = b->result;
    const uint64_t number = b->counter;
    CHECK(number == in->done + 1); /* The store takes and returns in order. */
    if (result != OK) {
        metrics_add(METRIC_STORE_REFUSED, b->points);
    }
    batch_reset(b);
    in->free_parcels[in->free_count++] = parcel;
    in->done = number;
    for (unsigned i = 0; i < in->listener_count; i++) {
        in->listeners[i].call(in->listeners[i].context, number, result);
    }
}

/* A batch with `bytes` of its record free. E_BUSY. */
static enum err reserve(struct ingest *in, size_t bytes)
{
    if (in->batch != NULL && (BATCH_RECORD_BYTES_MAX - in->batch->record_bytes < bytes ||
                              in->batch->state.size >= STATE_BYTES_MAX)) {
        if (!post(in)) {
            return E_BUSY;
        }
    }
    return in->batch != NULL || take_batch(in) ? OK : E_BUSY;
}

static enum err create_parcels(struct ingest *in)
{
    in->free_parcels = calloc(in->options.parcels, sizeof(struct parcel *));
    if (in->free_parcels == NULL) {
        return E_NO_MEMORY;
    }
    for (unsigned i = 0; i < in->options.parcels; i++) {
        struct parcel *p = &in->parcels[i];
        p->letter.kind = LETTER_BATCH;
        p->home = loop_mailbox(in->loop);
        TRY(batch_create(&p->batch));
        p->batch->owner = p;
        in->free_parcels[in->free_count++] = p;
    }
    return OK;
}

enum err ingest_create(struct loop *loop, struct engine *engine, struct store_thread *store,
                       const struct ingest_options *options, struct ingest **out)
{
    CHECK(options->parcels >= 4);
    struct ingest *in = calloc(1, sizeof *in + options->parcels * sizeof in->parcels[0]);
    if (in == NULL) {
        return E_NO_MEMORY;
    }
    in->loop = loop;
    in->engine = engine;
    in->catalogue = engine_catalogue(engine);
    in->store = store;
    in->options = *options;
    in->options.loops = options->loops == 0 ? LOOPS_MAX : options->loops;
    in->options.topics_max = options->topics_max == 0 ? INGEST_TOPICS_MAX : options->topics_max;
    CHECK(loop_index(loop) < in->options.loops);
    enum err e =
        topic_table_create(in->catalogue, in->options.topics_max, TOPIC_BYTES, &in->topics);
    if (e == OK) {
        e = create_parcels(in);
    }
    if (e != OK) {
        ingest_destroy(in);
        return e;
    }
    loop_on_letter(loop, LETTER_BATCH, on_batch_home, in);
    ingest_watch_turns(in);
    *out = in;
    return OK;
}

void ingest_destroy(struct ingest *in)
{
    if (in == NULL) {
        return;
    }
    for (unsigned i = 0; i < in->options.parcels; i++) {
        batch_destroy(in->parcels[i].batch);
    }
    topic_table_destroy(in->topics);
    free(in->late.state.at);
    free(in->free_parcels);
    free(in);
}

/* One row: the points from `first` on that belong to its group. */
static enum err put_row(struct batch *b, struct message_points *m, unsigned first)
{
    struct number numbers[BATCH_COLUMNS_MAX];
    struct batch_value values[BATCH_COLUMNS_MAX];
    const uint32_t group = m->refs[first].group;
    uint64_t columns = 0;
    unsigned count = 0;
    for (unsigned i = first; i < m->count; i++) {
        if (m->refs[i].group == group) {
            numbers[m->refs[i].column] = m->points[i].number;
            columns |= UINT64_C(1) << m->refs[i].column;
            m->taken[i / 64] |= UINT64_C(1) << i % 64;
        }
    }
    for (uint64_t left = columns; left != 0; left &= left - 1) {
        const uint8_t column = (uint8_t)__builtin_ctzll(left);
        values[count++] = (struct batch_value){column, numbers[column]};
    }
    return batch_put_row(b, group, m->time_ns, values, count);
}

static enum err put_rows(struct batch *b, struct message_points *m)
{
    memset(m->taken, 0, (m->count + 63) / 64 * sizeof m->taken[0]);
    for (unsigned i = 0; i < m->count; i++) {
        if (m->refs[i].group != GROUP_NONE && (m->taken[i / 64] >> i % 64 & 1) == 0) {
            TRY(put_row(b, m, i));
        }
    }
    return OK;
}

static enum err check_time(int64_t time_ns)
{
    return time_ns < TIMESTAMP_MIN_NS || time_ns >= TIMESTAMP_MAX_NS ? E_LIMIT : OK;
}

/* What is new enough for all series, as nearly everything is, need not be asked of one. */
static bool is_old(const struct ingest *in, int64_t time_ns)
{
    return time_ns < engine_horizon_latest(in->engine);
}

/* Horizon of a series that is not there yet, and would be made for nothing. */
static int64_t horizon_of_new(const struct ingest *in, const struct topic_entry *entry,
                              struct bytes name)
{
    uint8_t room[SERIES_PATH_BYTES_MAX];
    struct bytes path;
    const struct bytes topic = {entry->topic, entry->topic_bytes};
    return catalogue_join(topic, name, room, &path) == OK ? engine_horizon_of_path(in->engine, path)
                                                          : INT64_MIN;
}

/* Once in a while, however many there are. */
static void log_left_out(struct ingest *in)
{
    const int64_t now_ms = loop_now_ms(in->loop);
    if (in->left_out_told_ms == 0 || now_ms - in->left_out_told_ms >= LEFT_OUT_LOG_MS) {
        in->left_out_told_ms = now_ms;
        log_line(LOG_WARN, "ingest", "points are refused: %s", in->left_out_why);
    }
}

/* A series that is new, if it may be. E_LIMIT: `left_out_why` says why not. */
static enum err add_series(struct ingest *in, struct topic_entry *entry, struct bytes name,
                           uint32_t *cursor, struct series_ref *out)
{
    if (in->client != NULL &&
        !allowance_take(in->client, &in->options.new_series, loop_now_ms(in->loop))) {
        in->left_out_why = "a client brings new series faster than it may (client_series_per_s)";
        return E_LIMIT;
    }
    const enum err e = topic_entry_add(in->topics, entry, name, cursor, out);
    in->left_out_why = "the limit of series is reached (series_max)";
    return e;
}

static enum err place_point(struct ingest *in, struct topic_entry *entry, unsigned i,
                            uint32_t *cursor)
{
    struct message_points *m = &in->message;
    const struct bytes name = m->points[i].name;
    enum err e = topic_entry_find(in->topics, entry, name, cursor, &m->refs[i]);
    if (e == E_LIMIT) {
        in->left_out_why = "the path of a series is too long, too deep, or no topic name";
    }
    if (m->is_old && (e == OK || e == E_NOT_FOUND) &&
        m->time_ns <
            (e == OK ? engine_horizon(in->engine, m->refs[i]) : horizon_of_new(in, entry, name))) {
        m->refs[i] = (struct series_ref){GROUP_NONE, 0};
        in->too_old++;
        return OK;
    }
    e = e == E_NOT_FOUND ? add_series(in, entry, name, cursor, &m->refs[i]) : e;
    if (e == E_LIMIT) {
        m->refs[i] = (struct series_ref){GROUP_NONE, 0};
        in->left_out++;
        return OK;
    }
    return e;
}

static enum err find_series(struct ingest *in, struct bytes topic)
{
    struct topic_entry *entry;
    uint32_t cursor = 0;
    if (topic.size > SERIES_PATH_BYTES_MAX) {
        in->left_out_why = "the path of a series is too long";
        in->left_out = in->message.count;
        return OK;
    }
    TRY(topic_table_get(in->topics, topic, &entry));
    for (unsigned i = 0; i < in->message.count; i++) {
        TRY(place_point(in, entry, i, &cursor));
    }
    return OK;
}

/* Of the message's points some are not to be stored. E_LIMIT, E_DENIED: none is left. */
static enum err count_refused(struct ingest *in)
{
    if (in->left_out > 0) {
        metrics_add(METRIC_REFUSED_SERIES, in->left_out);
        log_left_out(in);
    }
    metrics_add(METRIC_REFUSED_OLD, in->too_old);
    if (in->left_out + in->too_old < in->message.count) {
        return OK;
    }
    return in->left_out > 0 ? E_LIMIT : E_DENIED;
}

void ingest_charge(struct ingest *in, struct allowance *client)
{
    in->client = client;
}

unsigned ingest_left_out(const struct ingest *in, const char **why)
{
    *why = in->left_out_why;
    return in->left_out;
}

unsigned ingest_too_old(const struct ingest *in)
{
    return in->too_old;
}

// NOLINTNEXTLINE(readability-function-size): one message, said flat, on the hottest path
enum err ingest_put(struct ingest *in, struct bytes topic, int64_t time_ns,
                    const struct payload_point *points, unsigned count, uint64_t *number)
{
    in->left_out = in->too_old = 0;
    in->left_out_why = "too many points in a message, or a time outside 1970 to 2200";
    if (count == 0 || count > PAYLOAD_POINTS_MAX) {
        return E_LIMIT;
    }
    TRY(check_time(time_ns));
    TRY(reserve(in, count * (ROW_BYTES + VALUE_BYTES) + RECEIPT_BYTES));
    in->message.time_ns = time_ns;
    in->message.points = points;
    in->message.count = count;
    in->message.is_old = is_old(in, time_ns);
    const enum err e = find_series(in, topic);
    if (e != OK) {
        metrics_add(METRIC_REFUSED_SERIES, count);
        return e;
    }
    if (in->left_out + in->too_old > 0) {
        TRY(count_refused(in));
    }
    CHECK(put_rows(in->batch, &in->message) == OK); /* Room was reserved, the time is checked. */
    metrics_add(METRIC_POINTS_IN, count - in->left_out - in->too_old);
    *number = in->posted + 1;
    return OK;
}

enum err ingest_put_series(struct ingest *in, struct series_ref ref, int64_t time_ns,
                           const struct number *value, uint64_t *number)
{
    const struct batch_value cell = {ref.column, *value};
    TRY(check_time(time_ns));
    if (is_old(in, time_ns) && time_ns < engine_horizon(in->engine, ref)) {
        metrics_add(METRIC_REFUSED_OLD, 1);
        return E_DENIED;
    }
    TRY(reserve(in, ROW_BYTES + VALUE_BYTES + RECEIPT_BYTES));
    CHECK(batch_put_row(in->batch, ref.group, time_ns, &cell, 1) == OK); /* As above. */
    metrics_add(METRIC_POINTS_IN, 1);
    *number = in->posted + 1;
    return OK;
}

enum err ingest_put_tag(struct ingest *in, struct series_ref ref, const struct tag *tag,
                        uint64_t *number)
{
    TRY(reserve(in, TAG_BYTES + tag->key.size + tag->value.size));
    CHECK(batch_put_tag(in->batch, ref.group, ref.column, tag->key, tag->value) == OK);
    *number = in->posted + 1;
    return OK;
}

enum err ingest_reserve_message(struct ingest *in)
{
    return reserve(in, PAYLOAD_POINTS_MAX * (ROW_BYTES + VALUE_BYTES) + 3 * RECEIPT_BYTES);
}

enum err ingest_batch(struct ingest *in, struct batch **out, uint64_t *number)
{
    TRY(reserve(in, RECEIPT_BYTES));
    *out = in->batch;
    *number = in->posted + 1;
    return OK;
}

enum err ingest_put_state(struct ingest *in, uint8_t space, struct bytes key, struct bytes value,
                          uint64_t *number)
{
    const bool has_batch = in->batch != NULL || take_batch(in);
    TRY(batch_put_state(has_batch ? in->batch : &in->late, space, 0, key, value));
    *number = in->posted + 1;
    return OK;
}

/* The wall clock against the monotonic one: set back, times given before say nothing any more. */
static void watch_clock(struct ingest *in)
{
    int64_t offset_ms = loop_wall_ns(in->loop) / NS_PER_MS - loop_now_ms(in->loop);
    if (in->clock_seen && offset_ms < in->clock_offset_ms - STEP_BACK_MS) {
        topic_table_restart(in->topics);
    }
    in->clock_offset_ms = offset_ms;
    in->clock_seen = true;
}

/* Microseconds congruent to the loop's index modulo the number of loops: two loops never give the
 * same, and each grows by at least that number. */
int64_t ingest_arrival(struct ingest *in, struct bytes topic)
{
    const int64_t loops = in->options.loops;
    int64_t at_us = loop_wall_ns(in->loop) / NS_PER_US;
    struct topic_entry *entry;
    watch_clock(in);
    at_us += (loop_index(in->loop) + loops - at_us % loops) % loops;
    if (topic.size <= SERIES_PATH_BYTES_MAX && topic_table_get(in->topics, topic, &entry) == OK) {
        at_us = at_us > entry->arrival_us ? at_us : entry->arrival_us + loops;
        entry->arrival_us = at_us;
    }
    return at_us * NS_PER_US;
}

bool ingest_has_room(const struct ingest *in)
{
    return in->free_count > 0;
}

uint64_t ingest_done(const struct ingest *in)
{
    return in->done;
}

uint64_t ingest_filling(const struct ingest *in)
{
    const bool holds = in->batch != NULL ? !is_empty(in->batch) : in->late.state.size > 0;
    return in->posted + holds;
}

void ingest_on_done(struct ingest *in,
                    void (*on_done)(void *context, uint64_t number, enum err result), void *context)
{
    CHECK(in->listener_count < INGEST_LISTENERS_MAX);
    in->listeners[in->listener_count++] = (struct listener_of_done){on_done, context};
}
