#include "broker/house.h"

#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/thread.h"
#include "broker/floor.h"
#include "broker/threads/workers.h"

enum {
    ADDRESS_BYTES = 80,
    POST_WAIT_MS = 1,
    SECONDS_A_DAY = 86400,
    SEAL_SPAN_DAYS = 366, /* The most a sealed partition spans, unless one period is longer, */
    RETENTION_PARTS = 8   /* and this part of what is kept. */
};

struct house {
    struct config config;
    struct engine *engine;
    struct workers *workers;
    struct store_thread *store;
    struct mqtt_common *mqtt;
    unsigned loops, running; /* Loops made, and those whose threads run. */
    struct loop *loop[LOOPS_MAX];
    struct mailbox *mailboxes[LOOPS_MAX];
    struct floor *floors[LOOPS_MAX]; /* What each loop carries. */
    struct thread threads[LOOPS_MAX];
    char mqtt_address[ADDRESS_BYTES], query_address[ADDRESS_BYTES];
};

static const char *explain_store(enum err e)
{
    switch ((int)e) {
    case E_BUSY:
        return "another hejnald is using this store";
    case E_VERSION:
        return "this store was written by a newer hejnald; use that version";
    case E_CORRUPT:
        return "this store is damaged; the log names the file";
    case E_NO_SPACE:
        return "the disk is full";
    case E_NO_MEMORY:
        return "not enough memory to open this store";
    default:
        return "cannot be opened for reading and writing";
    }
}

/* Small sealed partitions grow together, but so that what retention lets go is a small part. Files
 * go as a whole when nothing in them is kept any longer, hence what is kept longest counts; what
 * goes earlier is taken out of them a period at a time (docs/decisions/0023-retention.md). */
static int64_t seal_span_s(const struct config *c)
{
    const int64_t period_s = c->partition_days * SECONDS_A_DAY;
    const int64_t kept_days = retention_config_longest(&c->retention, c->retention_days);
    int64_t span_s = (int64_t)SEAL_SPAN_DAYS * SECONDS_A_DAY;
    if (kept_days > 0 && kept_days * SECONDS_A_DAY / RETENTION_PARTS < span_s) {
        span_s = kept_days * SECONDS_A_DAY / RETENTION_PARTS;
    }
    return span_s > period_s ? span_s : period_s;
}

static enum err open_store(struct house *h, char *complaint)
{
    const struct config *c = &h->config;
    struct retention_rule rules[RETENTION_RULES_MAX];
    retention_config_rules(&c->retention, rules);
    const struct engine_options options = {
        .directory = c->data,
        .series_max = (uint32_t)c->series_max,
        .texts_max = (uint32_t)c->texts_max,
        .partition_s = (uint32_t)(c->partition_days * SECONDS_A_DAY),
        .late_s = c->late_hours * 3600,
        .span_s = seal_span_s(c),
        .journal_bytes = (uint64_t)c->journal_mb << 20,
        .journal_map = (uint64_t)c->journal_max_mb << 20,
        .head_bytes = (uint64_t)c->head_mb << 20,
        .retention = rules,
        .retention_count = c->retention.count,
        .keep_s = c->retention_days * SECONDS_A_DAY,
    };
    const enum err e = engine_open(&options, &h->engine);
    if (e != OK) {
        (void)snprintf(complaint, CONFIG_COMPLAINT_BYTES_MAX, "%s: %s", c->data, explain_store(e));
        return e;
    }
    engine_keep(h->engine, clock_wall_ns()); /* Before anybody asks. */
    return OK;
}

static enum err start_store(struct house *h)
{
    TRY(workers_create((unsigned)h->config.workers, &h->workers));
    return store_create(h->engine, h->workers, &h->store);
}

/* Cores this process may use. */
static unsigned count_cores(void)
{
    cpu_set_t cores;
    const int count = sched_getaffinity(0, sizeof cores, &cores) == 0 ? CPU_COUNT(&cores) : 1;
    return count < 1 ? 1 : count > LOOPS_MAX ? LOOPS_MAX : (unsigned)count;
}

static enum err make_loops(struct house *h)
{
    const unsigned wanted = h->config.loops == 0 ? count_cores() : (unsigned)h->config.loops;
    for (; h->loops < wanted; h->loops++) {
        TRY(loop_create(h->loops, &h->loop[h->loops]));
        h->mailboxes[h->loops] = loop_mailbox(h->loop[h->loops]);
    }
    return OK;
}

static enum err make_mqtt(struct house *h)
{
    const struct config *c = &h->config;
    struct mqtt_options o;
    mqtt_options_init(&o);
    o.connections_max = (uint32_t)c->connections_max;
    o.sessions_max = (uint32_t)c->sessions_max;
    o.packet_bytes_max = (uint32_t)c->packet_bytes_max;
    o.receive_maximum = (uint16_t)c->receive_maximum;
    o.inflight_max = (uint16_t)c->inflight_max;
    o.output_bytes_max = (uint32_t)c->output_bytes_max;
    o.queue_messages_max = (uint32_t)c->session_queue_messages_max;
    o.queue_bytes_max = (uint64_t)c->session_queue_bytes_max;
    o.retained_messages_max = (uint32_t)c->retained_messages_max;
    o.retained_bytes_max = (uint64_t)c->retained_bytes_max;
    o.subscriptions_max = (uint32_t)c->subscriptions_max;
    o.topic_alias_maximum = (uint16_t)c->topic_alias_max;
    o.keep_alive_max_s = (uint16_t)c->keep_alive_max_s;
    o.session_expiry_max_s = (uint32_t)c->session_expiry_max_s;
    o.text_bytes_max = strcmp(c->store_text, "on") == 0 ? (uint16_t)c->text_bytes_max : (uint16_t)0;
    o.connect_timeout_s = (uint16_t)c->connect_timeout_s;
    o.sys_interval_s = (uint16_t)c->sys_interval_s;
    return mqtt_common_create(&o, h->loops, h->mailboxes, &h->mqtt);
}

static enum err make_floors(struct house *h)
{
    struct floor_parts parts = {.config = &h->config,
                                .loops = h->loops,
                                .engine = h->engine,
                                .store = h->store,
                                .workers = h->workers,
                                .mqtt = h->mqtt};
    for (unsigned i = 0; i < h->loops; i++) {
        TRY(floor_create(h->loop[i], &parts, &h->floors[i]));
    }
    return OK;
}

static const char *explain_listener(enum err e)
{
    switch ((int)e) {
    case E_BUSY:
        return "another program listens there";
    case E_DENIED:
        return "the system does not allow this port; ports below 1024 need a privilege";
    case E_NOT_FOUND:
        return "this machine has no such address";
    case E_MALFORMED:
        return "not an address";
    default:
        return "the system refuses";
    }
}

/* One listening socket for each loop on one port. */
static enum err listen_on(struct house *h, enum floor_service service, int64_t wanted, char *name)
{
    unsigned port = (unsigned)wanted;
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof address;
    for (unsigned i = 0; i < h->loops; i++) {
        int fd;
        TRY(i == 0 ? listener_open(h->config.bind, port, &fd, &port)
                   : listener_open_again(h->config.bind, port, &fd));
        if (getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
            (void)close(fd);
            return E_IO;
        }
        floor_listen(h->floors[i], service, fd);
    }
    listener_name(&address, name, ADDRESS_BYTES);
    return OK;
}

static enum err listen_all(struct house *h, char *complaint)
{
    const struct config *c = &h->config;
    int64_t port = c->mqtt_port;
    enum err e = listen_on(h, FLOOR_MQTT, port, h->mqtt_address);
    if (e == OK) {
        port = c->query_port;
        e = listen_on(h, FLOOR_QUERY, port, h->query_address);
    }
    if (e != OK) {
        (void)snprintf(complaint, CONFIG_COMPLAINT_BYTES_MAX, "cannot listen on %s port %lld: %s",
                       c->bind, (long long)port, explain_listener(e));
    }
    return e;
}

static enum err build(struct house *h, char *complaint)
{
    TRY(open_store(h, complaint));
    (void)snprintf(complaint, CONFIG_COMPLAINT_BYTES_MAX, "not enough memory or file descriptors");
    TRY(start_store(h));
    TRY(make_loops(h));
    TRY(make_mqtt(h));
    TRY(make_floors(h));
    return listen_all(h, complaint);
}

enum err house_create(const struct config *config, struct house **out,
                      char complaint[CONFIG_COMPLAINT_BYTES_MAX])
{
    struct house *h = calloc(1, sizeof *h);
    if (h == NULL) {
        (void)snprintf(complaint, CONFIG_COMPLAINT_BYTES_MAX, "not enough memory");
        return E_NO_MEMORY;
    }
    h->config = *config;
    const enum err e = build(h, complaint);
    if (e != OK) {
        house_destroy(h);
        return e;
    }
    *out = h;
    return OK;
}

static void run_loop(void *raw)
{
    thread_hurry();
    loop_run(raw);
}

enum err house_start(struct house *h)
{
    TRY(store_run(h->store));
    for (; h->running < h->loops; h->running++) {
        TRY(thread_start(&h->threads[h->running], "loop", run_loop, h->loop[h->running]));
    }
    return OK;
}

void house_describe(const struct house *h, char *to, size_t size)
{
    (void)snprintf(to, size, "mqtt=%s query=%s data=%s", h->mqtt_address, h->query_address,
                   h->config.data);
}

static void stop_loops(struct house *h)
{
    static struct letter stop = {LETTER_STOP};
    for (unsigned i = 0; i < h->running; i++) {
        while (mailbox_post(h->mailboxes[i], &stop) == E_BUSY) {
            (void)poll(NULL, 0, POST_WAIT_MS);
        }
    }
    for (unsigned i = 0; i < h->running; i++) {
        thread_join(&h->threads[i]);
    }
}

void house_destroy(struct house *h)
{
    if (h == NULL) {
        return;
    }
    stop_loops(h);
    store_stop(h->store);
    workers_destroy(h->workers);
    for (unsigned i = 0; i < h->loops; i++) {
        loop_take_letters(h->loop[i]); /* Whoever they are for frees what they carry. */
    }
    for (unsigned i = 0; i < h->loops; i++) {
        floor_destroy(h->floors[i]);
    }
    mqtt_common_destroy(h->mqtt);
    for (unsigned i = 0; i < h->loops; i++) {
        loop_destroy(h->loop[i]);
    }
    engine_close(h->engine);
    free(h);
}
