/* The subscriptions of one loop's sessions, and which other loops are interested in what.
 *
 * Both hang on one tree of filters. Other loops are told of a filter when it gets its first
 * subscriber here and when it loses its last one, so each loop knows where a message is wanted. */

#ifndef BROKER_SUBSCRIPTIONS_H
#define BROKER_SUBSCRIPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

struct filter_entry;

/* What a session embeds; all-zero at first. */
struct subscriber {
    struct subscription *first;
    uint32_t count;
};

struct subscription_options {
    uint32_t id; /* Subscription identifier of v5; 0: none. */
    uint8_t qos;
    bool no_local, retain_as_published;
};

struct subscription {
    struct subscriber *subscriber;
    struct filter_entry *entry;
    struct subscription *next, *previous; /* Of the same subscriber. */
    uint32_t index;                       /* In the entry. */
    struct subscription_options options;
};

/* What a topic matches. */
struct match {
    uint64_t loops; /* Bit i: loop i wants the message. */
    uint32_t count, capacity;
    struct subscription **items; /* Those of one subscriber stand together. */
};

struct subscriptions;

/* `on_interest` is told when a filter gains its first subscriber or loses its last. E_NO_MEMORY. */
MUST_USE enum err subscriptions_create(void (*on_interest)(void *context, struct bytes filter,
                                                           bool gained),
                                       void *context, struct subscriptions **out);
/* NULL is fine. Subscribers must have been cleared. */
void subscriptions_destroy(struct subscriptions *s);

/* Subscribe, or replace the options of the same filter (`*existed`). E_NO_MEMORY. */
MUST_USE enum err subscriptions_put(struct subscriptions *s, struct subscriber *subscriber,
                                    struct bytes filter, const struct subscription_options *options,
                                    bool *existed);
/* Whether `subscriber` has that filter. */
bool subscriptions_has(const struct subscriptions *s, const struct subscriber *subscriber,
                       struct bytes filter);
/* E_NOT_FOUND: no such subscription. */
MUST_USE enum err subscriptions_remove(struct subscriptions *s, struct subscriber *subscriber,
                                       struct bytes filter);
void subscriptions_clear(struct subscriptions *s, struct subscriber *subscriber);

/* Loop `loop` (0..63) gained or lost interest in `filter`. E_NO_MEMORY. */
MUST_USE enum err subscriptions_interest(struct subscriptions *s, struct bytes filter,
                                         unsigned loop, bool gained);

/* Nobody subscribes to anything, here or elsewhere. */
bool subscriptions_is_empty(const struct subscriptions *s);
/* Changes whenever an earlier match may no longer hold. */
uint64_t subscriptions_generation(const struct subscriptions *s);

/* Fill `m` anew; it keeps its memory (free m->items at the end). E_NO_MEMORY. */
MUST_USE enum err subscriptions_match(const struct subscriptions *s, struct bytes topic,
                                      struct match *m);

#endif /* BROKER_SUBSCRIPTIONS_H */
