#include "proto/frame.h"

#include <protobuf-c/protobuf-c.h>

#include "base/check.h"
#include "base/hash.h"
#include "proto/block_read.h"
#include "proto/frame_arena.h"

/* Of answers that are read block by block; others are no less right, but slower. */
enum { BLOCKS_MAX = 4096, REST_BYTES_MAX = 16 << 10, BLOCK_FIELD = 4 };

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
    TRY(frame_arena_unpack(&hejnal__v1__request__descriptor, body, body.size, &message));
    *out = message;
    return OK;
}

static enum err read_plainly(struct bytes body, frame_response **out)
{
    void *message;
    TRY(frame_arena_unpack(&hejnal__v1__response__descriptor, body, body.size, &message));
    *out = message;
    return OK;
}

/* The blocks of a response, and its other fields one behind the other. */
struct split {
    size_t count;
    struct bytes blocks[BLOCKS_MAX];
    size_t rest_size;
    uint8_t rest[REST_BYTES_MAX];
};

/* E_NOT_FOUND: no answer of blocks, or of too many, or one that protobuf-c had better judge. */
static enum err split_blocks(struct bytes in, struct split *s)
{
    s->count = s->rest_size = 0;
    while (in.size > 0) {
        const uint8_t *start = in.at;
        uint64_t tag, value;
        if (bytes_take_varint(&in, &tag) != OK || bytes_take_varint(&in, &value) != OK) {
            return E_NOT_FOUND;
        }
        const bool is_block = tag == (BLOCK_FIELD << 3 | 2);
        struct bytes part = {NULL, 0};
        if ((tag & 7) == 2 ? bytes_take(&in, value, &part) != OK : (tag & 7) != 0) {
            return E_NOT_FOUND;
        }
        const size_t size = (size_t)(in.at - start);
        if (is_block && s->count < BLOCKS_MAX) {
            s->blocks[s->count++] = part;
        } else if (!is_block && size <= REST_BYTES_MAX - s->rest_size) {
            memcpy(s->rest + s->rest_size, start, size);
            s->rest_size += size;
        } else {
            return E_NOT_FOUND;
        }
    }
    return s->count > 0 ? OK : E_NOT_FOUND;
}

static enum err read_blocks(const struct split *s, frame_response *r)
{
    r->block = frame_arena_alloc(r, s->count * sizeof(void *));
    if (r->block == NULL) {
        return E_NO_MEMORY;
    }
    for (size_t i = 0; i < s->count; i++) {
        TRY(block_read(s->blocks[i], frame_arena_alloc, r, &r->block[i]));
    }
    r->n_block = s->count;
    return OK;
}

enum err frame_response_read(struct bytes body, frame_response **out)
{
    struct split s;
    void *message;
    if (split_blocks(body, &s) != OK) {
        return read_plainly(body, out);
    }
    TRY(frame_arena_unpack(&hejnal__v1__response__descriptor, (struct bytes){s.rest, s.rest_size},
                           body.size, &message));
    const enum err e = read_blocks(&s, message);
    if (e != OK) {
        frame_arena_free(message);
        return e == E_NOT_FOUND ? read_plainly(body, out) : e;
    }
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
