/* What one loop remembers of a topic it takes points from: where its series are, and the last
 * arrival time it gave. Found by a hash of the whole topic; bounded by count and bytes, then the
 * ones not used lately make room (clock algorithm). One loop's thread only. */

#ifndef BROKER_INGEST_TOPIC_ENTRY_H
#define BROKER_INGEST_TOPIC_ENTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "storage/catalogue/catalogue.h"

enum {
    TOPIC_FIELDS_MAX = 512, /* Remembered; more go through the catalogue each time. */
    TOPIC_SEARCH_MAX = 64   /* Fields looked at before asking the catalogue. */
};

struct topic_field {
    struct series_ref ref;
    uint32_t name_at; /* In the entry's names. */
    uint16_t name_bytes;
};

struct topic_entry {
    uint64_t hash;
    int64_t arrival_us; /* No arrival in the table's period was later than this; 0: none. */
    uint32_t period;
    uint32_t fields, fields_room;
    uint32_t names_bytes, names_room;
    uint64_t after_epoch;      /* `after` is alive while the table's epoch is this. */
    struct topic_entry *after; /* The one asked for after this one, last time. */
    struct topic_field *field; /* In order of first sight, which is that of every message. */
    uint8_t *names;
    uint16_t topic_bytes;
    bool used; /* Since the clock's hand last passed. */
    uint8_t topic[];
};

struct topic_table;

MUST_USE enum err topic_table_create(struct catalogue *catalogue, uint32_t topics_max,
                                     uint64_t bytes_max, struct topic_table **out);
void topic_table_destroy(struct topic_table *t); /* NULL is fine. */

/* The entry of `topic` (at most SERIES_PATH_BYTES_MAX bytes), made if new; valid until the next
 * call. E_NO_MEMORY. */
MUST_USE enum err topic_table_get(struct topic_table *t, struct bytes topic,
                                  struct topic_entry **out);

uint32_t topic_table_count(const struct topic_table *t);

/* A new period, as after the wall clock was set back: arrivals before it count no more. */
void topic_table_restart(struct topic_table *t);

/* The series of field `name`, remembered or asked for. `*cursor` starts at 0 for each message and
 * follows the order of its fields. E_NOT_FOUND: there is no such series. E_LIMIT: nor may be. */
MUST_USE enum err topic_entry_find(struct topic_table *t, struct topic_entry *e, struct bytes name,
                                   uint32_t *cursor, struct series_ref *out);

/* The same, made if new. Errors of catalogue_intern(). */
MUST_USE enum err topic_entry_add(struct topic_table *t, struct topic_entry *e, struct bytes name,
                                  uint32_t *cursor, struct series_ref *out);

#endif /* BROKER_INGEST_TOPIC_ENTRY_H */
