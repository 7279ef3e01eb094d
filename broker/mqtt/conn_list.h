/* The lists a connection can stand on, all at once: joining and leaving cost nothing. */

#ifndef BROKER_MQTT_CONN_LIST_H
#define BROKER_MQTT_CONN_LIST_H

#include <stdbool.h>
#include <stddef.h>

enum conn_list_kind {
    CONN_LIST_ALL,
    CONN_LIST_DIRTY,   /* Has something to send. */
    CONN_LIST_WAITING, /* Has acknowledgements that wait for the disk. */
    CONN_LIST_STALLED, /* Not read until the store has room. */
    CONN_LIST_HELD,    /* Nothing is sent until something is on disk. */
    CONN_LISTS
};

struct conn;

struct conn_link {
    struct conn *next, *previous;
    bool is_on;
};

struct conn_list {
    enum conn_list_kind kind;
    struct conn *first, *last;
    size_t count;
};

/* At the end; already on it: fine. */
void conn_list_add(struct conn_list *l, struct conn *c);
/* Not on it: fine. */
void conn_list_remove(struct conn_list *l, struct conn *c);
bool conn_list_has(const struct conn_list *l, const struct conn *c);
struct conn *conn_list_next(const struct conn_list *l, const struct conn *c);

#endif /* BROKER_MQTT_CONN_LIST_H */
