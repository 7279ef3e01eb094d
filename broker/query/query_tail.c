/* Tails: durable batches, read as they come, their points of the wanted series sent on.
 *
 * Which columns of which group a tail wants is found once for each and kept as two bits. A tail
 * whose reader is slow gets nothing until there is room, and then is told how many it missed. */

#include <stdlib.h>

#include "base/topic.h"
#include "broker/query/query_handle.h"
#include "broker/query/query_task.h"
#include "broker/query/query_words.h"
#include "broker/threads/metrics.h"
#include "storage/catalogue/catalogue.h"
#include "storage/journal/batch.h"

enum { TAIL_POINTS = 4096 /* Gathered for a frame. */ };

struct want {
    uint64_t known, wanted; /* Bit c: column c was looked at; and is selected. */
};

struct found {
    uint32_t group;
    uint32_t column_order; /* column << 16 | order of arrival: qsort() keeps it. */
    int64_t time_ns;
    double value;
};

struct query_tail {
    struct query_task task;
    struct query_tail *later, **place; /* In server->tails; place NULL: not in it. */
    struct want *wants;                /* By group. */
    uint32_t groups;                   /* Of `wants`. */
    uint64_t dropped;
    size_t count; /* Of `found`. */
    struct found found[TAIL_POINTS];
    int64_t deltas[TAIL_POINTS];
    double values[TAIL_POINTS];
    size_t filter_bytes;
    uint8_t filter[SERIES_PATH_BYTES_MAX];
};

_Static_assert(TAIL_POINTS <= 1 << 16, "found.column_order holds it");
_Static_assert((int)TAIL_POINTS <= (int)QUERY_WORDS_ROWS_MAX, "a series is packed at once");

static void on_end(struct query_task *t)
{
    struct query_tail *tail = (struct query_tail *)(void *)t;
    struct query_server *s = t->conn->server;
    if (tail->place == NULL) {
        return;
    }
    *tail->place = tail->later;
    if (tail->later != NULL) {
        tail->later->place = tail->place;
    }
    tail->place = NULL;
    s->tail_count--;
    if (s->tails == NULL) {
        store_tail_remove(s->options.store, loop_mailbox(s->loop));
    }
}

static void fini(struct query_task *t)
{
    free(((struct query_tail *)(void *)t)->wants);
}

static const struct query_task_kind kind = {
    .bytes = sizeof(struct query_tail), .end = on_end, .fini = fini};

static enum err make_room(struct query_tail *tail, uint32_t group)
{
    uint32_t groups = tail->groups == 0 ? 64 : tail->groups;
    if (group < tail->groups) {
        return OK;
    }
    while (groups <= group) {
        groups *= 2;
    }
    struct want *wants = realloc(tail->wants, groups * sizeof *wants);
    if (wants == NULL) {
        return E_NO_MEMORY;
    }
    memset(wants + tail->groups, 0, (groups - tail->groups) * sizeof *wants);
    tail->wants = wants;
    tail->groups = groups;
    return OK;
}

/* The wanted ones among `columns` of a group, which has room in `wants`. */
static uint64_t select_columns(struct query_tail *tail, uint32_t group, uint64_t columns)
{
    uint8_t path[SERIES_PATH_BYTES_MAX];
    const struct catalogue *catalogue = engine_catalogue(tail->task.conn->server->options.engine);
    struct bytes filter = {tail->filter, tail->filter_bytes};

    struct want *want = &tail->wants[group];
    for (uint64_t left = columns & ~want->known; left != 0; left &= left - 1) {
        uint8_t column = (uint8_t)__builtin_ctzll(left);
        size_t size = catalogue_path(catalogue, (struct series_ref){group, column}, path);
        if (topic_matches(filter, (struct bytes){path, size})) {
            want->wanted |= UINT64_C(1) << column;
        }
        want->known |= UINT64_C(1) << column;
    }
    return columns & want->wanted;
}

static int compare(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    if (x->group != y->group) {
        return x->group < y->group ? -1 : 1;
    }
    return x->column_order < y->column_order ? -1 : 1; /* Never equal. */
}

/* The block of the series found[from..to). */
static enum err put_series(struct query_tail *tail, size_t from, size_t to)
{
    uint8_t path[SERIES_PATH_BYTES_MAX + 1];
    Hejnal__V1__Column column = HEJNAL__V1__COLUMN__INIT, *columns = &column;
    Hejnal__V1__SeriesBlock block = HEJNAL__V1__SERIES_BLOCK__INIT, *list = &block;
    frame_response part = HEJNAL__V1__RESPONSE__INIT;
    const struct found *found = &tail->found[from];
    struct series_ref ref = {found->group, (uint8_t)(found->column_order >> 16)};
    struct query_packed packed;
    size_t rows = to - from;

    for (size_t i = 0; i < rows; i++) {
        tail->deltas[i] = found[i].time_ns - (i == 0 ? 0 : found[i - 1].time_ns);
        tail->values[i] = found[i].value;
    }
    TRY(query_words_pack(&tail->task.frame, tail->values, rows, &packed));
    query_words_tell(&tail->task.frame, &part);
    path[catalogue_path(engine_catalogue(tail->task.conn->server->options.engine), ref, path)] = 0;
    column.n_value = packed.numbers;
    column.value = query_frame_lend(packed.number);
    column.n_word_runs = packed.runs;
    column.word_runs = query_frame_lend(packed.run);
    block.path = (char *)path;
    block.n_time_delta = rows;
    block.time_delta = tail->deltas;
    block.n_columns = 1;
    block.columns = &columns;
    block.dropped = tail->dropped;
    part.n_block = 1;
    part.block = &list;
    TRY(query_task_put(&tail->task, &part));
    tail->dropped = 0;
    return OK;
}

static enum err make_frame(struct query_tail *tail)
{
    TRY(query_task_begin(&tail->task));
    for (size_t from = 0, to; from < tail->count; from = to) {
        const struct found *first = &tail->found[from];
        for (to = from + 1; to < tail->count; to++) {
            const struct found *f = &tail->found[to];
            if (f->group != first->group || f->column_order >> 16 != first->column_order >> 16) {
                break;
            }
        }
        TRY(put_series(tail, from, to));
    }
    return OK;
}

static void drop(struct query_tail *tail, uint64_t points)
{
    tail->dropped += points;
    metrics_add(METRIC_TAIL_DROPPED, (int64_t)points);
}

/* Send what was found, or drop it where the reader is slow. */
static void send_found(struct query_tail *tail)
{
    size_t count = tail->count;
    if (count == 0) {
        return;
    }
    uint64_t dropped = tail->dropped;
    qsort(tail->found, count, sizeof tail->found[0], compare);
    if (query_conn_is_full(tail->task.conn) || make_frame(tail) != OK) {
        tail->dropped = dropped;
        drop(tail, count);
    } else if (query_task_seal(&tail->task)) {
        tail->task.rows += count;
        metrics_add(METRIC_QUERY_ROWS, (int64_t)count);
        query_task_send(&tail->task);
    }
    tail->count = 0;
}

static void take_row(struct query_tail *tail, const struct batch_entry *entry)
{
    if (make_room(tail, entry->row.group) != OK) {
        query_task_fail_with(&tail->task, E_NO_MEMORY); /* It could not say what it misses. */
        return;
    }
    uint64_t columns = select_columns(tail, entry->row.group, entry->row.columns);
    unsigned index = 0;
    for (uint64_t left = entry->row.columns; left != 0; left &= left - 1, index++) {
        unsigned column = (unsigned)__builtin_ctzll(left);
        if ((columns >> column & 1) == 0) {
            continue;
        }
        if (tail->count == TAIL_POINTS) {
            send_found(tail);
        }
        tail->found[tail->count] =
            (struct found){entry->row.group, (uint32_t)(column << 16 | (uint32_t)tail->count),
                           entry->row.time_ns, entry->row.values[index]};
        tail->count++;
    }
}

void query_tail_take(void *context, struct letter *letter)
{
    struct query_server *s = context;
    struct committed *committed = (struct committed *)(void *)letter;
    struct batch_reader reader;
    struct batch_entry entry;
    struct query_tail *later;

    if (s->is_stopped) {
        return; /* The store may have ended; it frees what was lent. */
    }
    for (struct query_tail *t = s->tails; t != NULL; t = t->later) {
        t->dropped += committed->missed_points; /* Counted by the store. */
    }
    batch_reader_init(&reader, store_committed_entries(committed));
    while (s->tails != NULL && batch_reader_next(&reader, &entry) == OK) {
        for (struct query_tail *t = s->tails; t != NULL && entry.kind == BATCH_ROW; t = later) {
            later = t->later; /* A broken connection ends its tail. */
            take_row(t, &entry);
        }
    }
    for (struct query_tail *t = s->tails; t != NULL; t = later) {
        later = t->later;
        send_found(t);
    }
    store_release(s->options.store, committed);
}

static void add_tail(struct query_server *s, struct query_tail *tail)
{
    if (s->tails == NULL) {
        store_tail_add(s->options.store, loop_mailbox(s->loop));
    }
    tail->later = s->tails;
    tail->place = &s->tails;
    if (tail->later != NULL) {
        tail->later->place = &tail->later;
    }
    s->tails = tail;
    s->tail_count++;
}

void query_tail_start(struct query_conn *c, uint32_t id, const char *filter)
{
    Hejnal__V1__Estimate estimate = HEJNAL__V1__ESTIMATE__INIT;
    frame_response part = HEJNAL__V1__RESPONSE__INIT;
    struct query_server *s = c->server;
    struct query_task *t = query_task_create(c, id, &kind);

    if (t == NULL) {
        return;
    }
    if (s->tail_count >= s->options.tails_max) {
        query_fault_set(&t->fault, HEJNAL__V1__ERROR__CODE__LIMIT, "",
                        "more than %u tails are followed already", s->options.tails_max);
        query_task_fail(t, &t->fault);
        return;
    }
    struct query_tail *tail = (struct query_tail *)(void *)t;
    tail->filter_bytes = strlen(filter);
    memcpy(tail->filter, filter, tail->filter_bytes); /* Its length was checked. */
    add_tail(s, tail);
    part.body_case = HEJNAL__V1__RESPONSE__BODY_ESTIMATE;
    part.estimate = &estimate;
    if (query_task_begin(t) != OK || query_task_put(t, &part) != OK) {
        query_task_fail_with(t, E_NO_MEMORY);
    } else if (query_task_seal(t)) {
        query_task_send(t);
    }
}
