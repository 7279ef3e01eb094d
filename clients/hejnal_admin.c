/* Commands to the server that tell little more than that they are done. */

#include <stdio.h>

#include "clients/hejnal_connection.h"

static void ask(frame_request *r, Hejnal__V1__Admin *admin, Hejnal__V1__Admin__Command what)
{
    *r = (frame_request)HEJNAL__V1__REQUEST__INIT;
    *admin = (Hejnal__V1__Admin)HEJNAL__V1__ADMIN__INIT;
    admin->command = what;
    r->body_case = HEJNAL__V1__REQUEST__BODY_ADMIN;
    r->admin = admin;
}

static enum hejnal_result command(struct hejnal *h, Hejnal__V1__Admin__Command what)
{
    Hejnal__V1__Admin admin;
    frame_request r;
    ask(&r, &admin, what);
    return hejnal_answer_call(h, &r, NULL);
}

enum hejnal_result hejnal_checkpoint(struct hejnal *h)
{
    return command(h, HEJNAL__V1__ADMIN__COMMAND__CHECKPOINT);
}

enum hejnal_result hejnal_seal(struct hejnal *h)
{
    return command(h, HEJNAL__V1__ADMIN__COMMAND__SEAL);
}

/* A generated struct lends its texts as non-const, and only reads them. */
static void name_it(Hejnal__V1__Admin *admin, const char *name)
{
    memcpy(&admin->name, &name, sizeof name);
}

enum hejnal_result hejnal_delete(struct hejnal *h, const struct hejnal_delete *d, uint64_t *series)
{
    struct hejnal_answer *a;
    Hejnal__V1__Delete erase = HEJNAL__V1__DELETE__INIT;
    frame_request r = HEJNAL__V1__REQUEST__INIT;
    if (d->filter == NULL) {
        return hejnal_connection_fail(h, HEJNAL_MISUSE, "no filter given");
    }
    memcpy(&erase.filter, &d->filter, sizeof d->filter);
    erase.from_ns = d->from_ns;
    erase.to_ns = d->to_ns;
    r.body_case = HEJNAL__V1__REQUEST__BODY_ERASE;
    r.erase = &erase;
    enum hejnal_result result = hejnal_answer_open(h, HEJNAL_KIND_DELETE, &r, &a);
    if (result != HEJNAL_OK) {
        return result;
    }
    *series = 0;
    while ((result = hejnal_answer_advance(a)) == HEJNAL_OK) {
        const frame_response *reply = a->current->response;
        if (reply->body_case == HEJNAL__V1__RESPONSE__BODY_ERASED) {
            *series = reply->erased->series;
        }
    }
    hejnal_answer_close(a);
    return result == HEJNAL_END ? HEJNAL_OK : result;
}

/* Take the directory out of the answer, to its end. */
static enum hejnal_result read_directory(struct hejnal_answer *a, char *to, size_t size)
{
    enum hejnal_result result;
    to[0] = 0;
    while ((result = hejnal_answer_advance(a)) == HEJNAL_OK) {
        const frame_response *r = a->current->response;
        if (r->body_case == HEJNAL__V1__RESPONSE__BODY_SNAPSHOT) {
            (void)snprintf(to, size, "%s", r->snapshot->directory);
        }
    }
    return result == HEJNAL_END ? HEJNAL_OK : result;
}

enum hejnal_result hejnal_snapshot(struct hejnal *h, const char *name, char *directory, size_t size)
{
    struct hejnal_answer *a;
    Hejnal__V1__Admin admin;
    frame_request r;
    if (name == NULL || directory == NULL || size == 0) {
        return hejnal_connection_fail(h, HEJNAL_MISUSE, "no name or no room for the directory");
    }
    ask(&r, &admin, HEJNAL__V1__ADMIN__COMMAND__SNAPSHOT);
    name_it(&admin, name);
    enum hejnal_result result = hejnal_answer_open(h, HEJNAL_KIND_SNAPSHOT, &r, &a);
    if (result == HEJNAL_OK) {
        result = read_directory(a, directory, size);
        hejnal_answer_close(a);
    }
    return result;
}

enum hejnal_result hejnal_snapshot_remove(struct hejnal *h, const char *name)
{
    Hejnal__V1__Admin admin;
    frame_request r;
    if (name == NULL) {
        return hejnal_connection_fail(h, HEJNAL_MISUSE, "no name given");
    }
    ask(&r, &admin, HEJNAL__V1__ADMIN__COMMAND__SNAPSHOT_REMOVE);
    name_it(&admin, name);
    return hejnal_answer_call(h, &r, NULL);
}
