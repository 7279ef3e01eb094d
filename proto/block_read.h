/* Blocks of rows read from a frame as block_write() writes them, without a look at each number's
 * form. Anything else is left to protobuf-c, which reads the same. Only for frame.c. */

#ifndef PROTO_BLOCK_READ_H
#define PROTO_BLOCK_READ_H

#include <hejnal.pb-c.h>

#include "base/bytes.h"

/* The block that `in` holds; its parts are allocated by `alloc`. E_NOT_FOUND: not of the form that
 * is read here. E_NO_MEMORY. */
MUST_USE enum err block_read(struct bytes in, void *(*alloc)(void *context, size_t size),
                             void *context, Hejnal__V1__SeriesBlock **out);

#endif /* PROTO_BLOCK_READ_H */
