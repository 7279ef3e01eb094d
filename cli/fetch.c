#include "cli/fetch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/command.h"
#include "cli/server.h"

enum { PROGRESS_MS = 250 };

struct run {
    const struct fetch *fetch;
    struct hejnal *server;
    struct out *out;
    struct rows *rows;
    uint64_t count;
    int64_t started_ns, shown_ms;
    bool shows;
};

static void show_progress(struct run *r, const struct hejnal_block *b, bool last)
{
    int64_t now_ms = clock_now_ms();
    if (!r->shows || (!last && now_ms - r->shown_ms < PROGRESS_MS)) {
        return;
    }
    r->shown_ms = now_ms;
    double seconds = (double)(clock_now_ns() - r->started_ns) / NS_PER_S;
    (void)fprintf(stderr, "\r%" PRIu64 " rows, %.1f MB, %.0f rows/s", r->count,
                  (double)out_bytes(r->out) / 1e6, (double)r->count / seconds);
    if (b != NULL) {
        (void)fprintf(stderr, ", series %" PRIu64 " of %" PRIu64 " ", b->series_done, b->series);
    }
    (void)fputs(last ? "            \n" : "", stderr);
}

/* Nothing is printed before the server has accepted the request. */
static enum hejnal_result rows_start(struct run *r)
{
    const struct fetch *f = r->fetch;
    struct rows_titles titles = f->titles;
    if (titles.values == 0) {
        titles.value[titles.values++] = "value";
    }
    return rows_create(r->out, f->format, &titles, &r->rows) == OK ? HEJNAL_OK : HEJNAL_NO_MEMORY;
}

/* Blocks until the end. HEJNAL_END is the good one. */
static enum hejnal_result pour(struct run *r, struct hejnal_answer *answer)
{
    struct hejnal_block b;
    for (;;) {
        enum hejnal_result result = hejnal_next_block(answer, &b);
        if ((result == HEJNAL_OK || result == HEJNAL_END) && r->rows == NULL &&
            rows_start(r) != HEJNAL_OK) {
            return HEJNAL_NO_MEMORY;
        }
        if (result != HEJNAL_OK) {
            return result;
        }
        if (rows_block(r->rows, &b) != OK) {
            return HEJNAL_NO_MEMORY;
        }
        if (!out_is_good(r->out)) {
            return HEJNAL_END; /* A closed pipe or a full disk: out_close() tells. */
        }
        r->count += b.rows;
        show_progress(r, &b, false);
    }
}

static int answer_run(struct run *r)
{
    struct hejnal_answer *answer = NULL;
    enum hejnal_result result = hejnal_query(r->server, &r->fetch->query, &answer);
    if (result == HEJNAL_OK) {
        result = pour(r, answer);
    }
    int code = result == HEJNAL_END ? EXIT_DONE : server_fail(r->fetch->command, r->server, result);
    rows_finish(r->rows);
    hejnal_answer_close(answer);
    return code;
}

int fetch_run(const struct fetch *f)
{
    struct run r = {.fetch = f, .started_ns = clock_now_ns()};
    int code = server_connect(f->command, f->address, &r.server);
    if (code != EXIT_DONE) {
        return code;
    }
    r.shows = isatty(STDERR_FILENO) != 0 && (f->path != NULL || isatty(STDOUT_FILENO) == 0);
    if (out_open(f->path, f->times, &r.out) != OK) {
        code = command_fail(EXIT_FAILED, f->command, "%s: %s", f->path != NULL ? f->path : "stdout",
                            strerrordesc_np(errno));
        hejnal_close(r.server);
        return code;
    }
    out_set_zone(r.out, f->zone);
    code = answer_run(&r);
    show_progress(&r, NULL, true);
    if (out_close(r.out, code == EXIT_DONE) != OK && code == EXIT_DONE) {
        code = command_fail(EXIT_FAILED, f->command, "%s: %s", f->path != NULL ? f->path : "stdout",
                            strerrordesc_np(errno));
    }
    hejnal_close(r.server);
    return code;
}
