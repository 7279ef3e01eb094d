#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/number.h"
#include "cli/age.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/server.h"

enum { WATCH_S = 2 };

enum stats_format { STATS_TABLE, STATS_JSON };

static void write_value(const struct hejnal_stat *s, char to[AGE_BYTES_MAX + 16])
{
    if (strcmp(s->unit, "bytes") == 0) {
        size_write(s->value, to);
    } else if (strcmp(s->unit, "s") == 0) {
        age_write((int64_t)(s->value * 1e9), to);
    } else {
        to[number_write(s->value, to)] = 0;
    }
}

/* A blank line where the first part of the dotted name changes. */
static void print_stat(const struct hejnal_stat *s, const char *before)
{
    char value[AGE_BYTES_MAX + 16];
    size_t room = strcspn(s->name, ".");
    if (before[0] != 0 && (strncmp(before, s->name, room) != 0 || before[room] != '.')) {
        (void)putchar('\n');
    }
    write_value(s, value);
    printf("%-34s %16s\n", s->name, value);
}

static void print_json(const struct hejnal_stat *s, bool first)
{
    char value[NUMBER_TEXT_BYTES_MAX + 1];
    value[number_write(isfinite(s->value) ? s->value : 0, value)] = 0;
    printf("%s\n  \"%s\": %s", first ? "" : ",", s->name, value);
}

static enum hejnal_result print_all(struct hejnal *h, enum stats_format format)
{
    struct hejnal_answer *answer = NULL;
    struct hejnal_stat stat;
    char before[128] = "";
    bool first = true;
    enum hejnal_result result = hejnal_stats(h, &answer);
    while (result == HEJNAL_OK && (result = hejnal_next_stat(answer, &stat)) == HEJNAL_OK) {
        if (format == STATS_JSON) {
            (void)fputs(first ? "{" : "", stdout);
            print_json(&stat, first);
        } else {
            print_stat(&stat, before);
        }
        (void)snprintf(before, sizeof before, "%s", stat.name);
        first = false;
    }
    (void)fputs(format == STATS_JSON && !first ? "\n}\n" : "", stdout);
    hejnal_answer_close(answer);
    return result;
}

int cmd_stats(int argc, char **argv)
{
    const char *address = SERVER_DEFAULT;
    int format = STATS_TABLE;
    bool watch = false;
    struct hejnal *h;
    const struct option_row rows[] = {
        {"--format", OPTION_CHOICE, &format, 0, 0, "table|json", NULL, "Default table."},
        {"--watch", OPTION_FLAG, &watch, 0, 0, NULL, NULL, "Again every 2 seconds."},
        SERVER_OPTION(&address),
    };
    struct arguments o = {"stats",
                          "",
                          "Counters and sizes of the server.",
                          "  hejnal stats --watch\n",
                          rows,
                          3,
                          0,
                          0,
                          0,
                          {NULL}};
    enum err e = arguments_read(&o, argc, argv);
    if (e != OK) {
        return e == E_END ? EXIT_DONE : EXIT_USAGE;
    }
    int code = server_connect("stats", address, &h);
    if (code != EXIT_DONE) {
        return code;
    }
    enum hejnal_result result;
    for (;;) {
        (void)fputs(watch && isatty(STDOUT_FILENO) != 0 ? "\033[H\033[J" : "", stdout);
        result = print_all(h, (enum stats_format)format);
        if (fflush(stdout) != 0 || result != HEJNAL_END || !watch) {
            break;
        }
        (void)nanosleep(&(struct timespec){.tv_sec = WATCH_S}, NULL);
    }
    code = result == HEJNAL_END ? EXIT_DONE : server_fail("stats", h, result);
    hejnal_close(h);
    return code;
}
