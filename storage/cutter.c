#include "storage/cutter.h"

#include <stdlib.h>

#include "base/check.h"
#include "storage/columns.h"

enum {
    ENCODED_BYTES_MAX =
        64 * 1024, /* Much more than is kept, to learn by how much it is too much. */
    FILE_PAGE_BYTES = 4096,
    COLUMNS_PER_PAGE = 16,
    WASTE_BYTES_MAX = 280,  /* A full chunk this much below its page is good enough. */
    HALVE_BYTES_MAX = 3000, /* Two halves inline take less than the page up to here. */
    TRIES_MAX = 5,
    ROWS_FIRST = 1024,
    ROWS_MIN = 64
};

struct cutter {
    struct chunk_scratch *scratch;
    struct columns *columns;
    struct writer best, next; /* Encoded chunks: the best so far, and the one being tried. */
    uint32_t best_rows;       /* 0: none yet. */
    double row_bytes;         /* What a row of this group took last; 0: unknown. */
};

static enum err init(struct cutter *c)
{
    TRY(chunk_scratch_create(&c->scratch));
    TRY(columns_create(&c->columns));
    c->best = (struct writer){malloc(ENCODED_BYTES_MAX), 0, ENCODED_BYTES_MAX};
    c->next = (struct writer){malloc(ENCODED_BYTES_MAX), 0, ENCODED_BYTES_MAX};
    return c->best.at != NULL && c->next.at != NULL ? OK : E_NO_MEMORY;
}

enum err cutter_create(struct cutter **out)
{
    struct cutter *c = calloc(1, sizeof *c);
    enum err e = c == NULL ? E_NO_MEMORY : init(c);
    if (e != OK) {
        cutter_destroy(c);
        return e;
    }
    *out = c;
    return OK;
}

void cutter_destroy(struct cutter *c)
{
    if (c == NULL) {
        return;
    }
    if (c->scratch != NULL) {
        chunk_scratch_destroy(c->scratch);
    }
    columns_destroy(c->columns);
    free(c->best.at);
    free(c->next.at);
    free(c);
}

/* Encode the first `rows` rows into `next`. */
static enum err encode(struct cutter *c, uint32_t rows, struct bytes key)
{
    struct chunk_input_column list[CHUNK_COLUMNS_MAX];
    struct chunk_input input;
    struct columns_mask mask;
    columns_describe(c->columns, rows, list, &input, &mask);
    c->next.size = 0;
    enum err e = chunk_write(&input, key, c->scratch, &c->next);
    columns_unmask(c->columns, &mask);
    return e;
}

static void keep_next(struct cutter *c, uint32_t rows)
{
    struct writer swap = c->best;
    c->best = c->next;
    c->next = swap;
    c->best_rows = rows;
}

static uint32_t clamp(double rows, uint32_t least, uint32_t most)
{
    return rows <= least ? least : rows >= most ? most : (uint32_t)rows;
}

/* Find how many of the filled rows fill `page` bytes: regula falsi between a count that fits and
 * one that does not, few steps. `best` then holds that chunk. */
static enum err find_cut(struct cutter *c, struct bytes key, size_t page)
{
    const uint32_t filled = c->columns->rows;
    uint32_t too_many = filled + 1;
    uint32_t rows = c->row_bytes > 0 ? clamp((double)page / c->row_bytes, 1, filled)
                                     : clamp(ROWS_FIRST, 1, filled);
    c->best_rows = 0;
    for (int tries = 0; tries < TRIES_MAX || c->best_rows == 0; tries++) {
        enum err e = encode(c, rows, key);
        if (e != OK && (e != E_LIMIT || rows == 1)) {
            return e;
        }
        double size = e == OK ? (double)c->next.size : 2.0 * ENCODED_BYTES_MAX;
        double guess = (double)rows * ((double)page - WASTE_BYTES_MAX / 4.0) / size;
        if (size > (double)page && rows > 1) {
            too_many = rows;
            rows = clamp(guess, c->best_rows + 1, rows - 1);
        } else {
            keep_next(c, rows);
            if (size + WASTE_BYTES_MAX >= (double)page || rows + 1 >= too_many) {
                return OK;
            }
            rows = clamp(guess, rows + 1, too_many - 1);
        }
        if (c->best_rows + 1 >= too_many) {
            return OK;
        }
    }
    return OK;
}

/* A rest too large for a leaf of the file and too small for a page: take half of it. */
static enum err halve_rest(struct cutter *c, struct bytes key)
{
    if (c->best.size <= CHUNK_INLINE_BYTES || c->best.size > HALVE_BYTES_MAX || c->best_rows < 2) {
        return OK;
    }
    uint32_t half = c->best_rows / 2 + c->best_rows % 2;
    TRY(encode(c, half, key));
    if (c->next.size <= CHUNK_INLINE_BYTES) {
        keep_next(c, half);
    }
    return OK;
}

/* Rows worth filling for the next chunk: twice what is expected to fit. */
static uint32_t window(const struct cutter *c, size_t page)
{
    double expected = c->row_bytes > 0 ? (double)page / c->row_bytes : ROWS_FIRST * 4.0;
    return clamp(2 * expected + ROWS_MIN, ROWS_MIN, CHUNK_ROWS_MAX);
}

/* Write the chunk that starts at row `*at`, and move on behind it. */
static enum err write_one(struct cutter *c, uint32_t group, const struct row_set *rows, size_t *at,
                          const struct cutter_sink *sink, struct cutter_counts *counts)
{
    uint8_t raw[16];
    const struct bytes key = {raw, sizeof raw};
    const struct columns *columns = c->columns;
    TRY(sink->make_key(sink->context, group, row_set_row(rows, *at)->time_ns, raw));
    size_t pages = 1;
    TRY(columns_fill(c->columns, rows, *at, window(c, CHUNK_PAGE_BYTES)));
    pages += ((size_t)__builtin_popcountll(columns->used) - 1) / COLUMNS_PER_PAGE;
    TRY(find_cut(c, key, pages * FILE_PAGE_BYTES - (FILE_PAGE_BYTES - CHUNK_PAGE_BYTES)));
    c->row_bytes = (double)c->best.size / c->best_rows;
    if (columns->next[c->best_rows - 1] == rows->count) {
        TRY(halve_rest(c, key));
    }
    TRY(sink->put(sink->context, key, (struct bytes){c->best.at, c->best.size}));
    counts->chunks++;
    counts->chunk_bytes += c->best.size;
    counts->duplicates += columns->duplicates[c->best_rows - 1];
    counts->overwritten += columns->overwritten[c->best_rows - 1];
    *at = columns->next[c->best_rows - 1];
    return OK;
}

enum err cutter_write(struct cutter *c, uint32_t group, const struct row_set *rows,
                      const struct cutter_sink *sink, struct cutter_counts *counts)
{
    c->row_bytes = 0;
    for (size_t at = 0; at < rows->count;) {
        TRY(write_one(c, group, rows, &at, sink, counts));
    }
    return OK;
}
