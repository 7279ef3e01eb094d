/* One column of a chunk: its entry in the directory and its two streams.
 *
 * The entry holds what a reader wants without decoding (place, size, statistics), the body holds
 * presence map and values. A column of decimals may be written as differences to an earlier one of
 * the same scale and rows: PM2.5 follows PM10. */

#ifndef CODEC_COLUMN_H
#define CODEC_COLUMN_H

#include <stdbool.h>

#include "codec/doubles.h"
#include "codec/scratch.h"

/* What the writer remembers of columns already written. */
struct column_done {
    const struct chunk_input_column *input;
    struct doubles_form form;
};

/* A chunk on its way out. */
struct column_writer {
    const struct chunk_input *in;
    uint64_t unit_ns;
    struct writer *directory, *body;
    struct chunk_scratch *scratch;
    struct column_done done[CHUNK_COLUMNS_MAX];
    unsigned count;  /* Of `done`: columns without any value are left out. */
    bool has_packed; /* A column has packed exceptions. */
};

/* Append column `input` to directory and body. E_LIMIT. */
MUST_USE enum err column_write(struct column_writer *w, const struct chunk_input_column *input);

/* Take the entry of column c->columns off the directory; c->rows, first_ns, last_ns and unit_ns are
 * set. Only the sizes of present and stream are set, not their places. E_CORRUPT. */
MUST_USE enum err column_read_entry(struct bytes *directory, struct chunk *c);

/* The same for an entry whose first three fields are not in the directory. E_CORRUPT. */
MUST_USE enum err column_read_rest(struct bytes *directory, uint8_t head, uint8_t form_byte,
                                   uint64_t stream_size, struct chunk *c);

/* Take map and stream of column `index` off the body. E_CORRUPT. */
MUST_USE enum err column_read_body(struct bytes *body, struct chunk *c, unsigned index);

/* Decode the values of column `index`, gaps closed. Not s->present. E_CORRUPT. */
MUST_USE enum err column_values(const struct chunk *c, unsigned index, struct chunk_scratch *s,
                                double *values);

#endif /* CODEC_COLUMN_H */
