/* A frame of an answer being made, part by part, on a worker or on the loop. Room-internal. */

#ifndef BROKER_QUERY_QUERY_FRAME_H
#define BROKER_QUERY_QUERY_FRAME_H

#include "broker/query/query_conn.h"

enum { QUERY_FRAME_BYTES = 128 << 10 }; /* One this full is sent. */

struct query_words;

struct query_frame {
    const struct query_conn *conn;
    uint32_t id;         /* Of the request it answers. */
    struct writer bytes; /* Size 0: there is none. */
    size_t start, empty;
    struct query_words *words; /* Texts of the frame; NULL: it met none so far. */
};

void query_frame_init(struct query_frame *f, const struct query_conn *conn, uint32_t id);
void query_frame_fini(struct query_frame *f);

/* It rests: no frame is in it, but memory for one is kept; then it is for another request. */
void query_frame_rest(struct query_frame *f);
void query_frame_aim(struct query_frame *f, const struct query_conn *conn, uint32_t id);

/* Begin, put parts (frame_part of proto/frame.h), end. E_NO_MEMORY. */
MUST_USE enum err query_frame_begin(struct query_frame *f);
MUST_USE enum err query_frame_put(struct query_frame *f, const frame_response *part);
/* Its body; of a frame without parts nothing, and none is left. */
struct bytes query_frame_end(struct query_frame *f);

/* Drops const from an array that is lent to a generated struct, which only reads it. */
static inline void *query_frame_lend(const void *array)
{
    void *lent;
    memcpy(&lent, &array, sizeof lent);
    return lent;
}

#endif /* BROKER_QUERY_QUERY_FRAME_H */
