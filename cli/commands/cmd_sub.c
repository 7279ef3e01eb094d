#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/topic.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/device.h"
#include "cli/stop.h"
#include "cli/visible.h"

struct sub {
    const char *address;
    int64_t count;
    int qos, protocol;
    int64_t heard;
    const volatile bool *stop;
    bool is_terminal;
    int failed; /* errno of writing. */
};

static void print(const struct sub *s, struct bytes text)
{
    char *shown = s->is_terminal ? visible_text(text) : NULL;
    if (shown != NULL) {
        (void)fputs(shown, stdout);
    } else {
        (void)fwrite(text.at, 1, text.size, stdout);
    }
    free(shown);
}

static void on_message(void *context, struct bytes topic, struct bytes payload)
{
    struct sub *s = context;
    if (*s->stop) {
        return;
    }
    print(s, topic);
    (void)fputc(' ', stdout);
    print(s, payload);
    (void)fputc('\n', stdout);
    s->heard++;
    if (fflush(stdout) != 0) {
        s->failed = errno;
    }
    if (s->failed != 0 || s->heard == s->count) {
        stop_now();
    }
}

static int run(struct sub *s, const struct arguments *o)
{
    struct device *device;
    struct device_options options = {.address = s->address,
                                     .v5 = s->protocol == 1,
                                     .window = 16,
                                     .patience_ms = 0,
                                     .stop = s->stop,
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
    e = e == OK ? device_listen(device, s->stop) : e;
    device_close(device);
    if (s->failed != 0) {
        return command_fail(EXIT_FAILED, "sub", "stdout: %s", strerrordesc_np(s->failed));
    }
    return e == OK || e == E_END
               ? EXIT_DONE
               : command_fail(EXIT_FAILED, "sub", "%s: %s", s->address, device_why(e));
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
    s.stop = stop_on_signal();
    s.is_terminal = isatty(STDOUT_FILENO) != 0;
    return run(&s, &o);
}
