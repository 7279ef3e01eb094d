/* What crosses from loop to loop: messages that are wanted there, retained changes, interest.
 *
 * Collected during a turn, one letter for each other loop, posted at its end and before any output
 * of that turn: so a SUBACK is never seen before the other loops have been told of the interest. */

#ifndef BROKER_MQTT_CROSSING_H
#define BROKER_MQTT_CROSSING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/mailbox.h"
#include "broker/mqtt/message.h"
#include "broker/threads/letter.h"
#include "broker/threads/loop.h"

enum crossing_kind {
    CROSSING_DELIVER = 1,  /* To subscribers there. */
    CROSSING_RETAIN = 2,   /* Into the replica there; may be combined with CROSSING_DELIVER. */
    CROSSING_INTEREST = 4, /* The topic is a filter, the stamp how many subscribers it has. */
    CROSSING_SHARED = 8    /* To one member of the shared subscription `filter` there. */
};

struct crossing_item {
    struct message *message; /* Held by the letter. */
    struct message *filter;  /* The same; NULL unless CROSSING_SHARED. */
    unsigned kind;
};

struct crossing_letter {
    struct letter letter; /* LETTER_CROSSING; first member. */
    unsigned from;
    uint32_t count, capacity;
    size_t bytes;
    atomic_size_t *backlog; /* Bytes under way to the reader; take `bytes` off when read. */
    struct crossing_item items[];
};

/* One loop's letters being filled. */
struct crossing {
    unsigned self, loops;
    struct mailbox *const *mailboxes;
    atomic_size_t *backlog; /* One for each loop, shared by all. */
    struct crossing_letter *filling[LOOPS_MAX];
    bool is_waiting; /* A letter was not posted for lack of room. */
};

void crossing_init(struct crossing *c, unsigned self, unsigned loops,
                   struct mailbox *const *mailboxes, atomic_size_t *backlog);
void crossing_fini(struct crossing *c);

/* Add to the letters of the loops in `loops` (bits; the own one is left out). E_NO_MEMORY: some did
 * not get it. */
MUST_USE enum err crossing_add(struct crossing *c, uint64_t loops, unsigned kind,
                               struct message *message);
/* To the shared subscription whose filter is the topic of `filter`, on one loop. E_NO_MEMORY. */
MUST_USE enum err crossing_add_shared(struct crossing *c, unsigned loop, struct message *message,
                                      struct message *filter);
/* Post what was collected; what does not fit stays for the next call. */
void crossing_post(struct crossing *c);

/* Whether some reader is so far behind that no more should be taken in. */
bool crossing_is_pressed(const struct crossing *c);

/* The reader's: take the letter off the backlog and free it, items included. */
void crossing_letter_free(struct crossing_letter *l);

#endif /* BROKER_MQTT_CROSSING_H */
