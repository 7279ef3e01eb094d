/* A shared subscription: one group's members on one filter, here and on other loops, taking turns.
 * MQTT 5.0 section 4.8.2. */

#ifndef BROKER_MQTT_SHARE_H
#define BROKER_MQTT_SHARE_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/mqtt/message.h"
#include "broker/mqtt/subscriptions.h"
#include "broker/threads/loop.h"

struct members {
    struct subscription **items;
    uint32_t count, capacity;
};

MUST_USE enum err members_add(struct members *m, struct subscription *new); /* E_NO_MEMORY. */
void members_remove(struct members *m, const struct subscription *old);
void members_fini(struct members *m);

struct share {
    struct share *next;                 /* Of the same filter. */
    struct message *filter;             /* Held: its topic is the whole "$share/GROUP/FILTER". */
    struct bytes group;                 /* Inside `filter`. */
    struct members members;             /* Of this loop. */
    uint32_t here;                      /* Those of them that are connected. */
    uint32_t elsewhere, elsewhere_here; /* The same of all other loops, and of each. */
    uint32_t on_loop[LOOPS_MAX], here_on_loop[LOOPS_MAX];
    uint32_t turn, member_turn;
};

/* What other loops are told of it: how many members there are, and how many are connected. */
static inline uint64_t share_interest(const struct share *s)
{
    return (uint64_t)s->here << 32 | s->members.count;
}

/* Cut "$share/GROUP/FILTER". False: not a shared filter by [MQTT-4.8.2-1, -2]. */
bool share_split(struct bytes text, struct bytes *group, struct bytes *filter);
bool share_is_shared(struct bytes text); /* Starts like one, well-formed or not. */

MUST_USE enum err share_create(struct bytes text, struct share **out); /* E_NO_MEMORY. */
void share_destroy(struct share *s);
/* `interest`: the share_interest() of that loop. */
void share_set(struct share *s, unsigned loop, uint64_t interest);

/* Whose turn it is: `self`, or another loop with members, connected ones if there are any. There is
 * at least one member. */
unsigned share_choose_loop(struct share *s, unsigned self);
/* The member of this loop whose turn it is, one that is connected if there is any. NULL: none. */
struct subscription *share_choose_member(struct share *s);

#endif /* BROKER_MQTT_SHARE_H */
