/* Answers: their frames as they come, and whether in the end they are what the server sent. */

#include <stdio.h>
#include <stdlib.h>

#include "clients/hejnal_connection.h"

static enum hejnal_result result_of(Hejnal__V1__Error__Code code)
{
    switch (code) {
    case HEJNAL__V1__ERROR__CODE__MALFORMED:
        return HEJNAL_BROKEN;
    case HEJNAL__V1__ERROR__CODE__INVALID:
        return HEJNAL_INVALID;
    case HEJNAL__V1__ERROR__CODE__LIMIT:
        return HEJNAL_LIMIT;
    case HEJNAL__V1__ERROR__CODE__NOT_FOUND:
        return HEJNAL_NOT_FOUND;
    case HEJNAL__V1__ERROR__CODE__NO_SPACE:
        return HEJNAL_NO_SPACE;
    case HEJNAL__V1__ERROR__CODE__CANCELLED:
        return HEJNAL_CANCELLED;
    case HEJNAL__V1__ERROR__CODE__VERSION:
        return HEJNAL_VERSION;
    case HEJNAL__V1__ERROR__CODE__UNKNOWN:
    case HEJNAL__V1__ERROR__CODE__UNAVAILABLE:
    case _HEJNAL__V1__ERROR__CODE_IS_INT_SIZE:
    default:
        return HEJNAL_UNAVAILABLE;
    }
}

void hejnal_answer_fault(const Hejnal__V1__Error *error, struct hejnal_fault *out)
{
    *out = (struct hejnal_fault){.result = result_of(error->code), .position = error->position};
    (void)snprintf(out->text, sizeof out->text, "%s", error->text);
    (void)snprintf(out->field, sizeof out->field, "%s", error->field);
}

static void free_frame(struct hejnal_frame *f)
{
    if (f != NULL) {
        frame_response_free(f->response);
        free(f);
    }
}

static struct hejnal_frame *take_frame(struct hejnal_answer *a)
{
    struct hejnal_frame *f = a->first;
    if (f != NULL) {
        a->first = f->next;
        a->queued--;
        if (a->first == NULL) {
            a->last = &a->first;
        }
    }
    return f;
}

static void end_with(struct hejnal_answer *a, enum hejnal_result result, const char *text)
{
    a->is_ended = true;
    a->end = (struct hejnal_fault){.result = result};
    (void)snprintf(a->end.text, sizeof a->end.text, "%s", text);
}

void hejnal_answer_lose(struct hejnal_answer *a)
{
    if (!a->is_ended) {
        a->is_ended = true;
        a->end = a->h->fault;
    }
}

static size_t points_of(const frame_response *r)
{
    size_t points = 0;
    for (size_t i = 0; i < r->n_block; i++) {
        points += r->block[i]->n_time_delta + r->block[i]->dropped;
    }
    return points;
}

static void check_end(struct hejnal_answer *a, const Hejnal__V1__End *end)
{
    char text[HEJNAL_ERROR_BYTES];
    if (end->frames == a->frames && end->checksum == a->checksum) {
        a->rows = end->rows;
        end_with(a, HEJNAL_END, "");
        return;
    }
    (void)snprintf(text, sizeof text, "the answer is incomplete: %llu frames came, %llu were sent",
                   (unsigned long long)a->frames, (unsigned long long)end->frames);
    end_with(a, HEJNAL_TRUNCATED,
             end->frames == a->frames ? "the answer's checksum is wrong: it changed on its way"
                                      : text);
}

static void keep_server(struct hejnal *h, const frame_response *r)
{
    if (r->body_case == HEJNAL__V1__RESPONSE__BODY_HELLO) {
        (void)snprintf(h->server, sizeof h->server, "%s", r->hello->server);
    }
}

static void queue(struct hejnal_answer *a, frame_response *r)
{
    struct hejnal_frame *f = malloc(sizeof *f);
    if (f == NULL) {
        frame_response_free(r);
        end_with(a, HEJNAL_NO_MEMORY, "out of memory");
        return;
    }
    if (a->kind == HEJNAL_KIND_TAIL && a->queued == HEJNAL_TAIL_FRAMES_MAX) {
        struct hejnal_frame *oldest = take_frame(a);
        a->dropped += points_of(oldest->response);
        free_frame(oldest);
    }
    *f = (struct hejnal_frame){.response = r};
    *a->last = f;
    a->last = &f->next;
    a->queued++;
}

void hejnal_answer_put(struct hejnal_answer *a, frame_response *r, struct bytes body)
{
    if (r->error != NULL) {
        hejnal_answer_fault(r->error, &a->end);
        a->is_ended = true;
    } else if (r->end != NULL) {
        keep_server(a->h, r);
        check_end(a, r->end);
    } else {
        a->frames++;
        a->checksum = frame_checksum(a->checksum, body);
        queue(a, r);
        return;
    }
    frame_response_free(r);
}

enum hejnal_result hejnal_answer_open(struct hejnal *h, enum hejnal_kind kind, frame_request *r,
                                      struct hejnal_answer **out)
{
    struct hejnal_answer *a = calloc(1, sizeof *a);
    if (a == NULL) {
        (void)hejnal_connection_fail(h, HEJNAL_NO_MEMORY, "out of memory");
        return HEJNAL_NO_MEMORY;
    }
    r->id = hejnal_connection_id(h);
    a->h = h;
    a->kind = kind;
    a->id = r->id;
    a->last = &a->first;
    a->next = h->answers;
    h->answers = a;
    enum hejnal_result result = hejnal_connection_send(h, r);
    if (result != HEJNAL_OK) {
        a->is_ended = true;
        hejnal_answer_close(a);
        return result;
    }
    *out = a;
    return HEJNAL_OK;
}

enum hejnal_result hejnal_answer_call(struct hejnal *h, frame_request *r, uint64_t *rows)
{
    struct hejnal_answer *a;
    enum hejnal_result result = hejnal_answer_open(h, HEJNAL_KIND_CALL, r, &a);
    if (result != HEJNAL_OK) {
        return result;
    }
    while (result == HEJNAL_OK && !a->is_ended) {
        result = hejnal_connection_receive(h);
    }
    if (a->is_ended) {
        result = a->end.result == HEJNAL_END ? HEJNAL_OK : hejnal_connection_tell(h, &a->end);
    }
    if (rows != NULL && result == HEJNAL_OK) {
        *rows = a->rows;
    }
    hejnal_answer_close(a);
    return result;
}

/* Tell the server that frames were read out, several at a time. */
static enum hejnal_result give_credit(struct hejnal_answer *a)
{
    Hejnal__V1__Credit credit = HEJNAL__V1__CREDIT__INIT;
    frame_request r = HEJNAL__V1__REQUEST__INIT;

    a->credit++;
    if (a->is_ended || a->kind == HEJNAL_KIND_TAIL || a->credit < HEJNAL_CREDIT_FRAMES) {
        return HEJNAL_OK;
    }
    credit.request = a->id;
    credit.frames = a->credit;
    a->credit = 0;
    r.body_case = HEJNAL__V1__REQUEST__BODY_CREDIT;
    r.credit = &credit;
    return hejnal_connection_send(a->h, &r);
}

/* The texts of reports live until the answer is closed. */
static void put_away(struct hejnal_answer *a)
{
    if (a->kind == HEJNAL_KIND_STATS || a->kind == HEJNAL_KIND_REJECTS) {
        a->current->next = a->kept;
        a->kept = a->current;
    } else {
        free_frame(a->current);
    }
    a->current = NULL;
}

enum hejnal_result hejnal_answer_advance(struct hejnal_answer *a)
{
    if (a->current != NULL) {
        put_away(a);
        enum hejnal_result result = give_credit(a);
        if (result != HEJNAL_OK) {
            return result;
        }
    }
    while (a->first == NULL) {
        if (a->is_ended) {
            return a->end.result == HEJNAL_END ? HEJNAL_END : hejnal_connection_tell(a->h, &a->end);
        }
        enum hejnal_result result = hejnal_connection_receive(a->h);
        if (result != HEJNAL_OK && !a->is_ended) {
            return result;
        }
    }
    a->current = take_frame(a);
    a->at = 0;
    a->path_at = 0;
    a->tag_at = 0;
    return HEJNAL_OK;
}

/* The server may stop working on it; whatever still comes is thrown away. */
static void cancel(struct hejnal_answer *a)
{
    Hejnal__V1__Cancel message = HEJNAL__V1__CANCEL__INIT;
    frame_request r = HEJNAL__V1__REQUEST__INIT;
    struct hejnal_fault fault = a->h->fault;

    message.request = a->id;
    r.body_case = HEJNAL__V1__REQUEST__BODY_CANCEL;
    r.cancel = &message;
    (void)hejnal_connection_send(a->h, &r); /* If it is lost, it is ended as well. */
    if (a->h->fd >= 0) {
        a->h->fault = fault;
    }
}

void hejnal_answer_close(struct hejnal_answer *a)
{
    if (a == NULL) {
        return;
    }
    if (!a->is_ended && a->h->fd >= 0) {
        cancel(a);
    }
    struct hejnal_answer **link = &a->h->answers;
    while (*link != a) {
        link = &(*link)->next;
    }
    *link = a->next;
    while (a->first != NULL) {
        free_frame(take_frame(a));
    }
    while (a->kept != NULL) {
        struct hejnal_frame *next = a->kept->next;
        free_frame(a->kept);
        a->kept = next;
    }
    free_frame(a->current);
    free(a->path.at);
    free(a->tags.at);
    free(a->key_text.at);
    hejnal_words_forget(&a->unpacked);
    free(a);
}
