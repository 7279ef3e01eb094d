/* Tags: what is known about a series beside its path (unit, site, latitude, ...). Attributes, never
 * identity: correcting one forks no series.
 *
 * Texts and whole sets are kept once, however many series have them. Reading takes no lock; what it
 * gives lives as long as the catalogue, so what was replaced is given back only at a restart; all
 * of it together is bounded by TAG_MEMORY_BYTES_MAX. */

#ifndef STORAGE_CATALOGUE_CATALOGUE_TAG_H
#define STORAGE_CATALOGUE_CATALOGUE_TAG_H

#include "storage/catalogue/catalogue.h"

enum {
    TAG_KEY_BYTES_MAX = 64,
    TAG_VALUE_BYTES_MAX = 256,
    TAGS_OF_SERIES_MAX = 32, /* A request may give a series. */
    TAG_SET_MAX = 255        /* Never more, whatever requests cross each other. */
};
#define TAG_MEMORY_BYTES_MAX (UINT64_C(512) << 20)

struct tag_set; /* All tags of a series at one moment; never changes. */

struct tag {
    struct bytes key, value;
};

/* Why this is no tag, as a sentence for the one who typed it; NULL: it is one. An empty value is:
 * it removes. */
const char *catalogue_tag_fault(struct bytes key, struct bytes value);

/* Any thread. E_NOT_FOUND. */
MUST_USE enum err catalogue_tag_find(const struct catalogue *c, struct series_ref ref,
                                     struct bytes key, struct bytes *value);

/* All tags of a series, by ascending keys. NULL: it has none. Any thread. */
const struct tag_set *catalogue_tags(const struct catalogue *c, struct series_ref ref);
unsigned tag_set_count(const struct tag_set *set);
struct tag tag_set_at(const struct catalogue *c, const struct tag_set *set, unsigned index);

/* Give a series that exists a tag, or another value of it; an empty value takes it away. E_LIMIT:
 * TAG_SET_MAX, or TAG_MEMORY_BYTES_MAX. E_NO_MEMORY. */
MUST_USE enum err catalogue_tag_put(struct catalogue *c, struct series_ref ref,
                                    const struct tag *tag);

/* Memory that tags take. */
uint64_t catalogue_tag_bytes(const struct catalogue *c);

#endif /* STORAGE_CATALOGUE_CATALOGUE_TAG_H */
