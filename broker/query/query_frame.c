#include "broker/query/query_frame.h"

#include <stdlib.h>

#include "broker/query/query_words.h"

enum { KEPT_FRAMES = 2 }; /* Memory for so many full ones may stay. */

void query_frame_init(struct query_frame *f, const struct query_conn *conn, uint32_t id)
{
    *f = (struct query_frame){.conn = conn, .id = id};
}

void query_frame_fini(struct query_frame *f)
{
    query_words_destroy(f->words);
    free(f->bytes.at);
    *f = (struct query_frame){.conn = NULL};
}

void query_frame_rest(struct query_frame *f)
{
    query_words_destroy(f->words);
    f->words = NULL;
    f->conn = NULL;
    f->bytes.size = 0;
    if (f->bytes.limit > (size_t)KEPT_FRAMES * QUERY_FRAME_BYTES) {
        query_frame_fini(f);
    }
}

void query_frame_aim(struct query_frame *f, const struct query_conn *conn, uint32_t id)
{
    f->conn = conn;
    f->id = id;
}

enum err query_frame_begin(struct query_frame *f)
{
    frame_response head = HEJNAL__V1__RESPONSE__INIT;
    head.id = f->id;
    f->bytes.size = 0;
    query_words_reset(f->words);
    TRY(query_conn_reserve(&f->bytes, FRAME_LENGTH_BYTES + frame_part_size(&head)));
    TRY(frame_begin(&f->bytes, &f->start));
    TRY(frame_part(&f->bytes, &head));
    f->empty = f->bytes.size;
    return OK;
}

enum err query_frame_put(struct query_frame *f, const frame_response *part)
{
    TRY(query_conn_reserve(&f->bytes, frame_part_size(part)));
    return frame_part(&f->bytes, part);
}

struct bytes query_frame_end(struct query_frame *f)
{
    if (f->bytes.size == f->empty) {
        f->bytes.size = 0;
        return (struct bytes){NULL, 0};
    }
    return frame_end(&f->bytes, f->start);
}
