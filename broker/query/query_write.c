/* Writes: rows of a request fed to ingest, a slice a turn, answered when the last batch that holds
 * some of them is durable. */

#include <stdlib.h>

#include "base/check.h"
#include "base/number.h"
#include "broker/ingest/ingest.h"
#include "broker/query/query_handle.h"
#include "broker/query/query_task.h"
#include "broker/threads/metrics.h"
#include "broker/threads/rejects.h"

/* Rows fed before other connections of this loop get their turn: about 2 ms of work. */
enum { SLICE_ROWS = 16384 };

/* How far a column with gaps or texts has been read. */
struct cursor {
    size_t run, word_run;
    uint32_t left, word_left; /* Of the runs. */
    size_t next;              /* Number. */
};

struct query_write {
    struct query_task task;
    struct query_write *later, **place; /* In server->writes; place NULL: not in it. */
    frame_request *request;             /* NULL: fed. */
    size_t section, row;                /* Where feeding goes on. */
    bool has_cursors;                   /* A column of the section has gaps or texts. */
    int64_t time_ns;                    /* Of the row before. */
    double *words;                      /* The values of the request's words; NULL: none. */
    uint64_t first, last;               /* Batches its points are in; 0: none. */
    uint64_t left_out;                  /* Points of series that may not be, */
    const char *left_out_why;           /* and why not. */
    enum err failed;                    /* What the store said of one of them. */
    struct cursor cursors[BATCH_COLUMNS_MAX];
};

static void on_end(struct query_task *t)
{
    struct query_write *w = (struct query_write *)(void *)t;
    if (w->place != NULL) {
        *w->place = w->later;
        if (w->later != NULL) {
            w->later->place = w->place;
        }
        w->place = NULL;
    }
    if (w->request != NULL) {
        t->conn->is_feeding = false;
    }
}

static void fini(struct query_task *t)
{
    struct query_write *w = (struct query_write *)(void *)t;
    frame_request_free(w->request);
    free(w->words);
}

static const struct query_task_kind kind = {
    .bytes = sizeof(struct query_write), .end = on_end, .fini = fini};

/* Whether the column has a value in the row at hand; moves on by one row. */
static bool take_presence(const Hejnal__V1__WriteColumn *column, struct cursor *at)
{
    if (column->n_present_runs == 0) {
        return true;
    }
    while (at->left == 0) {
        at->left = column->present_runs[at->run++]; /* They add up to the rows: checked. */
    }
    at->left--;
    return at->run % 2 != 0;
}

/* The next value of those present. */
static struct number take_value(const Hejnal__V1__WriteColumn *column, struct cursor *at,
                                const double *words)
{
    uint32_t word = 0;
    if (column->n_word_runs > 0) {
        while (at->word_left == 0) {
            at->word_left = column->word_runs[2 * at->word_run + 1];
            at->word_run++;
        }
        at->word_left--;
        word = column->word_runs[2 * (at->word_run - 1)];
    }
    return word == 0 ? number_of(column->value[at->next++])
                     : (struct number){.value = words[word - 1], .scale = NUMBER_RAW};
}

/* The points of row `w->row`. */
static unsigned gather(struct query_write *w, const Hejnal__V1__WriteRows *rows,
                       struct cursor *cursors, struct payload_point *points)
{
    unsigned count = 0;
    for (size_t i = 0; i < rows->n_values; i++) {
        const Hejnal__V1__WriteColumn *column = rows->values[i];
        if (column->n_present_runs == 0 && column->n_word_runs == 0) {
            points[count].number = number_of(column->value[w->row]);
        } else if (take_presence(column, &cursors[i])) {
            points[count].number = take_value(column, &cursors[i], w->words);
        } else {
            continue;
        }
        points[count].name =
            rows->n_columns == 0 ? (struct bytes){NULL, 0} : points[BATCH_COLUMNS_MAX + i].name;
        count++;
    }
    return count;
}

/* Some of its points are in this batch. */
static void note_batch(struct query_write *w, uint64_t number)
{
    w->first = w->first == 0 ? number : w->first;
    w->last = number;
}

/* Points of the row that are of series that may not be; the others are put. */
static unsigned note_left_out(struct query_write *w, struct bytes path)
{
    struct query_server *s = w->task.conn->server;
    const unsigned count = ingest_left_out(s->options.ingest, &w->left_out_why);
    if (count > 0 && w->left_out == 0) { /* One for a request. */
        metrics_add(METRIC_REJECTS, 1);
        rejects_add(loop_wall_ns(s->loop), path, (struct bytes){NULL, 0}, w->left_out_why);
    }
    w->left_out += count;
    return count;
}

static enum err feed_row(struct query_write *w, const Hejnal__V1__WriteRows *rows,
                         struct bytes path, struct payload_point *points)
{
    struct cursor before[BATCH_COLUMNS_MAX];
    struct ingest *ingest = w->task.conn->server->options.ingest;
    const size_t cursor_bytes = w->has_cursors ? rows->n_values * sizeof before[0] : 0;
    int64_t time_ns = w->time_ns + rows->time_delta[w->row];
    uint64_t number = 0;

    memcpy(before, w->cursors, cursor_bytes);
    unsigned count = gather(w, rows, w->cursors, points);
    ingest_charge(ingest, &w->task.conn->allowance);
    enum err e = count == 0 ? OK : ingest_put(ingest, path, time_ns, points, count, &number);
    if (e == E_BUSY || e == E_NO_MEMORY) {
        memcpy(w->cursors, before, cursor_bytes);
        return e;
    }
    if (count > 0) { /* E_LIMIT, E_DENIED: nothing of it is kept. */
        const unsigned too_old = ingest_too_old(ingest);
        w->task.rows += count - note_left_out(w, path) - too_old;
        w->task.refused += too_old;
    }
    if (number > 0) {
        note_batch(w, number);
    }
    w->time_ns = time_ns;
    w->row++;
    return OK;
}

static bool has_cursors(const Hejnal__V1__WriteRows *rows)
{
    size_t i = 0;
    while (i < rows->n_values && rows->values[i]->n_present_runs == 0 &&
           rows->values[i]->n_word_runs == 0) {
        i++;
    }
    return i < rows->n_values;
}

/* Feed at most `*budget` rows of the section. E_END: it is done. */
static enum err feed_section(struct query_write *w, const Hejnal__V1__WriteRows *rows,
                             unsigned *budget)
{
    /* The second half keeps the names of all columns, the first is the row at hand. */
    struct payload_point points[2 * BATCH_COLUMNS_MAX];
    struct bytes path = bytes_of(rows->path);

    for (size_t i = 0; i < rows->n_columns; i++) {
        points[BATCH_COLUMNS_MAX + i].name = bytes_of(rows->columns[i]);
    }
    w->has_cursors = has_cursors(rows);
    while (w->row < rows->n_time_delta) {
        if (*budget == 0) {
            return E_MORE;
        }
        TRY(feed_row(w, rows, path, points));
        --*budget;
    }
    return E_END;
}

/* The number the section gives its series, when some of its rows are kept. */
static void learn_number(struct query_write *w, const Hejnal__V1__WriteRows *rows)
{
    uint8_t room[SERIES_PATH_BYTES_MAX];
    struct query_server *s = w->task.conn->server;
    const struct query_numbers_limits limits = {s->options.numbers_max, s->options.numbers_all_max};
    struct writer path = {room, 0, sizeof room};
    struct series_ref ref;
    if (rows->number != w->task.conn->numbers.count + 1 ||
        writer_put(&path, rows->path, strlen(rows->path)) != OK ||
        (rows->n_columns > 0 &&
         (writer_put_u8(&path, '/') != OK ||
          writer_put(&path, rows->columns[0], strlen(rows->columns[0])) != OK))) {
        return;
    }
    if (catalogue_find(engine_catalogue(s->options.engine), (struct bytes){room, path.size},
                       &ref) == OK) {
        query_numbers_put(&w->task.conn->numbers, rows->number, ref, &limits, &s->number_count);
    }
}

/* Feed at most `*budget` points by number. E_END: all are in. */
static enum err feed_points(struct query_write *w, const Hejnal__V1__WritePoints *p,
                            unsigned *budget)
{
    struct query_conn *c = w->task.conn;
    for (; w->row < p->n_number; w->row++, --*budget) {
        const struct number value = number_of(p->value[w->row]);
        const int64_t time_ns = w->time_ns + p->time_delta[w->row];
        uint64_t number;
        if (*budget == 0) {
            return E_MORE;
        }
        const enum err e = ingest_put_series(c->server->options.ingest,
                                             query_numbers_find(&c->numbers, p->number[w->row]),
                                             time_ns, &value, &number);
        if (e == E_DENIED) {
            w->task.refused++;
        } else if (e != OK) {
            return e;
        } else {
            note_batch(w, number);
            w->task.rows++;
        }
        w->time_ns = time_ns;
    }
    return E_END;
}

/* E_END: all rows are in. E_MORE: the slice is used up. E_BUSY: no room. */
static enum err feed(struct query_write *w)
{
    const Hejnal__V1__Write *write = w->request->write;
    unsigned budget = SLICE_ROWS;

    while (w->section < write->n_rows) {
        enum err e = feed_section(w, write->rows[w->section], &budget);
        if (e != E_END) {
            return e;
        }
        learn_number(w, write->rows[w->section]);
        w->section++;
        w->row = 0;
        w->time_ns = 0;
        memset(w->cursors, 0, sizeof w->cursors);
    }
    return write->points == NULL ? E_END : feed_points(w, write->points, &budget);
}

/* The rest is durable: asking again later is harmless, and may do for those that were too fast. */
static void fail_for_left_out(struct query_write *w)
{
    struct query_fault fault;
    query_fault_set(&fault, HEJNAL__V1__ERROR__CODE__LIMIT, "rows",
                    "%llu points are not stored, the others are: %s",
                    (unsigned long long)w->left_out, w->left_out_why);
    query_task_fail(&w->task, &fault);
}

static void finish_if_done(struct query_write *w)
{
    if (w->request == NULL && w->last <= ingest_done(w->task.conn->server->options.ingest)) {
        if (w->failed == OK && w->left_out > 0) {
            fail_for_left_out(w);
        } else if (w->failed == OK) {
            query_task_finish(&w->task);
        } else {
            query_task_fail_with(&w->task, w->failed);
        }
    }
}

/* The words of the request get their ids. On failure `section` is the word. */
static enum err take_words(struct query_write *w)
{
    const Hejnal__V1__Write *write = w->request->write;
    struct texts *texts = engine_texts(w->task.conn->server->options.engine);
    if (write->n_words == 0) {
        return OK;
    }
    w->words = calloc(write->n_words, sizeof *w->words);
    if (w->words == NULL) {
        return E_NO_MEMORY;
    }
    for (size_t i = 0; i < write->n_words; i++) {
        uint32_t id;
        const enum err e =
            texts_intern(texts, (struct bytes){write->words[i].data, write->words[i].len}, &id);
        if (e != OK) {
            w->section = i;
            return e;
        }
        w->words[i] = text_value(id);
    }
    return OK;
}

static void refuse_word(struct query_write *w, enum err e)
{
    struct query_fault fault;
    char field[QUERY_FAULT_FIELD_BYTES];
    if (e != E_LIMIT) {
        query_task_fail_with(&w->task, e);
        return;
    }
    metrics_add(METRIC_REFUSED_TEXTS, 1);
    (void)snprintf(field, sizeof field, "words[%zu]", w->section);
    query_fault_set(&fault, HEJNAL__V1__ERROR__CODE__LIMIT, field,
                    "the server's limit of distinct texts (texts_max) is reached");
    query_task_fail(&w->task, &fault);
}

static void go_on(struct query_write *w)
{
    struct query_conn *c = w->task.conn;
    enum err e = feed(w);
    if (e == E_BUSY || e == E_MORE) {
        c->is_feeding = true; /* on_done or the next turn goes on. */
        if (e == E_MORE) {
            loop_timer_start(c->server->loop, &c->server->feed, 0, 0);
        }
        return;
    }
    c->is_feeding = false;
    if (e != E_END) {
        query_task_fail_with(&w->task, e);
        return;
    }
    frame_request_free(w->request);
    w->request = NULL;
    finish_if_done(w);
}

void query_write_start(struct query_conn *c, frame_request *r)
{
    struct query_server *s = c->server;
    struct query_task *t = query_task_create(c, r->id, &kind);
    if (t == NULL) {
        frame_request_free(r);
        return;
    }
    struct query_write *w = (struct query_write *)(void *)t;
    w->request = r;
    w->place = &s->writes;
    while (*w->place != NULL) {
        w->place = &(*w->place)->later;
    }
    *w->place = w;
    const enum err e = take_words(w);
    if (e != OK) {
        refuse_word(w, e);
        return;
    }
    go_on(w);
}

void query_write_on_turn(struct query_server *s)
{
    struct query_write *later;
    for (struct query_write *w = s->writes; w != NULL; w = later) {
        later = w->later;
        if (w->request != NULL) {
            struct query_conn *c = w->task.conn;
            go_on(w);
            if (!c->is_feeding) {
                query_conn_mark(c); /* Settling takes the requests that waited behind it. */
            }
        }
    }
}

void query_write_on_done(struct query_server *s, uint64_t number, enum err result)
{
    struct query_write *later;
    bool has_waiting = false;
    for (struct query_write *w = s->writes; w != NULL; w = later) {
        later = w->later;
        has_waiting = has_waiting || w->request != NULL;
        if (result != OK && w->first != 0 && w->first <= number && number <= w->last) {
            w->failed = result;
        }
        finish_if_done(w);
    }
    if (has_waiting) {
        loop_timer_start(s->loop, &s->feed, 0, 0);
    }
}
