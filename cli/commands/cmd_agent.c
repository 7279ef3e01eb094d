#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/topic.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/device.h"
#include "cli/machine.h"
#include "cli/stop.h"

enum { AGENT_TOPIC_MAX = 512, HOST_BYTES_MAX = 64 };

struct agent {
    const char *address, *topic;
    int64_t every_ns, count;
    struct device *device;
    struct machine *machine;
    const volatile bool *stop;
};

static enum err publish_all(struct agent *a)
{
    char topic[AGENT_TOPIC_MAX];
    const char *below;
    struct bytes payload;
    machine_look(a->machine, clock_wall_ns());
    while (machine_next(a->machine, &below, &payload) == OK) {
        if (snprintf(topic, sizeof topic, "%s/%s", a->topic, below) >= AGENT_TOPIC_MAX) {
            return E_LIMIT;
        }
        TRY(device_publish(a->device, topic, payload, 1, false));
    }
    return OK;
}

static enum err run(struct agent *a)
{
    struct timespec pause = {a->every_ns / NS_PER_S, a->every_ns % NS_PER_S};
    enum err e = publish_all(a);
    for (int64_t i = 1; e == OK && !*a->stop && (a->count == 0 || i < a->count); i++) {
        (void)nanosleep(&pause, NULL);
        e = *a->stop ? OK : publish_all(a);
    }
    return e == OK ? device_drain(a->device) : e;
}

/* The host's name as a topic level. */
static void default_topic(char to[AGENT_TOPIC_MAX])
{
    char host[HOST_BYTES_MAX + 1] = "";
    if (gethostname(host, HOST_BYTES_MAX) != 0 || host[0] == 0) {
        (void)snprintf(host, sizeof host, "machine");
    }
    for (char *at = host; *at != 0; at++) {
        if (strchr("/+#$", *at) != NULL) {
            *at = '-';
        }
    }
    (void)snprintf(to, AGENT_TOPIC_MAX, "krakow/infra/%s", host);
}

int cmd_agent(int argc, char **argv)
{
    char topic[AGENT_TOPIC_MAX];
    struct agent a = {
        .address = "127.0.0.1:1883", .topic = topic, .every_ns = 5 * INT64_C(1000000000)};
    const struct option_row rows[] = {
        {"--every", OPTION_LENGTH, &a.every_ns, 0, 0, NULL, "LENGTH", "Default 5s."},
        {"--count", OPTION_NUMBER, &a.count, 1, INT64_MAX, NULL, "N", "End after N looks."},
        {"--topic", OPTION_TEXT, &a.topic, 0, 0, NULL, "TOPIC", "Default krakow/infra/HOSTNAME."},
        {"--mqtt", OPTION_TEXT, &a.address, 0, 0, NULL, "HOST:PORT", "Default 127.0.0.1:1883."},
    };
    struct arguments o = {
        "agent",
        "",
        "Publish this machine's load, CPU, memory, disk, network and temperatures, one "
        "JSON object a group.",
        "  hejnal agent --every 10s\n",
        rows,
        4,
        0,
        0,
        0,
        {NULL}};
    default_topic(topic);
    enum err e = arguments_read(&o, argc, argv);
    if (e != OK) {
        return e == E_END ? EXIT_DONE : EXIT_USAGE;
    }
    if (!topic_is_name(bytes_of(a.topic)) || strlen(a.topic) > AGENT_TOPIC_MAX / 2) {
        return command_fail(EXIT_USAGE, "agent",
                            "bad topic '%.80s'; it has no + or # and is not long", a.topic);
    }
    a.stop = stop_on_signal();
    struct device_options options = {.address = a.address,
                                     .window = DEVICE_WINDOW_DEFAULT,
                                     .patience_ms = INT64_C(3600000),
                                     .stop = a.stop};
    e = machine_create("", &a.machine);
    e = e == OK ? device_open(&options, &a.device) : e;
    e = e == OK ? run(&a) : e;
    device_close(a.device);
    machine_destroy(a.machine);
    return e == OK ? EXIT_DONE
                   : command_fail(EXIT_FAILED, "agent", "%s: %s", a.address, device_why(e));
}
