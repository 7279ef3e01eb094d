#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/device.h"
#include "cli/gzip_file.h"
#include "cli/replay_plan.h"
#include "cli/shuffle.h"

enum { CONNECTIONS_MAX = 64, PROGRESS_MS = 500 };
#define DUE_MAX_NS 1e18 /* Thirty years is for ever. */

struct replay {
    const char *file, *topic, *split, *speed, *address;
    int64_t connections, patience_ns, repeat, shuffle, window;
    int qos_index, protocol;
    double times; /* Speed; 0: as fast as it goes. */
    struct replay_plan *plan;
    struct device *devices[CONNECTIONS_MAX];
    uint64_t messages, points, rows;
    int64_t started_ns, shown_ms;
    int64_t first_ns; /* Time of the first row, and when it was sent. */
    int64_t first_sent_ns;
};

/* Column 0: the line as a whole. */
static int complain(const struct replay *r, uint64_t line, unsigned column, const char *why)
{
    if (column == 0) {
        return command_fail(EXIT_FAILED, "replay", "%s:%" PRIu64 ": %s", r->file, line, why);
    }
    return command_fail(EXIT_FAILED, "replay", "%s:%" PRIu64 ": column %u: %s", r->file, line,
                        column, why);
}

static uint64_t acked_count(const struct replay *r)
{
    uint64_t acked = 0;
    for (int64_t i = 0; i < r->connections; i++) {
        acked += device_acked(r->devices[i]);
    }
    return acked;
}

static void show_progress(struct replay *r)
{
    int64_t now_ms = clock_now_ms();
    if (isatty(STDERR_FILENO) == 0 || now_ms - r->shown_ms < PROGRESS_MS) {
        return;
    }
    r->shown_ms = now_ms;
    double seconds = (double)(clock_now_ns() - r->started_ns) / NS_PER_S;
    (void)fprintf(stderr, "\r%" PRIu64 " rows, %" PRIu64 " messages, %.0f/s ", r->rows, r->messages,
                  (double)r->messages / seconds);
}

/* Wait until the row is due at the chosen speed. */
static void pace(struct replay *r, int64_t time_ns)
{
    if (r->times <= 0) {
        return;
    }
    if (r->rows == 0) {
        r->first_ns = time_ns;
        r->first_sent_ns = clock_now_ns();
    }
    double due = (double)(time_ns - r->first_ns) / r->times;
    due = due < DUE_MAX_NS ? due : DUE_MAX_NS;
    int64_t left_ns = r->first_sent_ns + (int64_t)due - clock_now_ns();
    if (left_ns > 0) {
        struct timespec t = {left_ns / NS_PER_S, left_ns % NS_PER_S};
        (void)nanosleep(&t, NULL);
    }
}

static int send_row(struct replay *r, char *line, uint64_t number)
{
    unsigned column, points;
    const char *why;
    int64_t time_ns;

    if (replay_plan_row(r->plan, line, &time_ns, &column, &why) != OK) {
        return complain(r, number, column, why);
    }
    pace(r, time_ns);
    for (unsigned i = 0; i < replay_plan_devices(r->plan); i++) {
        struct bytes message = replay_plan_message(r->plan, i, &points);
        if (points == 0) {
            continue;
        }
        enum err e = device_publish(r->devices[i % (unsigned)r->connections],
                                    replay_plan_topic(r->plan, i), message, r->qos_index, false);
        if (e != OK) {
            return command_fail(EXIT_FAILED, "replay", "%s: %s", r->address, device_why(e));
        }
        r->messages++;
        r->points += points;
    }
    r->rows++;
    show_progress(r);
    return EXIT_DONE;
}

static int send_shuffled(struct replay *r, struct gzip_file *file)
{
    struct shuffle *rows;
    char *line;
    uint64_t number;
    enum err e = shuffle_read(file, (uint64_t)r->shuffle, &rows);
    if (e != OK) {
        return command_fail(EXIT_FAILED, "replay", "%s: %s", r->file,
                            e == E_NO_MEMORY ? err_text(e) : gzip_file_error());
    }
    int code = EXIT_DONE;
    while (code == EXIT_DONE && shuffle_next(rows, &line, &number) == OK) {
        code = line[0] == 0 ? EXIT_DONE : send_row(r, line, number + 1);
    }
    shuffle_destroy(rows);
    return code;
}

/* The rows behind the first line. */
static int send_in_order(struct replay *r, struct gzip_file *file)
{
    char *line;
    size_t size;
    int code = EXIT_DONE;
    enum err e = OK;
    uint64_t number = 1;

    while (code == EXIT_DONE && (e = gzip_file_line(file, &line, &size)) == OK) {
        number++;
        code = size == 0 ? EXIT_DONE : send_row(r, line, number);
    }
    if (code == EXIT_DONE && e != E_END) {
        code = complain(r, number + 1, 0, gzip_file_error());
    }
    return code;
}

static int send_file(struct replay *r)
{
    struct gzip_file *file;
    char *line;
    size_t size;
    const char *why;
    enum err e = gzip_file_open(r->file, &file);
    if (e != OK) {
        return command_fail(EXIT_FAILED, "replay", "%s: %s", r->file, gzip_file_error());
    }
    int code;
    e = gzip_file_line(file, &line, &size);
    char split = '\0';
    if (r->split != NULL) {
        split = r->split[0];
    }
    if (e != OK || replay_plan_create(line, r->topic, split, &r->plan, &why) != OK) {
        code = complain(r, 1, 0,
                        e == OK      ? why
                        : e == E_END ? "empty; the first line is to name the columns"
                                     : gzip_file_error());
    } else if (r->shuffle >= 0) {
        code = send_shuffled(r, file);
    } else {
        code = send_in_order(r, file);
    }
    replay_plan_destroy(r->plan);
    r->plan = NULL;
    gzip_file_close(file);
    return code;
}

static int open_devices(struct replay *r)
{
    struct device_options options = {.address = r->address,
                                     .v5 = r->protocol == 1,
                                     .window = (unsigned)r->window,
                                     .connect_ms = r->patience_ns / NS_PER_MS,
                                     .patience_ms = r->patience_ns / NS_PER_MS};
    enum err e = OK;
    for (int64_t i = 0; i < r->connections && e == OK; i++) {
        e = device_start(&options, &r->devices[i]);
    }
    for (int64_t i = 0; i < r->connections && e == OK; i++) {
        e = device_await(r->devices[i]);
    }
    if (e != OK) {
        return command_fail(EXIT_FAILED, "replay", "cannot connect to %s: %s", r->address,
                            device_error());
    }
    return EXIT_DONE;
}

static int finish(struct replay *r)
{
    int code = EXIT_DONE;
    for (int64_t i = 0; i < r->connections; i++) {
        enum err e = device_drain(r->devices[i]);
        if (e != OK && code == EXIT_DONE) {
            code = command_fail(EXIT_FAILED, "replay", "%s: %s", r->address, device_why(e));
        }
    }
    double seconds = (double)(clock_now_ns() - r->started_ns) / NS_PER_S;
    uint64_t acked = acked_count(r);
    (void)fprintf(stderr,
                  "%s%" PRIu64 " messages, %" PRIu64 " points, %" PRIu64
                  " acked, %.2f s, %.0f messages/s\n",
                  isatty(STDERR_FILENO) != 0 ? "\r" : "", r->messages, r->points, acked, seconds,
                  (double)r->messages / seconds);
    return code == EXIT_DONE && acked != r->messages ? EXIT_FAILED : code;
}

static int check(struct replay *r)
{
    char *end;
    if (r->topic == NULL) {
        return command_fail(EXIT_USAGE, "replay",
                            "--topic is missing; e.g. --topic krakow/air/%%1");
    }
    if (r->split != NULL && strlen(r->split) != 1) {
        return command_fail(EXIT_USAGE, "replay", "bad value '%s'; --split takes one character",
                            r->split);
    }
    if (strcmp(r->speed, "max") == 0) {
        return EXIT_DONE;
    }
    r->times = strtod(r->speed, &end);
    if (*end != 0 || !(r->times > 0)) {
        return command_fail(EXIT_USAGE, "replay",
                            "bad value '%s'; --speed takes max or a number > 0", r->speed);
    }
    return EXIT_DONE;
}

int cmd_replay(int argc, char **argv)
{
    struct replay r = {.address = "127.0.0.1:1883",
                       .speed = "max",
                       .connections = 1,
                       .patience_ns = 60 * INT64_C(1000000000),
                       .repeat = 1,
                       .shuffle = -1,
                       .window = DEVICE_WINDOW_DEFAULT,
                       .qos_index = 1};
    const struct option_row rows[] = {
        {"--topic", OPTION_TEXT, &r.topic, 0, 0, NULL, "PATTERN", "Topic; %1 is the device."},
        {"--split", OPTION_TEXT, &r.split, 0, 0, NULL, "C", "Titles are DEVICE C MEMBER."},
        {"--speed", OPTION_TEXT, &r.speed, 0, 0, NULL, "max|N", "N times real time; or max."},
        {"--connections", OPTION_NUMBER, &r.connections, 1, CONNECTIONS_MAX, NULL, "N",
         "MQTT connections the devices share."},
        {"--qos", OPTION_CHOICE, &r.qos_index, 0, 0, "0|1", NULL, "Default 1."},
        {"--protocol", OPTION_CHOICE, &r.protocol, 0, 0, "3.1.1|5", NULL, "Default 3.1.1."},
        {"--window", OPTION_NUMBER, &r.window, 1, 60000, NULL, "N", "Messages under way each."},
        {"--shuffle", OPTION_NUMBER, &r.shuffle, 0, INT64_MAX, NULL, "SEED",
         "Rows in random order."},
        {"--repeat", OPTION_NUMBER, &r.repeat, 1, 1000, NULL, "N", "Send the file N times."},
        {"--patience", OPTION_LENGTH, &r.patience_ns, 0, 0, NULL, "LENGTH",
         "How long to wait for a lost broker (60s)."},
        {"--mqtt", OPTION_TEXT, &r.address, 0, 0, NULL, "HOST:PORT", "Default 127.0.0.1:1883."},
    };
    struct arguments o = {
        "replay",
        "FILE.csv[.gz]",
        "Publish a wide CSV over MQTT as its devices would: the first column is the time, a "
        "message a\n"
        "row and device, empty cells left out. Exits 0 when every message was acknowledged.",
        "  hejnal replay air.csv.gz --topic krakow/air/%1 --split _ --connections 4\n",
        rows,
        sizeof rows / sizeof rows[0],
        1,
        1,
        0,
        {NULL}};

    enum err e = arguments_read(&o, argc, argv);
    if (e != OK) {
        return e == E_END ? EXIT_DONE : EXIT_USAGE;
    }
    r.file = o.positional[0];
    int code = check(&r);
    code = code == EXIT_DONE ? open_devices(&r) : code;
    r.started_ns = clock_now_ns();
    for (int64_t i = 0; i < r.repeat && code == EXIT_DONE; i++) {
        code = send_file(&r);
    }
    code = code == EXIT_DONE ? finish(&r) : code;
    for (int64_t i = 0; i < r.connections; i++) {
        device_close(r.devices[i]);
    }
    return code;
}
