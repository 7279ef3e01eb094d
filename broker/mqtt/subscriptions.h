/* The subscriptions of one loop's sessions, and which other loops are interested in what.
 *
 * All hang on one tree of filters. Other loops are told of a filter when it gets its first
 * subscriber here and when it loses its last one, so each loop knows where a message is wanted. Of
 * a shared subscription ("$share/GROUP/FILTER", MQTT 5.0 section 4.8.2) they are told how many
 * members it has here and how many are connected, so that whoever publishes can take turns among
 * all of them. */

#ifndef BROKER_MQTT_SUBSCRIPTIONS_H
#define BROKER_MQTT_SUBSCRIPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

struct filter_entry;
struct share;

/* What a session embeds; all-zero at first. */
struct subscriber {
    struct subscription *first;
    uint32_t count;
    uint32_t numbered; /* The number the next subscription gets. */
    bool durable;      /* What it subscribes to waits for it on disk. Set before it subscribes. */
    bool is_here;      /* It is connected: subscriptions_set_here(). */
};

struct subscription_options {
    uint32_t id; /* Subscription identifier of v5; 0: none. */
    uint8_t qos;
    bool no_local, retain_as_published;
};

struct subscription {
    struct subscriber *subscriber;
    struct filter_entry *entry;
    struct share *share;                  /* NULL: not shared. */
    struct subscription *next, *previous; /* Of the same subscriber. */
    uint32_t index;                       /* In the entry or share. */
    uint32_t number;                      /* Of the subscriber's, never used twice. */
    struct subscription_options options;
};

/* What a topic matches. */
struct match {
    uint64_t loops; /* Bit i: loop i wants the message. */
    uint32_t count, capacity;
    uint32_t share_count, share_capacity;
    struct subscription **items; /* Those of one subscriber stand together. */
    struct share **shares;       /* To each of these, one delivery in all the broker. */
};

struct subscriptions;

/* `on_interest` is told when a filter gains its first subscriber or loses its last (`interest` 1,
 * 0), and of every change of a shared one (share_interest()). E_NO_MEMORY. */
typedef void subscriptions_interest_change(void *context, struct bytes filter, uint64_t interest);
MUST_USE enum err subscriptions_create(subscriptions_interest_change *on_interest, void *context,
                                       struct subscriptions **out);
/* NULL is fine. Subscribers must have been cleared. */
void subscriptions_destroy(struct subscriptions *s);

/* Subscribe, or replace the options of the same filter (`*existed`). E_MALFORMED: "$share/" without
 * a group and a filter behind it. E_NO_MEMORY. */
MUST_USE enum err subscriptions_put(struct subscriptions *s, struct subscriber *subscriber,
                                    struct bytes filter, const struct subscription_options *options,
                                    bool *existed);
/* The subscription of `subscriber` to that filter; NULL: none. */
struct subscription *subscriptions_find(const struct subscriptions *s,
                                        const struct subscriber *subscriber, struct bytes filter);
/* E_NOT_FOUND: no such subscription. */
MUST_USE enum err subscriptions_remove(struct subscriptions *s, struct subscriber *subscriber,
                                       struct bytes filter);
void subscriptions_clear(struct subscriptions *s, struct subscriber *subscriber);
/* It has connected, or its connection has ended: shares prefer members that are here. */
void subscriptions_set_here(struct subscriptions *s, struct subscriber *subscriber, bool is_here);

/* What loop `loop` (0..63) says by its on_interest. E_MALFORMED, E_NO_MEMORY. */
MUST_USE enum err subscriptions_interest(struct subscriptions *s, struct bytes filter,
                                         unsigned loop, uint64_t interest);

/* Nobody subscribes to anything, here or elsewhere. */
bool subscriptions_is_empty(const struct subscriptions *s);
/* Changes whenever an earlier match may no longer hold. */
uint64_t subscriptions_generation(const struct subscriptions *s);

/* Fill `m` anew; it keeps its memory: match_fini() at the end. E_NO_MEMORY. */
MUST_USE enum err subscriptions_match(const struct subscriptions *s, struct bytes topic,
                                      struct match *m);
void match_fini(struct match *m);

/* The share of a "$share/..." filter; NULL: it has no members anywhere. */
struct share *subscriptions_share(const struct subscriptions *s, struct bytes filter);

#endif /* BROKER_MQTT_SUBSCRIPTIONS_H */
