#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/server.h"
#include "cli/table.h"
#include "cli/visible.h"

enum form { FORM_TABLE, FORM_CSV, FORM_JSONL };

static enum hejnal_result print_paths(struct hejnal *h, const char *filter)
{
    const bool is_terminal = isatty(STDOUT_FILENO) != 0;
    struct hejnal_answer *answer = NULL;
    const char *path;
    enum hejnal_result result = hejnal_series(h, filter, &answer);
    while (result == HEJNAL_OK && (result = hejnal_next_series(answer, &path)) == HEJNAL_OK) {
        char *shown = is_terminal ? visible_text(bytes_of(path)) : NULL;
        (void)puts(shown != NULL ? shown : path);
        free(shown);
    }
    hejnal_answer_close(answer);
    return result;
}

/* A line of CSV for each tag. */
static void put_csv(struct out *out, const struct hejnal_tagged *s)
{
    for (size_t i = 0; i < s->tag_count; i++) {
        out_csv(out, s->path);
        out_put(out, ",", 1);
        out_csv(out, s->tags[i].key);
        out_put(out, ",", 1);
        out_csv(out, s->tags[i].value);
        out_put(out, "\n", 1);
    }
}

static void put_json(struct out *out, const struct hejnal_tagged *s)
{
    out_text(out, "{\"series\":");
    out_json(out, s->path);
    out_text(out, ",\"tags\":{");
    for (size_t i = 0; i < s->tag_count; i++) {
        out_text(out, i == 0 ? "" : ",");
        out_json(out, s->tags[i].key);
        out_text(out, ":");
        out_json(out, s->tags[i].value);
    }
    out_text(out, "}}\n");
}

/* All tags of a series in one cell: "site=Rynek unit=ug/m3", as far as a cell takes. */
static enum err put_row(struct table *table, const struct hejnal_tagged *s)
{
    char text[TABLE_CELL_BYTES_MAX] = "";
    size_t size = 0;
    for (size_t i = 0; i < s->tag_count && size < sizeof text; i++) {
        const int added = snprintf(text + size, sizeof text - size, "%s%s=%s", i == 0 ? "" : " ",
                                   s->tags[i].key, s->tags[i].value);
        size += added > 0 ? (size_t)added : 0;
    }
    TRY(table_cell(table, s->path));
    return table_cell(table, text);
}

static enum err put(struct out *out, struct table *table, enum form form,
                    const struct hejnal_tagged *s)
{
    switch (form) {
    case FORM_TABLE:
        return put_row(table, s);
    case FORM_CSV:
        put_csv(out, s);
        return OK;
    case FORM_JSONL:
        put_json(out, s);
        return OK;
    }
    return OK;
}

static enum hejnal_result print_tags(struct hejnal *h, const char *filter, enum form form,
                                     struct out *out)
{
    static const char *const titles[] = {"series", "tags"};
    struct hejnal_answer *answer = NULL;
    struct hejnal_tagged series;
    struct table *table = NULL;
    if (form == FORM_TABLE && table_create(out, titles, 2, &table) != OK) {
        return HEJNAL_NO_MEMORY;
    }
    enum hejnal_result result = hejnal_series_tags(h, filter, &answer);
    out_text(out, result == HEJNAL_OK && form == FORM_CSV ? "series,key,value\n" : "");
    while (result == HEJNAL_OK && (result = hejnal_next_tagged(answer, &series)) == HEJNAL_OK) {
        result = put(out, table, form, &series) == OK ? HEJNAL_OK : HEJNAL_NO_MEMORY;
    }
    if (table != NULL) {
        table_finish(table);
    }
    hejnal_answer_close(answer);
    return result;
}

static int show_tags(struct hejnal *h, const char *filter, enum form form)
{
    struct out *out;
    if (out_open(NULL, TIMESTAMP_RFC3339, &out) != OK) {
        return command_fail(EXIT_FAILED, "series", "out of memory");
    }
    const enum hejnal_result result = print_tags(h, filter, form, out);
    int code = result == HEJNAL_END ? EXIT_DONE : server_fail("series", h, result);
    if (out_close(out, true) != OK && code == EXIT_DONE) {
        code = command_fail(EXIT_FAILED, "series", "stdout: %s", strerrordesc_np(errno));
    }
    return code;
}

static int show_paths(struct hejnal *h, const char *filter)
{
    const enum hejnal_result result = print_paths(h, filter);
    return result == HEJNAL_END ? EXIT_DONE : server_fail("series", h, result);
}

int cmd_series(int argc, char **argv)
{
    const char *address = SERVER_DEFAULT;
    bool tags = false;
    int form = FORM_TABLE;
    struct hejnal *h;
    const struct option_row rows[] = {
        {"--tags", OPTION_FLAG, &tags, 0, 0, NULL, NULL, "With what is known of each series."},
        {"--format", OPTION_CHOICE, &form, 0, 0, "table|csv|jsonl", NULL,
         "Of --tags. Default table."},
        SERVER_OPTION(&address)};
    struct arguments o = {"series",
                          "[FILTER]",
                          "The paths of the series a topic filter selects; without one, of all.",
                          "  hejnal series 'krakow/+/bielany/#'\n"
                          "  hejnal series 'krakow/air/#' --tags --format jsonl\n",
                          rows,
                          sizeof rows / sizeof rows[0],
                          0,
                          1,
                          0,
                          {NULL}};
    enum err e = arguments_read(&o, argc, argv);
    if (e != OK) {
        return e == E_END ? EXIT_DONE : EXIT_USAGE;
    }
    int code = server_connect("series", address, &h);
    if (code != EXIT_DONE) {
        return code;
    }
    const char *filter = o.positional_count > 0 ? o.positional[0] : "#";
    code = tags ? show_tags(h, filter, (enum form)form) : show_paths(h, filter);
    hejnal_close(h);
    return code;
}
