/* $SYS: the broker's own figures as retained messages, by mosquitto's names. Never stored. */

#include <inttypes.h>
#include <stdio.h>

#include "base/hash.h"
#include "broker/mqtt/mqtt_state.h"
#include "broker/threads/metrics.h"

enum { TEXT_BYTES = 64 };

static const struct {
    const char *topic;
    enum metric metric;
} figures[] = {
    {"$SYS/broker/clients/connected", METRIC_CONNECTIONS},
    {"$SYS/broker/clients/total", METRIC_SESSIONS},
    {"$SYS/broker/messages/received", METRIC_MESSAGES_IN},
    {"$SYS/broker/messages/sent", METRIC_MESSAGES_OUT},
    {"$SYS/broker/publish/messages/received", METRIC_MESSAGES_IN},
    {"$SYS/broker/publish/messages/sent", METRIC_MESSAGES_OUT},
    {"$SYS/broker/publish/messages/dropped", METRIC_DROPPED_QUEUE},
    {"$SYS/broker/bytes/received", METRIC_BYTES_IN},
    {"$SYS/broker/bytes/sent", METRIC_BYTES_OUT},
    {"$SYS/broker/subscriptions/count", METRIC_SUBSCRIPTIONS},
};

static void publish(struct mqtt_server *s, const char *topic, const char *text)
{
    const struct publication p = {.topic = bytes_of(topic),
                                  .payload = bytes_of(text),
                                  .topic_hash = hash_bytes(bytes_of(topic)),
                                  .stamp = intake_stamp(s),
                                  .expires_ns = MESSAGE_NEVER_NS,
                                  .retain = true};
    route_publication(s, &p);
}

static void publish_number(struct mqtt_server *s, const char *topic, int64_t value)
{
    char text[TEXT_BYTES];
    snprintf(text, sizeof text, "%" PRId64, value);
    publish(s, topic, text);
}

void sys_publish(struct mqtt_server *s)
{
    char text[TEXT_BYTES];
    publish(s, "$SYS/broker/version", "hejnald " HEJNAL_RELEASE);
    snprintf(text, sizeof text, "%" PRId64 " seconds",
             (loop_now_ms(s->loop) - s->started_ms) / 1000);
    publish(s, "$SYS/broker/uptime", text);
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        publish_number(s, figures[i].topic, metrics_read(figures[i].metric));
    }
    publish_number(s, "$SYS/broker/retained messages/count", (int64_t)retained_count(s->retained));
}
