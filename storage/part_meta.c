#include "storage/part_meta.h"

#include "base/check.h"
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

static enum err write_meta(const struct part_meta *meta, struct writer *w)
{
    TRY(writer_put(w, magic, sizeof magic));
    TRY(writer_put_le16(w, PART_VERSION));
    TRY(writer_put_le16(w, 0));
    TRY(writer_put_le64(w, (uint64_t)meta->period.start_ns));
    TRY(writer_put_le64(w, (uint64_t)meta->period.end_ns));
    TRY(writer_put_le32(w, meta->flushes));
    TRY(writer_put_le32(w, 0));
    TRY(writer_put_le64(w, meta->applied));
    return writer_put_le64(w, hash_bytes((struct bytes){w->at, w->size}));
}

void part_meta_write(const struct part_meta *meta, uint8_t to[PART_META_BYTES])
{
    struct writer w = {.at = to, .limit = PART_META_BYTES};
    CHECK(write_meta(meta, &w) == OK && w.size == PART_META_BYTES);
}

static enum err read_meta(struct bytes in, struct part_meta *out, uint16_t *version)
{
    struct bytes raw;
    uint16_t zero16;
    uint32_t zero32;
    uint64_t start, end, checksum;
    const struct bytes summed = {in.at, PART_META_BYTES - sizeof checksum};
    TRY(bytes_take(&in, sizeof magic, &raw));
    TRY(bytes_take_le16(&in, version));
    TRY(bytes_take_le16(&in, &zero16));
    TRY(bytes_take_le64(&in, &start));
    TRY(bytes_take_le64(&in, &end));
    TRY(bytes_take_le32(&in, &out->flushes));
    TRY(bytes_take_le32(&in, &zero32));
    TRY(bytes_take_le64(&in, &out->applied));
    TRY(bytes_take_le64(&in, &checksum));
    out->period = (struct part_period){(int64_t)start, (int64_t)end};
    return memcmp(raw.at, magic, sizeof magic) == 0 && hash_bytes(summed) == checksum ? OK
                                                                                      : E_CORRUPT;
}

enum err part_meta_read(struct bytes in, struct part_meta *out)
{
    struct part_meta meta;
    uint16_t version;
    if (in.size != PART_META_BYTES || read_meta(in, &meta, &version) != OK) {
        return E_CORRUPT;
    }
    if (version != PART_VERSION) {
        return E_VERSION;
    }
    *out = meta;
    return OK;
}
