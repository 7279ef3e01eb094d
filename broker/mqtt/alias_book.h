/* Topic aliases towards one client (MQTT 5.0 section 3.3.2.3.4): the first topics it is sent get
 * one each, as many as both sides allow. Topics do not change places: a sensor's dashboard hears
 * the same few for hours, and a client that hears thousands would only pay for the changing. */

#ifndef BROKER_MQTT_ALIAS_BOOK_H
#define BROKER_MQTT_ALIAS_BOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

/* Only topics of at most this size get an alias, so that a book stays small. */
enum { ALIAS_TOPIC_BYTES_MAX = 255 };

/* All-zero has none and gives none. Memory is taken with the first alias. */
struct alias_book {
    struct alias_entry *entries;
    uint16_t count, limit;
};

/* The alias of `topic` (`hash`: hash_bytes() of it), given now unless `*known`. 0: none. */
uint16_t alias_book_take(struct alias_book *b, struct bytes topic, uint64_t hash, bool *known);
/* The alias given last was not sent after all. */
void alias_book_drop(struct alias_book *b);
void alias_book_clear(struct alias_book *b);

#endif /* BROKER_MQTT_ALIAS_BOOK_H */
