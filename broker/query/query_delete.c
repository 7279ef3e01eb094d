/* Deletes: the store thread carries them out; its letter comes back when they are durable and what
 * they take away is out of sight. */

#include "broker/query/query_handle.h"
#include "broker/query/query_task.h"
#include "storage/erase/tombs.h"

struct query_delete {
    struct query_task task;
    struct admin_letter letter;
    size_t filter_bytes;
    uint8_t filter[BATCH_FILTER_BYTES_MAX];
};

static const struct query_task_kind kind = {.bytes = sizeof(struct query_delete)};

void query_delete_start(struct query_conn *c, uint32_t id, const Hejnal__V1__Delete *request)
{
    struct query_server *s = c->server;
    struct query_task *t = query_task_create(c, id, &kind);
    if (t == NULL) {
        return;
    }
    struct query_delete *d = (struct query_delete *)(void *)t;
    d->filter_bytes = strlen(request->filter);
    memcpy(d->filter, request->filter, d->filter_bytes); /* Its length was checked. */
    d->letter = (struct admin_letter){.letter = {LETTER_ADMIN},
                                      .command = ADMIN_DELETE,
                                      .erase = {.filter = {d->filter, d->filter_bytes},
                                                .from_ns = request->from_ns,
                                                .to_ns = request->to_ns,
                                                .wall_ns = loop_wall_ns(s->loop)},
                                      .reply = loop_mailbox(s->loop),
                                      .context = d};
    t->is_held = true;
    enum err e = store_post_admin(s->options.store, &d->letter);
    if (e != OK) {
        t->is_held = false;
        query_task_fail_with(t, e);
    }
}

static enum err tell_series(struct query_delete *d)
{
    Hejnal__V1__DeleteReply reply = HEJNAL__V1__DELETE_REPLY__INIT;
    frame_response part = HEJNAL__V1__RESPONSE__INIT;
    reply.series = d->letter.series;
    part.body_case = HEJNAL__V1__RESPONSE__BODY_ERASED;
    part.erased = &reply;
    TRY(query_task_begin(&d->task));
    TRY(query_task_put(&d->task, &part));
    if (query_task_seal(&d->task)) {
        query_task_send(&d->task);
    }
    return OK;
}

void query_delete_take(struct admin_letter *letter)
{
    struct query_delete *d = letter->context;
    struct query_task *t = &d->task;
    t->is_held = false;
    query_conn_mark(t->conn);
    if (t->is_ended) {
        return;
    }
    const enum err e = letter->result == OK ? tell_series(d) : letter->result;
    if (e == OK) {
        query_task_finish(t);
    } else if (e == E_LIMIT) {
        query_fault_set(&t->fault, HEJNAL__V1__ERROR__CODE__LIMIT, "",
                        "%d deletes wait for their partitions to be sealed; 'hejnal admin seal' "
                        "does it now",
                        TOMBS_MAX);
        query_task_fail(t, &t->fault);
    } else {
        query_task_fail_with(t, e);
    }
}
