#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/topic.h"
#include "cli/arguments.h"
#include "cli/city.h"
#include "cli/command.h"
#include "cli/device.h"
#include "cli/stop.h"

enum { CONNECTIONS_MAX = 16, DEVICES_A_CONNECTION = 250, REPORT_S = 10 };

struct simulate {
    const char *address, *root;
    int64_t devices, rate, seed, duration_ns;
    struct city *city;
    const volatile bool *stop;
    unsigned connections;
    struct device *connection[CONNECTIONS_MAX];
    uint64_t messages;
    int64_t started_ns, reported_ns;
};

static uint64_t acked_count(const struct simulate *s)
{
    uint64_t acked = 0;
    for (unsigned i = 0; i < s->connections; i++) {
        acked += device_acked(s->connection[i]);
    }
    return acked;
}

static void report(struct simulate *s, bool last)
{
    int64_t now_ns = clock_now_ns();
    if (!last &&
        (isatty(STDERR_FILENO) == 0 || now_ns - s->reported_ns < REPORT_S * INT64_C(1000000000))) {
        return;
    }
    s->reported_ns = now_ns;
    double seconds = (double)(now_ns - s->started_ns) / NS_PER_S;
    (void)fprintf(stderr, "%" PRIu64 " messages, %" PRIu64 " acked, %.1f s, %.1f messages/s\n",
                  s->messages, acked_count(s), seconds, (double)s->messages / seconds);
}

static void sleep_until(int64_t due_ns)
{
    int64_t left_ns = due_ns - clock_now_ns();
    if (left_ns > 0) {
        struct timespec t = {left_ns / NS_PER_S, left_ns % NS_PER_S};
        (void)nanosleep(&t, NULL);
    }
}

/* Devices speak in turn, evenly spread over time. */
static enum err run(struct simulate *s)
{
    const char *topic;
    struct bytes payload;
    CHECK(s->rate > 0 && s->devices > 0 && s->connections > 0);
    while (!*s->stop) {
        int64_t passed_ns = (int64_t)((double)s->messages / (double)s->rate * NS_PER_S);
        if (s->duration_ns > 0 && passed_ns >= s->duration_ns) {
            break;
        }
        sleep_until(s->started_ns + passed_ns);
        unsigned index = (unsigned)(s->messages % (uint64_t)s->devices);
        city_speak(s->city, index, clock_wall_ns(), &topic, &payload);
        TRY(device_publish(s->connection[index % s->connections], topic, payload, 1, false));
        s->messages++;
        report(s, false);
    }
    for (unsigned i = 0; i < s->connections; i++) {
        TRY(device_drain(s->connection[i]));
    }
    report(s, true);
    return OK;
}

static enum err start(struct simulate *s)
{
    struct device_options options = {.address = s->address,
                                     .window = DEVICE_WINDOW_DEFAULT,
                                     .patience_ms = INT64_C(3600000),
                                     .stop = s->stop};
    TRY(city_create(s->root, (unsigned)s->devices, (uint64_t)s->seed, &s->city));
    unsigned wanted = (unsigned)s->devices / DEVICES_A_CONNECTION + 1;
    wanted = wanted < CONNECTIONS_MAX ? wanted : CONNECTIONS_MAX;
    for (; s->connections < wanted; s->connections++) {
        TRY(device_start(&options, &s->connection[s->connections]));
    }
    for (unsigned i = 0; i < s->connections; i++) {
        TRY(device_await(s->connection[i]));
    }
    s->started_ns = s->reported_ns = clock_now_ns();
    return run(s);
}

int cmd_simulate(int argc, char **argv)
{
    struct simulate s = {
        .address = "127.0.0.1:1883", .root = "krakow", .devices = 100, .rate = 20, .seed = 1};
    const struct option_row rows[] = {
        {"--devices", OPTION_NUMBER, &s.devices, 1, 1000000, NULL, "N", "Default 100."},
        {"--rate", OPTION_NUMBER, &s.rate, 1, 1000000, NULL, "R", "Messages a second in all; 20."},
        {"--seed", OPTION_NUMBER, &s.seed, 0, INT64_MAX, NULL, "S", "Another city; default 1."},
        {"--duration", OPTION_LENGTH, &s.duration_ns, 0, 0, NULL, "LENGTH", "Default: for ever."},
        {"--topic", OPTION_TEXT, &s.root, 0, 0, NULL, "ROOT", "Default krakow."},
        {"--mqtt", OPTION_TEXT, &s.address, 0, 0, NULL, "HOST:PORT", "Default 127.0.0.1:1883."},
    };
    struct arguments o = {
        "simulate",
        "",
        "Publish as a city would: rivers that follow the rain, air, power, pumps, "
        "shelters, lights.",
        "  hejnal simulate --devices 1000 --rate 500 --duration 1h\n",
        rows,
        6,
        0,
        0,
        0,
        {NULL}};
    enum err e = arguments_read(&o, argc, argv);
    if (e != OK) {
        return e == E_END ? EXIT_DONE : EXIT_USAGE;
    }
    if (!topic_is_name(bytes_of(s.root))) {
        return command_fail(EXIT_USAGE, "simulate", "bad topic '%s'; no + or # in it", s.root);
    }
    s.stop = stop_on_signal();
    e = start(&s);
    for (unsigned i = 0; i < s.connections; i++) {
        device_close(s.connection[i]);
    }
    city_destroy(s.city);
    return e == OK ? EXIT_DONE
                   : command_fail(EXIT_FAILED, "simulate", "%s: %s", s.address, device_why(e));
}
