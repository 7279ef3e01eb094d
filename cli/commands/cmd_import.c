#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/number.h"
#include "base/timestamp.h"
#include "base/topic.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/csv.h"
#include "cli/gzip_file.h"
#include "cli/server.h"

enum { BATCH_POINTS = 50000, UNDER_WAY = 4, PROGRESS_MS = 500 };

struct import {
    const char *file, *address;
    bool skip_errors;
    struct hejnal *server;
    struct hejnal_batch *batch;
    char *path; /* Of the section being filled. */
    uint64_t line, points, errors;
    int64_t started_ns, shown_ms;
};

struct row {
    char *series;
    int64_t time_ns;
    double value;
};

static enum err read_time(const char *cell, int64_t *time_ns)
{
    struct number number;
    return number_read(bytes_of(cell), &number) == OK
               ? timestamp_read_number(&number, time_ns)
               : timestamp_read_rfc3339(bytes_of(cell), time_ns);
}

/* Numbers, and what exports write for those JSON does not know. */
static enum err read_value(const char *cell, double *value)
{
    struct number number;
    if (strcmp(cell, "NaN") == 0 || strcmp(cell, "Infinity") == 0 ||
        strcmp(cell, "-Infinity") == 0) {
        *value = strtod(cell, NULL);
        return OK;
    }
    TRY(number_read(bytes_of(cell), &number));
    *value = number.value;
    return OK;
}

/* NULL, or what is wrong; `*column` is where. */
static const char *read_row(char *line, struct row *row, unsigned *column)
{
    char *rest = line, *time = NULL, *value = NULL;
    *column = 1;
    if (csv_cell(&rest, &row->series) != OK || !topic_is_name(bytes_of(row->series))) {
        return "not a series path";
    }
    *column = 2;
    if (csv_cell(&rest, &time) != OK || read_time(time, &row->time_ns) != OK) {
        return "not a time between 1970 and 2200: RFC 3339, or unix s, ms, us or ns";
    }
    *column = 3;
    if (csv_cell(&rest, &value) != OK || read_value(value, &row->value) != OK) {
        return "not a number";
    }
    *column = 4;
    return rest == NULL ? NULL : "more cells than series,time,value";
}

static void show_progress(struct import *m, bool last)
{
    int64_t now_ms = clock_now_ms();
    if (isatty(STDERR_FILENO) == 0 || (!last && now_ms - m->shown_ms < PROGRESS_MS)) {
        return;
    }
    m->shown_ms = now_ms;
    (void)fprintf(stderr, "\r%" PRIu64 " points, %.0f/s ", m->points,
                  (double)m->points * NS_PER_S / (double)(clock_now_ns() - m->started_ns));
}

static enum hejnal_result send_batch(struct import *m)
{
    enum hejnal_result r = hejnal_write_post(m->server, m->batch);
    hejnal_batch_clear(m->batch);
    free(m->path);
    m->path = NULL;
    show_progress(m, false);
    return r == HEJNAL_OK ? hejnal_write_wait(m->server, UNDER_WAY) : r;
}

static enum hejnal_result add_row(struct import *m, const struct row *row)
{
    if (m->path == NULL || strcmp(m->path, row->series) != 0) {
        char *path = strdup(row->series);
        if (path == NULL) {
            return HEJNAL_NO_MEMORY;
        }
        free(m->path);
        m->path = path;
        enum hejnal_result r = hejnal_batch_section(m->batch, path, NULL, 0);
        if (r != HEJNAL_OK) {
            return r;
        }
    }
    enum hejnal_result r = hejnal_batch_row(m->batch, row->time_ns, &row->value, UINT64_MAX);
    m->points++;
    if (r == HEJNAL_OK && hejnal_batch_points(m->batch) >= BATCH_POINTS) {
        r = send_batch(m);
    }
    return r;
}

static int import_line(struct import *m, char *line, size_t size)
{
    struct row row;
    unsigned column;
    if (size == 0 || (m->line == 1 && strcmp(line, "series,time,value") == 0)) {
        return EXIT_DONE;
    }
    const char *why = read_row(line, &row, &column);
    if (why != NULL && m->skip_errors) {
        m->errors++;
        return EXIT_DONE;
    }
    if (why != NULL) {
        return command_fail(EXIT_FAILED, "import", "%s:%" PRIu64 ": column %u: %s", m->file,
                            m->line, column, why);
    }
    enum hejnal_result r = add_row(m, &row);
    return r == HEJNAL_OK ? EXIT_DONE : server_fail("import", m->server, r);
}

static int import_file(struct import *m)
{
    struct gzip_file *file = NULL;
    char *line;
    size_t size;
    enum err e = gzip_file_open(m->file, &file);
    int code = EXIT_DONE;
    while (e == OK && code == EXIT_DONE && (e = gzip_file_line(file, &line, &size)) == OK) {
        m->line++;
        code = import_line(m, line, size);
    }
    if (e != OK && e != E_END) {
        code = m->line == 0
                   ? command_fail(EXIT_FAILED, "import", "%s: %s", m->file, gzip_file_error())
                   : command_fail(EXIT_FAILED, "import", "%s:%" PRIu64 ": %s", m->file, m->line + 1,
                                  gzip_file_error());
    }
    gzip_file_close(file);
    return code;
}

static int import_all(struct import *m)
{
    int code = import_file(m);
    enum hejnal_result r = send_batch(m);
    enum hejnal_result waited = hejnal_write_wait(m->server, 0);
    r = r == HEJNAL_OK ? waited : r;
    if (r != HEJNAL_OK && code == EXIT_DONE) {
        code = server_fail("import", m->server, r);
    }
    double seconds = (double)(clock_now_ns() - m->started_ns) / NS_PER_S;
    if (m->points == 0 && code != EXIT_DONE) {
        return code;
    }
    show_progress(m, true);
    (void)fprintf(stderr,
                  "%s%" PRIu64 " points, %" PRIu64 " acked, %" PRIu64
                  " refused by retention, %" PRIu64 " bad lines, %.2f s, %.0f points/s\n",
                  isatty(STDERR_FILENO) != 0 ? "\r" : "", m->points, hejnal_write_acked(m->server),
                  hejnal_write_refused(m->server), m->errors, seconds, (double)m->points / seconds);
    return code;
}

int cmd_import(int argc, char **argv)
{
    struct import m = {.address = SERVER_DEFAULT};
    const struct option_row rows[] = {
        {"--skip-errors", OPTION_FLAG, &m.skip_errors, 0, 0, NULL, NULL, "Count bad lines, go on."},
        SERVER_OPTION(&m.address),
    };
    struct arguments o = {
        "import",
        "FILE.csv[.gz]|-",
        "Store the points of a CSV file: series,time,value. Points that are there "
        "already change nothing,\nso an import that failed is simply run again.",
        "  hejnal import air-2026.csv.gz\n",
        rows,
        2,
        1,
        1,
        0,
        {NULL}};
    enum err e = arguments_read(&o, argc, argv);
    if (e != OK) {
        return e == E_END ? EXIT_DONE : EXIT_USAGE;
    }
    m.file = o.positional[0];
    int code = server_connect("import", m.address, &m.server);
    if (code != EXIT_DONE) {
        return code;
    }
    m.started_ns = clock_now_ns();
    code = hejnal_batch_create(&m.batch) == HEJNAL_OK
               ? import_all(&m)
               : command_fail(EXIT_FAILED, "import", "out of memory");
    hejnal_batch_destroy(m.batch);
    free(m.path);
    hejnal_close(m.server);
    return code;
}
