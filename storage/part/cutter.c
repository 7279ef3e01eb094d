#include "storage/part/cutter.h"

#include <stdlib.h>

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
    bool dense;
    /* Of the group being cut: */
    uint32_t group;
    bool ended;       /* The source has no more rows than are in `columns`. */
    double row_bytes; /* What a row took last; 0: unknown. */
};

static enum err init(struct cutter *c)
{
    TRY(chunk_scratch_create(&c->scratch));
    TRY(columns_create(&c->columns));
    c->best = (struct writer){malloc(ENCODED_BYTES_MAX), 0, ENCODED_BYTES_MAX};
    c->next = (struct writer){malloc(ENCODED_BYTES_MAX), 0, ENCODED_BYTES_MAX};
    return c->best.at != NULL && c->next.at != NULL ? OK : E_NO_MEMORY;
}

enum err cutter_create(bool dense, struct cutter **out)
{
    struct cutter *c = calloc(1, sizeof *c);
    enum err e = c == NULL ? E_NO_MEMORY : init(c);
    if (e != OK) {
        cutter_destroy(c);
        return e;
    }
    c->dense = dense;
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
    input.dense = c->dense;
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

/* A search for how many rows fill a page: between a count that fits (`best_rows`) and one that does
 * not. */
struct search {
    size_t page;
    uint32_t rows;     /* To be tried next. */
    uint32_t too_many; /* Known not to fit. */
};

/* Try, and narrow the search by regula falsi. E_END: `best` is good. */
static enum err try_rows(struct cutter *c, struct bytes key, struct search *s)
{
    enum err e = encode(c, s->rows, key);
    if (e != OK && (e != E_LIMIT || s->rows == 1)) {
        return e;
    }
    const double page = (double)s->page;
    const double size = e == OK ? (double)c->next.size : 2.0 * ENCODED_BYTES_MAX;
    const double guess = (double)s->rows * (page - WASTE_BYTES_MAX / 4.0) / size;
    if (size > page && s->rows > 1) {
        s->too_many = s->rows;
        s->rows = clamp(guess, c->best_rows + 1, s->rows - 1);
    } else {
        keep_next(c, s->rows);
        if (size + WASTE_BYTES_MAX >= page) {
            return E_END;
        }
        s->rows = clamp(guess, s->rows + 1, s->too_many - 1);
    }
    return c->best_rows + 1 >= s->too_many ? E_END : OK;
}

/* Leave in `best` a chunk of as many of the rows at hand as fill `page` bytes, in few steps. */
static enum err find_cut(struct cutter *c, struct bytes key, size_t page)
{
    const uint32_t filled = c->columns->rows;
    double expected = c->row_bytes > 0 ? (double)page / c->row_bytes : ROWS_FIRST;
    struct search s = {page, clamp(expected, 1, filled), filled + 1};
    c->best_rows = 0;
    for (int tries = 0; tries < TRIES_MAX || c->best_rows == 0; tries++) {
        enum err e = try_rows(c, key, &s);
        if (e != OK) {
            return e == E_END ? OK : e;
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

/* Rows worth having at hand for the next chunk: twice what is expected to fit. */
static uint32_t window(const struct cutter *c, size_t page)
{
    double expected = c->row_bytes > 0 ? (double)page / c->row_bytes : ROWS_FIRST * 4.0;
    return clamp(2 * expected + ROWS_MIN, ROWS_MIN, CHUNK_ROWS_MAX);
}

/* Leave in `best` the chunk that starts with the first row at hand. */
static enum err cut_one(struct cutter *c, struct bytes key)
{
    size_t pages = 1 + ((size_t)__builtin_popcountll(c->columns->used) - 1) / COLUMNS_PER_PAGE;
    TRY(find_cut(c, key, pages * FILE_PAGE_BYTES - (FILE_PAGE_BYTES - CHUNK_PAGE_BYTES)));
    c->row_bytes = (double)c->best.size / c->best_rows;
    bool is_rest = c->ended && c->best_rows == c->columns->rows;
    return is_rest ? halve_rest(c, key) : OK;
}

static void count(const struct cutter *c, struct cutter_counts *counts)
{
    counts->chunks++;
    counts->chunk_bytes += c->best.size;
    counts->rows += c->best_rows;
    for (uint32_t i = 0; i < c->best_rows; i++) {
        counts->duplicates += c->columns->duplicates[i];
        counts->overwritten += c->columns->overwritten[i];
    }
}

static enum err write_one(struct cutter *c, const struct cutter_sink *sink,
                          struct cutter_counts *counts)
{
    uint8_t raw[16];
    const struct bytes key = {raw, sizeof raw};
    TRY(sink->make_key(sink->context, c->group, c->columns->times[0], raw));
    TRY(cut_one(c, key));
    TRY(sink->put(sink->context, key, (struct bytes){c->best.at, c->best.size}));
    count(c, counts);
    columns_drop(c->columns, c->best_rows);
    return OK;
}

/* Offer what may be all rows of the group to those who take small groups. */
static enum err put_small(struct cutter *c, const struct cutter_sink *sink,
                          struct cutter_counts *counts)
{
    struct chunk_input_column list[CHUNK_COLUMNS_MAX];
    struct chunk_input input;
    struct columns_mask mask;
    bool is_put = false;
    if (sink->put_small == NULL || !c->ended || c->columns->rows == 0) {
        return OK;
    }
    columns_describe(c->columns, c->columns->rows, list, &input, &mask);
    enum err e = sink->put_small(sink->context, c->group, &input, &is_put);
    columns_unmask(c->columns, &mask);
    if (is_put) {
        c->best_rows = c->columns->rows;
        c->best.size = 0;
        count(c, counts);
        columns_clear(c->columns);
    }
    return e;
}

static enum err fill(struct cutter *c, const struct cutter_source *source)
{
    const uint32_t rows = window(c, CHUNK_PAGE_BYTES);
    if (!c->ended && c->columns->rows < rows) {
        TRY(source->fill(source->context, c->columns, rows));
        c->ended = c->columns->rows < rows;
    }
    return OK;
}

enum err cutter_write(struct cutter *c, uint32_t group, const struct cutter_source *source,
                      const struct cutter_sink *sink, struct cutter_counts *counts)
{
    c->group = group;
    c->ended = false;
    c->row_bytes = 0;
    columns_clear(c->columns);
    TRY(fill(c, source));
    TRY(put_small(c, sink, counts));
    while (c->columns->rows > 0) {
        TRY(write_one(c, sink, counts));
        TRY(fill(c, source));
    }
    return OK;
}
