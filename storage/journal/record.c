#include "storage/journal/record.h"

#include "base/check.h"
#include "base/hash.h"

/* magic 'HJ', version, kind, length of the entries, producer, counter, arrival, checksum. */
enum { KIND_ENTRIES = 1, CHECKSUM_AT = BATCH_HEADER_BYTES - 8 };

/* Over all but itself, which stands as 0 meanwhile. */
static uint64_t checksum_of(uint64_t position, const uint8_t *head, struct bytes entries)
{
    uint64_t over_head = hash_seeded(position, (struct bytes){head, CHECKSUM_AT});
    return hash_seeded(over_head, entries);
}

void record_seal(uint8_t *record, uint32_t record_bytes, const struct journal_record *header)
{
    CHECK(record_bytes >= BATCH_HEADER_BYTES);
    struct writer w = {record, 0, BATCH_HEADER_BYTES};
    struct bytes entries = {record + BATCH_HEADER_BYTES, record_bytes - BATCH_HEADER_BYTES};
    enum err e = writer_put(&w, "HJ", 2);
    e = e != OK ? e : writer_put_u8(&w, RECORD_VERSION);
    e = e != OK ? e : writer_put_u8(&w, KIND_ENTRIES);
    e = e != OK ? e : writer_put_le32(&w, (uint32_t)entries.size);
    e = e != OK ? e : writer_put_le64(&w, header->producer);
    e = e != OK ? e : writer_put_le64(&w, header->counter);
    e = e != OK ? e : writer_put_le64(&w, (uint64_t)header->arrival_ns);
    e = e != OK ? e : writer_put_le64(&w, checksum_of(header->position, record, entries));
    CHECK(e == OK && w.size == BATCH_HEADER_BYTES);
}

static enum err take_kind(struct bytes *in, uint32_t *length)
{
    struct bytes magic;
    uint8_t version, kind;
    TRY(bytes_take(in, 2, &magic));
    TRY(bytes_take_u8(in, &version));
    TRY(bytes_take_u8(in, &kind));
    TRY(bytes_take_le32(in, length));
    if (!bytes_equal(magic, bytes_of("HJ"))) {
        return E_CORRUPT;
    }
    if (version != RECORD_VERSION) {
        return E_VERSION;
    }
    return kind == KIND_ENTRIES ? OK : E_CORRUPT;
}

static enum err take_head(struct bytes *in, struct journal_record *out, uint64_t *checksum)
{
    uint32_t length;
    uint64_t arrival;
    TRY(take_kind(in, &length));
    TRY(bytes_take_le64(in, &out->producer));
    TRY(bytes_take_le64(in, &out->counter));
    TRY(bytes_take_le64(in, &arrival));
    TRY(bytes_take_le64(in, checksum));
    out->arrival_ns = (int64_t)arrival;
    out->entries = *in;
    return length == in->size ? OK : E_CORRUPT;
}

enum err record_open(uint64_t position, struct bytes record, struct journal_record *out)
{
    struct journal_record found = {.position = position, .epoch = 1};
    struct bytes in = record;
    uint64_t checksum;
    out->position = position;
    enum err e = take_head(&in, &found, &checksum);
    if (e != OK) {
        return e == E_VERSION ? e : E_CORRUPT;
    }
    if (checksum != checksum_of(position, record.at, found.entries)) {
        return E_CORRUPT;
    }
    *out = found;
    return OK;
}
