#include "broker/config_file.h"

#include <cyaml/cyaml.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* The library reads texts only: kinds and bounds are checked by the table of settings, so that a
 * complaint can say what would be right. */
struct values {
    char *text[CONFIG_SETTINGS];
};

struct place {
    unsigned long line, column; /* From 1. */
};

/* What the library says through its log, which is where its line numbers are. */
struct report {
    char what[512];
    struct place place;
};

static void take_log(cyaml_log_t level, void *context, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

static void take_log(cyaml_log_t level, void *context, const char *format, va_list args)
{
    struct report *report = context;
    char line[512];
    (void)vsnprintf(line, sizeof line, format, args);
    line[strcspn(line, "\n")] = 0;
    if (level < CYAML_LOG_WARNING || strncmp(line, "Load: Backtrace", 15) == 0) {
        return;
    }
    const char *at = strstr(line, "(line: ");
    if (at != NULL) {
        char *end;
        if (report->place.line == 0) { /* The innermost comes first. */
            report->place.line = strtoul(at + strlen("(line: "), &end, 10);
            at = strstr(end, "column: ");
            report->place.column = at == NULL ? 1 : strtoul(at + strlen("column: "), NULL, 10);
        }
        return;
    }
    if (report->what[0] == 0) {
        const char *what = strncmp(line, "Load: ", 6) == 0 ? line + 6 : line;
        what = strncmp(what, "libyaml: ", 9) == 0 ? what + 9 : what;
        (void)snprintf(report->what, sizeof report->what, "%s", what);
    }
}

/* Whether the mapping key `name` stands at `at`: then the offset of its value, else 0. */
static size_t match_key(struct bytes text, size_t at, const char *name)
{
    const size_t size = strlen(name);
    const char *from = (const char *)text.at;
    const size_t quote = from[at] == '"' || from[at] == '\'';
    at += quote;
    if (text.size - at < size + 1 || memcmp(from + at, name, size) != 0) {
        return 0;
    }
    for (at += size + quote; at < text.size && from[at] == ' '; at++) {
    }
    if (at >= text.size || from[at] != ':') {
        return 0;
    }
    for (at++; at < text.size && from[at] == ' '; at++) {
    }
    return at;
}

/* Where the `nth` (from 1) key `name` or its value stands. False: not found. */
static bool locate(struct bytes text, const char *name, int nth, bool value, struct place *out)
{
    struct place place = {1, 1};
    bool key_may_start = true;
    for (size_t i = 0; i < text.size; i++, place.column++) {
        const char c = (char)text.at[i];
        const size_t value_at = key_may_start ? match_key(text, i, name) : 0;
        if (value_at != 0 && --nth == 0) {
            place.column += value ? value_at - i : 0;
            *out = place;
            return true;
        }
        key_may_start = c == '\n' || c == '{' || c == ',' || (key_may_start && c == ' ');
        if (c == '\n') {
            place = (struct place){place.line + 1, 0};
        }
    }
    return false;
}

static enum err complain(char complaint[CONFIG_COMPLAINT_BYTES_MAX], const char *path,
                         struct place place, const char *what)
{
    (void)snprintf(complaint, CONFIG_COMPLAINT_BYTES_MAX, "%s:%lu:%lu: %s", path,
                   place.line == 0 ? 1 : place.line, place.column == 0 ? 1 : place.column, what);
    return E_MALFORMED;
}

/* Text of the report after `prefix`; NULL: it says something else. */
static const char *after(const struct report *report, const char *prefix)
{
    const size_t size = strlen(prefix);
    return strncmp(report->what, prefix, size) == 0 ? report->what + size : NULL;
}

static enum err explain(const char *path, struct bytes text, struct report *report,
                        char complaint[CONFIG_COMPLAINT_BYTES_MAX])
{
    char what[1024];
    const char *name;
    if ((name = after(report, "Unexpected key: ")) != NULL) {
        (void)locate(text, name, 1, false, &report->place);
        (void)snprintf(what, sizeof what, "unknown setting '%s'; hejnald --help lists them all",
                       name);
    } else if ((name = after(report, "Mapping field already seen: ")) != NULL) {
        (void)locate(text, name, 2, false, &report->place);
        (void)snprintf(what, sizeof what, "'%s' is set twice; say it once", name);
    } else if (after(report, "Expecting STRING") != NULL) {
        (void)snprintf(what, sizeof what, "a list or mapping; one value belongs here");
    } else if (after(report, "Expecting MAPPING") != NULL) {
        (void)snprintf(what, sizeof what, "no settings; lines like 'mqtt_port: 1883' belong here");
    } else {
        (void)snprintf(what, sizeof what, "not YAML here or just after: %s",
                       report->what[0] != 0 ? report->what : "unreadable");
    }
    return complain(complaint, path, report->place, what);
}

static enum err apply(struct config *c, const char *path, struct bytes text,
                      const struct values *values, char complaint[CONFIG_COMPLAINT_BYTES_MAX])
{
    for (unsigned i = 0; i < CONFIG_SETTINGS; i++) {
        struct place place = {1, 1};
        char right[256], what[1024];
        if (values->text[i] == NULL || config_set(c, i, values->text[i]) == OK) {
            continue;
        }
        (void)locate(text, config_name(i), 1, true, &place);
        config_describe(i, right, sizeof right);
        (void)snprintf(what, sizeof what, "%s is '%.64s'; it must be %s", config_name(i),
                       values->text[i], right);
        return complain(complaint, path, place, what);
    }
    return OK;
}

enum err config_file_parse(struct config *c, const char *path, struct bytes text,
                           char complaint[CONFIG_COMPLAINT_BYTES_MAX])
{
    cyaml_schema_field_t fields[CONFIG_SETTINGS + 1] = {0};
    const cyaml_schema_value_t schema = {
        CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct values, fields)};
    struct report report = {0};
    const cyaml_config_t options = {.log_fn = take_log,
                                    .log_ctx = &report,
                                    .mem_fn = cyaml_mem,
                                    .log_level = CYAML_LOG_WARNING,
                                    .flags = CYAML_CFG_NO_ALIAS};
    struct values *values = NULL;
    for (unsigned i = 0; i < CONFIG_SETTINGS; i++) {
        fields[i] = (cyaml_schema_field_t){
            .key = config_name(i),
            .data_offset = (uint32_t)(i * sizeof(char *)),
            .value = {CYAML_VALUE_STRING(CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, char, 0,
                                         CYAML_UNLIMITED)}};
    }
    if (text.size == 0 || memchr(text.at, 0, text.size) != NULL) {
        return text.size == 0
                   ? OK
                   : complain(complaint, path, (struct place){1, 1}, "a 0 byte; no text");
    }
    const cyaml_err_t failed =
        cyaml_load_data(text.at, text.size, &options, &schema, (cyaml_data_t **)&values, NULL);
    enum err e = OK;
    if (failed != CYAML_OK || report.what[0] != 0) {
        e = explain(path, text, &report, complaint);
    } else if (values != NULL) { /* A file of comments sets nothing. */
        e = apply(c, path, text, values, complaint);
    }
    (void)cyaml_free(&options, &schema, values, 0);
    return e;
}

enum err config_file_read(struct config *c, const char *path,
                          char complaint[CONFIG_COMPLAINT_BYTES_MAX])
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        const enum err e = errno == ENOENT ? E_NOT_FOUND : E_IO;
        (void)snprintf(complaint, CONFIG_COMPLAINT_BYTES_MAX,
                       e == E_NOT_FOUND ? "%s: no such file" : "%s: cannot be read", path);
        return e;
    }
    enum err e = E_NO_MEMORY;
    uint8_t *text = malloc(CONFIG_FILE_BYTES_MAX + 1);
    (void)snprintf(complaint, CONFIG_COMPLAINT_BYTES_MAX, "%s: no memory to read it", path);
    if (text != NULL) {
        const size_t size = fread(text, 1, CONFIG_FILE_BYTES_MAX + 1, file);
        if (ferror(file) != 0 || size > CONFIG_FILE_BYTES_MAX) {
            (void)snprintf(complaint, CONFIG_COMPLAINT_BYTES_MAX, "%s: %s", path,
                           size > CONFIG_FILE_BYTES_MAX ? "larger than 1 MiB" : "cannot be read");
            e = E_IO;
        } else {
            e = config_file_parse(c, path, (struct bytes){text, size}, complaint);
        }
    }
    free(text);
    (void)fclose(file);
    return e;
}
