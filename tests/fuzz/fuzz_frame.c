/* Any bytes as a stream of query requests: taken, unpacked, checked. What the checks accept keeps
 * the promises the server builds on; what can be read can be written and read again. */

#include "proto/frame.h"

#include <math.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/text.h"
#include "base/timestamp.h"
#include "base/topic.h"
#include "broker/query/query_ask.h"
#include "broker/query/query_check.h"
#include "clients/hejnal_words.h"
#include "storage/journal/batch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NUMBERS = 5 }; /* Of series, that the connection has. */

static void check_column(const Hejnal__V1__WriteColumn *column, size_t rows, size_t words)
{
    uint64_t present = 0, texts = 0, numbers = 0;
    for (size_t i = 0; i < column->n_present_runs; i += 2) {
        present += column->present_runs[i];
    }
    CHECK(column->n_word_runs % 2 == 0);
    for (size_t i = 0; i < column->n_word_runs; i += 2) {
        CHECK(column->word_runs[i] <= words);
        *(column->word_runs[i] == 0 ? &numbers : &texts) += column->word_runs[i + 1];
    }
    CHECK(column->n_word_runs == 0 || numbers == column->n_value);
    CHECK(column->n_value + texts == (column->n_present_runs == 0 ? rows : present));
    for (size_t i = 0; i < column->n_value; i++) {
        CHECK(!text_is_value(column->value[i]));
    }
}

static void check_points(const Hejnal__V1__WritePoints *points)
{
    int64_t time_ns = 0;
    CHECK(points->n_number == points->n_time_delta && points->n_number == points->n_value);
    for (size_t i = 0; i < points->n_number; i++) {
        time_ns += points->time_delta[i];
        CHECK(time_ns >= TIMESTAMP_MIN_NS && time_ns < TIMESTAMP_MAX_NS);
        CHECK(points->number[i] >= 1 && points->number[i] <= NUMBERS);
        CHECK(!text_is_value(points->value[i]));
    }
}

static void check_write(const Hejnal__V1__Write *write)
{
    if (write->points != NULL) {
        check_points(write->points);
    }
    for (size_t i = 0; i < write->n_words; i++) {
        CHECK(write->words[i].len <= TEXT_BYTES_MAX);
    }
    for (size_t i = 0; i < write->n_rows; i++) {
        const Hejnal__V1__WriteRows *rows = write->rows[i];
        int64_t time_ns = 0;
        CHECK(topic_is_name(bytes_of(rows->path)));
        CHECK(rows->n_columns <= BATCH_COLUMNS_MAX);
        CHECK(rows->n_values == (rows->n_columns == 0 ? 1 : rows->n_columns));
        for (size_t k = 0; k < rows->n_time_delta; k++) {
            time_ns += rows->time_delta[k];
            CHECK(time_ns >= TIMESTAMP_MIN_NS && time_ns < TIMESTAMP_MAX_NS);
        }
        CHECK(rows->number == 0 || rows->n_values == 1);
        for (size_t k = 0; k < rows->n_values; k++) {
            check_column(rows->values[k], rows->n_time_delta, write->n_words);
        }
    }
}

static void check_filter(const char *filter)
{
    struct query_fault fault;
    enum err e = query_check_filter(filter, &fault);
    CHECK((e == OK) <= topic_is_filter(bytes_of(filter)));
    CHECK(e == OK || fault.position <= strlen(filter));
}

static void check_query(const Hejnal__V1__Query *q)
{
    struct query_request r;
    CHECK(q->from_ns < q->to_ns && q->bucket_ns >= 0);
    query_ask_read(q, &r);
    CHECK(r.buckets.length >= 0 && r.percentile_count <= QUERY_PERCENTILES_MAX);
    CHECK((r.buckets.length > 0) == (r.aggregates != 0 || r.percentile_count > 0));
    CHECK(r.key_count <= QUERY_KEYS_MAX && (r.key_count == 0 || r.buckets.length > 0));
    if (r.from_ns < r.to_ns && r.buckets.length > 0) {
        (void)query_fill_is_long(&r);
    }
}

static void check_request(const frame_request *r)
{
    struct query_fault fault;
    if (r->body_case == HEJNAL__V1__REQUEST__BODY_TAIL) {
        check_filter(r->tail->filter);
    }
    if (query_check_request(r, NUMBERS, &fault) != OK) {
        CHECK(fault.text[0] != 0);
        return;
    }
    if (r->body_case == HEJNAL__V1__REQUEST__BODY_WRITE) {
        check_write(r->write);
    } else if (r->body_case == HEJNAL__V1__REQUEST__BODY_QUERY) {
        check_query(r->query);
    }
}

static void check_again(const frame_request *r)
{
    struct writer w = {NULL, 0, frame_request_size(r)};
    frame_request *again;
    w.at = malloc(w.limit);
    CHECK(w.at != NULL);
    CHECK(frame_request_write(&w, r) == OK && w.size == w.limit);
    struct bytes in = {w.at, w.size}, body;
    CHECK(frame_take(&in, w.size, &body) == OK && in.size == 0);
    if (frame_request_read(body, &again) == OK) { /* Or it is short of its memory budget. */
        CHECK(again->body_case == r->body_case);
        frame_request_free(again);
    }
    free(w.at);
}

/* As the client library does: each row a number or a word that is there. */
static void unpack(const frame_response *r, const Hejnal__V1__Column *column, size_t rows)
{
    static struct hejnal_unpacked unpacked;
    const struct hejnal_packed packed = {column->n_value, column->n_word_runs, r->n_words,
                                         column->value,   column->word_runs,   r->words};
    if (!hejnal_words_are_sound(&packed, rows) || packed.runs == 0 ||
        !hejnal_words_unpack(&packed, rows, &unpacked)) {
        return;
    }
    for (size_t i = 0; i < rows; i++) {
        CHECK(unpacked.text[i] == NULL ||
              (isnan(unpacked.number[i]) && strlen(unpacked.text[i]) < SIZE_MAX));
    }
}

static void unpack_all(const frame_response *r)
{
    for (size_t i = 0; i < r->n_block; i++) {
        for (size_t k = 0; k < r->block[i]->n_columns; k++) {
            unpack(r, r->block[i]->columns[k], r->block[i]->n_time_delta);
        }
    }
}

/* What is read block by block is what protobuf-c reads. */
static void check_response(struct bytes body, const frame_response *r)
{
    Hejnal__V1__Response *plain = hejnal__v1__response__unpack(NULL, body.size, body.at);
    CHECK(plain != NULL);
    const size_t size = hejnal__v1__response__get_packed_size(r);
    CHECK(size == hejnal__v1__response__get_packed_size(plain));
    uint8_t *a = malloc(size + 1), *b = malloc(size + 1);
    CHECK(a != NULL && b != NULL);
    hejnal__v1__response__pack(r, a);
    hejnal__v1__response__pack(plain, b);
    CHECK(memcmp(a, b, size) == 0);
    free(a);
    free(b);
    hejnal__v1__response__free_unpacked(plain, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes in = {data, size}, body;
    frame_request *request;
    frame_response *response;
    while (frame_take(&in, FRAME_REQUEST_BYTES_MAX, &body) == OK) {
        if (frame_request_read(body, &request) == OK) {
            check_request(request);
            check_again(request);
            frame_request_free(request);
        }
        if (frame_response_read(body, &response) == OK) {
            check_response(body, response);
            unpack_all(response);
            frame_response_free(response);
        }
    }
    return 0;
}
