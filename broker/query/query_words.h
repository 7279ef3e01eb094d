/* Texts among the values of an answer: each frame tells the words it uses once, and runs say which
 * rows have which (docs/PROTOCOL.md, "Numbers and texts"). Room-internal; of whoever makes the
 * frame. */

#ifndef BROKER_QUERY_QUERY_WORDS_H
#define BROKER_QUERY_QUERY_WORDS_H

#include "broker/query/query_frame.h"

enum { QUERY_WORDS_ROWS_MAX = 8192 };

/* Values as the wire wants them. */
struct query_packed {
    size_t numbers, runs;
    const double *number;
    const uint32_t *run;
};

/* Pack the values of up to QUERY_WORDS_ROWS_MAX rows: lent as they are where all are numbers. To a
 * peer that did not say it knows words, texts become NaN. Valid until the next call; the part made
 * of it has to query_words_tell(). E_NO_MEMORY. */
MUST_USE enum err query_words_pack(struct query_frame *f, const double *values, size_t rows,
                                   struct query_packed *out);

/* Put what query_words_pack() met first in this frame into the part. */
void query_words_tell(struct query_frame *f, frame_response *part);

/* A new frame: no word is told. */
void query_words_reset(struct query_words *w); /* NULL is fine. */
void query_words_destroy(struct query_words *w);

#endif /* BROKER_QUERY_QUERY_WORDS_H */
