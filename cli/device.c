#include "cli/device.h"

#include <MQTTAsync.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/thread.h"

enum { KEEP_ALIVE_S = 30, CONNECT_TIMEOUT_S = 5, RETRY_MS = 100, FILTERS_MAX = 32, TICK_MS = 50 };

enum slot_state { SLOT_FREE, SLOT_SENT, SLOT_ACKED, SLOT_REFUSED };

/* A message until it is acknowledged. Slots form a ring in order of publishing. */
struct slot {
    struct device *device;
    enum slot_state state;
    char *topic;
    uint8_t *payload;
    int payload_size, qos, retain;
};

struct filter {
    char *text;
    int qos;
};

struct device {
    MQTTAsync client;
    struct device_options options;
    struct lock lock; /* Guards all below: Paho calls back on its own thread. */
    struct signal changed;
    bool connected, answered, lost;
    int started; /* What starting the first connect returned. */
    int answer;  /* Of the last connect or subscribe: 0, or Paho's code. */
    uint64_t head, tail;
    uint64_t acked, refused;
    int64_t progress_ms; /* When a message was acknowledged last, or the first connect began. */
    struct slot *slots;
    struct filter filters[FILTERS_MAX];
    unsigned filter_count;
};

static char error_text[160] = "";

const char *device_error(void)
{
    return error_text;
}

const char *device_why(enum err e)
{
    if (e == E_END) {
        return "stopped before the broker acknowledged everything";
    }
    return (e == E_IO || e == E_DENIED) && error_text[0] != 0 ? error_text : err_text(e);
}

/* ---- Paho's thread ---- */

static void tell(struct device *d, int answer)
{
    lock_take(&d->lock);
    d->answer = answer;
    d->answered = true;
    signal_wake(&d->changed);
    lock_drop(&d->lock);
}

static void on_answer(void *context, MQTTAsync_successData *data)
{
    (void)data;
    tell(context, 0);
}

static void on_answer5(void *context, MQTTAsync_successData5 *data)
{
    (void)data;
    tell(context, 0);
}

/* The first reason is the one to tell; what fails after it is a consequence. */
static void note_failure(int code, const char *message)
{
    if (error_text[0] == 0) {
        (void)snprintf(error_text, sizeof error_text, code != 0 ? "%s (%d)" : "%s",
                       message != NULL ? message : "no connection", code);
    }
}

static void on_failure(void *context, MQTTAsync_failureData *data)
{
    note_failure(data != NULL ? data->code : -1, data != NULL ? data->message : NULL);
    tell(context, data != NULL && data->code != 0 ? data->code : -1);
}

static void on_failure5(void *context, MQTTAsync_failureData5 *data)
{
    note_failure(data != NULL ? (int)data->reasonCode : -1, data != NULL ? data->message : NULL);
    tell(context, data != NULL && data->code != 0 ? data->code : -1);
}

// NOLINTNEXTLINE(readability-non-const-parameter): Paho's signature
static void on_lost(void *context, char *cause)
{
    struct device *d = context;
    (void)cause;
    note_failure(0, "the broker closed the connection");
    lock_take(&d->lock);
    d->connected = false;
    d->lost = true;
    signal_wake(&d->changed);
    lock_drop(&d->lock);
}

/* MQTT 5: the broker says why it closes. */
static void on_disconnected(void *context, MQTTProperties *properties, enum MQTTReasonCodes reason)
{
    (void)properties;
    note_failure((int)reason, MQTTReasonCode_toString(reason));
    on_lost(context, NULL);
}

static int on_arrived(void *context, char *topic, int topic_size, MQTTAsync_message *message)
{
    struct device *d = context;
    size_t size = topic_size > 0 ? (size_t)topic_size : strlen(topic);
    if (d->options.on_message != NULL) {
        d->options.on_message(d->options.context, (struct bytes){(uint8_t *)topic, size},
                              (struct bytes){message->payload, (size_t)message->payloadlen});
    }
    MQTTAsync_freeMessage(&message);
    MQTTAsync_free(topic);
    return 1;
}

static void slot_end(struct slot *slot, enum slot_state state)
{
    struct device *d = slot->device;
    lock_take(&d->lock);
    if (slot->state == SLOT_SENT) {
        slot->state = state;
        d->acked += state == SLOT_ACKED;
        d->progress_ms = clock_now_ms();
        d->refused += state == SLOT_REFUSED;
        signal_wake(&d->changed);
    }
    lock_drop(&d->lock);
}

static void on_sent(void *context, MQTTAsync_successData *data)
{
    (void)data;
    slot_end(context, SLOT_ACKED);
}

static void on_sent5(void *context, MQTTAsync_successData5 *data)
{
    (void)data;
    slot_end(context, SLOT_ACKED);
}

/* A PUBACK with a refusal ends the message; a broken connection does not. */
static void on_unsent5(void *context, MQTTAsync_failureData5 *data)
{
    if (data != NULL && (int)data->reasonCode >= 0x80) {
        note_failure((int)data->reasonCode, MQTTReasonCode_toString(data->reasonCode));
        slot_end(context, SLOT_REFUSED);
    }
}

/* ---- The caller's thread ---- */

/* Wait for a change, at most TICK_MS; the lock is taken. */
static void wait_tick(struct device *d)
{
    struct timespec until;
    CHECK(clock_gettime(CLOCK_REALTIME, &until) == 0);
    until.tv_nsec += TICK_MS * NS_PER_MS;
    until.tv_sec += until.tv_nsec / NS_PER_S;
    until.tv_nsec %= NS_PER_S;
    signal_wait_until(&d->changed, &d->lock, &until);
}

static int await_answer(struct device *d)
{
    int64_t end_ms = clock_now_ms() + CONNECT_TIMEOUT_S * 1000;
    lock_take(&d->lock);
    while (!d->answered && clock_now_ms() < end_ms) {
        wait_tick(d);
    }
    int answer = d->answered ? d->answer : -1;
    lock_drop(&d->lock);
    return answer;
}

static int send_slot(struct device *d, struct slot *slot)
{
    MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer;
    response.context = slot;
    if (d->options.v5) {
        response.onSuccess5 = on_sent5;
        response.onFailure5 = on_unsent5;
    } else {
        response.onSuccess = on_sent;
    }
    return MQTTAsync_send(d->client, slot->topic, slot->payload_size, slot->payload, slot->qos,
                          slot->retain, &response);
}

static enum err subscribe_once(struct device *d, const struct filter *filter)
{
    MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer;
    response.context = d;
    if (d->options.v5) {
        response.onSuccess5 = on_answer5;
        response.onFailure5 = on_failure5;
    } else {
        response.onSuccess = on_answer;
        response.onFailure = on_failure;
    }
    d->answered = false;
    if (MQTTAsync_subscribe(d->client, filter->text, filter->qos, &response) != MQTTASYNC_SUCCESS) {
        return E_IO;
    }
    return await_answer(d) == 0 ? OK : E_DENIED;
}

static bool is_stopped(const struct device *d)
{
    return d->options.stop != NULL && *d->options.stop;
}

/* 0, or Paho's code; the answer comes later. */
static int connect_start(struct device *d)
{
    MQTTAsync_connectOptions v3 = MQTTAsync_connectOptions_initializer;
    MQTTAsync_connectOptions v5 = MQTTAsync_connectOptions_initializer5;
    MQTTAsync_connectOptions *o = d->options.v5 ? &v5 : &v3;
    o->keepAliveInterval = KEEP_ALIVE_S;
    o->connectTimeout = CONNECT_TIMEOUT_S;
    o->maxInflight = (int)d->options.window + 1;
    o->context = d;
    if (d->options.v5) {
        o->onSuccess5 = on_answer5;
        o->onFailure5 = on_failure5;
    } else {
        o->onSuccess = on_answer;
        o->onFailure = on_failure;
    }
    lock_take(&d->lock);
    d->answered = d->lost = false;
    lock_drop(&d->lock);
    return MQTTAsync_connect(d->client, o);
}

/* After a reconnect: all filters, then all messages without an acknowledgement, in order. */
static enum err resume(struct device *d)
{
    for (unsigned i = 0; i < d->filter_count; i++) {
        TRY(subscribe_once(d, &d->filters[i]));
    }
    for (uint64_t i = d->tail; i != d->head; i++) {
        struct slot *slot = &d->slots[i % d->options.window];
        lock_take(&d->lock);
        bool is_open = slot->state == SLOT_SENT;
        lock_drop(&d->lock);
        if (is_open && send_slot(d, slot) != MQTTASYNC_SUCCESS) {
            return E_IO;
        }
    }
    return OK;
}

/* Wait for a connect that was started with `started`, then again and again. */
static enum err connect_finish(struct device *d, int started, int64_t patience_ms)
{
    int64_t end_ms = clock_now_ms() + patience_ms;
    for (;;) {
        if (started == MQTTASYNC_SUCCESS && await_answer(d) == 0) {
            lock_take(&d->lock);
            d->connected = !d->lost;
            lock_drop(&d->lock);
            if (!d->lost) {
                error_text[0] = 0;
            }
            enum err e = resume(d);
            if (e == OK || e == E_DENIED) {
                return e;
            }
        }
        if (is_stopped(d)) {
            return E_END;
        }
        if (clock_now_ms() >= end_ms) {
            return E_IO;
        }
        (void)usleep(RETRY_MS * 1000);
        started = connect_start(d);
    }
}

static enum err connect_patiently(struct device *d)
{
    return connect_finish(d, connect_start(d), d->options.patience_ms);
}

static bool is_connected(struct device *d)
{
    lock_take(&d->lock);
    bool connected = d->connected;
    lock_drop(&d->lock);
    return connected;
}

static void slot_free(struct slot *slot)
{
    free(slot->topic);
    free(slot->payload);
    slot->topic = NULL;
    slot->payload = NULL;
    slot->state = SLOT_FREE;
}

/* Free acknowledged slots from the oldest on; the lock is taken. */
static void reap(struct device *d)
{
    while (d->tail != d->head) {
        struct slot *slot = &d->slots[d->tail % d->options.window];
        if (slot->state == SLOT_SENT) {
            return;
        }
        slot_free(slot);
        d->tail++;
    }
}

/* Connect again, unless reconnecting brings nothing any more: a broker that closes the connection
 * over and over for what we send would be asked for ever. */
static enum err reconnect(struct device *d)
{
    lock_take(&d->lock);
    int64_t idle_ms = clock_now_ms() - d->progress_ms;
    lock_drop(&d->lock);
    if (idle_ms > d->options.patience_ms + CONNECT_TIMEOUT_S * 1000) {
        note_failure(0, "the broker closes the connection without acknowledging");
        return E_IO;
    }
    return connect_patiently(d);
}

/* Until at most `open_max` messages wait for their acknowledgement. */
static enum err await_room(struct device *d, uint64_t open_max)
{
    for (;;) {
        lock_take(&d->lock);
        reap(d);
        while (d->head - d->tail > open_max && d->connected) {
            wait_tick(d);
            reap(d);
        }
        bool has_room = d->head - d->tail <= open_max;
        bool refused = d->refused > 0;
        lock_drop(&d->lock);
        if (refused) {
            return E_DENIED;
        }
        if (has_room) {
            return OK;
        }
        TRY(reconnect(d));
    }
}

static void device_free(struct device *d)
{
    MQTTAsync_destroy(&d->client);
    for (uint64_t i = d->tail; i != d->head; i++) {
        slot_free(&d->slots[i % d->options.window]);
    }
    for (unsigned i = 0; i < d->filter_count; i++) {
        free(d->filters[i].text);
    }
    signal_fini(&d->changed);
    lock_fini(&d->lock);
    free(d->slots);
    free(d);
}

static enum err client_create(struct device *d)
{
    MQTTAsync_createOptions v3 = MQTTAsync_createOptions_initializer;
    MQTTAsync_createOptions v5 = MQTTAsync_createOptions_initializer5;
    char uri[300], name[40];
    static int made;

    if (strchr(d->options.address, ':') == NULL) {
        note_failure(0, "bad address; use HOST:PORT");
        return E_IO;
    }
    (void)snprintf(uri, sizeof uri, "tcp://%s", d->options.address);
    (void)snprintf(name, sizeof name, "hejnal-%d-%d-%x", (int)getpid(), made++,
                   (unsigned)clock_now_ns());
    v3.MQTTVersion = MQTTVERSION_3_1_1;
    /* Paho's queue never refuses what our window allows. */
    v3.maxBufferedMessages = v5.maxBufferedMessages = (int)d->options.window + FILTERS_MAX;
    int code = MQTTAsync_createWithOptions(
        &d->client, uri, d->options.client_id != NULL ? d->options.client_id : name,
        MQTTCLIENT_PERSISTENCE_NONE, NULL, d->options.v5 ? &v5 : &v3);
    if (code != MQTTASYNC_SUCCESS) {
        note_failure(code, "bad broker address");
        return E_IO;
    }
    CHECK(MQTTAsync_setCallbacks(d->client, d, on_lost, on_arrived, NULL) == MQTTASYNC_SUCCESS);
    CHECK(MQTTAsync_setDisconnected(d->client, d, on_disconnected) == MQTTASYNC_SUCCESS);
    return OK;
}

enum err device_start(const struct device_options *options, struct device **out)
{
    CHECK(options->window > 0 && options->window <= 60000);
    struct device *d = calloc(1, sizeof *d);
    struct slot *slots = calloc(options->window, sizeof *slots);
    if (d == NULL || slots == NULL) {
        free(d);
        free(slots);
        return E_NO_MEMORY;
    }
    d->options = *options;
    d->slots = slots;
    lock_init(&d->lock);
    signal_init(&d->changed);
    enum err e = client_create(d);
    if (e != OK) {
        device_free(d);
        return e;
    }
    d->progress_ms = clock_now_ms();
    d->started = connect_start(d);
    *out = d;
    return OK;
}

enum err device_await(struct device *d)
{
    return connect_finish(d, d->started, d->options.connect_ms);
}

enum err device_open(const struct device_options *options, struct device **out)
{
    struct device *d;
    TRY(device_start(options, &d));
    enum err e = device_await(d);
    if (e != OK) {
        device_close(d);
        return e;
    }
    *out = d;
    return OK;
}

void device_close(struct device *d)
{
    if (d == NULL) {
        return;
    }
    MQTTAsync_disconnectOptions options = MQTTAsync_disconnectOptions_initializer;
    options.timeout = 1000;
    options.context = d;
    if (d->options.v5) {
        options.onSuccess5 = on_answer5;
        options.onFailure5 = on_failure5;
    } else {
        options.onSuccess = on_answer;
        options.onFailure = on_failure;
    }
    d->answered = false;
    if (is_connected(d) && MQTTAsync_disconnect(d->client, &options) == MQTTASYNC_SUCCESS) {
        (void)await_answer(d);
    }
    device_free(d);
}

enum err device_publish(struct device *d, const char *topic, struct bytes payload, int qos,
                        bool retain)
{
    TRY(await_room(d, d->options.window - 1));
    if (!is_connected(d)) {
        TRY(connect_patiently(d));
    }
    struct slot *slot = &d->slots[d->head % d->options.window];
    *slot = (struct slot){.device = d, .state = SLOT_SENT, .qos = qos, .retain = retain};
    slot->topic = strdup(topic);
    slot->payload = malloc(payload.size + 1);
    if (slot->topic == NULL || slot->payload == NULL || payload.size > INT32_MAX) {
        slot_free(slot);
        return E_NO_MEMORY;
    }
    memcpy(slot->payload, payload.at, payload.size);
    slot->payload_size = (int)payload.size;
    lock_take(&d->lock);
    d->head++;
    lock_drop(&d->lock);
    /* Not taken now: it waits in its slot and goes out with the next reconnect. */
    if (send_slot(d, slot) != MQTTASYNC_SUCCESS) {
        on_lost(d, NULL);
    }
    return OK;
}

enum err device_drain(struct device *d)
{
    return await_room(d, 0);
}

uint64_t device_acked(struct device *d)
{
    lock_take(&d->lock);
    uint64_t acked = d->acked;
    lock_drop(&d->lock);
    return acked;
}

uint64_t device_refused(struct device *d)
{
    lock_take(&d->lock);
    uint64_t refused = d->refused;
    lock_drop(&d->lock);
    return refused;
}

enum err device_subscribe(struct device *d, const char *filter, int qos)
{
    CHECK(d->filter_count < FILTERS_MAX);
    struct filter *f = &d->filters[d->filter_count];
    *f = (struct filter){strdup(filter), qos};
    if (f->text == NULL) {
        return E_NO_MEMORY;
    }
    d->filter_count++;
    return subscribe_once(d, f);
}

enum err device_listen(struct device *d, const volatile bool *stop)
{
    while (!*stop) {
        lock_take(&d->lock);
        wait_tick(d);
        bool connected = d->connected;
        lock_drop(&d->lock);
        if (!connected && !*stop) {
            TRY(connect_patiently(d));
        }
    }
    return OK;
}
