/* A device: one MQTT connection that publishes and listens. The door to Eclipse Paho MQTT C.
 *
 * What is published stays here until it is acknowledged; after a broken connection it connects
 * again and sends all of that once more, in order. One thread uses a device. */

#ifndef CLI_DEVICE_H
#define CLI_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

enum { DEVICE_WINDOW_DEFAULT = 512 };

struct device;

struct device_options {
    const char *address;       /* "HOST:PORT" */
    const char *client_id;     /* NULL: one is made up. */
    bool v5;                   /* Else 3.1.1. */
    unsigned window;           /* Messages under way, 1..60000. */
    int64_t connect_ms;        /* How long to try the first connect before giving up. */
    int64_t patience_ms;       /* How long to try to connect again. */
    const volatile bool *stop; /* Once set, waiting for the broker ends: E_END. NULL: never. */
    /* Messages for device_subscribe(); on Paho's thread; bytes are borrowed. NULL: none. */
    void (*on_message)(void *context, struct bytes topic, struct bytes payload);
    void *context;
};

/* Connect. E_IO: not within `connect_ms`, or refused; device_error() says why. */
MUST_USE enum err device_open(const struct device_options *options, struct device **out);

/* The same in two steps, for many at once: Paho looks for answers on new connections once a second
 * only, so start all, then wait for each. A device that was started must be closed. */
MUST_USE enum err device_start(const struct device_options *options, struct device **out);
MUST_USE enum err device_await(struct device *d);

/* Disconnects in peace. NULL is fine. */
void device_close(struct device *d);

/* Why the last connect failed: a sentence, static or the device's. Works for failed opens too. */
const char *device_error(void);

/* The same, for an error of any function here. */
const char *device_why(enum err e);

/* Publish a copy; waits while the window is full. E_IO: the broker stayed away. E_DENIED: the
 * broker refused a message (MQTT 5 reason code); it was not stored. E_END: told to stop. */
MUST_USE enum err device_publish(struct device *d, const char *topic, struct bytes payload, int qos,
                                 bool retain);

/* Wait until all that was published is acknowledged. Errors as above. */
MUST_USE enum err device_drain(struct device *d);

/* Messages acknowledged so far (QoS 0: handed to the system), and refused. */
uint64_t device_acked(struct device *d);
uint64_t device_refused(struct device *d);

/* Listen to a filter, again after each reconnect. E_IO, E_DENIED. */
MUST_USE enum err device_subscribe(struct device *d, const char *filter, int qos);

/* Keep the connection up until `stop` is set: reconnects when it breaks. E_IO. */
MUST_USE enum err device_listen(struct device *d, const volatile bool *stop);

#endif /* CLI_DEVICE_H */
