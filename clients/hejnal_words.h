/* Texts of libhejnal, inside: an answer's columns with texts made into arrays as long as its rows;
 * a batch's dictionary; and what a request has told of it. */

#ifndef CLIENTS_HEJNAL_WORDS_H
#define CLIENTS_HEJNAL_WORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/frame.h"

/* -- Of an answer ----------------------------------------------------------------------------- */

/* A column as it came, and the words of its frame. */
struct hejnal_packed {
    size_t numbers, runs, words;
    double *number;
    const uint32_t *run;
    char **word;
};

/* Its rows, one by one. */
struct hejnal_unpacked {
    size_t room;
    double *number;    /* NaN where there is a text. */
    const char **text; /* NULL where there is a number. */
};

/* Whether the column has `rows` rows and names only words that are there. */
bool hejnal_words_are_sound(const struct hejnal_packed *p, size_t rows);

/* Unpack a sound column. False: no memory. */
bool hejnal_words_unpack(const struct hejnal_packed *p, size_t rows, struct hejnal_unpacked *out);
void hejnal_words_forget(struct hejnal_unpacked *u);

/* -- Of a batch ------------------------------------------------------------------------------- */

/* Distinct texts, by a number from 0. Zeroed: empty. */
struct hejnal_dictionary {
    uint32_t count, room, slots;
    char **word;
    uint32_t *slot; /* By hash: its number + 1; 0: empty. */
};

/* False: no memory. */
bool hejnal_words_add(struct hejnal_dictionary *d, const char *text, uint32_t *number);
void hejnal_words_clear(struct hejnal_dictionary *d);

/* What a request has told of a dictionary. Zeroed: nothing. */
struct hejnal_told {
    uint32_t *place; /* By the dictionary's number: from 1 in `list`; 0: not told. */
    uint32_t room;
    size_t count, list_room, bytes;
    ProtobufCBinaryData *list;
    uint32_t *number; /* Of `list`. */
};

/* Make room for every word of `d`. False: no memory. */
bool hejnal_words_expect(struct hejnal_told *t, const struct hejnal_dictionary *d);
/* Tell a word unless it is told. False: no memory. */
bool hejnal_words_tell(struct hejnal_told *t, const struct hejnal_dictionary *d, uint32_t number);
/* A new request. */
void hejnal_words_restart(struct hejnal_told *t);
void hejnal_words_end(struct hejnal_told *t);

#endif /* CLIENTS_HEJNAL_WORDS_H */
