/* Changes of tags: the series are selected on a worker; those whose tags are not yet as asked are
 * fed to ingest, a slice a turn, and the answer waits until the last of them is durable. */

#include <stdlib.h>

#include "broker/ingest/ingest.h"
#include "broker/query/query_handle.h"
#include "broker/query/query_task.h"

/* Series fed before others get their turn. */
enum { SLICE_SERIES = 4096 };

struct query_tag {
    struct query_task task;
    struct query_tag *later, **place; /* In server->tags; place NULL: not in it. */
    frame_request *request;
    struct series_list series;
    bool is_selected, is_fed;
    enum err selected;
    size_t at, pair;      /* Where feeding goes on. */
    bool is_changed;      /* The series at hand is. */
    uint64_t first, last; /* Batches they are in; 0: none. */
    enum err failed;      /* What the store said of one of them. */
};

static struct query_tag *tag_of(struct query_task *t)
{
    return (struct query_tag *)(void *)t;
}

static struct catalogue *catalogue_of(const struct query_tag *q)
{
    return engine_catalogue(q->task.conn->server->options.engine);
}

/* On a worker. */
static void select_series(struct job *job)
{
    struct query_tag *q =
        (struct query_tag *)(void *)((uint8_t *)job - offsetof(struct query_tag, task.job));
    const struct bytes filter = bytes_of(q->request->tag->filter);
    q->selected = catalogue_select(catalogue_of(q), filter, SIZE_MAX, &q->series);
}

static void on_selected(struct job *job)
{
    struct query_tag *q =
        (struct query_tag *)(void *)((uint8_t *)job - offsetof(struct query_tag, task.job));
    struct query_task *t = &q->task;
    t->is_held = false;
    t->conn->jobs--;
    q->is_selected = true;
    query_conn_mark(t->conn); /* Settling lets it go on. */
    if (!t->is_ended && q->selected != OK) {
        query_task_fail_with(t, q->selected);
    }
}

static void post_selection(struct query_tag *q)
{
    struct query_conn *c = q->task.conn;
    if (c->jobs >= QUERY_JOBS_MAX || query_conn_is_full(c)) {
        return;
    }
    q->task.is_held = true;
    c->jobs++;
    q->task.job = (struct job){.letter = {LETTER_JOB},
                               .run = select_series,
                               .done = on_selected,
                               .reply = loop_mailbox(c->server->loop)};
    workers_post(c->server->options.workers, &q->task.job);
}

/* Whether a series has the tag as asked. */
static bool has_already(const struct query_tag *q, struct series_ref ref, const struct tag *tag)
{
    struct bytes value = {NULL, 0};
    if (catalogue_tag_find(catalogue_of(q), ref, tag->key, &value) != OK) {
        return tag->value.size == 0;
    }
    return bytes_equal(value, tag->value);
}

/* How many tags it would have. */
static unsigned count_after(const struct query_tag *q, struct series_ref ref)
{
    const struct tag_set *set = catalogue_tags(catalogue_of(q), ref);
    int count = set == NULL ? 0 : (int)tag_set_count(set);
    for (size_t i = 0; i < q->request->tag->n_tags; i++) {
        const Hejnal__V1__Tag *t = q->request->tag->tags[i];
        struct bytes value;
        const bool is_there =
            catalogue_tag_find(catalogue_of(q), ref, bytes_of(t->key), &value) == OK;
        count += (t->value[0] != 0) - is_there;
    }
    return (unsigned)count;
}

/* The rest of the pairs of the series at hand. */
static enum err feed_series(struct query_tag *q, struct series_ref ref)
{
    const Hejnal__V1__TagRequest *r = q->request->tag;
    for (; q->pair < r->n_tags; q->pair++) {
        const struct tag tag = {bytes_of(r->tags[q->pair]->key), bytes_of(r->tags[q->pair]->value)};
        uint64_t number;
        if (has_already(q, ref, &tag)) {
            continue;
        }
        TRY(ingest_put_tag(q->task.conn->server->options.ingest, ref, &tag, &number));
        q->first = q->first == 0 ? number : q->first;
        q->last = number;
        q->is_changed = true;
    }
    return OK;
}

/* E_END: all are in. E_MORE: the slice is used up. E_BUSY: no room. E_LIMIT: too many tags. */
static enum err feed(struct query_tag *q)
{
    for (unsigned i = 0; q->at < q->series.count; i++) {
        const struct series_ref ref = q->series.refs[q->at];
        if (i == SLICE_SERIES) {
            return E_MORE;
        }
        if (q->pair == 0 && count_after(q, ref) > TAGS_OF_SERIES_MAX) {
            return E_LIMIT;
        }
        TRY(feed_series(q, ref));
        q->task.rows += q->is_changed;
        q->is_changed = false;
        q->pair = 0;
        q->at++;
    }
    return E_END;
}

static void refuse(struct query_tag *q, enum err e)
{
    uint8_t path[SERIES_PATH_BYTES_MAX];
    struct query_fault fault;
    if (e != E_LIMIT) {
        query_task_fail_with(&q->task, e);
        return;
    }
    const size_t size = catalogue_path(catalogue_of(q), q->series.refs[q->at], path);
    const int shown = size < QUERY_FAULT_FIELD_BYTES ? (int)size : QUERY_FAULT_FIELD_BYTES;
    query_fault_set(&fault, HEJNAL__V1__ERROR__CODE__LIMIT, "tags",
                    "%.*s would have more than %d tags", shown, (const char *)path,
                    TAGS_OF_SERIES_MAX);
    query_task_fail(&q->task, &fault);
}

static void finish_if_done(struct query_tag *q)
{
    if (!q->is_fed || q->last > ingest_done(q->task.conn->server->options.ingest)) {
        return;
    }
    if (q->failed == OK) {
        query_task_finish(&q->task);
    } else {
        query_task_fail_with(&q->task, q->failed);
    }
}

static void go(struct query_task *t)
{
    struct query_tag *q = tag_of(t);
    if (t->is_held || !q->is_selected) {
        if (!t->is_held) {
            post_selection(q);
        }
        return;
    }
    if (!q->is_fed) {
        const enum err e = feed(q);
        if (e == E_MORE) {
            loop_timer_start(t->conn->server->loop, &t->conn->server->feed, 0, 0);
        }
        if (e != E_MORE && e != E_BUSY && e != E_END) {
            refuse(q, e);
            return;
        }
        q->is_fed = e == E_END;
    }
    finish_if_done(q);
}

static void end(struct query_task *t)
{
    struct query_tag *q = tag_of(t);
    if (q->place != NULL) {
        *q->place = q->later;
        if (q->later != NULL) {
            q->later->place = q->place;
        }
        q->place = NULL;
    }
}

static void fini(struct query_task *t)
{
    struct query_tag *q = tag_of(t);
    frame_request_free(q->request);
    series_list_fini(&q->series);
}

void query_tag_start(struct query_conn *c, frame_request *r)
{
    static const struct query_task_kind kind = {
        .bytes = sizeof(struct query_tag), .go = go, .end = end, .fini = fini};
    struct query_server *s = c->server;
    struct query_task *t = query_task_create(c, r->id, &kind);
    if (t == NULL) {
        frame_request_free(r);
        return;
    }
    struct query_tag *q = tag_of(t);
    q->request = r;
    q->place = &s->tags;
    q->later = s->tags;
    if (q->later != NULL) {
        q->later->place = &q->later;
    }
    s->tags = q;
    query_task_go(t);
}

void query_tag_on_turn(struct query_server *s)
{
    for (struct query_tag *q = s->tags; q != NULL; q = q->later) {
        query_conn_mark(q->task.conn);
    }
}

void query_tag_on_done(struct query_server *s, uint64_t number, enum err result)
{
    for (struct query_tag *q = s->tags; q != NULL; q = q->later) {
        if (result != OK && q->first != 0 && q->first <= number && number <= q->last) {
            q->failed = result;
        }
    }
    query_tag_on_turn(s);
}
