/* Frames of the query protocol: u32 little-endian length, then one protobuf message. The door to
 * protobuf-c: packing, unpacking and freeing happen here only; the message structs themselves are
 * the generated ones, used by the query server and the client library alike. */

#ifndef PROTO_FRAME_H
#define PROTO_FRAME_H

#include <hejnal.pb-c.h>

#include "base/bytes.h"

typedef Hejnal__V1__Request frame_request;   /* Short names for the generated structs. */
typedef Hejnal__V1__Response frame_response; /* The only typedefs of the house. */

enum {
    FRAME_LENGTH_BYTES = 4,
    FRAME_BYTES_MAX = 16 << 20,        /* Of answers; a peer that announces more is closed. */
    FRAME_REQUEST_BYTES_MAX = 4 << 20, /* Of requests. */
    FRAME_VERSION = 1
};

/* Cut one frame's body off `in`. E_MORE: not whole yet. E_LIMIT: announces more than `bytes_max`.
 */
MUST_USE enum err frame_take(struct bytes *in, size_t bytes_max, struct bytes *body);

/* Parse a body; the result owns its memory: free it with frame_*_free(). E_MALFORMED. E_NO_MEMORY:
 * none left, or the message would take far more of it than its size justifies. */
MUST_USE enum err frame_request_read(struct bytes body, frame_request **out);
MUST_USE enum err frame_response_read(struct bytes body, frame_response **out);
void frame_request_free(frame_request *r); /* NULL is fine. */
void frame_response_free(frame_response *r);

/* Size of the whole frame, length included. */
size_t frame_request_size(const frame_request *r);
size_t frame_response_size(const frame_response *r);

/* Append the whole frame. E_LIMIT: does not fit; nothing written. */
MUST_USE enum err frame_request_write(struct writer *w, const frame_request *r);
MUST_USE enum err frame_response_write(struct writer *w, const frame_response *r);

/* Building an answer piece by piece: parts put after each other are one message when read, where
 * the blocks of all parts add up; of other fields each may be in one part only. `*start` is for
 * frame_end(). E_LIMIT: does not fit; nothing written. */
MUST_USE enum err frame_begin(struct writer *w, size_t *start);
MUST_USE enum err frame_part(struct writer *w, const frame_response *part);
size_t frame_part_size(const frame_response *part);
/* Returns the body. */
struct bytes frame_end(struct writer *w, size_t start);

/* The running checksum of a request's answer: start at 0, feed each frame's body in order. */
uint64_t frame_checksum(uint64_t before, struct bytes body);

#endif /* PROTO_FRAME_H */
