/* A batch of libhejnal, inside: columns of values as the wire wants them, section by section.
 *
 * Sections are found again by their path and columns, so points that come in any order of series
 * still travel as columns. */

#ifndef CLIENTS_HEJNAL_BATCH_H
#define CLIENTS_HEJNAL_BATCH_H

#include "clients/hejnal.h"
#include "clients/hejnal_words.h"

/* One allocation with its names, and one with its rows. */
struct hejnal_section {
    uint64_t hash;
    const char *path;
    unsigned columns; /* Named ones; 0: `path` itself is the series. */
    uint32_t number;  /* Of its series on the connection `serial`; 0: none. */
    uint64_t serial;  /* Of the connection it was last written to; 0: none. */
    size_t rows, rows_room;
    int64_t *times;    /* Start of the rows' allocation. */
    uint64_t *present; /* A mask for each row. */
    double **value;    /* A list of `rows` for each column, absent ones too. */
    uint64_t gaps;     /* Bit c: column c is absent in some row. */
    uint64_t
        texts; /* Bit c: it has a text in some row, as text_value() of its number in `words`. */
    const char **name; /* Of the columns. */
    size_t key_bytes;  /* Of path and names. */
    void *parts[];     /* Where `value`, `name` and the texts lie. */
};

struct hejnal_batch {
    size_t sections, sections_room;
    struct hejnal_section **section;
    struct hejnal_section **used; /* Those with rows, in order of their first; as much room. */
    size_t used_count;
    size_t slots;              /* Of `slot`, a power of two, more than twice the sections. */
    uint32_t *slot;            /* Section by hash: its index + 1; 0: empty. */
    struct hejnal_section *at; /* Being filled. */
    struct hejnal_dictionary words;
    uint64_t points;
    size_t bytes;
};

/* Columns that travel: 1 for a section without names. */
static inline unsigned hejnal_section_width(const struct hejnal_section *s)
{
    return s->columns == 0 ? 1 : s->columns;
}

#endif /* CLIENTS_HEJNAL_BATCH_H */
