#include "broker/query/query_handle.h"

#include "broker/query/query_pressure.h"
#include "broker/query/query_task.h"
#include "broker/threads/metrics.h"

#define INVALID HEJNAL__V1__ERROR__CODE__INVALID

static void on_hello(struct query_conn *c, const frame_request *r)
{
    char server[] = "hejnald " HEJNAL_RELEASE;
    Hejnal__V1__HelloReply hello = HEJNAL__V1__HELLO_REPLY__INIT;
    Hejnal__V1__End end = HEJNAL__V1__END__INIT;
    frame_response reply = HEJNAL__V1__RESPONSE__INIT;
    struct query_fault fault;

    if (r->hello->version != FRAME_VERSION) {
        query_fault_set(&fault, HEJNAL__V1__ERROR__CODE__VERSION, "version",
                        "the client speaks version %u of the protocol, this server version %d",
                        r->hello->version, FRAME_VERSION);
        query_conn_send_fault(c, r->id, &fault);
        c->is_closing = true;
        return;
    }
    c->has_greeted = true;
    c->takes_words = r->hello->words;
    hello.version = FRAME_VERSION;
    hello.server = server;
    reply.id = r->id;
    reply.body_case = HEJNAL__V1__RESPONSE__BODY_HELLO;
    reply.hello = &hello;
    reply.end = &end;
    query_conn_send(c, &reply);
}

static void on_cancel(struct query_conn *c, const frame_request *r)
{
    struct query_task *t = query_task_find(c, r->cancel->request);
    if (t != NULL) { /* Else its answer was on the way already. */
        struct query_fault fault;
        query_fault_set(&fault, HEJNAL__V1__ERROR__CODE__CANCELLED, "", "cancelled");
        query_task_fail(t, &fault);
    }
}

static void on_credit(struct query_conn *c, const frame_request *r)
{
    struct query_task *t = query_task_find(c, r->credit->request);
    if (t != NULL) {
        query_task_credit(t, r->credit->frames);
    }
}

/* Whether its answer is made on workers, from a cursor that keeps memory until it ends. */
static bool is_answer(const frame_request *r)
{
    return r->body_case == HEJNAL__V1__REQUEST__BODY_QUERY ||
           r->body_case == HEJNAL__V1__REQUEST__BODY_LAST ||
           r->body_case == HEJNAL__V1__REQUEST__BODY_SERIES ||
           r->body_case == HEJNAL__V1__REQUEST__BODY_TAG;
}

/* Whether a request may start an answer. */
static bool may_start(struct query_conn *c, const frame_request *r)
{
    struct query_fault fault;
    if (query_task_find(c, r->id) != NULL) {
        query_fault_set(&fault, INVALID, "id", "request %u is still being answered", r->id);
    } else if (c->task_count >= QUERY_TASKS_MAX) {
        query_fault_set(&fault, HEJNAL__V1__ERROR__CODE__LIMIT, "",
                        "more than %d requests in flight on one connection", QUERY_TASKS_MAX);
    } else if (is_answer(r) && !query_pressure_answer(c->server)) {
        query_fault_set(&fault, HEJNAL__V1__ERROR__CODE__UNAVAILABLE, "",
                        "the server gives %u answers already; try again",
                        c->server->options.answers_max);
    } else if (query_check_request(r, c->numbers.count, &fault) == OK) {
        return true;
    }
    query_conn_send_fault(c, r->id, &fault);
    return false;
}

/* Starts the answer; the request is the caller's again but for a write. */
static void start(struct query_conn *c, frame_request *r)
{
    switch (r->body_case) {
    case HEJNAL__V1__REQUEST__BODY_QUERY:
        query_run_start(c, r->id, r->query);
        break;
    case HEJNAL__V1__REQUEST__BODY_LAST:
        query_list_last(c, r->id, r->last);
        break;
    case HEJNAL__V1__REQUEST__BODY_SERIES:
        query_list_series(c, r->id, r->series);
        break;
    case HEJNAL__V1__REQUEST__BODY_TAIL:
        query_tail_start(c, r->id, r->tail->filter);
        break;
    case HEJNAL__V1__REQUEST__BODY_STATS:
        query_report_stats(c, r->id);
        break;
    case HEJNAL__V1__REQUEST__BODY_REJECTS:
        query_report_rejects(c, r->id);
        break;
    case HEJNAL__V1__REQUEST__BODY_ERASE:
        query_delete_start(c, r->id, r->erase);
        break;
    case HEJNAL__V1__REQUEST__BODY_ADMIN:
        query_admin_start(c, r->id, r->admin);
        break;
    case HEJNAL__V1__REQUEST__BODY_HELLO:
        on_hello(c, r);
        break;
    case HEJNAL__V1__REQUEST__BODY_WRITE:
        query_write_start(c, r);
        return;
    case HEJNAL__V1__REQUEST__BODY_TAG:
        query_tag_start(c, r);
        return;
    case HEJNAL__V1__REQUEST__BODY_CANCEL:
    case HEJNAL__V1__REQUEST__BODY_CREDIT:
    case HEJNAL__V1__REQUEST__BODY__NOT_SET:
    case _HEJNAL__V1__REQUEST__BODY__CASE_IS_INT_SIZE:
    default:
        break;
    }
    frame_request_free(r);
}

void query_handle(struct query_conn *c, frame_request *r)
{
    metrics_add(METRIC_QUERY_REQUESTS, 1);
    if (!c->has_greeted && r->body_case != HEJNAL__V1__REQUEST__BODY_HELLO) {
        struct query_fault fault;
        query_fault_set(&fault, HEJNAL__V1__ERROR__CODE__MALFORMED, "",
                        "a connection starts with hello");
        query_conn_send_fault(c, r->id, &fault);
        c->is_closing = true;
    } else if (r->body_case == HEJNAL__V1__REQUEST__BODY_CANCEL) {
        on_cancel(c, r);
    } else if (r->body_case == HEJNAL__V1__REQUEST__BODY_CREDIT) {
        on_credit(c, r);
    } else if (may_start(c, r)) {
        start(c, r);
        return;
    }
    frame_request_free(r);
}
