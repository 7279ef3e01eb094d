/* Administration: commands the store thread carries out; its letter comes back when they are done.
 */

#include "broker/query/query_handle.h"
#include "broker/query/query_task.h"

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
                                      .command = admin->command == HEJNAL__V1__ADMIN__COMMAND__SEAL
                                                     ? ADMIN_SEAL
                                                     : ADMIN_CHECKPOINT,
                                      .reply = loop_mailbox(s->loop),
                                      .context = a};
    t->is_held = true;
    enum err e = store_post_admin(s->options.store, &a->letter);
    if (e != OK) {
        t->is_held = false;
        query_task_fail_with(t, e);
    }
}

void query_admin_take(void *context, struct letter *letter)
{
    struct query_admin *a = ((struct admin_letter *)(void *)letter)->context;
    struct query_task *t = &a->task;
    (void)context;
    t->is_held = false;
    query_conn_mark(t->conn);
    if (t->is_ended) {
        return;
    }
    if (a->letter.result == OK) {
        query_task_finish(t);
    } else {
        query_task_fail_with(t, a->letter.result);
    }
}
