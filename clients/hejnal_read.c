/* Requests that read, and the items of their answers. */

#include <stdlib.h>

#include "clients/hejnal_connection.h"

/* Drops const from a text or array that is lent to a generated struct, which only reads it. */
static void *lend(const void *from)
{
    void *lent;
    memcpy(&lent, &from, sizeof lent);
    return lent;
}

static enum hejnal_result no_filter(struct hejnal *h)
{
    return hejnal_connection_fail(h, HEJNAL_MISUSE, "no filter given");
}

static enum hejnal_result broken(struct hejnal_answer *a)
{
    return hejnal_connection_fail(a->h, HEJNAL_BROKEN, "the server's answer does not add up");
}

static enum hejnal_result wrong_kind(struct hejnal_answer *a)
{
    return hejnal_connection_fail(a->h, HEJNAL_MISUSE, "the answer is of another kind");
}

/* -- Blocks ----------------------------------------------------------------------------------- */

/* What a frame says of its answer as a whole. */
static void take_estimate(struct hejnal_answer *a)
{
    const frame_response *r = a->current->response;
    if (r->body_case == HEJNAL__V1__RESPONSE__BODY_ESTIMATE) {
        a->series = r->estimate->series;
    }
}

enum hejnal_result hejnal_tail(struct hejnal *h, const char *filter, struct hejnal_answer **out)
{
    Hejnal__V1__TailRequest tail = HEJNAL__V1__TAIL_REQUEST__INIT;
    frame_request r = HEJNAL__V1__REQUEST__INIT;
    struct hejnal_answer *a;

    if (filter == NULL) {
        return no_filter(h);
    }
    tail.filter = lend(filter);
    r.body_case = HEJNAL__V1__REQUEST__BODY_TAIL;
    r.tail = &tail;
    enum hejnal_result result = hejnal_answer_open(h, HEJNAL_KIND_TAIL, &r, &a);
    if (result != HEJNAL_OK) {
        return result;
    }
    a->columns = 1;
    result = hejnal_answer_advance(a); /* The estimate: from now on it follows. */
    if (result != HEJNAL_OK) {
        struct hejnal_fault fault = h->fault;
        hejnal_answer_close(a);
        return result == HEJNAL_END ? HEJNAL_BROKEN : hejnal_connection_tell(h, &fault);
    }
    *out = a;
    return HEJNAL_OK;
}

static struct hejnal_packed packed_of(const struct hejnal_answer *a,
                                      const Hejnal__V1__Column *column)
{
    const frame_response *r = a->current->response;
    return (struct hejnal_packed){.numbers = column->n_value,
                                  .runs = column->n_word_runs,
                                  .words = r->n_words,
                                  .number = column->value,
                                  .run = column->word_runs,
                                  .word = r->words};
}

static bool is_sound(const struct hejnal_answer *a, const Hejnal__V1__SeriesBlock *block)
{
    const size_t keys = block->path[0] != 0 ? a->key_count : 0; /* Told with the path. */
    if (block->n_columns != a->columns || block->n_keys != keys) {
        return false;
    }
    for (size_t i = 0; i < block->n_columns; i++) {
        const struct hejnal_packed packed = packed_of(a, block->columns[i]);
        if (!hejnal_words_are_sound(&packed, block->n_time_delta) ||
            (packed.runs > 0 && block->n_columns > 1)) { /* No aggregate is a text. */
            return false;
        }
    }
    return true;
}

/* The column of points: as it came, or unpacked where it has texts. */
static enum hejnal_result give_values(struct hejnal_answer *a, const Hejnal__V1__Column *column,
                                      size_t rows, const double **values, const char *const **text)
{
    const struct hejnal_packed packed = packed_of(a, column);
    *values = column->value;
    *text = NULL;
    if (packed.runs == 0 || rows == 0) {
        return HEJNAL_OK;
    }
    if (!hejnal_words_unpack(&packed, rows, &a->unpacked)) {
        return hejnal_connection_fail(a->h, HEJNAL_NO_MEMORY, "out of memory");
    }
    *values = a->unpacked.number;
    *text = a->unpacked.text;
    return HEJNAL_OK;
}

/* A block's path is told once; it must outlive its frame. */
static bool keep_path(struct hejnal_answer *a, const char *path)
{
    size_t size = strlen(path) + 1;
    if (size == 1) {
        return a->path.size > 0;
    }
    a->path.size = 0;
    return hejnal_connection_reserve(&a->path, size) && writer_put(&a->path, path, size) == OK;
}

/* And so are a group's keys. Offsets first: the buffer may move. */
static bool keep_keys(struct hejnal_answer *a, const Hejnal__V1__SeriesBlock *block)
{
    size_t at[HEJNAL_KEYS_MAX];
    if (block->n_keys == 0) {
        return true;
    }
    a->key_text.size = 0;
    for (size_t i = 0; i < block->n_keys; i++) {
        const size_t size = strlen(block->keys[i]) + 1;
        at[i] = a->key_text.size;
        if (!hejnal_connection_reserve(&a->key_text, size) ||
            writer_put(&a->key_text, block->keys[i], size) != OK) {
            return false;
        }
    }
    for (size_t i = 0; i < block->n_keys; i++) {
        a->keys[i] = (const char *)a->key_text.at + at[i];
    }
    return true;
}

static enum hejnal_result give_block(struct hejnal_answer *a, Hejnal__V1__SeriesBlock *block,
                                     struct hejnal_block *out)
{
    int64_t time_ns = 0;
    if (!is_sound(a, block) || !keep_path(a, block->path) || !keep_keys(a, block)) {
        return broken(a);
    }
    for (size_t i = 0; i < block->n_time_delta; i++) { /* In place: the frame is ours. */
        time_ns = (int64_t)((uint64_t)time_ns + (uint64_t)block->time_delta[i]);
        block->time_delta[i] = time_ns;
    }
    *out = (struct hejnal_block){
        .path = (const char *)a->path.at,
        .rows = block->n_time_delta,
        .times = block->time_delta,
        .columns = (unsigned)block->n_columns,
        .keys = a->key_count > 0 ? a->keys : NULL,
        .series = a->series,
        .series_done = block->series_done,
        .dropped = block->dropped + a->dropped,
    };
    a->dropped = 0;
    for (size_t i = 0; i < block->n_columns; i++) {
        out->column[i] = block->columns[i]->value;
    }
    return block->n_columns != 1
               ? HEJNAL_OK
               : give_values(a, block->columns[0], out->rows, &out->column[0], &out->text);
}

enum hejnal_result hejnal_next_block(struct hejnal_answer *a, struct hejnal_block *out)
{
    if (a->kind != HEJNAL_KIND_QUERY && a->kind != HEJNAL_KIND_TAIL) {
        return wrong_kind(a);
    }
    while (a->current == NULL || a->at >= a->current->response->n_block) {
        enum hejnal_result result = hejnal_answer_advance(a);
        if (result != HEJNAL_OK) {
            return result;
        }
        take_estimate(a);
    }
    return give_block(a, a->current->response->block[a->at++], out);
}

/* -- Last values and series ------------------------------------------------------------------- */

enum hejnal_result hejnal_silent(struct hejnal *h, const char *filter, int64_t before_ns,
                                 struct hejnal_answer **out)
{
    Hejnal__V1__LastRequest last = HEJNAL__V1__LAST_REQUEST__INIT;
    frame_request r = HEJNAL__V1__REQUEST__INIT;
    if (filter == NULL) {
        return no_filter(h);
    }
    last.filter = lend(filter);
    last.before_ns = before_ns;
    r.body_case = HEJNAL__V1__REQUEST__BODY_LAST;
    r.last = &last;
    return hejnal_answer_open(h, HEJNAL_KIND_LAST, &r, out);
}

enum hejnal_result hejnal_last(struct hejnal *h, const char *filter, struct hejnal_answer **out)
{
    return hejnal_silent(h, filter, 0, out);
}

enum hejnal_result hejnal_series(struct hejnal *h, const char *filter, struct hejnal_answer **out)
{
    Hejnal__V1__SeriesRequest series = HEJNAL__V1__SERIES_REQUEST__INIT;
    frame_request r = HEJNAL__V1__REQUEST__INIT;
    if (filter == NULL) {
        return no_filter(h);
    }
    series.filter = lend(filter);
    r.body_case = HEJNAL__V1__REQUEST__BODY_SERIES;
    r.series = &series;
    return hejnal_answer_open(h, HEJNAL_KIND_SERIES, &r, out);
}

/* The next of a run of paths; NULL: none, or it has no end. */
static const char *next_path(struct hejnal_answer *a, const ProtobufCBinaryData *paths)
{
    const uint8_t *from = paths->data + a->path_at;
    size_t left = paths->len - a->path_at;
    const uint8_t *end = left == 0 ? NULL : memchr(from, 0, left);
    if (end == NULL) {
        return NULL;
    }
    a->path_at += (size_t)(end - from) + 1;
    return (const char *)from;
}

/* At its first item the whole block is checked, and unpacked if it has texts. */
static enum hejnal_result open_last(struct hejnal_answer *a)
{
    const frame_response *r = a->current->response;
    const struct hejnal_packed packed = {.numbers = r->last->n_value,
                                         .runs = r->last->n_word_runs,
                                         .words = r->n_words,
                                         .number = r->last->value,
                                         .run = r->last->word_runs,
                                         .word = r->words};
    if (!hejnal_words_are_sound(&packed, r->last->n_time_ns)) {
        return broken(a);
    }
    if (packed.runs > 0 && !hejnal_words_unpack(&packed, r->last->n_time_ns, &a->unpacked)) {
        return hejnal_connection_fail(a->h, HEJNAL_NO_MEMORY, "out of memory");
    }
    return HEJNAL_OK;
}

static enum hejnal_result give_last(struct hejnal_answer *a, struct hejnal_last *out)
{
    const Hejnal__V1__LastBlock *block = a->current->response->last;
    const bool has_texts = block->n_word_runs > 0;
    enum hejnal_result result = a->at == 0 ? open_last(a) : HEJNAL_OK;
    if (result != HEJNAL_OK) {
        return result;
    }
    const char *path = next_path(a, &block->paths);
    if (path == NULL) {
        return broken(a);
    }
    *out = (struct hejnal_last){path, block->time_ns[a->at],
                                has_texts ? a->unpacked.number[a->at] : block->value[a->at],
                                has_texts ? a->unpacked.text[a->at] : NULL};
    a->at++;
    return HEJNAL_OK;
}

enum hejnal_result hejnal_next_last(struct hejnal_answer *a, struct hejnal_last *out)
{
    if (a->kind != HEJNAL_KIND_LAST) {
        return wrong_kind(a);
    }
    for (;;) {
        const frame_response *r = a->current == NULL ? NULL : a->current->response;
        if (r != NULL && r->body_case == HEJNAL__V1__RESPONSE__BODY_LAST &&
            a->at < r->last->n_time_ns) {
            return give_last(a, out);
        }
        enum hejnal_result result = hejnal_answer_advance(a);
        if (result != HEJNAL_OK) {
            return result;
        }
    }
}

enum hejnal_result hejnal_next_series(struct hejnal_answer *a, const char **path)
{
    if (a->kind != HEJNAL_KIND_SERIES) {
        return wrong_kind(a);
    }
    for (;;) {
        if (a->current != NULL &&
            a->current->response->body_case == HEJNAL__V1__RESPONSE__BODY_SERIES) {
            const char *next = next_path(a, &a->current->response->series->paths);
            if (next != NULL) {
                *path = next;
                return HEJNAL_OK;
            }
        }
        enum hejnal_result result = hejnal_answer_advance(a);
        if (result != HEJNAL_OK) {
            return result;
        }
    }
}

/* -- Reports ---------------------------------------------------------------------------------- */

enum hejnal_result hejnal_stats(struct hejnal *h, struct hejnal_answer **out)
{
    Hejnal__V1__StatsRequest stats = HEJNAL__V1__STATS_REQUEST__INIT;
    frame_request r = HEJNAL__V1__REQUEST__INIT;
    r.body_case = HEJNAL__V1__REQUEST__BODY_STATS;
    r.stats = &stats;
    return hejnal_answer_open(h, HEJNAL_KIND_STATS, &r, out);
}

enum hejnal_result hejnal_next_stat(struct hejnal_answer *a, struct hejnal_stat *out)
{
    if (a->kind != HEJNAL_KIND_STATS) {
        return wrong_kind(a);
    }
    for (;;) {
        const frame_response *r = a->current == NULL ? NULL : a->current->response;
        if (r != NULL && r->body_case == HEJNAL__V1__RESPONSE__BODY_STATS &&
            a->at < r->stats->n_stat) {
            const Hejnal__V1__Stat *stat = r->stats->stat[a->at++];
            *out = (struct hejnal_stat){stat->name, stat->value, stat->unit};
            return HEJNAL_OK;
        }
        enum hejnal_result result = hejnal_answer_advance(a);
        if (result != HEJNAL_OK) {
            return result;
        }
    }
}

enum hejnal_result hejnal_rejects(struct hejnal *h, struct hejnal_answer **out)
{
    Hejnal__V1__RejectsRequest rejects = HEJNAL__V1__REJECTS_REQUEST__INIT;
    frame_request r = HEJNAL__V1__REQUEST__INIT;
    r.body_case = HEJNAL__V1__REQUEST__BODY_REJECTS;
    r.rejects = &rejects;
    return hejnal_answer_open(h, HEJNAL_KIND_REJECTS, &r, out);
}

enum hejnal_result hejnal_next_reject(struct hejnal_answer *a, struct hejnal_reject *out)
{
    if (a->kind != HEJNAL_KIND_REJECTS) {
        return wrong_kind(a);
    }
    for (;;) {
        const frame_response *r = a->current == NULL ? NULL : a->current->response;
        if (r != NULL && r->body_case == HEJNAL__V1__RESPONSE__BODY_REJECTS &&
            a->at < r->rejects->n_reject) {
            const Hejnal__V1__Reject *reject = r->rejects->reject[a->at++];
            *out = (struct hejnal_reject){
                .time_ns = reject->time_ns,
                .topic = reject->topic,
                .reason = reject->reason,
                .payload = reject->payload.data,
                .payload_bytes = reject->payload.len,
                .payload_full_bytes = reject->payload_bytes,
            };
            return HEJNAL_OK;
        }
        enum hejnal_result result = hejnal_answer_advance(a);
        if (result != HEJNAL_OK) {
            return result;
        }
    }
}
