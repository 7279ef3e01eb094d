#include "broker/floor.h"

#include <stdlib.h>

#include "base/log.h"

enum { FINISH_MS_MAX = 10000, MS_A_SECOND = 1000 };

struct floor {
    struct loop *loop;
    struct ingest *ingest;
    struct mqtt_server *mqtt;
    struct query_server *query;
    struct listener listeners[FLOOR_SERVICES];
    struct loop_timer deadline; /* For finishing. */
    bool stopping;
};

static void accept_mqtt(void *context, int fd, const struct sockaddr_storage *peer)
{
    mqtt_server_accept(((struct floor *)context)->mqtt, fd, peer);
}

static void accept_query(void *context, int fd, const struct sockaddr_storage *peer)
{
    query_server_accept(((struct floor *)context)->query, fd, peer);
}

void floor_listen(struct floor *f, enum floor_service service, int fd)
{
    listener_start(&f->listeners[service], f->loop, fd,
                   service == FLOOR_MQTT ? accept_mqtt : accept_query, f);
}

static void close_listeners(struct floor *f)
{
    for (int i = 0; i < FLOOR_SERVICES; i++) {
        listener_stop(&f->listeners[i]);
    }
}

static void on_deadline(struct loop_timer *timer)
{
    log_line(LOG_ERROR, "loop", "ending although the store does not answer");
    loop_stop(timer->loop);
}

static void on_stop(void *context, struct letter *letter)
{
    struct floor *f = context;
    (void)letter;
    if (!f->stopping) {
        f->stopping = true;
        close_listeners(f);
        mqtt_server_stop(f->mqtt);
        query_server_stop(f->query);
        f->deadline.on_time = on_deadline;
        loop_timer_start(f->loop, &f->deadline, FINISH_MS_MAX, 0);
    }
}

/* The last of the hooks: what others put in at the turn's end has been posted. */
static void on_turn_end(void *context)
{
    struct floor *f = context;
    if (f->stopping && ingest_done(f->ingest) == ingest_filling(f->ingest)) {
        loop_timer_stop(&f->deadline);
        loop_stop(f->loop);
    }
}

static enum err make_query(struct floor *f, const struct floor_parts *parts)
{
    const struct config *c = parts->config;
    struct query_server_options o;
    query_server_options_init(&o);
    o.connections_max = (uint32_t)((c->query_connections_max + parts->loops - 1) / parts->loops);
    o.series_max = (uint32_t)c->query_series_max;
    o.write_timeout_ms = (uint32_t)(c->query_timeout_s * MS_A_SECOND);
    o.ingest = f->ingest;
    o.engine = parts->engine;
    o.store = parts->store;
    o.workers = parts->workers;
    return query_server_create(f->loop, &o, &f->query);
}

static enum err build(struct floor *f, const struct floor_parts *parts)
{
    const struct ingest_options options = {
        .parcels = (unsigned)parts->config->ingest_buffers,
        .loops = parts->loops,
        .new_series = {parts->config->client_series_burst, parts->config->client_series_per_s},
    };
    TRY(ingest_create(f->loop, parts->engine, parts->store, &options, &f->ingest));
    TRY(mqtt_server_create(parts->mqtt, f->loop, f->ingest, parts->engine, &f->mqtt));
    TRY(make_query(f, parts));
    ingest_watch_turns(f->ingest);
    loop_on_turn_end(f->loop, on_turn_end, f);
    loop_on_letter(f->loop, LETTER_STOP, on_stop, f);
    return OK;
}

enum err floor_create(struct loop *loop, const struct floor_parts *parts, struct floor **out)
{
    struct floor *f = calloc(1, sizeof *f);
    if (f == NULL) {
        return E_NO_MEMORY;
    }
    f->loop = loop;
    const enum err e = build(f, parts);
    if (e != OK) {
        floor_destroy(f);
        return e;
    }
    *out = f;
    return OK;
}

void floor_destroy(struct floor *f)
{
    if (f == NULL) {
        return;
    }
    close_listeners(f);
    loop_timer_stop(&f->deadline);
    mqtt_server_destroy(f->mqtt);
    query_server_destroy(f->query);
    ingest_destroy(f->ingest);
    free(f);
}
