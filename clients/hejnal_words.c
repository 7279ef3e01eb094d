#include "clients/hejnal_words.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

enum { ROOM_FIRST = 16 };

/* -- Of an answer ----------------------------------------------------------------------------- */

bool hejnal_words_are_sound(const struct hejnal_packed *p, size_t rows)
{
    uint64_t all = 0, numbers = 0;
    if (p->runs == 0) {
        return p->numbers == rows;
    }
    if (p->runs % 2 != 0) {
        return false;
    }
    for (size_t i = 0; i < p->runs; i += 2) {
        if (p->run[i] > p->words) {
            return false;
        }
        all += p->run[i + 1];
        numbers += p->run[i] == 0 ? p->run[i + 1] : 0;
    }
    return all == rows && numbers == p->numbers;
}

static bool make_room(struct hejnal_unpacked *u, size_t rows)
{
    if (u->room >= rows) {
        return true;
    }
    hejnal_words_forget(u);
    u->number = calloc(rows, sizeof *u->number);
    u->text = calloc(rows, sizeof *u->text);
    u->room = rows;
    if (u->number == NULL || u->text == NULL) {
        hejnal_words_forget(u);
        return false;
    }
    return true;
}

bool hejnal_words_unpack(const struct hejnal_packed *p, size_t rows, struct hejnal_unpacked *out)
{
    const double *number = p->number;
    size_t at = 0;
    if (!make_room(out, rows)) {
        return false;
    }
    for (size_t i = 0; i < p->runs; i += 2) {
        const char *text = p->run[i] == 0 ? NULL : p->word[p->run[i] - 1];
        for (uint32_t left = p->run[i + 1]; left > 0; left--, at++) {
            out->text[at] = text;
            out->number[at] = text == NULL ? *number++ : (double)NAN;
        }
    }
    return true;
}

void hejnal_words_forget(struct hejnal_unpacked *u)
{
    free(u->number);
    free((void *)u->text);
    *u = (struct hejnal_unpacked){0};
}

/* -- Of a batch ------------------------------------------------------------------------------- */

/* The slot of a text, or a free one. */
static uint32_t *find_slot(const struct hejnal_dictionary *d, const char *text)
{
    for (uint64_t at = hash_bytes(bytes_of(text));; at++) {
        uint32_t *slot = &d->slot[at & (d->slots - 1)];
        if (*slot == 0 || strcmp(d->word[*slot - 1], text) == 0) {
            return slot;
        }
    }
}

/* Twice the room, for words and slots alike. */
static bool grow(struct hejnal_dictionary *d)
{
    const uint32_t room = d->room == 0 ? ROOM_FIRST : 2 * d->room;
    char **word = realloc((void *)d->word, room * sizeof *word);
    d->word = word != NULL ? word : d->word;
    uint32_t *slot = calloc(2 * (size_t)room, sizeof *slot);
    if (word == NULL || slot == NULL) {
        free(slot);
        return false;
    }
    free(d->slot);
    d->slot = slot;
    d->slots = 2 * room;
    d->room = room;
    for (uint32_t i = 0; i < d->count; i++) {
        *find_slot(d, d->word[i]) = i + 1;
    }
    return true;
}

bool hejnal_words_add(struct hejnal_dictionary *d, const char *text, uint32_t *number)
{
    if (d->count == d->room && !grow(d)) {
        return false;
    }
    uint32_t *slot = find_slot(d, text);
    if (*slot == 0) {
        char *copy = strdup(text);
        if (copy == NULL) {
            return false;
        }
        d->word[d->count] = copy;
        *slot = ++d->count;
    }
    *number = *slot - 1;
    return true;
}

void hejnal_words_clear(struct hejnal_dictionary *d)
{
    for (uint32_t i = 0; i < d->count; i++) {
        free(d->word[i]);
    }
    free((void *)d->word);
    free(d->slot);
    *d = (struct hejnal_dictionary){0};
}

bool hejnal_words_expect(struct hejnal_told *t, const struct hejnal_dictionary *d)
{
    if (t->room >= d->count) {
        return true;
    }
    uint32_t *place = realloc(t->place, d->count * sizeof *place);
    if (place == NULL) {
        return false;
    }
    memset(place + t->room, 0, (d->count - t->room) * sizeof *place);
    t->place = place;
    t->room = d->count;
    return true;
}

static bool grow_list(struct hejnal_told *t)
{
    const size_t room = t->list_room == 0 ? ROOM_FIRST : 2 * t->list_room;
    ProtobufCBinaryData *list = realloc(t->list, room * sizeof *list);
    t->list = list != NULL ? list : t->list;
    uint32_t *number = realloc(t->number, room * sizeof *number);
    t->number = number != NULL ? number : t->number;
    if (list == NULL || number == NULL) {
        return false;
    }
    t->list_room = room;
    return true;
}

bool hejnal_words_tell(struct hejnal_told *t, const struct hejnal_dictionary *d, uint32_t number)
{
    if (t->place[number] != 0) {
        return true;
    }
    if (t->count == t->list_room && !grow_list(t)) {
        return false;
    }
    char *word = d->word[number];
    t->list[t->count] = (ProtobufCBinaryData){strlen(word), (uint8_t *)word};
    t->number[t->count] = number;
    t->place[number] = (uint32_t)++t->count;
    t->bytes += strlen(word);
    return true;
}

void hejnal_words_restart(struct hejnal_told *t)
{
    for (size_t i = 0; i < t->count; i++) {
        t->place[t->number[i]] = 0;
    }
    t->count = 0;
    t->bytes = 0;
}

void hejnal_words_end(struct hejnal_told *t)
{
    free(t->place);
    free(t->list);
    free(t->number);
    *t = (struct hejnal_told){0};
}
