/* A bundle: many groups with few rows each, in one value under one checksum.
 *
 * Where a hundred thousand sensors sent a hundred readings each, a chunk of its own would cost
 * every one of them more in headers, checksum and the file's nodes than its readings take. A bundle
 * holds groups by ascending number, each with one brief chunk of all its rows (brief.h). Bytes:
 * docs/FORMAT.md, "Bundle". Any bytes may be given to the reader. */

#ifndef CODEC_BUNDLE_H
#define CODEC_BUNDLE_H

#include "codec/brief.h"

enum {
    BUNDLE_BYTES_MAX = 8176,      /* Fills two pages of the file exactly. */
    BUNDLE_BODY_BYTES_MAX = 2014, /* A group that takes more has chunks. */
    BUNDLE_VALUES_MAX = 8192      /* Or that has more values: it is not even tried. */
};

struct bundle;
MUST_USE enum err bundle_create(struct bundle **out); /* E_NO_MEMORY. */
void bundle_destroy(struct bundle *p);                /* NULL is fine. */

bool bundle_is_empty(const struct bundle *p);
/* The last group put in, if there is one: what the bundle is stored under. */
uint32_t bundle_last(const struct bundle *p);

/* Put a group behind the last one. BUNDLE_FULL: it would fit another one; BUNDLE_LARGE: none. Then
 * the bundle is as before. */
enum bundle_fit { BUNDLE_FITS, BUNDLE_FULL, BUNDLE_LARGE };
MUST_USE enum err bundle_put(struct bundle *p, uint32_t group, const struct chunk_input *in,
                             struct chunk_scratch *scratch, enum bundle_fit *fit);

/* The value, borrowed until the next put; the bundle is empty then. The checksum covers `key`. */
struct bytes bundle_finish(struct bundle *p, struct bytes key);

/* A bundle opened for reading; borrows the value's bytes. */
struct bundle_view {
    struct brief_base base;
    uint32_t first, last; /* Groups. */
    uint32_t left, group; /* Of the walk: entries, and the group before. */
    bool is_walking;      /* There is one before. */
    struct bytes directory, bodies;
};

/* Check everything but the bodies. E_CORRUPT, E_VERSION. */
MUST_USE enum err bundle_open(struct bytes key, struct bytes value, struct bundle_view *out);

/* The next group, of a view just opened, ascending. E_END. */
MUST_USE enum err bundle_next(struct bundle_view *v, uint32_t *group, struct bytes *body);

/* E_NOT_FOUND. For brief_read() with the view's base. */
MUST_USE enum err bundle_find(const struct bundle_view *v, uint32_t group, struct bytes *body);

#endif /* CODEC_BUNDLE_H */
