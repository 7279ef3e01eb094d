/* Administration: commands the store thread carries out; its letter comes back when they are done.
 */

#include <stdio.h>

#include "broker/query/query_handle.h"
#include "broker/query/query_task.h"

enum { QUERY_DIRECTORY_BYTES_MAX = 4096 };

_Static_assert((int)HEJNAL__V1__ADMIN__COMMAND__CHECKPOINT == (int)ADMIN_CHECKPOINT &&
                   (int)HEJNAL__V1__ADMIN__COMMAND__SEAL == (int)ADMIN_SEAL &&
                   (int)HEJNAL__V1__ADMIN__COMMAND__SNAPSHOT == (int)ADMIN_SNAPSHOT &&
                   (int)HEJNAL__V1__ADMIN__COMMAND__SNAPSHOT_REMOVE == (int)ADMIN_SNAPSHOT_REMOVE,
               "the protocol numbers commands as the store thread does");

struct query_admin {
    struct query_task task;
    struct admin_letter letter;
};

static const struct query_task_kind kind = {.bytes = sizeof(struct query_admin)};

void query_admin_start(struct query_conn *c, uint32_t id, const Hejnal__V1__Admin *admin)
{
    struct query_server *s = c->server;
    struct query_task *t = query_task_create(c, id, &kind);
    if (t == NULL) {
        return;
    }
    struct query_admin *a = (struct query_admin *)(void *)t;
    a->letter = (struct admin_letter){.letter = {LETTER_ADMIN},
                                      .command = (enum admin_command)admin->command,
                                      .reply = loop_mailbox(s->loop),
                                      .context = a};
    (void)snprintf(a->letter.name, sizeof a->letter.name, "%s", admin->name);
    t->is_held = true;
    enum err e = store_post_admin(s->options.store, &a->letter);
    if (e != OK) {
        t->is_held = false;
        query_task_fail_with(t, e);
    }
}

/* Where the snapshot is. */
static enum err tell_directory(struct query_admin *a)
{
    char directory[QUERY_DIRECTORY_BYTES_MAX];
    Hejnal__V1__SnapshotReply reply = HEJNAL__V1__SNAPSHOT_REPLY__INIT;
    frame_response part = HEJNAL__V1__RESPONSE__INIT;
    TRY(engine_snapshot_path(a->task.conn->server->options.engine, a->letter.name, directory,
                             sizeof directory));
    reply.directory = directory;
    part.body_case = HEJNAL__V1__RESPONSE__BODY_SNAPSHOT;
    part.snapshot = &reply;
    TRY(query_task_begin(&a->task));
    TRY(query_task_put(&a->task, &part));
    if (query_task_seal(&a->task)) {
        query_task_send(&a->task);
    }
    return OK;
}

void query_admin_take(void *context, struct letter *letter)
{
    struct admin_letter *reply = (struct admin_letter *)(void *)letter;
    (void)context;
    if (reply->command == ADMIN_DELETE) {
        query_delete_take(reply);
        return;
    }
    struct query_admin *a = reply->context;
    struct query_task *t = &a->task;
    t->is_held = false;
    query_conn_mark(t->conn);
    if (t->is_ended) {
        return;
    }
    enum err e = a->letter.result;
    if (e == OK && a->letter.command == ADMIN_SNAPSHOT) {
        e = tell_directory(a);
    }
    if (e == OK) {
        query_task_finish(t);
    } else if (e == E_DENIED) {
        query_fault_set(&t->fault, HEJNAL__V1__ERROR__CODE__INVALID, "name",
                        "there is a snapshot '%s' already", a->letter.name);
        query_task_fail(t, &t->fault);
    } else {
        query_task_fail_with(t, e);
    }
}
