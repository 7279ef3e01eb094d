#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/topic.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/device.h"

struct sub {
    const char *address;
    int64_t count;
    int qos, protocol;
    int64_t heard;
};

static volatile bool stop;

static void on_signal(int number)
{
    (void)number;
    stop = true;
}

static void on_message(void *context, struct bytes topic, struct bytes payload)
{
    struct sub *s = context;
    if (stop) {
        return;
    }
    (void)fwrite(topic.at, 1, topic.size, stdout);
    (void)fputc(' ', stdout);
    (void)fwrite(payload.at, 1, payload.size, stdout);
    (void)fputc('\n', stdout);
    s->heard++;
    if (fflush(stdout) != 0 || s->heard == s->count) {
        stop = true;
    }
}

static int run(struct sub *s, const struct arguments *o)
{
    struct device *device;
    struct device_options options = {.address = s->address,
                                     .v5 = s->protocol == 1,
                                     .window = 16,
                                     .patience_ms = 0,
                                     .on_message = on_message,
                                     .context = s};
    if (device_open(&options, &device) != OK) {
        return command_fail(EXIT_FAILED, "sub", "cannot connect to %s: %s", s->address,
                            device_error());
    }
    enum err e = OK;
    for (unsigned i = 0; i < o->positional_count && e == OK; i++) {
        e = device_subscribe(device, o->positional[i], s->qos);
    }
    e = e == OK ? device_listen(device, &stop) : e;
    device_close(device);
    return e == OK ? EXIT_DONE
                   : command_fail(EXIT_FAILED, "sub", "%s: %s", err_text(e), device_error());
}

int cmd_sub(int argc, char **argv)
{
    struct sub s = {.address = "127.0.0.1:1883", .protocol = 1, .qos = 1};
    const struct option_row rows[] = {
        {"--qos", OPTION_CHOICE, &s.qos, 0, 0, "0|1", NULL, "Default 1."},
        {"--count", OPTION_NUMBER, &s.count, 1, INT64_MAX, NULL, "N", "End after N messages."},
        {"--protocol", OPTION_CHOICE, &s.protocol, 0, 0, "3.1.1|5", NULL, "Default 5."},
        {"--mqtt", OPTION_TEXT, &s.address, 0, 0, NULL, "HOST:PORT", "Default 127.0.0.1:1883."},
    };
    struct arguments o = {"sub",
                          "FILTER...",
                          "Print messages as they are published: topic, a space, payload.",
                          "  hejnal sub 'krakow/water/#'\n",
                          rows,
                          sizeof rows / sizeof rows[0],
                          1,
                          16,
                          0,
                          {NULL}};
    enum err e = arguments_read(&o, argc, argv);
    if (e != OK) {
        return e == E_END ? EXIT_DONE : EXIT_USAGE;
    }
    for (unsigned i = 0; i < o.positional_count; i++) {
        if (!topic_is_filter(bytes_of(o.positional[i]))) {
            return command_fail(EXIT_USAGE, "sub",
                                "bad filter '%s'; + fills a level, # is alone and last",
                                o.positional[i]);
        }
    }
    struct sigaction action = {.sa_handler = on_signal};
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    return run(&s, &o);
}
