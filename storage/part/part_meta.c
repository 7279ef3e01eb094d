#include "storage/part/part_meta.h"

#include "base/hash.h"

static const uint8_t magic[4] = {'H', 'J', 'P', 'T'};

static void put_be32(uint32_t value, uint8_t *to)
{
    for (int i = 0; i < 4; i++) {
        to[i] = (uint8_t)(value >> (24 - 8 * i));
    }
}

static uint32_t take_be32(const uint8_t *from)
{
    return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

void part_key_write(struct part_key key, uint8_t to[PART_KEY_BYTES])
{
    /* With the sign bit turned round, bytes sort as the signed times do. */
    uint64_t time = (uint64_t)key.first_ns ^ UINT64_C(1) << 63;
    put_be32(key.flush, to);
    put_be32(key.group, to + 4);
    put_be32((uint32_t)(time >> 32), to + 8);
    put_be32((uint32_t)time, to + 12);
}

enum err part_key_read(struct bytes key, struct part_key *out)
{
    if (key.size != PART_KEY_BYTES) {
        return E_CORRUPT;
    }
    uint64_t time = (uint64_t)take_be32(key.at + 8) << 32 | take_be32(key.at + 12);
    *out = (struct part_key){take_be32(key.at), take_be32(key.at + 4),
                             (int64_t)(time ^ UINT64_C(1) << 63)};
    return OK;
}

/* As it lies in the file. */
struct record {
    uint8_t magic[4];
    uint16_t version, zero;
    int64_t start_ns, end_ns;
    uint32_t flushes, zero2;
    uint64_t applied, checksum;
};
_Static_assert(sizeof(struct record) == PART_META_BYTES, "no holes");

static uint64_t checksum_of(const struct record *r)
{
    return hash_bytes((struct bytes){(const uint8_t *)r, offsetof(struct record, checksum)});
}

void part_meta_write(const struct part_meta *meta, uint8_t to[PART_META_BYTES])
{
    struct record r = {.version = meta->version,
                       .start_ns = meta->period.start_ns,
                       .end_ns = meta->period.end_ns,
                       .flushes = meta->flushes,
                       .applied = meta->applied};
    memcpy(r.magic, magic, sizeof magic);
    r.checksum = checksum_of(&r);
    memcpy(to, &r, sizeof r);
}

enum err part_meta_read(struct bytes in, struct part_meta *out)
{
    struct record r;
    if (in.size != sizeof r) {
        return E_CORRUPT;
    }
    memcpy(&r, in.at, sizeof r);
    if (memcmp(r.magic, magic, sizeof magic) != 0 || r.checksum != checksum_of(&r)) {
        return E_CORRUPT;
    }
    if (r.version < PART_VERSION || r.version > PART_VERSION_SHARED_BUNDLES) {
        return E_VERSION;
    }
    *out = (struct part_meta){{r.start_ns, r.end_ns}, r.flushes, r.applied, r.version};
    return OK;
}
