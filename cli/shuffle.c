#include "cli/shuffle.h"

#include <stdlib.h>
#include <string.h>

struct entry {
    char *text;
    uint64_t number;
};

struct shuffle {
    struct entry *entries;
    size_t count, room, next;
};

static uint64_t random_next(uint64_t *state) /* splitmix64, Steele et al., OOPSLA 2014 */
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static enum err add(struct shuffle *s, const char *line)
{
    if (s->count == s->room) {
        size_t room = s->room == 0 ? 1024 : s->room * 2;
        struct entry *entries = realloc(s->entries, room * sizeof *entries);
        if (entries == NULL) {
            return E_NO_MEMORY;
        }
        s->entries = entries;
        s->room = room;
    }
    char *text = strdup(line);
    if (text == NULL) {
        return E_NO_MEMORY;
    }
    s->entries[s->count] = (struct entry){text, s->count + 1};
    s->count++;
    return OK;
}

enum err shuffle_read(struct gzip_file *file, uint64_t seed, struct shuffle **out)
{
    struct shuffle *s = calloc(1, sizeof *s);
    char *line;
    size_t size;
    enum err e = s != NULL ? OK : E_NO_MEMORY;
    while (e == OK && (e = gzip_file_line(file, &line, &size)) == OK) {
        e = add(s, line);
    }
    if (e != E_END) {
        shuffle_destroy(s);
        return e;
    }
    for (size_t i = s->count; i > 1; i--) { /* Fisher and Yates. */
        size_t j = (size_t)(random_next(&seed) % i);
        struct entry kept = s->entries[i - 1];
        s->entries[i - 1] = s->entries[j];
        s->entries[j] = kept;
    }
    *out = s;
    return OK;
}

void shuffle_destroy(struct shuffle *s)
{
    if (s != NULL) {
        for (size_t i = 0; i < s->count; i++) {
            free(s->entries[i].text);
        }
        free(s->entries);
        free(s);
    }
}

enum err shuffle_next(struct shuffle *s, char **line, uint64_t *number)
{
    if (s->next == s->count) {
        return E_END;
    }
    *line = s->entries[s->next].text;
    *number = s->entries[s->next].number;
    s->next++;
    return OK;
}
