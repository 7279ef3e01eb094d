/* Bundled groups of a sealed part: those with few rows, many of which share one value
 * (codec/bundle.h).
 *
 * Table "bundles", key BE u32 of the last group in the bundle, so that the first key not below a
 * group finds it. A group is in one bundle or has chunks, never both. The last bundle looked at is
 * copied and kept, as what is sealed never changes: neighbours cost neither a look into the file
 * nor a checksum, and nothing is held in it. */

#ifndef STORAGE_PART_PART_BUNDLE_H
#define STORAGE_PART_PART_BUNDLE_H

#include "codec/bundle.h"
#include "storage/part/part.h"

enum { PART_BUNDLE_KEY_BYTES = 4 };

/* What is known of the groups from..to of one part. */
struct part_bundle {
    uint64_t part_id; /* 0: nothing is known. */
    uint32_t from, to;
    enum err
        state; /* OK: `view` tells; E_NOT_FOUND: they are not bundled; or why it can't be read. */
    struct bundle_view view, walk; /* `walk`: behind the group found last, */
    struct bytes body;             /* whose chunk this is. */
    uint8_t *bytes;
    size_t size, limit;
};

void part_bundle_init(struct part_bundle *k);
void part_bundle_fini(struct part_bundle *k);

/* All rows of a group, which borrows from `k` until the next call. E_NOT_FOUND: it is not bundled.
 * E_CORRUPT, E_VERSION: the bundle it should be in, if it is in one, can't be read. E_NO_MEMORY,
 * errors of part.h. */
MUST_USE enum err part_bundle_find(struct part_bundle *k, struct part *p, uint32_t group,
                                   struct chunk *out);

/* After E_CORRUPT: the bundle as it stands, and what it is stored under. */
struct bytes part_bundle_value(const struct part_bundle *k);
void part_bundle_key(const struct part_bundle *k, uint8_t key[PART_BUNDLE_KEY_BYTES]);

/* Whether a bundle whose last group is `last` stands under `key`. */
bool part_bundle_is_key(struct bytes key, uint32_t last);

/* Every bundle of a part as it stands, for offline checks. Borrowed for the call. */
MUST_USE enum err part_bundle_each(struct part *p,
                                   enum err (*visit)(void *context, struct bytes key,
                                                     struct bytes value),
                                   void *context);

/* Writing: groups come in ascending order, part_bundler_end() stores what is left. */
struct part_bundler;
MUST_USE enum err part_bundler_create(struct part_flush *f, struct part_bundler **out);
void part_bundler_destroy(struct part_bundler *k); /* NULL is fine. */

/* Whether the rows, all of the group, went into a bundle. E_NO_MEMORY, errors of kv.h. */
MUST_USE enum err part_bundler_offer(struct part_bundler *k, uint32_t group,
                                     const struct chunk_input *in, bool *is_bundled);
MUST_USE enum err part_bundler_end(struct part_bundler *k);

#endif /* STORAGE_PART_PART_BUNDLE_H */
