/* A batch of libhejnal, inside: columns of values as the wire wants them, section by section.
 *
 * Sections are found again by their path and columns, so points that come in any order of series
 * still travel as columns. */

#ifndef CLIENTS_HEJNAL_BATCH_H
#define CLIENTS_HEJNAL_BATCH_H

#include "clients/hejnal.h"
#include "clients/hejnal_words.h"

/* One allocation with its names, and one with its rows. What a row touches comes first: with many
 * series each lies elsewhere in memory, and each line of it is waited for. */
struct hejnal_section {
    int64_t *times; /* Of the rows, `rows_room` of them; behind it a mask for each row of the
                     * columns it has, then a list for each column of values, absent ones too. */
    uint32_t rows, rows_room;
    unsigned columns; /* Named ones; 0: `path` itself is the series. */
    uint32_t number;  /* Of its series on the connection `serial`; 0: none. */
    uint64_t serial;  /* Of the connection it was last written to; 0: none. */
    uint64_t gaps;    /* Bit c: column c is absent in some row. */
    uint64_t
        texts; /* Bit c: it has a text in some row, as text_value() of its number in `words`. */
    uint64_t hash;
    const char *path;
    uint32_t index;     /* In the batch. */
    uint32_t key_bytes; /* Of path and names. */
    const char *name[]; /* Of the columns; the texts lie behind. */
};

struct hejnal_batch {
    uint32_t generation; /* How often all sections were forgotten. */
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

static inline const uint64_t *hejnal_section_present(const struct hejnal_section *s)
{
    return (const uint64_t *)(s->times + s->rows_room);
}

static inline double *hejnal_section_values(const struct hejnal_section *s, unsigned column)
{
    return (double *)(void *)(s->times + (2 + (size_t)column) * s->rows_room);
}

#endif /* CLIENTS_HEJNAL_BATCH_H */
