/* Queries: storage's cursor, stepped on a worker, its blocks packed into frames. */

#include <inttypes.h>
#include <stdlib.h>

#include "base/timestamp.h"
#include "broker/query/query_handle.h"
#include "broker/query/query_task.h"
#include "broker/query/query_words.h"
#include "storage/read/query.h"

/* Steps of storage that gave no block, before the worker looks at other work. */
enum { STEPS_EMPTY_MAX = 16 };

struct query_run {
    struct query_task task;
    struct query_request request; /* Its filter is `filter`. */
    struct query *query;          /* NULL: not open yet. */
    struct series_ref at;         /* Series of the block before. */
    uint32_t number;              /* Its number, from 1; 0: none yet. */
    int64_t deltas[QUERY_BLOCK_ROWS_MAX];
    uint8_t path[SERIES_PATH_BYTES_MAX + 1];
    uint8_t filter[SERIES_PATH_BYTES_MAX + 1];
};

static enum err tell_limit(struct query_run *run)
{
    struct series_list all;
    const struct query_server *s = run->task.conn->server;
    TRY(catalogue_select(engine_catalogue(s->options.engine), run->request.filter, SIZE_MAX, &all));
    query_fault_set(&run->task.fault, HEJNAL__V1__ERROR__CODE__LIMIT, "filter",
                    "the filter selects %zu series, a query may select %" PRIu32, all.count,
                    s->options.series_max);
    series_list_fini(&all);
    return E_MALFORMED;
}

static enum err open_query(struct query_run *run)
{
    Hejnal__V1__Estimate estimate = HEJNAL__V1__ESTIMATE__INIT;
    frame_response part = HEJNAL__V1__RESPONSE__INIT;

    enum err e = query_open(run->task.conn->server->options.engine, &run->request, &run->query);
    if (e == E_LIMIT) {
        return tell_limit(run);
    }
    TRY(e);
    estimate.series = query_units(run->query);
    part.body_case = HEJNAL__V1__RESPONSE__BODY_ESTIMATE;
    part.estimate = &estimate;
    return query_task_put(&run->task, &part);
}

/* The path where the series is a new one, else "". */
static char *name_series(struct query_run *run, struct series_ref ref)
{
    static char none[] = "";
    if (run->number > 0 && ref.group == run->at.group && ref.column == run->at.column) {
        return none;
    }
    struct catalogue *catalogue = engine_catalogue(run->task.conn->server->options.engine);
    size_t size = catalogue_path(catalogue, ref, run->path);
    run->path[size] = 0;
    run->at = ref;
    run->number++;
    return (char *)run->path;
}

_Static_assert((int)QUERY_BLOCK_ROWS_MAX <= (int)QUERY_WORDS_ROWS_MAX, "a block is packed at once");

/* Only points may be texts: no aggregate is one. */
static enum err fill_columns(struct query_run *run, const struct query_block *block,
                             Hejnal__V1__Column *columns, frame_response *part)
{
    struct query_packed packed;
    for (unsigned i = 0; i < block->columns; i++) {
        hejnal__v1__column__init(&columns[i]);
        columns[i].n_value = block->rows;
        columns[i].value = query_task_lend(block->column[i]);
    }
    if (run->request.aggregates != 0) {
        return OK;
    }
    TRY(query_words_pack(&run->task, block->column[0], block->rows, &packed));
    query_words_tell(&run->task, part);
    columns[0].n_value = packed.numbers;
    columns[0].value = query_task_lend(packed.number);
    columns[0].n_word_runs = packed.runs;
    columns[0].word_runs = query_task_lend(packed.run);
    return OK;
}

static enum err put_block(struct query_run *run, const struct query_block *block)
{
    Hejnal__V1__Column columns[QUERY_COLUMNS_MAX], *column[QUERY_COLUMNS_MAX];
    Hejnal__V1__SeriesBlock out = HEJNAL__V1__SERIES_BLOCK__INIT, *list = &out;
    frame_response part = HEJNAL__V1__RESPONSE__INIT;

    TRY(fill_columns(run, block, columns, &part));
    for (unsigned i = 0; i < block->columns; i++) {
        column[i] = &columns[i];
    }
    for (size_t i = 0; i < block->rows; i++) {
        run->deltas[i] = block->times[i] - (i == 0 ? 0 : block->times[i - 1]);
    }
    out.path = name_series(run, block->series);
    out.series = run->number;
    out.n_time_delta = block->rows;
    out.time_delta = run->deltas;
    out.n_columns = block->columns;
    out.columns = column;
    out.series_done = block->unit;
    part.n_block = 1;
    part.block = &list;
    TRY(query_task_put(&run->task, &part));
    run->task.rows += block->rows;
    return OK;
}

static enum err step(struct query_task *t)
{
    struct query_run *run = (struct query_run *)(void *)t;
    struct query_block block;
    unsigned empty = 0;

    if (run->query == NULL) {
        TRY(open_query(run));
    }
    while (t->frame.size < QUERY_FRAME_BYTES) {
        enum err e = query_step(run->query, &block);
        if (e == E_MORE) {
            if (++empty >= STEPS_EMPTY_MAX) {
                return OK; /* So that a cancel is heard. */
            }
            continue;
        }
        TRY(e);
        TRY(put_block(run, &block));
    }
    return OK;
}

static void fini(struct query_task *t)
{
    struct query_run *run = (struct query_run *)(void *)t;
    if (run->query != NULL) {
        query_close(run->query);
    }
}

static const struct query_task_kind kind = {
    .bytes = sizeof(struct query_run), .step = step, .fini = fini};

void query_run_start(struct query_conn *c, uint32_t id, const Hejnal__V1__Query *q)
{
    struct bytes filter = bytes_of(q->filter);
    struct query_task *t = query_task_create(c, id, &kind);
    if (t == NULL) {
        return;
    }
    struct query_run *run = (struct query_run *)(void *)t;
    memcpy(run->filter, filter.at, filter.size); /* At most SERIES_PATH_BYTES_MAX: checked. */
    run->request = (struct query_request){
        .filter = {run->filter, filter.size},
        .from_ns = q->from_ns < TIMESTAMP_MIN_NS ? TIMESTAMP_MIN_NS : q->from_ns,
        .to_ns = q->to_ns > TIMESTAMP_MAX_NS ? TIMESTAMP_MAX_NS : q->to_ns,
        .buckets = {BUCKET_FIXED, q->bucket_ns, NULL},
        .aggregates = query_check_aggregates(q),
        .series_max = c->server->options.series_max,
        .rows_max = q->rows_max,
    };
    if (run->request.from_ns >= run->request.to_ns) {
        query_task_finish(t); /* A window where no point may be. */
        return;
    }
    query_task_go(t);
}
