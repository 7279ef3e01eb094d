#include "clients/hejnal_batch.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/text.h"
#include "base/topic.h"

enum { ROWS_LEAST = 1, ROWS_MAX = 1 << 30, SLOTS_LEAST = 64, SECTIONS_KEPT = 1 << 17 };

enum hejnal_result hejnal_batch_create(struct hejnal_batch **out)
{
    struct hejnal_batch *b = calloc(1, sizeof *b);
    if (b == NULL) {
        return HEJNAL_NO_MEMORY;
    }
    *out = b;
    return HEJNAL_OK;
}

static void free_section(struct hejnal_section *s)
{
    free(s->times);
    free(s);
}

static void free_sections(struct hejnal_batch *b)
{
    for (size_t i = 0; i < b->sections; i++) {
        free_section(b->section[i]);
    }
    free(b->section);
    free(b->used);
    free(b->slot);
    hejnal_words_clear(&b->words);
    *b = (struct hejnal_batch){.generation = b->generation + 1};
}

void hejnal_batch_destroy(struct hejnal_batch *b)
{
    if (b != NULL) {
        free_sections(b);
        free(b);
    }
}

void hejnal_batch_clear(struct hejnal_batch *b)
{
    if (b->sections > SECTIONS_KEPT) {
        free_sections(b);
    }
    for (size_t i = 0; i < b->used_count; i++) {
        b->used[i]->rows = 0;
        b->used[i]->gaps = 0;
        b->used[i]->texts = 0;
    }
    b->used_count = 0;
    hejnal_words_clear(&b->words);
    b->at = NULL;
    b->points = 0;
    b->bytes = 0;
}

uint64_t hejnal_batch_points(const struct hejnal_batch *b)
{
    return b->points;
}

size_t hejnal_batch_bytes(const struct hejnal_batch *b)
{
    return b->bytes;
}

/* -- Finding a section ------------------------------------------------------------------------ */

static size_t measure_key(const char *path, const char *const *columns, unsigned count)
{
    size_t size = strlen(path) + 1;
    for (unsigned i = 0; i < count; i++) {
        size += strlen(columns[i]) + 1;
    }
    return size;
}

/* Copies a text with its 0 and moves on. */
static const char *put_text(char **to, const char *text)
{
    size_t size = strlen(text) + 1;
    char *at = *to;
    memcpy(at, text, size);
    *to += size;
    return at;
}

/* NULL: no memory. */
static struct hejnal_section *create_section(const char *path, const char *const *columns,
                                             unsigned count)
{
    const size_t key_bytes = measure_key(path, columns, count);
    if (key_bytes > UINT32_MAX) {
        return NULL;
    }
    struct hejnal_section *s = calloc(1, sizeof *s + count * sizeof s->name[0] + key_bytes);
    if (s == NULL) {
        return NULL;
    }
    s->columns = count;
    s->key_bytes = (uint32_t)key_bytes;
    char *text = (char *)(s->name + count);
    s->path = put_text(&text, path);
    for (unsigned i = 0; i < count; i++) {
        s->name[i] = put_text(&text, columns[i]);
    }
    return s;
}

static void put_slot(struct hejnal_batch *b, size_t index)
{
    size_t at = b->section[index]->hash & (b->slots - 1);
    while (b->slot[at] != 0) {
        at = (at + 1) & (b->slots - 1);
    }
    b->slot[at] = (uint32_t)index + 1;
}

static bool grow_list(struct hejnal_section ***list, size_t room)
{
    struct hejnal_section **longer = realloc(*list, room * sizeof(struct hejnal_section *));
    if (longer == NULL) {
        return false;
    }
    *list = longer;
    return true;
}

/* Room for one more section in all lists. */
static bool grow_sections(struct hejnal_batch *b)
{
    if (b->sections == b->sections_room) {
        size_t room = b->sections_room == 0 ? SLOTS_LEAST / 4 : b->sections_room * 2;
        if (!grow_list(&b->section, room) || !grow_list(&b->used, room)) {
            return false;
        }
        b->sections_room = room;
    }
    if (b->slots > 2 * (b->sections + 1)) {
        return true;
    }
    size_t slots = b->slots == 0 ? SLOTS_LEAST : b->slots * 2;
    uint32_t *slot = calloc(slots, sizeof *slot);
    if (slot == NULL) {
        return false;
    }
    free(b->slot);
    b->slot = slot;
    b->slots = slots;
    for (size_t i = 0; i < b->sections; i++) {
        put_slot(b, i);
    }
    return true;
}

static bool is_section(const struct hejnal_section *s, const char *path, const char *const *columns,
                       unsigned count)
{
    if (s->columns != count || strcmp(s->path, path) != 0) {
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(s->name[i], columns[i]) != 0) {
            return false;
        }
    }
    return true;
}

static uint64_t hash_names(const char *path, const char *const *columns, unsigned count)
{
    uint64_t hash = hash_bytes(bytes_of(path));
    for (unsigned i = 0; i < count; i++) {
        hash = hash_seeded(hash, bytes_of(columns[i]));
    }
    return hash;
}

static struct hejnal_section *find_section(const struct hejnal_batch *b, uint64_t hash,
                                           const char *path, const char *const *columns,
                                           unsigned count)
{
    for (size_t at = hash; b->slots > 0; at++) {
        uint32_t index = b->slot[at & (b->slots - 1)];
        if (index == 0) {
            break;
        }
        struct hejnal_section *s = b->section[index - 1];
        if (s->hash == hash && is_section(s, path, columns, count)) {
            return s;
        }
    }
    return NULL;
}

static struct hejnal_section *add_section(struct hejnal_batch *b, uint64_t hash, const char *path,
                                          const char *const *columns, unsigned count)
{
    struct hejnal_section *s = create_section(path, columns, count);
    if (s == NULL) {
        return NULL;
    }
    if (!grow_sections(b)) {
        free_section(s);
        return NULL;
    }
    s->hash = hash;
    s->index = (uint32_t)b->sections;
    b->section[b->sections] = s;
    put_slot(b, b->sections);
    b->sections++;
    return s;
}

enum hejnal_result hejnal_batch_section(struct hejnal_batch *b, const char *path,
                                        const char *const *columns, unsigned count)
{
    if (path == NULL || count > HEJNAL_COLUMNS_MAX || b->sections == UINT32_MAX - 1) {
        return HEJNAL_MISUSE;
    }
    uint64_t hash = hash_names(path, columns, count);
    struct hejnal_section *s = find_section(b, hash, path, columns, count);
    if (s == NULL) {
        s = add_section(b, hash, path, columns, count);
    }
    if (s == NULL) {
        return HEJNAL_NO_MEMORY;
    }
    b->at = s;
    return HEJNAL_OK;
}

uint64_t hejnal_batch_mark(const struct hejnal_batch *b)
{
    return b->at == NULL ? 0 : (uint64_t)b->generation << 32 | (b->at->index + 1);
}

enum hejnal_result hejnal_batch_select(struct hejnal_batch *b, uint64_t mark)
{
    const uint32_t place = (uint32_t)mark; /* From 1. */
    if (mark >> 32 != b->generation || place == 0 || place > b->sections) {
        return HEJNAL_MISUSE;
    }
    b->at = b->section[place - 1];
    return HEJNAL_OK;
}

/* -- Rows ------------------------------------------------------------------------------------- */

/* Twice the room. */
static bool grow_rows(struct hejnal_section *s)
{
    if (s->rows_room >= ROWS_MAX) {
        return false;
    }
    const uint32_t room = s->rows_room == 0 ? ROWS_LEAST : s->rows_room * 2;
    const size_t lists = 2 + hejnal_section_width(s); /* Of eight bytes a row, all of them. */
    int64_t *grown = malloc(room * lists * sizeof *grown);
    if (grown == NULL) {
        return false;
    }
    for (size_t i = 0; i < lists && s->rows > 0; i++) {
        memcpy(grown + i * room, s->times + i * s->rows_room, s->rows * sizeof *grown);
    }
    free(s->times);
    s->times = grown;
    s->rows_room = room;
    return true;
}

static uint64_t all_columns(const struct hejnal_section *s)
{
    return UINT64_MAX >> (HEJNAL_COLUMNS_MAX - hejnal_section_width(s));
}

/* Values that are checked; texts stand as the numbers of their words. */
static enum hejnal_result add_row(struct hejnal_batch *b, int64_t time_ns, const double *values,
                                  uint64_t present)
{
    struct hejnal_section *s = b->at;
    const unsigned width = hejnal_section_width(s);
    const uint64_t all = all_columns(s);
    if (s->rows == s->rows_room && !grow_rows(s)) {
        return HEJNAL_NO_MEMORY;
    }
    if (s->rows == 0) {
        b->bytes += s->key_bytes;
        b->used[b->used_count++] = s;
    }
    int64_t *at = s->times + s->rows;
    at[0] = time_ns;
    memcpy(at + s->rows_room, &present, sizeof present);
    for (size_t i = 0; i < width; i++) {
        memcpy(at + (2 + i) * s->rows_room, &values[i], sizeof values[i]);
    }
    s->gaps |= all & ~present;
    s->rows++;
    unsigned points = (unsigned)__builtin_popcountll(present);
    b->points += points;
    b->bytes += 6 + points * sizeof(double); /* A time takes about six. */
    return HEJNAL_OK;
}

enum hejnal_result hejnal_batch_row(struct hejnal_batch *b, int64_t time_ns, const double *values,
                                    uint64_t present)
{
    if (b->at == NULL) {
        return HEJNAL_MISUSE;
    }
    present &= all_columns(b->at);
    for (unsigned i = 0; i < hejnal_section_width(b->at); i++) {
        if (text_is_value(values[i]) && (present >> i & 1) != 0) {
            return HEJNAL_MISUSE;
        }
    }
    return add_row(b, time_ns, values, present);
}

/* What stands for a value in the rows. */
static enum hejnal_result take_value(struct hejnal_batch *b, const struct hejnal_value *value,
                                     double *out)
{
    uint32_t number;
    if (value->text == NULL) {
        *out = value->number;
        return text_is_value(value->number) ? HEJNAL_MISUSE : HEJNAL_OK;
    }
    const struct bytes text = bytes_of(value->text);
    if (text.size > TEXT_BYTES_MAX || !topic_is_utf8(text)) {
        return HEJNAL_MISUSE;
    }
    const uint32_t known = b->words.count;
    if (!hejnal_words_add(&b->words, value->text, &number)) {
        return HEJNAL_NO_MEMORY;
    }
    b->bytes += b->words.count > known ? text.size : 0;
    *out = text_value(number);
    return HEJNAL_OK;
}

enum hejnal_result hejnal_batch_values(struct hejnal_batch *b, int64_t time_ns,
                                       const struct hejnal_value *values, uint64_t present)
{
    double row[HEJNAL_COLUMNS_MAX] = {0};
    uint64_t texts = 0;
    if (b->at == NULL) {
        return HEJNAL_MISUSE;
    }
    present &= all_columns(b->at);
    for (uint64_t left = present; left != 0; left &= left - 1) {
        const unsigned i = (unsigned)__builtin_ctzll(left);
        const enum hejnal_result result = take_value(b, &values[i], &row[i]);
        if (result != HEJNAL_OK) {
            return result;
        }
        texts |= values[i].text != NULL ? UINT64_C(1) << i : 0;
    }
    const enum hejnal_result result = add_row(b, time_ns, row, present);
    b->at->texts |= result == HEJNAL_OK ? texts : 0;
    return result;
}
