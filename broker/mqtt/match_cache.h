/* What a topic matches, remembered until a subscription changes, so that steady publishing walks no
 * tree. One loop's. Direct mapped by hash and bounded in bytes. */

#ifndef BROKER_MQTT_MATCH_CACHE_H
#define BROKER_MQTT_MATCH_CACHE_H

#include "broker/mqtt/subscriptions.h"

struct match_cache;

/* E_NO_MEMORY. */
MUST_USE enum err match_cache_create(const struct subscriptions *s, struct match_cache **out);
void match_cache_destroy(struct match_cache *c); /* NULL is fine. */

/* `hash` is hash_bytes(topic). Borrowed until the next call or change of subscriptions.
 * E_NO_MEMORY. */
MUST_USE enum err match_cache_find(struct match_cache *c, struct bytes topic, uint64_t hash,
                                   const struct match **out);

#endif /* BROKER_MQTT_MATCH_CACHE_H */
