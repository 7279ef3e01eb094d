#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/csv.h"
#include "cli/gzip_file.h"
#include "cli/import_row.h"
#include "cli/server.h"

/* A record of CSV may go on over lines, where a text has line breaks; no further than this. */
enum { BATCH_POINTS = 50000, UNDER_WAY = 4, PROGRESS_MS = 500, RECORD_BYTES_MAX = 16384 };

struct import {
    const char *file, *address;
    bool skip_errors, bare_texts;
    bool is_json;
    struct gzip_file *in;
    struct import_row row;
    struct hejnal *server;
    struct hejnal_batch *batch;
    char *path;           /* Of the section being filled. */
    uint64_t line, lines; /* Of the record at hand, from 1; and how many it takes. */
    uint64_t points, errors;
    int64_t started_ns, shown_ms;
};

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

static enum hejnal_result add_row(struct import *m, const struct import_row *row)
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
    enum hejnal_result r = hejnal_batch_values(m->batch, row->time_ns, &row->value, UINT64_MAX);
    m->points++;
    if (r == HEJNAL_OK && hejnal_batch_points(m->batch) >= BATCH_POINTS) {
        r = send_batch(m);
    }
    return r;
}

/* No CSV of ours starts so: a cell with a quote in it would be in quotes. */
static bool is_json(const char *line)
{
    return line[0] == '{' && line[1 + strspn(line + 1, " \t")] == '"';
}

/* NULL, or what is wrong with the record; `*column` is where. */
static const char *read_row(struct import *m, char *record, size_t size, unsigned *column)
{
    return m->is_json
               ? import_row_json((struct bytes){(const uint8_t *)record, size}, &m->row, column)
               : import_row_csv(record, m->bare_texts, &m->row, column);
}

static int import_record(struct import *m, char *record, size_t size)
{
    unsigned column;
    if (size == 0 || (m->line == 1 && strcmp(record, "series,time,value") == 0)) {
        return EXIT_DONE;
    }
    const char *why = read_row(m, record, size, &column);
    if (why != NULL && m->skip_errors) {
        m->errors += m->lines;
        return EXIT_DONE;
    }
    if (why != NULL) {
        return command_fail(EXIT_FAILED, "import", "%s:%" PRIu64 ": %s %u: %s", m->file, m->line,
                            m->is_json ? "byte" : "column", column, why);
    }
    enum hejnal_result r = add_row(m, &m->row);
    return r == HEJNAL_OK ? EXIT_DONE : server_fail("import", m->server, r);
}

/* The next record: a line, or more of them where a quoted cell has line breaks. */
static enum err take_record(struct import *m, char **record, size_t *size)
{
    m->line += m->lines;
    m->lines = 1;
    TRY(gzip_file_line(m->in, record, size));
    m->is_json = m->line == 1 ? is_json(*record) : m->is_json;
    while (!m->is_json && memchr(*record, '"', *size) != NULL && *size < RECORD_BYTES_MAX &&
           csv_is_open(*record)) {
        enum err e = gzip_file_join(m->in, record, size);
        if (e == E_END) {
            return OK; /* The quote never closes: the row says so. */
        }
        TRY(e);
        m->lines++;
    }
    return OK;
}

static int import_file(struct import *m)
{
    char *record;
    size_t size;
    enum err e = gzip_file_open(m->file, &m->in);
    const bool is_open = e == OK;
    int code = EXIT_DONE;
    while (e == OK && code == EXIT_DONE && (e = take_record(m, &record, &size)) == OK) {
        code = import_record(m, record, size);
    }
    if (e != OK && e != E_END) {
        code = is_open ? command_fail(EXIT_FAILED, "import", "%s:%" PRIu64 ": %s", m->file, m->line,
                                      gzip_file_error())
                       : command_fail(EXIT_FAILED, "import", "%s: %s", m->file, gzip_file_error());
    }
    gzip_file_close(m->in);
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
    struct import m = {.address = SERVER_DEFAULT, .line = 1};
    const struct option_row rows[] = {
        {"--bare-texts", OPTION_FLAG, &m.bare_texts, 0, 0, NULL, NULL,
         "Values that are no numbers are texts also without quotes."},
        {"--skip-errors", OPTION_FLAG, &m.skip_errors, 0, 0, NULL, NULL, "Count bad lines, go on."},
        SERVER_OPTION(&m.address),
    };
    struct arguments o = {
        "import",
        "FILE[.gz]|-",
        "Store the points of a file: CSV of series,time,value, where a text stands in quotes, or "
        "JSON lines\nof {\"series\":...,\"time\":...,\"value\":...}, as exports write them. Points "
        "that are there already\nchange nothing, so an import that failed is simply run again.",
        "  hejnal import air-2026.csv.gz\n",
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
