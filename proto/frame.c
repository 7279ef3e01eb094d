#include "proto/frame.h"

#include <protobuf-c/protobuf-c.h>

#include "base/check.h"
#include "base/hash.h"

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
    frame_request *r = hejnal__v1__request__unpack(NULL, body.size, body.at);
    if (r == NULL) {
        return E_MALFORMED; /* Or no memory for it: the peer's message is refused either way. */
    }
    *out = r;
    return OK;
}

enum err frame_response_read(struct bytes body, frame_response **out)
{
    frame_response *r = hejnal__v1__response__unpack(NULL, body.size, body.at);
    if (r == NULL) {
        return E_MALFORMED;
    }
    *out = r;
    return OK;
}

void frame_request_free(frame_request *r)
{
    hejnal__v1__request__free_unpacked(r, NULL);
}

void frame_response_free(frame_response *r)
{
    hejnal__v1__response__free_unpacked(r, NULL);
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

uint64_t frame_checksum(uint64_t before, struct bytes body)
{
    return hash_seeded(before, body);
}
