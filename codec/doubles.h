/* Doubles as integers, bit for bit.
 *
 * Sensors speak decimals: value = (double)q / 10^scale with one scale for the column, which IEEE
 * division gives back exactly for up to 15 digits. What does not come back bit for bit (-0, NaN,
 * infinities, |q| >= 2^50, longer decimals) is an exception and kept as its 8 bytes, or, where they
 * are many and alike, as two streams of integers: their places and their bits. Columns with too
 * many of them become a dictionary, or the ordered bits of the doubles. After ALP (Afroozeh et al.,
 * SIGMOD 2024) with one division instead of two multiplications. */

#ifndef CODEC_DOUBLES_H
#define CODEC_DOUBLES_H

#include <stdbool.h>

#include "codec/scratch.h"

/* Numbers stand in files: never change or reuse one. */
enum doubles_mode {
    DOUBLES_SCALED = 0, /* (double)q / 10^scale. */
    DOUBLES_SINGLE = 1, /* (double)(float)((double)q / 10^scale): devices that compute in floats. */
    DOUBLES_BITS = 2,   /* The bits of the double, ordered as integers. */
    DOUBLES_DICTIONARY = 3 /* Places in a sorted table of such bits. */
};

enum { DOUBLES_SCALE_MAX = 22, DOUBLES_Q_BITS = 50 };

struct doubles_form {
    enum doubles_mode mode;
    uint8_t scale;       /* 0..DOUBLES_SCALE_MAX; 0 for the last two modes. */
    uint32_t exceptions; /* Writing: how many. Reading: whether there are any. */
    bool is_packed;      /* The exceptions are two streams of integers. */
};

/* One byte in the directory: exceptions flag << 7 | mode << 5 | scale. With packed exceptions:
 * whether the mode is single << 7 | 3 << 5 | scale + 1. */
uint8_t doubles_form_byte(const struct doubles_form *form);

/* E_CORRUPT: no such form. */
MUST_USE enum err doubles_form_of(uint8_t byte, struct doubles_form *form);

/* The value that integer `q` of a scaled column stands for. */
double doubles_value(int64_t q, uint8_t scale);

/* Find the form of `count` (1..CHUNK_ROWS_MAX) values; their integers go to s->q. For an exception
 * that is its predecessor's, to stay cheap. The mode is one of the first three. */
struct doubles_form doubles_find(const double *values, uint32_t count, struct chunk_scratch *s);

/* The same as DOUBLES_BITS, whatever would suit. */
struct doubles_form doubles_find_bits(const double *values, uint32_t count,
                                      struct chunk_scratch *s);

/* The integers of `values` under a scaled `form` that has no exceptions, as doubles_find() gives
 * them. */
void doubles_integers(const double *values, uint32_t count, uint8_t scale, int64_t *q);

/* Append what stands before the integer stream: the exceptions, as it is shorter; *form says how.
 * Uses s->other. E_LIMIT. */
MUST_USE enum err doubles_write_exceptions(struct doubles_form *form, const double *values,
                                           uint32_t count, struct chunk_scratch *s,
                                           struct writer *out);

/* Whether the integers in s->q are few, far apart and come again and again, as those of an analogue
 * input whose steps are no decimals: then a dictionary may be shorter. */
bool doubles_are_few(uint32_t count, struct chunk_scratch *s);

/* Turn bits, as s->q holds them, into a table (appended to `out`) and places in it (in s->q) where
 * that is likely smaller: then *form says DOUBLES_DICTIONARY. E_LIMIT. */
MUST_USE enum err doubles_write_dictionary(struct doubles_form *form, uint32_t count,
                                           struct chunk_scratch *s, struct writer *out);

/* What stands before the integer stream, taken off `in`. */
struct doubles_prefix {
    struct bytes exceptions; /* All of them, checked. */
    uint32_t packed;         /* Or so many: places in s->slot, bits in s->other. */
    uint32_t words;          /* Of the table, which is in s->dictionary. */
};
MUST_USE enum err doubles_read_prefix(const struct doubles_form *form, struct bytes *in,
                                      uint32_t count, struct chunk_scratch *s,
                                      struct doubles_prefix *prefix);

/* The values of the integers `q`, exceptions put in. E_CORRUPT: a place outside the table. */
MUST_USE enum err doubles_restore(const struct doubles_form *form,
                                  const struct doubles_prefix *prefix, uint32_t count,
                                  const struct chunk_scratch *s, double *values);

#endif /* CODEC_DOUBLES_H */
