#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
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
    enum err stdin_error;
};

/* A value as JSON: a number as it stands, a text in quotes. */
static enum err put_value(struct writer *w, struct bytes value)
{
    struct number number;
    if (number_read(value, &number) == OK) {
        return writer_put(w, value.at, value.size);
    }
    TRY(writer_put_u8(w, '"'));
    for (size_t i = 0; i < value.size; i++) {
        char escaped[8];
        if (value.at[i] < 0x20) {
            int size = snprintf(escaped, sizeof escaped, "\\u%04x", value.at[i]);
            TRY(writer_put(w, escaped, (size_t)size));
            continue;
        }
        if (value.at[i] == '"' || value.at[i] == '\\') {
            TRY(writer_put_u8(w, '\\'));
        }
        TRY(writer_put_u8(w, value.at[i]));
    }
    return writer_put_u8(w, '"');
}

static enum err put_timed(struct writer *w, int64_t at_ns, struct bytes value)
{
    static const char before[] = "{\"time\":\"", between[] = "\",\"value\":";
    char stamp[TIMESTAMP_TEXT_BYTES_MAX];
    TRY(writer_put(w, before, sizeof before - 1));
    TRY(writer_put(w, stamp, timestamp_write(at_ns, TIMESTAMP_RFC3339, stamp)));
    TRY(writer_put(w, between, sizeof between - 1));
    TRY(put_value(w, value));
    return writer_put_u8(w, '}');
}

static enum err publish(struct pub *p, const char *value)
{
    uint8_t payload[PAYLOAD_BYTES_MAX];
    struct writer w = {payload, 0, sizeof payload};
    struct bytes bytes = bytes_of(value);
    if (p->at_ns >= 0) {
        TRY(put_timed(&w, p->at_ns, bytes));
        bytes = (struct bytes){w.at, w.size};
    }
    return device_publish(p->device, p->topic, bytes, p->qos, p->retain);
}

static enum err publish_lines(struct pub *p)
{
    struct gzip_file *in = NULL;
    char *line;
    size_t size;
    enum err published = OK;
    enum err e = gzip_file_open("-", &in);
    while (e == OK && published == OK && (e = gzip_file_line(in, &line, &size)) == OK) {
        published = publish(p, line);
    }
    p->stdin_error = e == E_END ? OK : e;
    gzip_file_close(in);
    return published;
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
    int code = EXIT_DONE;
    if (p->stdin_error != OK) {
        code = command_fail(EXIT_FAILED, "pub", "stdin: %s", gzip_file_error());
    } else if (e != OK) {
        code = command_fail(EXIT_FAILED, "pub", "%s: %s", p->address, device_why(e));
    }
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
        "  hejnal pub krakow/air/171 '{\"pm25\":31.5,\"pm10\":40}' --retain\n"
        "  hejnal pub krakow/gate/4/state OPEN (stored where hejnald's store_text is on)\n",
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
    const char *value = o.positional[1];
    if (p.at_ns >= 0 && (value[0] == '{' || value[0] == '[')) {
        return command_fail(EXIT_USAGE, "pub",
                            "bad value '%.80s'; with --at it is a number or a plain text", value);
    }
    return run(&p, value);
}
