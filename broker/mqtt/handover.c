/* A connection whose session lives on another loop moves there, with what was read from it.
 *
 * libev does not take a stopped socket out of its epoll set; it does so when the first event comes
 * for it, by its number, while the new loop may already be closing it. ThreadSanitizer calls that a
 * race on the descriptor; it is harmless, as only this loop's own set is touched. */

#include <stdlib.h>
#include <unistd.h>

#include "broker/mqtt/mqtt_state.h"

struct handover {
    struct letter letter; /* LETTER_CONNECTION; first member. */
    struct handover *next;
    unsigned loop;
    int fd;
    size_t size;
    uint8_t input[];
};

enum err handover_post(struct conn *c, unsigned loop, struct bytes input)
{
    struct mqtt_server *s = c->server;
    struct handover *h = malloc(sizeof *h + input.size);
    if (h == NULL) {
        conn_close(c, 0, false);
        return E_END;
    }
    *h = (struct handover){.letter.kind = LETTER_CONNECTION, .loop = loop, .size = input.size};
    memcpy(h->input, input.at, input.size);
    h->fd = conn_release_socket(c);
    if (s->handovers != NULL || mailbox_post(s->common->mailboxes[loop], h) != OK) {
        h->next = s->handovers;
        s->handovers = h;
    }
    return E_END;
}

void handover_retry(struct mqtt_server *s)
{
    while (s->handovers != NULL) {
        struct handover *h = s->handovers, *after = h->next;
        if (mailbox_post(s->common->mailboxes[h->loop], h) != OK) {
            return;
        }
        s->handovers = after;
    }
}

static void drop(struct handover *h)
{
    (void)close(h->fd);
    free(h);
}

void handover_take(void *context, struct letter *letter)
{
    struct mqtt_server *s = context;
    struct handover *h = (struct handover *)(void *)letter;
    struct conn *c;

    if (s->is_stopped) {
        drop(h);
        return;
    }
    if (conn_create(s, h->fd, (struct bytes){h->input, h->size}, &c) == OK) {
        conn_resume(c);
    }
    free(h);
}

void handover_fini(struct mqtt_server *s)
{
    while (s->handovers != NULL) {
        struct handover *h = s->handovers;
        s->handovers = h->next;
        drop(h);
    }
}
