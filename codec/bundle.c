#include "codec/bundle.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/hash.h"
#include "codec/bits.h"

enum {
    MAGIC_0 = 'H',
    MAGIC_1 = 'b',
    VERSION = 1,
    FRAME_BYTES = 4, /* Magic, version, flags. */
    HEAD_BYTES_MAX = 32,
    CHECKSUM_BYTES = 8,
    ENTRY_BYTES_MAX = 8, /* Of a group's number and size. */
    TRY_BYTES = 4 * BUNDLE_BODY_BYTES_MAX
};

_Static_assert((int)CHECKSUM_BYTES >= (int)BITS_SLACK_BYTES, "decoders stay inside the bundle");

struct bundle {
    struct brief_base base;
    uint32_t groups, last;
    struct writer directory, bodies, body; /* `body`: of the group being tried. */
    uint8_t directory_bytes[BUNDLE_BYTES_MAX];
    uint8_t bodies_bytes[BUNDLE_BYTES_MAX];
    uint8_t body_bytes[TRY_BYTES];
    uint8_t value[BUNDLE_BYTES_MAX];
};

static void clear(struct bundle *p)
{
    p->groups = p->last = 0;
    p->directory = (struct writer){p->directory_bytes, 0, sizeof p->directory_bytes};
    p->bodies = (struct writer){p->bodies_bytes, 0, sizeof p->bodies_bytes};
    p->body = (struct writer){p->body_bytes, 0, sizeof p->body_bytes};
}

enum err bundle_create(struct bundle **out)
{
    struct bundle *p = malloc(sizeof *p);
    if (p == NULL) {
        return E_NO_MEMORY;
    }
    clear(p);
    *out = p;
    return OK;
}

void bundle_destroy(struct bundle *p)
{
    free(p);
}

bool bundle_is_empty(const struct bundle *p)
{
    return p->groups == 0;
}

uint32_t bundle_last(const struct bundle *p)
{
    return p->last;
}

/* What the first group's times and arrivals count from is good for its neighbours, too. */
static struct brief_base base_for(const struct chunk_input *in)
{
    return (struct brief_base){.time_s = in->times[0] / NS_PER_S,
                               .arrival_s = in->arrivals != NULL ? in->arrivals[0] : 0};
}

enum err bundle_put(struct bundle *p, uint32_t group, const struct chunk_input *in,
                    struct chunk_scratch *scratch, enum bundle_fit *fit)
{
    const struct brief_base base = p->groups == 0 ? base_for(in) : p->base;
    CHECK(p->groups == 0 || group > p->last);
    *fit = BUNDLE_LARGE;
    p->body.size = 0;
    const enum err e = brief_write(in, &base, scratch, &p->body);
    if (e != OK || p->body.size > BUNDLE_BODY_BYTES_MAX) {
        return e == E_LIMIT ? OK : e;
    }
    const size_t used = FRAME_BYTES + HEAD_BYTES_MAX + p->directory.size + p->bodies.size;
    *fit = BUNDLE_FULL;
    if (used + ENTRY_BYTES_MAX + p->body.size + CHECKSUM_BYTES > BUNDLE_BYTES_MAX) {
        return OK;
    }
    TRY(writer_put_varint(&p->directory, p->groups == 0 ? group : group - p->last - 1));
    TRY(writer_put_varint(&p->directory, p->body.size));
    TRY(writer_put(&p->bodies, p->body.at, p->body.size));
    p->base = base;
    p->last = group;
    p->groups++;
    *fit = BUNDLE_FITS;
    return OK;
}

static uint64_t checksum_of(struct bytes key, struct bytes in)
{
    return hash_seeded(hash_bytes(key), in);
}

static enum err assemble(const struct bundle *p, struct bytes key, struct writer *out)
{
    const uint8_t frame[FRAME_BYTES] = {MAGIC_0, MAGIC_1, VERSION, 0};
    TRY(writer_put(out, frame, sizeof frame));
    TRY(writer_put_varint(out, zigzag(p->base.time_s)));
    TRY(writer_put_varint(out, p->base.arrival_s));
    TRY(writer_put_varint(out, p->groups));
    TRY(writer_put(out, p->directory.at, p->directory.size));
    TRY(writer_put(out, p->bodies.at, p->bodies.size));
    return writer_put_le64(out, checksum_of(key, (struct bytes){out->at, out->size}));
}

struct bytes bundle_finish(struct bundle *p, struct bytes key)
{
    struct writer out = {p->value, 0, sizeof p->value};
    CHECK(p->groups > 0 && assemble(p, key, &out) == OK); /* There was room: bundle_put() looked. */
    clear(p);
    return (struct bytes){out.at, out.size};
}

/* The next entry of the directory; its body is not taken yet. */
static enum err take_entry(struct bundle_view *v, uint32_t *group, uint64_t *size)
{
    uint64_t skipped;
    if (bytes_take_varint(&v->directory, &skipped) != OK ||
        bytes_take_varint(&v->directory, size) != OK || *size == 0) {
        return E_CORRUPT;
    }
    const uint64_t next = v->is_walking ? (uint64_t)v->group + 1 : 0;
    if (skipped > UINT32_MAX || next + skipped > UINT32_MAX) {
        return E_CORRUPT;
    }
    *group = v->group = (uint32_t)(next + skipped);
    v->is_walking = true;
    v->left--;
    return OK;
}

/* Look through the directory: where it ends the bodies begin, which fill the rest. */
static enum err find_bodies(struct bundle_view *v)
{
    struct bundle_view walk = *v;
    uint64_t size, all = 0;
    for (uint32_t i = 0; walk.left > 0; i++) {
        TRY(take_entry(&walk, &v->last, &size));
        v->first = i == 0 ? v->last : v->first;
        if (size > v->directory.size) {
            return E_CORRUPT;
        }
        all += size;
    }
    v->bodies = walk.directory;
    v->directory.size -= walk.directory.size;
    return v->bodies.size == all ? OK : E_CORRUPT;
}

enum err bundle_open(struct bytes key, struct bytes value, struct bundle_view *out)
{
    uint64_t stored, base, arrival, groups;
    if (value.size < FRAME_BYTES + CHECKSUM_BYTES || value.at[0] != MAGIC_0 ||
        value.at[1] != MAGIC_1) {
        return E_CORRUPT;
    }
    if (value.at[2] != VERSION) {
        return E_VERSION;
    }
    const size_t size = value.size - CHECKSUM_BYTES;
    memcpy(&stored, value.at + size, sizeof stored);
    if (stored != checksum_of(key, (struct bytes){value.at, size})) {
        return E_CORRUPT;
    }
    if (value.at[3] != 0) {
        return E_VERSION; /* A flag of a later build. */
    }
    struct bytes in = {value.at + FRAME_BYTES, size - FRAME_BYTES};
    if (bytes_take_varint(&in, &base) != OK || bytes_take_varint(&in, &arrival) != OK ||
        bytes_take_varint(&in, &groups) != OK || arrival > UINT32_MAX || groups < 1 ||
        groups > in.size) {
        return E_CORRUPT;
    }
    struct bundle_view v = {
        .base = {unzigzag(base), (uint32_t)arrival}, .left = (uint32_t)groups, .directory = in};
    TRY(find_bodies(&v));
    *out = v;
    return OK;
}

enum err bundle_next(struct bundle_view *v, uint32_t *group, struct bytes *body)
{
    uint64_t size;
    if (v->left == 0) {
        return E_END;
    }
    TRY(take_entry(v, group, &size));
    return bytes_take(&v->bodies, size, body) == OK ? OK : E_CORRUPT;
}

enum err bundle_find(const struct bundle_view *v, uint32_t group, struct bytes *body)
{
    struct bundle_view walk = *v;
    struct bytes found;
    uint32_t at = 0;
    while (bundle_next(&walk, &at, &found) == OK && at <= group) {
        if (at == group) {
            *body = found;
            return OK;
        }
    }
    return E_NOT_FOUND;
}
