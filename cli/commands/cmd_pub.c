#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/timestamp.h"
#include "base/topic.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/device.h"
#include "cli/gzip_file.h"

enum { PAYLOAD_BYTES_MAX = 65536 };

struct pub {
    const char *address, *topic;
    int64_t at_ns;
    int qos, protocol;
    bool retain;
    struct device *device;
};

static enum err publish(struct pub *p, const char *value)
{
    char payload[PAYLOAD_BYTES_MAX], stamp[TIMESTAMP_TEXT_BYTES_MAX];
    struct bytes bytes = bytes_of(value);
    if (p->at_ns >= 0) {
        size_t size = timestamp_write(p->at_ns, TIMESTAMP_RFC3339, stamp);
        int wrote = snprintf(payload, sizeof payload, "{\"time\":\"%.*s\",\"value\":%s}", (int)size,
                             stamp, value);
        if (wrote < 0 || (size_t)wrote >= sizeof payload) {
            return E_LIMIT;
        }
        bytes = bytes_of(payload);
    }
    return device_publish(p->device, p->topic, bytes, p->qos, p->retain);
}

static enum err publish_lines(struct pub *p)
{
    struct gzip_file *in;
    char *line;
    size_t size;
    TRY(gzip_file_open("-", &in));
    enum err e;
    while ((e = gzip_file_line(in, &line, &size)) == OK && (e = publish(p, line)) == OK) {
    }
    gzip_file_close(in);
    return e == E_END ? OK : e;
}

static int run(struct pub *p, const char *value)
{
    struct device_options options = {.address = p->address,
                                     .v5 = p->protocol == 1,
                                     .window = DEVICE_WINDOW_DEFAULT,
                                     .patience_ms = 0};
    if (device_open(&options, &p->device) != OK) {
        return command_fail(EXIT_FAILED, "pub", "cannot connect to %s: %s", p->address,
                            device_error());
    }
    enum err e = strcmp(value, "-") == 0 ? publish_lines(p) : publish(p, value);
    e = e == OK ? device_drain(p->device) : e;
    int code = e == OK ? EXIT_DONE
                       : command_fail(EXIT_FAILED, "pub", "%s: %s", p->address, device_error());
    device_close(p->device);
    return code;
}

int cmd_pub(int argc, char **argv)
{
    struct pub p = {.address = "127.0.0.1:1883", .at_ns = -1, .qos = 1, .protocol = 1};
    const struct option_row rows[] = {
        {"--at", OPTION_TIME, &p.at_ns, 0, 0, NULL, "TIME", "Event time; else the broker's."},
        {"--qos", OPTION_CHOICE, &p.qos, 0, 0, "0|1", NULL, "Default 1: wait until it is stored."},
        {"--retain", OPTION_FLAG, &p.retain, 0, 0, NULL, NULL, "Keep it for late subscribers."},
        {"--protocol", OPTION_CHOICE, &p.protocol, 0, 0, "3.1.1|5", NULL, "Default 5."},
        {"--mqtt", OPTION_TEXT, &p.address, 0, 0, NULL, "HOST:PORT", "Default 127.0.0.1:1883."},
    };
    struct arguments o = {
        "pub",
        "TOPIC VALUE|-",
        "Publish a value, or (-) one payload for each line of stdin, and wait until it is stored.",
        "  hejnal pub krakow/water/bielany/level 3.14\n"
        "  hejnal pub krakow/air/171 '{\"pm25\":31.5,\"pm10\":40}' --retain\n",
        rows,
        sizeof rows / sizeof rows[0],
        2,
        2,
        0,
        {NULL}};
    enum err e = arguments_read(&o, argc, argv);
    if (e != OK) {
        return e == E_END ? EXIT_DONE : EXIT_USAGE;
    }
    p.topic = o.positional[0];
    if (!topic_is_name(bytes_of(p.topic))) {
        return command_fail(EXIT_USAGE, "pub",
                            "bad topic '%s'; a topic to publish on has no + or #", p.topic);
    }
    return run(&p, o.positional[1]);
}
