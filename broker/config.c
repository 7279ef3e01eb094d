#include "broker/config.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

struct setting {
    const char *name;
    size_t offset;
    const char *text; /* Default of a text; NULL: a number. */
    const char *choices;
    int64_t fallback, least, most;
    const char *unit, *sentence;
};

#define NUMBER_ROW(name, fallback, least, most, unit, sentence)                                    \
    {#name, offsetof(struct config, name), NULL, "", fallback, least, most, unit, sentence},
#define TEXT_ROW(name, fallback, choices, sentence)                                                \
    {#name, offsetof(struct config, name), fallback, choices, 0, 0, 0, "", sentence},

static const struct setting settings[] = {CONFIG_MAP(NUMBER_ROW, TEXT_ROW)};

static void put_number(struct config *c, const struct setting *s, int64_t value)
{
    memcpy((char *)c + s->offset, &value, sizeof value);
}

static void put_text(struct config *c, const struct setting *s, const char *text)
{
    (void)snprintf((char *)c + s->offset, CONFIG_TEXT_BYTES_MAX, "%s", text);
}

void config_init(struct config *c)
{
    memset(c, 0, sizeof *c);
    for (unsigned i = 0; i < CONFIG_SETTINGS; i++) {
        if (settings[i].text != NULL) {
            put_text(c, &settings[i], settings[i].text);
        } else {
            put_number(c, &settings[i], settings[i].fallback);
        }
    }
}

const char *config_name(unsigned index)
{
    CHECK(index < CONFIG_SETTINGS);
    return settings[index].name;
}

enum err config_find(const char *name, unsigned *index)
{
    for (unsigned i = 0; i < CONFIG_SETTINGS; i++) {
        if (strcmp(settings[i].name, name) == 0) {
            *index = i;
            return OK;
        }
    }
    return E_NOT_FOUND;
}

/* Whether `text` is one of the words of `choices`. */
static bool is_choice(const char *choices, const char *text)
{
    const size_t size = strlen(text);
    for (const char *word = choices; *word != 0; word += strspn(word, " ")) {
        const size_t length = strcspn(word, " ");
        if (length == size && memcmp(word, text, size) == 0) {
            return true;
        }
        word += length;
    }
    return false;
}

static enum err set_text(struct config *c, const struct setting *s, const char *text)
{
    if (text[0] == 0 || (s->choices[0] != 0 && !is_choice(s->choices, text))) {
        return E_MALFORMED;
    }
    if (strlen(text) >= CONFIG_TEXT_BYTES_MAX) {
        return E_LIMIT;
    }
    put_text(c, s, text);
    return OK;
}

enum err config_set(struct config *c, unsigned index, const char *text)
{
    CHECK(index < CONFIG_SETTINGS);
    const struct setting *s = &settings[index];
    char *end;
    if (s->text != NULL) {
        return set_text(c, s, text);
    }
    if (text[strspn(text, "-0123456789")] != 0) {
        return E_MALFORMED; /* strtoll takes blanks and plus signs too. */
    }
    errno = 0;
    const int64_t value = strtoll(text, &end, 10);
    if (end == text || *end != 0) {
        return E_MALFORMED;
    }
    if (errno != 0 || value < s->least || value > s->most) {
        return E_LIMIT;
    }
    put_number(c, s, value);
    return OK;
}

void config_describe(unsigned index, char *to, size_t size)
{
    CHECK(index < CONFIG_SETTINGS);
    const struct setting *s = &settings[index];
    if (s->text == NULL) {
        (void)snprintf(to, size, "a whole number from %" PRId64 " to %" PRId64, s->least, s->most);
    } else if (s->choices[0] != 0) {
        (void)snprintf(to, size, "one of: %s", s->choices);
    } else {
        (void)snprintf(to, size, "a text of 1 to %d bytes", CONFIG_TEXT_BYTES_MAX - 1);
    }
}

enum err config_check(const struct config *c, char complaint[CONFIG_COMPLAINT_BYTES_MAX])
{
    if (c->journal_max_mb < 2 * c->journal_mb) {
        (void)snprintf(complaint, CONFIG_COMPLAINT_BYTES_MAX,
                       "journal_max_mb is %" PRId64
                       "; it must be at least twice journal_mb (%" PRId64 ")",
                       c->journal_max_mb, c->journal_mb);
        return E_LIMIT;
    }
    return OK;
}

bool config_same(const struct config *a, const struct config *b, unsigned index)
{
    CHECK(index < CONFIG_SETTINGS);
    const struct setting *s = &settings[index];
    const char *left = (const char *)a + s->offset, *right = (const char *)b + s->offset;
    return s->text != NULL ? strcmp(left, right) == 0 : memcmp(left, right, sizeof(int64_t)) == 0;
}

enum log_level config_log_level(const struct config *c)
{
    switch (c->log_level[0]) {
    case 'd':
        return LOG_DEBUG;
    case 'w':
        return LOG_WARN;
    case 'e':
        return LOG_ERROR;
    default:
        return LOG_INFO;
    }
}

void config_print(FILE *to)
{
    for (unsigned i = 0; i < CONFIG_SETTINGS; i++) {
        const struct setting *s = &settings[i];
        if (s->text != NULL) {
            fprintf(to, "  %-27s %-16s %s", s->name, s->text, s->sentence);
            fprintf(to, s->choices[0] != 0 ? " (%s)\n" : "\n", s->choices);
        } else {
            char value[40];
            (void)snprintf(value, sizeof value, "%" PRId64 "%s%s", s->fallback,
                           s->unit[0] != 0 ? " " : "", s->unit);
            fprintf(to, "  %-27s %-16s %s (%" PRId64 "..%" PRId64 ")\n", s->name, value,
                    s->sentence, s->least, s->most);
        }
    }
}
