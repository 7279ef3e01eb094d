/* The memory of one unpacked message: a few blocks that are freed together.
 *
 * protobuf-c would malloc each text and array, and a hostile peer could make it take a hundred
 * times the bytes it sent; here both are bounded. Only for frame.c. */

#ifndef PROTO_FRAME_ARENA_H
#define PROTO_FRAME_ARENA_H

#include <protobuf-c/protobuf-c.h>

#include "base/bytes.h"

/* Unpack `body`, in memory as is right for a message of `whole` bytes. E_MALFORMED, E_NO_MEMORY. */
MUST_USE enum err frame_arena_unpack(const ProtobufCMessageDescriptor *descriptor,
                                     struct bytes body, size_t whole, void **message);
/* More memory for the parts of an unpacked message. NULL: none left for it. */
void *frame_arena_alloc(void *message, size_t size);
void frame_arena_free(void *message); /* NULL is fine. */

#endif /* PROTO_FRAME_ARENA_H */
