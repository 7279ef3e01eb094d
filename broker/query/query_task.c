#include "broker/query/query_task.h"

#include <stdlib.h>

#include "base/check.h"
#include "broker/threads/metrics.h"

struct query_task *query_task_create(struct query_conn *c, uint32_t id,
                                     const struct query_task_kind *kind)
{
    struct query_task *t = calloc(1, kind->bytes);
    if (t == NULL) {
        struct query_fault fault;
        query_fault_set(&fault, HEJNAL__V1__ERROR__CODE__UNAVAILABLE, "", "out of memory");
        query_conn_send_fault(c, id, &fault);
        return NULL;
    }
    t->kind = kind;
    t->conn = c;
    t->id = id;
    t->credit = QUERY_CREDIT_FRAMES;
    query_frame_init(&t->frame, c, id);
    t->next = c->tasks;
    t->link = &c->tasks;
    if (t->next != NULL) {
        t->next->link = &t->next;
    }
    c->tasks = t;
    c->task_count++;
    c->server->answer_count += query_task_is_paced(t);
    return t;
}

struct query_task *query_task_find(struct query_conn *c, uint32_t id)
{
    for (struct query_task *t = c->tasks; t != NULL; t = t->next) {
        if (t->id == id && !t->is_ended) {
            return t;
        }
    }
    return NULL;
}

void query_task_free(struct query_task *t)
{
    query_task_drop(t);
    if (t->kind->fini != NULL) {
        t->kind->fini(t);
    }
    *t->link = t->next;
    if (t->next != NULL) {
        t->next->link = t->link;
    }
    t->conn->task_count--;
    t->conn->server->answer_count -= query_task_is_paced(t);
    query_frame_fini(&t->frame);
    free(t);
}

void query_task_drop(struct query_task *t)
{
    if (!t->is_ended) {
        t->is_ended = true;
        atomic_store_explicit(&t->is_idle, true, memory_order_relaxed);
        if (t->kind->end != NULL) {
            t->kind->end(t);
        }
        query_conn_mark(t->conn);
    }
}

void query_task_finish(struct query_task *t)
{
    Hejnal__V1__End end = HEJNAL__V1__END__INIT;
    frame_response r = HEJNAL__V1__RESPONSE__INIT;

    end.rows = t->rows;
    end.refused = t->refused;
    end.numbers = t->conn->numbers.count;
    end.frames = t->frames;
    end.checksum = t->checksum;
    r.id = t->id;
    r.end = &end;
    query_conn_send(t->conn, &r);
    query_task_drop(t);
}

void query_task_fail(struct query_task *t, const struct query_fault *fault)
{
    query_conn_send_fault(t->conn, t->id, fault);
    query_task_drop(t);
}

static Hejnal__V1__Error__Code code_of(enum err e)
{
    return e == E_NO_SPACE ? HEJNAL__V1__ERROR__CODE__NO_SPACE
                           : HEJNAL__V1__ERROR__CODE__UNAVAILABLE;
}

void query_task_fail_with(struct query_task *t, enum err e)
{
    struct query_fault fault;
    query_fault_set(&fault, code_of(e), "", "the server cannot do it now: %s", err_text(e));
    query_task_fail(t, &fault);
}

enum err query_task_begin(struct query_task *t)
{
    return query_frame_begin(&t->frame);
}

enum err query_task_put(struct query_task *t, const frame_response *part)
{
    return query_frame_put(&t->frame, part);
}

bool query_task_seal(struct query_task *t)
{
    const struct bytes body = query_frame_end(&t->frame);
    if (body.size == 0) {
        return false;
    }
    t->checksum = frame_checksum(t->checksum, body);
    t->frames++;
    return true;
}

void query_task_send(struct query_task *t)
{
    query_conn_send_bytes(t->conn, (struct bytes){t->frame.bytes.at, t->frame.bytes.size});
    t->frame.bytes.size = 0;
}

/* On a worker. */
static void run_step(struct job *job)
{
    struct query_task *t =
        (struct query_task *)(void *)((uint8_t *)job - offsetof(struct query_task, job));
    if (atomic_load_explicit(&t->is_idle, memory_order_relaxed)) {
        return; /* Cancelled, or its peer is gone, while it waited. */
    }
    t->result = query_task_begin(t);
    if (t->result == OK) {
        t->result = t->kind->step(t);
        if (t->result == OK || t->result == E_END) {
            (void)query_task_seal(t); /* An empty one has size 0. */
        }
    }
}

/* Back on the loop. */
static void on_step(struct job *job)
{
    struct query_task *t =
        (struct query_task *)(void *)((uint8_t *)job - offsetof(struct query_task, job));
    t->is_held = false;
    t->conn->jobs--;
    query_conn_mark(t->conn);
    if (t->is_ended) {
        return;
    }
    if (t->result == E_MALFORMED) {
        query_task_fail(t, &t->fault);
    } else if (t->result != OK && t->result != E_END) {
        query_task_fail_with(t, t->result);
    } else {
        if (t->frame.bytes.size > 0) {
            t->credit--;
            t->starved_ms = loop_now_ms(t->conn->server->loop);
            query_task_send(t);
        }
        if (t->result == E_END && !t->is_ended) {
            metrics_add(METRIC_QUERY_ROWS, (int64_t)t->rows);
            query_task_finish(t);
        }
    }
}

void query_task_take(void *context, struct letter *letter)
{
    struct job *job = (struct job *)(void *)letter;
    (void)context;
    job->done(job);
}

void query_task_go(struct query_task *t)
{
    struct query_conn *c = t->conn;
    if (t->kind->go != NULL && !t->is_ended) {
        t->kind->go(t);
        return;
    }
    if (t->kind->step == NULL || t->is_held || t->is_ended || t->credit == 0 ||
        c->jobs >= QUERY_JOBS_MAX || query_conn_is_full(c)) {
        return;
    }
    t->is_held = true;
    c->jobs++;
    t->job = (struct job){.letter = {LETTER_JOB},
                          .run = run_step,
                          .done = on_step,
                          .reply = loop_mailbox(c->server->loop)};
    workers_post(c->server->options.workers, &t->job);
}

void query_task_go_all(struct query_conn *c)
{
    for (struct query_task *t = c->tasks; t != NULL; t = t->next) {
        query_task_go(t);
    }
}

void query_task_credit(struct query_task *t, uint32_t frames)
{
    uint32_t room = QUERY_CREDIT_FRAMES_MAX - t->credit;
    t->credit += frames < room ? frames : room;
    query_conn_mark(t->conn); /* Settling lets it go on. */
}
