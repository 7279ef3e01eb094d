/* Every counter of the daemon, once. Loops add with relaxed atomics on their own cache lines;
 * readers sum. Nothing is dropped without one of these growing. */

#ifndef BROKER_THREADS_METRICS_H
#define BROKER_THREADS_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

/* X(name, dotted name, unit, sentence) */
#define METRICS_MAP(X)                                                                             \
    X(CONNECTIONS, "mqtt.connections", "", "MQTT connections open now")                            \
    X(CONNECTS, "mqtt.connects", "", "MQTT connections accepted")                                  \
    X(CONNECTS_REFUSED, "mqtt.connects.refused", "", "CONNECTs answered with a refusal")           \
    X(PROTOCOL_ERRORS, "mqtt.errors.protocol", "", "connections closed for what they sent")        \
    X(KEEP_ALIVE_TIMEOUTS, "mqtt.timeouts", "", "connections closed by keep alive")                \
    X(SESSIONS, "mqtt.sessions", "", "sessions kept, connected or not")                            \
    X(SUBSCRIPTIONS, "mqtt.subscriptions", "", "subscriptions in force")                           \
    X(MESSAGES_IN, "mqtt.messages.in", "", "PUBLISH packets received")                             \
    X(MESSAGES_OUT, "mqtt.messages.out", "", "PUBLISH packets sent")                               \
    X(BYTES_IN, "mqtt.bytes.in", "bytes", "bytes received from MQTT clients")                      \
    X(BYTES_OUT, "mqtt.bytes.out", "bytes", "bytes sent to MQTT clients")                          \
    X(DROPPED_QOS0, "mqtt.dropped.qos0", "", "QoS 0 messages a slow reader did not get")           \
    X(DROPPED_QUEUE, "mqtt.dropped.queue", "", "messages over a session's queue limit")            \
    X(DROPPED_SIZE, "mqtt.dropped.size", "", "messages over a reader's maximum packet size")       \
    X(DROPPED_EXPIRED, "mqtt.dropped.expired", "", "messages that expired before delivery")        \
    X(RETAINED, "mqtt.retained", "", "retained messages kept")                                     \
    X(RETAINED_REFUSED, "mqtt.retained.refused", "", "retained messages over the limit")           \
    X(POINTS_IN, "ingest.points", "", "points taken from messages and write calls")                \
    X(REJECTS, "ingest.rejects", "", "messages forwarded but not stored")                          \
    X(REFUSED_OLD, "ingest.refused.old", "", "points older than retention")                        \
    X(REFUSED_SERIES, "ingest.refused.series", "", "points over the series limit")                 \
    X(REFUSED_TEXTS, "ingest.refused.texts", "", "texts over the limit of distinct ones")          \
    X(TEXTS_LONG, "ingest.texts.long", "", "texts in messages over text_bytes_max, left out")      \
    X(REDELIVERED, "ingest.redelivered", "", "redeliveries given their first arrival time")        \
    X(STORE_REFUSED, "ingest.refused.store", "", "points lost to a failing or full disk, unacked") \
    X(BACKPRESSURE, "ingest.backpressure", "", "times reading stopped until the store caught up")  \
    X(QUERY_CONNECTIONS, "query.connections", "", "query connections open now")                    \
    X(QUERY_REFUSED, "query.connections.refused", "", "query connections over the limit")          \
    X(QUERY_DROPPED, "query.connections.dropped", "",                                              \
      "query connections closed for standing still")                                               \
    X(QUERY_REQUESTS, "query.requests", "", "requests received")                                   \
    X(QUERY_ERRORS, "query.errors", "", "requests answered with an error")                         \
    X(QUERY_ROWS, "query.rows", "", "rows sent")                                                   \
    X(TAIL_DROPPED, "query.tail.dropped", "", "points a slow tail did not get")

#define METRICS_ENUM(name, dotted, unit, sentence) METRIC_##name,
enum metric { METRICS_MAP(METRICS_ENUM) METRICS };
#undef METRICS_ENUM

/* Any thread; `delta` may be negative for gauges. */
void metrics_add(enum metric metric, int64_t delta);
int64_t metrics_read(enum metric metric);

const char *metrics_name(enum metric metric);
const char *metrics_unit(enum metric metric);

#endif /* BROKER_THREADS_METRICS_H */
