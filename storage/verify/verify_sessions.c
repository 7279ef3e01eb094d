/* What the broker keeps of sessions, in the table "state": every piece is read, and what it refers
 * to must be there. */

#include <inttypes.h>
#include <stdlib.h>

#include "storage/state/session_state.h"
#include "storage/verify/verify_inside.h"

enum { NUMBERS_FIRST = 64 };

/* Keys come in their order. */
static enum err add(struct verify_numbers *n, uint64_t number)
{
    if (n->count == n->capacity) {
        const size_t capacity = n->capacity == 0 ? NUMBERS_FIRST : n->capacity * 2;
        uint64_t *grown = realloc(n->at, capacity * sizeof *grown);
        if (grown == NULL) {
            return E_NO_MEMORY;
        }
        n->at = grown;
        n->capacity = capacity;
    }
    n->at[n->count++] = number;
    return OK;
}

static bool has(const struct verify_numbers *n, uint64_t number)
{
    size_t from = 0, to = n->count;
    while (from < to) {
        const size_t middle = (from + to) / 2;
        if (n->at[middle] < number) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from < n->count && n->at[from] == number;
}

void verify_sessions_fini(struct verify *v)
{
    free(v->sessions.at);
    free(v->messages.at);
    v->sessions = v->messages = (struct verify_numbers){.at = NULL};
}

static void check_references(struct verify *v, const struct session_state *s)
{
    if (!has(&v->sessions, s->session)) {
        verify_fault(v, "a piece of a session that is not there",
                     "table state space %u session %" PRIu64, (unsigned)s->kind, s->session);
    }
    if (s->kind == SESSION_STATE_QUEUED && !s->at.queued.received &&
        !has(&v->messages, s->at.queued.message)) {
        verify_fault(v, "a place in a queue without its message",
                     "table state session %" PRIu64 " sequence %" PRIu64, s->session,
                     s->at.queued.sequence);
    }
}

enum err verify_session_piece(struct verify *v, const struct batch_state *piece)
{
    struct session_state s;
    if (session_state_read(piece->space, piece->key, piece->value, &s) != OK) {
        verify_fault(v, "a piece of a session does not decode", "table state space %u",
                     (unsigned)piece->space);
        return OK;
    }
    switch (s.kind) {
    case SESSION_STATE_SESSION:
        v->totals->sessions++;
        return add(&v->sessions, s.session);
    case SESSION_STATE_MESSAGE:
        return add(&v->messages, s.at.message.number);
    case SESSION_STATE_QUEUED:
        v->totals->queued++;
        check_references(v, &s);
        return OK;
    case SESSION_STATE_SUBSCRIPTION:
    case SESSION_STATE_RECEIVED:
    case SESSION_STATE_WILL:
        check_references(v, &s);
        return OK;
    case SESSION_STATE_CROSSING:
    case SESSION_STATE_CROSSED:
    case SESSION_STATE_LOOPS:
        return OK;
    }
    return OK;
}
