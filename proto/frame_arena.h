/* The memory of one unpacked message: a few blocks that are freed together.
 *
 * protobuf-c would malloc each text and array, and a hostile peer could make it take a hundred
 * times the bytes it sent; here both are bounded. Only for frame.c. */

#ifndef PROTO_FRAME_ARENA_H
#define PROTO_FRAME_ARENA_H

#include <protobuf-c/protobuf-c.h>

#include "base/bytes.h"

/* E_MALFORMED, E_NO_MEMORY. */
MUST_USE enum err frame_arena_unpack(const ProtobufCMessageDescriptor *descriptor,
                                     struct bytes body, void **message);
void frame_arena_free(void *message); /* NULL is fine. */

#endif /* PROTO_FRAME_ARENA_H */
