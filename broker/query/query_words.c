#include "broker/query/query_words.h"

#include <math.h>
#include <stdlib.h>

#include "base/check.h"
#include "storage/engine.h"

enum { SLOTS_FIRST = 64 };

struct query_words {
    const struct texts *texts;
    uint32_t count, room; /* Words of this frame. */
    uint32_t told;        /* Those before are in parts of it already. */
    uint32_t *id;         /* `room` of them. */
    char **text;          /* The same; borrowed from the dictionary. */
    uint32_t slots;       /* A power of two, more than twice `count`. */
    uint32_t *slot;       /* By id: its number from 1; 0: empty. */
    double number[QUERY_WORDS_ROWS_MAX];
    uint32_t run[2 * QUERY_WORDS_ROWS_MAX];
};

static uint32_t *find_slot(const struct query_words *w, uint32_t id)
{
    uint32_t at = id * UINT32_C(2654435769); /* Knuth's, so that neighbours part. */
    for (;; at++) {
        uint32_t *slot = &w->slot[at & (w->slots - 1)];
        if (*slot == 0 || w->id[*slot - 1] == id) {
            return slot;
        }
    }
}

void query_words_reset(struct query_words *w)
{
    if (w != NULL && w->count > 0) {
        memset(w->slot, 0, w->slots * sizeof *w->slot);
        w->count = 0;
        w->told = 0;
    }
}

void query_words_destroy(struct query_words *w)
{
    if (w != NULL) {
        free(w->id);
        free((void *)w->text);
        free(w->slot);
        free(w);
    }
}

/* Twice the room, for words and slots alike. */
static enum err grow(struct query_words *w)
{
    const uint32_t slots = w->slots == 0 ? SLOTS_FIRST : 2 * w->slots, room = slots / 2;
    uint32_t *id = realloc(w->id, room * sizeof *id);
    w->id = id != NULL ? id : w->id;
    char **text = realloc((void *)w->text, room * sizeof(char *));
    w->text = text != NULL ? text : w->text;
    uint32_t *slot = calloc(slots, sizeof *slot);
    if (id == NULL || text == NULL || slot == NULL) {
        free(slot);
        return E_NO_MEMORY;
    }
    free(w->slot);
    w->slot = slot;
    w->slots = slots;
    w->room = room;
    for (uint32_t i = 0; i < w->count; i++) {
        *find_slot(w, w->id[i]) = i + 1;
    }
    return OK;
}

/* The number of a text in this frame; 0: its definition was lost. */
static enum err number_of_text(struct query_words *w, uint32_t id, uint32_t *number)
{
    struct bytes text;
    if (w->count == w->room) {
        TRY(grow(w));
    }
    uint32_t *slot = find_slot(w, id);
    if (*slot == 0) {
        if (!texts_get(w->texts, id, &text)) {
            *number = 0;
            return OK;
        }
        w->id[w->count] = id;
        w->text[w->count] = query_frame_lend(text.at); /* With its 0. */
        *slot = ++w->count;
    }
    *number = *slot;
    return OK;
}

static enum err create(struct query_frame *f)
{
    struct query_words *w = calloc(1, sizeof *w);
    if (w == NULL) {
        return E_NO_MEMORY;
    }
    w->texts = engine_texts(f->conn->server->options.engine);
    f->words = w;
    return OK;
}

/* Index of the first text, or `rows`. */
static size_t find_text(const double *values, size_t rows)
{
    size_t i = 0;
    while (i < rows && !text_is_value(values[i])) {
        i++;
    }
    return i;
}

static void add_run(struct query_words *w, struct query_packed *out, uint32_t number)
{
    if (out->runs > 0 && w->run[out->runs - 2] == number) {
        w->run[out->runs - 1]++;
        return;
    }
    w->run[out->runs++] = number;
    w->run[out->runs++] = 1;
}

static enum err pack_texts(struct query_words *w, const double *values, size_t rows, bool as_nan,
                           struct query_packed *out)
{
    *out = (struct query_packed){.number = w->number, .run = w->run};
    for (size_t i = 0; i < rows; i++) {
        const bool is_text = text_is_value(values[i]);
        uint32_t number = 0;
        if (is_text && !as_nan) {
            TRY(number_of_text(w, text_id(values[i]), &number));
        }
        if (number == 0) {
            w->number[out->numbers++] = is_text ? (double)NAN : values[i];
        }
        add_run(w, out, number);
    }
    out->runs = as_nan ? 0 : out->runs;
    return OK;
}

enum err query_words_pack(struct query_frame *f, const double *values, size_t rows,
                          struct query_packed *out)
{
    CHECK(rows <= QUERY_WORDS_ROWS_MAX);
    if (find_text(values, rows) == rows) {
        *out = (struct query_packed){.numbers = rows, .number = values};
        return OK;
    }
    if (f->words == NULL) {
        TRY(create(f));
    }
    return pack_texts(f->words, values, rows, !f->conn->takes_words, out);
}

void query_words_tell(struct query_frame *f, frame_response *part)
{
    struct query_words *w = f->words;
    if (w != NULL && w->told < w->count) {
        part->n_words = w->count - w->told;
        part->words = w->text + w->told;
        w->told = w->count;
    }
}
