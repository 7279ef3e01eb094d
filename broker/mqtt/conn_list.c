#include "broker/mqtt/conn_list.h"

#include "broker/mqtt/conn.h"

void conn_list_add(struct conn_list *l, struct conn *c)
{
    struct conn_link *link = &c->links[l->kind];
    if (link->is_on) {
        return;
    }
    *link = (struct conn_link){.previous = l->last, .is_on = true};
    if (l->last != NULL) {
        l->last->links[l->kind].next = c;
    } else {
        l->first = c;
    }
    l->last = c;
    l->count++;
}

void conn_list_remove(struct conn_list *l, struct conn *c)
{
    struct conn_link *link = &c->links[l->kind];
    if (!link->is_on) {
        return;
    }
    if (link->previous != NULL) {
        link->previous->links[l->kind].next = link->next;
    } else {
        l->first = link->next;
    }
    if (link->next != NULL) {
        link->next->links[l->kind].previous = link->previous;
    } else {
        l->last = link->previous;
    }
    *link = (struct conn_link){0};
    l->count--;
}

bool conn_list_has(const struct conn_list *l, const struct conn *c)
{
    return c->links[l->kind].is_on;
}

struct conn *conn_list_next(const struct conn_list *l, const struct conn *c)
{
    return c->links[l->kind].next;
}
