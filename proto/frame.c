#include "proto/frame.h"

#include <protobuf-c/protobuf-c.h>

#include "base/check.h"
#include "base/hash.h"
#include "proto/frame_arena.h"

enum err frame_take(struct bytes *in, size_t bytes_max, struct bytes *body)
{
    struct bytes rest = *in;
    uint32_t length;

    TRY(bytes_take_le32(&rest, &length));
    if (length > bytes_max) {
        return E_LIMIT;
    }
    TRY(bytes_take(&rest, length, body));
    *in = rest;
    return OK;
}

enum err frame_request_read(struct bytes body, frame_request **out)
{
    void *message;
    TRY(frame_arena_unpack(&hejnal__v1__request__descriptor, body, &message));
    *out = message;
    return OK;
}

enum err frame_response_read(struct bytes body, frame_response **out)
{
    void *message;
    TRY(frame_arena_unpack(&hejnal__v1__response__descriptor, body, &message));
    *out = message;
    return OK;
}

void frame_request_free(frame_request *r)
{
    frame_arena_free(r);
}

void frame_response_free(frame_response *r)
{
    frame_arena_free(r);
}

size_t frame_request_size(const frame_request *r)
{
    return FRAME_LENGTH_BYTES + hejnal__v1__request__get_packed_size(r);
}

size_t frame_response_size(const frame_response *r)
{
    return FRAME_LENGTH_BYTES + hejnal__v1__response__get_packed_size(r);
}

static enum err frame_write(struct writer *w, const ProtobufCMessage *message)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    if (size > UINT32_MAX || w->limit - w->size < FRAME_LENGTH_BYTES + size) {
        return E_LIMIT;
    }
    TRY(writer_put_le32(w, (uint32_t)size));
    CHECK(protobuf_c_message_pack(message, w->at + w->size) == size);
    w->size += size;
    return OK;
}

enum err frame_request_write(struct writer *w, const frame_request *r)
{
    return frame_write(w, &r->base);
}

enum err frame_response_write(struct writer *w, const frame_response *r)
{
    return frame_write(w, &r->base);
}

enum err frame_begin(struct writer *w, size_t *start)
{
    size_t at = w->size;
    TRY(writer_put_le32(w, 0));
    *start = at;
    return OK;
}

enum err frame_part(struct writer *w, const frame_response *part)
{
    if (w->limit - w->size < protobuf_c_message_get_packed_size(&part->base)) {
        return E_LIMIT;
    }
    w->size += protobuf_c_message_pack(&part->base, w->at + w->size);
    return OK;
}

size_t frame_part_size(const frame_response *part)
{
    return protobuf_c_message_get_packed_size(&part->base);
}

struct bytes frame_end(struct writer *w, size_t start)
{
    size_t size = w->size - start - FRAME_LENGTH_BYTES;
    CHECK(size <= FRAME_BYTES_MAX);
    uint32_t length = (uint32_t)size;
    memcpy(w->at + start, &length, sizeof length);
    return (struct bytes){w->at + start + FRAME_LENGTH_BYTES, size};
}

uint64_t frame_checksum(uint64_t before, struct bytes body)
{
    return hash_seeded(before, body);
}
