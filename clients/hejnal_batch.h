/* A batch of libhejnal, inside: columns of doubles as the wire wants them, section by section.
 *
 * Sections are found again by their path and columns, so points that come in any order of series
 * still travel as columns. */

#ifndef CLIENTS_HEJNAL_BATCH_H
#define CLIENTS_HEJNAL_BATCH_H

#include "clients/hejnal.h"

struct hejnal_section {
    uint64_t hash;
    char *key; /* Path and columns, each with its 0. */
    size_t key_bytes;
    const char *path;
    unsigned columns;                     /* Named ones; 0: `path` itself is the series. */
    const char *name[HEJNAL_COLUMNS_MAX]; /* In `key`. */
    size_t rows, rows_room;
    int64_t *times;
    uint64_t *present; /* A mask for each row. */
    double **value;    /* A list of `rows` for each column, absent ones too. */
    uint64_t gaps;     /* Bit c: column c is absent in some row. */
};

struct hejnal_batch {
    size_t sections, sections_room;
    struct hejnal_section **section;
    size_t slots;              /* Of `slot`, a power of two, more than twice the sections. */
    uint32_t *slot;            /* Section by hash: its index + 1; 0: empty. */
    struct hejnal_section *at; /* Being filled. */
    uint64_t points;
    size_t bytes;
};

/* Columns that travel: 1 for a section without names. */
static inline unsigned hejnal_section_width(const struct hejnal_section *s)
{
    return s->columns == 0 ? 1 : s->columns;
}

#endif /* CLIENTS_HEJNAL_BATCH_H */
