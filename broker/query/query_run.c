/* Queries: lanes that work on their units side by side, and their frames sent in order.
 *
 * The first lane opens the plan and answers its first unit in the same step, so that a small query
 * is one visit to a worker. Then each lane takes the next run of units, so long that it fills about
 * a frame. Small frames are joined: a message is its parts one behind the other. */

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/zone.h"
#include "broker/query/query_ask.h"
#include "broker/query/query_handle.h"
#include "broker/query/query_lane.h"
#include "broker/query/query_task.h"
#include "broker/threads/metrics.h"

enum {
    LANES_MAX = QUERY_JOBS_MAX,
    UNITS_MAX = 512,    /* Of a run. */
    RUN_US_LEAST = 300, /* A shorter one costs as much to hand over and back. */
    JOIN_MS = 20        /* A small frame waits so long for more at most. */
};

struct query_run {
    struct query_task task;
    struct query_plan plan;
    struct query_lane *lanes[LANES_MAX];
    unsigned lane_count, held;
    size_t next_unit;
    uint64_t turns, sending;         /* Runs given to lanes; the one whose frames are sent. */
    uint64_t units_sent, bytes_sent; /* For how long runs had better be; */
    int64_t busy_ns;                 /* so long it took to make what was sent. */
    struct query_frame joined;       /* Small frames. */
    int64_t joined_ms;               /* Since when it waits. */
};

static struct query_run *run_of(struct query_task *t)
{
    return (struct query_run *)(void *)t;
}

/* -- Lanes ------------------------------------------------------------------------------------ */

static void on_lane(struct job *job);

static void run_lane(struct job *job)
{
    query_lane_step((struct query_lane *)(void *)job);
}

_Static_assert(offsetof(struct query_lane, job) == 0, "a lane is its job");

static void post(struct query_run *run, struct query_lane *l)
{
    struct query_conn *c = run->task.conn;
    l->is_held = true;
    run->held++;
    run->task.is_held = true;
    c->jobs++;
    l->job = (struct job){.letter = {LETTER_JOB},
                          .run = run_lane,
                          .done = on_lane,
                          .reply = loop_mailbox(c->server->loop),
                          .context = run};
    workers_post(c->server->options.workers, &l->job);
}

static void on_lane(struct job *job)
{
    struct query_lane *l = (struct query_lane *)(void *)job;
    struct query_run *run = job->context;
    l->is_held = false;
    run->held--;
    run->task.is_held = run->held > 0;
    run->task.conn->jobs--;
    query_conn_mark(run->task.conn); /* Settling goes on. */
    if (run->task.is_ended || l->result == OK) {
        if (run->turns == 0) { /* The plan is open. */
            run->turns = 1;
            run->next_unit = l->end;
        }
        return;
    }
    if (l->result == E_MALFORMED) {
        query_task_fail(&run->task, &l->fault);
    } else {
        query_task_fail_with(&run->task, l->result);
    }
}

static struct query_lane *add_lane(struct query_run *run)
{
    struct query_conn *c = run->task.conn;
    struct query_lane *l;
    if (query_spares_take(&c->server->spares, &l) != OK) {
        return NULL;
    }
    query_lane_aim(l, &run->plan, c, run->task.id);
    run->lanes[run->lane_count++] = l;
    return l;
}

/* So many units as are worth handing over to a worker, by what the others took; what is left is
 * parted between two as long as it is worth more. */
static size_t least_of_run(const struct query_run *run, size_t left)
{
    const uint64_t unit_ns = (uint64_t)run->busy_ns / run->units_sent + 1;
    const uint64_t worth = (uint64_t)RUN_US_LEAST * NS_PER_US / unit_ns;
    if (left <= worth) {
        return left;
    }
    return worth < (left + 1) / 2 ? (size_t)worth : (left + 1) / 2;
}

/* So many units that their frame is about full, and that lanes end together. */
static size_t units_of_run(const struct query_run *run, size_t left)
{
    size_t units = 1, share = left / ((size_t)2 * LANES_MAX), least = 1;
    if (run->units_sent > 0) {
        units = (size_t)(QUERY_FRAME_BYTES / (run->bytes_sent / run->units_sent + 1));
        least = least_of_run(run, left);
    }
    share = share > least ? share : least;
    units = units < share ? units : share;
    units = units < UNITS_MAX ? units : UNITS_MAX;
    return units > 1 ? units : 1;
}

/* A lane without work, a new one if there may be one more; NULL: none. */
static struct query_lane *find_idle(struct query_run *run)
{
    struct query_server *s = run->task.conn->server;
    for (unsigned i = 0; i < run->lane_count; i++) {
        if (!run->lanes[i]->has_run) {
            return run->lanes[i];
        }
    }
    if (run->lane_count == LANES_MAX || s->lane_count >= QUERY_LANES_MAX) {
        return NULL;
    }
    struct query_lane *l = add_lane(run);
    s->lane_count += l != NULL;
    return l;
}

/* Give lanes units as long as there are both. */
static void give_units(struct query_run *run)
{
    const size_t units = query_units(run->plan.query);
    struct query_lane *l;
    while (run->next_unit < units && (l = find_idle(run)) != NULL) {
        const size_t count = units_of_run(run, units - run->next_unit);
        query_lane_start(l, run->turns++, run->next_unit, run->next_unit + count);
        run->next_unit += count;
    }
}

static struct query_lane *find_turn(struct query_run *run, uint64_t turn)
{
    for (unsigned i = 0; i < run->lane_count; i++) {
        struct query_lane *l = run->lanes[i];
        if (l->has_run && l->turn == turn && !l->is_held) {
            return l;
        }
    }
    return NULL;
}

/* Post the lanes that can go on, those first whose frames are wanted first. */
static void post_lanes(struct query_run *run)
{
    for (uint64_t turn = run->sending; turn < run->turns; turn++) {
        struct query_lane *l = find_turn(run, turn);
        if (l != NULL && !l->has_frame && !l->is_done && run->task.conn->jobs < QUERY_JOBS_MAX) {
            post(run, l);
        }
    }
}

/* -- Sending ---------------------------------------------------------------------------------- */

static bool may_send(const struct query_run *run)
{
    return run->task.credit > 0 && !query_conn_is_full(run->task.conn);
}

/* Send what `f` holds, a whole body. */
static void send_frame(struct query_run *run, struct query_frame *f)
{
    struct query_task *t = &run->task;
    const size_t head = f->start + FRAME_LENGTH_BYTES;
    t->checksum =
        frame_checksum(t->checksum, (struct bytes){f->bytes.at + head, f->bytes.size - head});
    t->frames++;
    t->credit--;
    t->starved_ms = loop_now_ms(t->conn->server->loop);
    query_conn_send_bytes(t->conn, (struct bytes){f->bytes.at, f->bytes.size});
    f->bytes.size = 0;
}

static void send_joined(struct query_run *run)
{
    if (run->joined.bytes.size > 0) {
        (void)query_frame_end(&run->joined);
        send_frame(run, &run->joined);
    }
}

/* Put a small frame behind others; false: it cannot be. Places of words are those of one frame. */
static bool join(struct query_run *run, const struct query_frame *f)
{
    struct query_frame *to = &run->joined;
    const struct bytes parts = {f->bytes.at + f->empty, f->bytes.size - f->empty};
    if (parts.size > QUERY_FRAME_BYTES / 2 || f->words != NULL) {
        return false;
    }
    if (to->bytes.size == 0) {
        run->joined_ms = loop_now_ms(run->task.conn->server->loop);
        if (query_frame_begin(to) != OK) {
            to->bytes.size = 0;
            return false;
        }
    }
    if (query_conn_reserve(&to->bytes, parts.size) != OK) {
        return false;
    }
    return writer_put(&to->bytes, parts.at, parts.size) == OK;
}

/* Send the lane's frame, or join it to others. */
static void take_frame(struct query_run *run, struct query_lane *l)
{
    struct query_frame *f = &l->frames[l->at];
    const int64_t now_ms = loop_now_ms(run->task.conn->server->loop);
    l->has_frame = false;
    l->at ^= 1;
    run->task.rows += l->rows;
    run->bytes_sent += f->bytes.size;
    if (!l->is_done && run->task.conn->jobs < QUERY_JOBS_MAX) {
        post(run, l); /* It makes the next while this one is sent. */
    }
    const bool joined = run->task.frames > 0 && join(run, f); /* The estimate waits for nothing. */
    if (!joined || run->joined.bytes.size >= QUERY_FRAME_BYTES / 2 ||
        now_ms - run->joined_ms >= JOIN_MS) {
        send_joined(run);
    }
    if (!joined) {
        send_frame(run, f);
    }
}

/* The run of units is sent. */
static void end_run(struct query_run *run, struct query_lane *l)
{
    l->has_run = false;
    run->units_sent += l->end - l->from;
    run->busy_ns += l->busy_ns;
    run->sending++;
}

/* Send, in order, what is ready. */
static void send_ready(struct query_run *run)
{
    struct query_lane *l;
    while (may_send(run) && !run->task.is_ended && (l = find_turn(run, run->sending)) != NULL) {
        if (l->has_frame) {
            if (run->task.credit < 2 && run->joined.bytes.size > 0) {
                send_joined(run); /* What is sent next may need the last one. */
                continue;
            }
            take_frame(run, l);
        } else if (l->is_done) {
            end_run(run, l);
        } else {
            return; /* It needs another step. */
        }
    }
}

static void finish(struct query_run *run)
{
    if (run->joined.bytes.size > 0) {
        if (!may_send(run)) {
            return;
        }
        send_joined(run);
    }
    if (!run->task.is_ended) {
        metrics_add(METRIC_QUERY_ROWS, (int64_t)run->task.rows);
        query_task_finish(&run->task);
    }
}

static void go(struct query_task *t)
{
    struct query_run *run = run_of(t);
    if (run->turns == 0) { /* Not open yet. */
        if (run->held == 0 && t->conn->jobs < QUERY_JOBS_MAX && !query_conn_is_full(t->conn)) {
            post(run, run->lanes[0]);
        }
        return;
    }
    send_ready(run);
    if (t->is_ended) {
        return;
    }
    if (may_send(run)) {
        give_units(run);
        post_lanes(run);
    }
    if (run->sending == run->turns && run->next_unit == query_units(run->plan.query)) {
        finish(run);
    }
}

/* -- From start to end ------------------------------------------------------------------------ */

static void end(struct query_task *t)
{
    atomic_store_explicit(&run_of(t)->plan.is_idle, true, memory_order_relaxed);
}

static void fini(struct query_task *t)
{
    struct query_run *run = run_of(t);
    for (unsigned i = 0; i < run->lane_count; i++) {
        query_spares_give(&t->conn->server->spares, run->lanes[i]);
    }
    t->conn->server->lane_count -= run->lane_count > 1 ? run->lane_count - 1 : 0;
    query_frame_fini(&run->joined);
    query_close(run->plan.query);
    predicate_destroy(run->plan.where);
    zone_close(run->plan.zone);
}

static const struct query_task_kind kind = {
    .bytes = sizeof(struct query_run), .go = go, .end = end, .fini = fini};

/* The parts of the request that outlive the message. E_NO_MEMORY. */
static enum err keep_request(struct query_run *run, const Hejnal__V1__Query *q)
{
    struct query_plan *p = &run->plan;
    const struct query_server *s = run->task.conn->server;
    const struct bytes filter = bytes_of(q->filter);
    struct predicate_fault none;
    p->engine = s->options.engine;
    query_ask_read(q, &p->request);
    memcpy(p->filter, filter.at, filter.size); /* At most SERIES_PATH_BYTES_MAX: checked. */
    p->request.filter = (struct bytes){p->filter, filter.size};
    p->request.series_max = s->options.series_max;
    p->rows_left = p->request.rows_max;
    if (q->calendar != NULL) {
        (void)snprintf(p->zone_name, sizeof p->zone_name, "%s", q->calendar->time_zone);
    }
    if (q->where[0] != 0) {
        TRY(predicate_read(bytes_of(q->where), &p->where, &none)); /* It was checked. */
        p->request.where = p->where;
    }
    return OK;
}

void query_run_start(struct query_conn *c, uint32_t id, const Hejnal__V1__Query *q)
{
    struct query_task *t = query_task_create(c, id, &kind);
    if (t == NULL) {
        return;
    }
    struct query_run *run = run_of(t);
    query_frame_init(&run->joined, c, id);
    if (keep_request(run, q) != OK || add_lane(run) == NULL) {
        query_task_fail_with(t, E_NO_MEMORY);
        return;
    }
    if (run->plan.request.from_ns >= run->plan.request.to_ns) {
        query_task_finish(t); /* A window where no point may be. */
        return;
    }
    query_task_go(t);
}
