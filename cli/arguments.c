#include "cli/arguments.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/timestamp.h"

static void print_row(const struct option_row *row)
{
    char left[64];
    bool has_value = row->kind != OPTION_FLAG;
    (void)snprintf(left, sizeof left, "%s%s%s", row->name, has_value ? " " : "",
                   has_value ? (row->choices != NULL ? row->choices : row->value) : "");
    if (strlen(left) > 28) {
        printf("  %s\n  %-28s %s\n", left, "", row->sentence);
    } else {
        printf("  %-28s %s\n", left, row->sentence);
    }
}

static void print_help(const struct arguments *o)
{
    printf("hejnal %s %s%s[options]\n\n%s\n\n", o->command, o->arguments,
           o->arguments[0] != 0 ? " " : "", o->sentence);
    for (unsigned i = 0; i < o->row_count; i++) {
        print_row(&o->rows[i]);
    }
    print_row(&(struct option_row){.name = "--help", .sentence = "This text."});
    printf("\nExample:\n%s", o->example);
}

static enum err complain(const struct arguments *o, const char *what, const char *word,
                         const char *right)
{
    (void)fprintf(stderr, "hejnal %s: %s '%s'; %s\n", o->command, what, word, right);
    return E_MALFORMED;
}

static enum err read_number(const struct arguments *o, const struct option_row *row,
                            const char *text)
{
    char *end, right[96];
    errno = 0;
    int64_t number = strtoll(text, &end, 10);
    if (end == text || *end != 0 || errno != 0 || number < row->least || number > row->most) {
        (void)snprintf(right, sizeof right, "%s takes a whole number from %" PRId64 " to %" PRId64,
                       row->name, row->least, row->most);
        return complain(o, "bad value", text, right);
    }
    *(int64_t *)row->into = number;
    return OK;
}

static enum err read_choice(const struct arguments *o, const struct option_row *row,
                            const char *text)
{
    size_t size = strlen(text);
    int index = 0;
    char right[160];
    for (const char *at = row->choices; *at != 0; index++) {
        size_t word = strcspn(at, "|");
        if (word == size && memcmp(at, text, size) == 0) {
            *(int *)row->into = index;
            return OK;
        }
        at += word + (at[word] == '|');
    }
    (void)snprintf(right, sizeof right, "%s takes one of %s", row->name, row->choices);
    return complain(o, "bad value", text, right);
}

static enum err read_value(const struct arguments *o, const struct option_row *row,
                           const char *text)
{
    switch (row->kind) {
    case OPTION_FLAG:
        return complain(o, "unexpected value", text, "this option takes none");
    case OPTION_TEXT:
        *(const char **)row->into = text;
        return OK;
    case OPTION_NUMBER:
        return read_number(o, row, text);
    case OPTION_TIME:
        if (timestamp_read_human(bytes_of(text), clock_wall_ns(), row->into) != OK) {
            return complain(o, "bad time", text,
                            "use RFC 3339, 2026-11-23, now, -6h, or unix s, ms, us or ns");
        }
        return OK;
    case OPTION_LENGTH:
        if (timestamp_read_length(bytes_of(text), row->into) != OK) {
            return complain(o, "bad length of time", text, "use a number and s, m, h or d: 5m");
        }
        return OK;
    case OPTION_CHOICE:
        return read_choice(o, row, text);
    }
    return E_MALFORMED;
}

/* Bytes of the option's name in `word`: up to its '=', if it has one. */
static size_t name_size(const char *word)
{
    return strncmp(word, "--", 2) == 0 ? strcspn(word, "=") : strlen(word);
}

static const struct option_row *find_row(const struct arguments *o, const char *word)
{
    size_t size = name_size(word);
    for (unsigned i = 0; i < o->row_count; i++) {
        if (strlen(o->rows[i].name) == size && memcmp(o->rows[i].name, word, size) == 0) {
            return &o->rows[i];
        }
    }
    return NULL;
}

/* A time such as "-6h", a number such as "-.5" or a lone "-" is no option. */
static bool is_option(const char *word)
{
    return word[0] == '-' && word[1] != 0 && word[1] != '.' && (word[1] < '0' || word[1] > '9');
}

static enum err read_option(struct arguments *o, int argc, char **argv, int *i)
{
    const char *word = argv[*i];
    const struct option_row *row = find_row(o, word);
    if (row == NULL) {
        return complain(o, "unknown option", word, "see --help");
    }
    const char *value = word + name_size(word);
    if (*value == '=') {
        return read_value(o, row, value + 1);
    }
    if (row->kind == OPTION_FLAG) {
        *(bool *)row->into = true;
        return OK;
    }
    if (*i + 1 >= argc) {
        return complain(o, "a value is missing behind", word, "see --help");
    }
    *i += 1;
    return read_value(o, row, argv[*i]);
}

enum err arguments_read(struct arguments *o, int argc, char **argv)
{
    bool ended = false;
    o->positional_count = 0;
    for (int i = 1; i < argc; i++) {
        if (!ended && strcmp(argv[i], "--") == 0) {
            ended = true;
        } else if (!ended && (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)) {
            print_help(o);
            return E_END;
        } else if (!ended && is_option(argv[i])) {
            TRY(read_option(o, argc, argv, &i));
        } else if (o->positional_count == o->positional_most) {
            return complain(o, "unexpected argument", argv[i], "see --help");
        } else {
            o->positional[o->positional_count++] = argv[i];
        }
    }
    if (o->positional_count < o->positional_least) {
        return complain(o, "missing", o->arguments, "see --help");
    }
    return OK;
}
