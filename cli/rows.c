#include "cli/rows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "cli/table.h"
#include "cli/value_cell.h"

enum { TITLE_BYTES_MAX = 20 };

struct rows {
    struct out *out;
    enum rows_format format;
    struct rows_titles titles;
    char table_titles[HEJNAL_VALUES_MAX][TITLE_BYTES_MAX];
    struct table *table;
    bool any;
};

static const char *const series_title[] = {"series"};

/* What stands before the time: keys of a group, or the one path. */
static unsigned names_of(const struct rows *r, const char *const **titles)
{
    *titles = r->titles.keys > 0 ? r->titles.key : series_title;
    return r->titles.keys > 0 ? r->titles.keys : 1;
}

static const char *const *names_in(const struct rows *r, const struct hejnal_block *b)
{
    return r->titles.keys > 0 ? b->keys : &b->path;
}

static enum err table_start(struct rows *r)
{
    const char *titles[TABLE_COLUMNS_MAX];
    const char *const *names;
    unsigned count = names_of(r, &names);
    for (unsigned i = 0; i < count; i++) {
        titles[i] = names[i];
    }
    titles[count++] = "time";
    for (unsigned i = 0; i < r->titles.values; i++) {
        (void)snprintf(r->table_titles[i], TITLE_BYTES_MAX, ">%s", r->titles.value[i]);
        titles[count++] = r->table_titles[i];
    }
    return table_create(r->out, titles, count, &r->table);
}

static void csv_start(struct rows *r)
{
    const char *const *names;
    const unsigned count = names_of(r, &names);
    for (unsigned i = 0; i < count; i++) {
        out_csv(r->out, names[i]);
        out_put(r->out, ",", 1);
    }
    out_text(r->out, "time");
    for (unsigned i = 0; i < r->titles.values; i++) {
        out_text(r->out, ",");
        out_text(r->out, r->titles.value[i]);
    }
    out_text(r->out, "\n");
}

enum err rows_create(struct out *out, enum rows_format format, const struct rows_titles *titles,
                     struct rows **rows)
{
    struct rows *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return E_NO_MEMORY;
    }
    *r = (struct rows){.out = out, .format = format, .titles = *titles};
    if (format == ROWS_TABLE && table_start(r) != OK) {
        free(r);
        return E_NO_MEMORY;
    }
    if (format == ROWS_CSV) {
        csv_start(r);
    }
    out_text(out, format == ROWS_JSON ? "[" : "");
    *rows = r;
    return OK;
}

/* The text of a cell, NULL: a number. Only points have texts, in their one column. */
static const char *text_of(const struct hejnal_block *b, size_t row)
{
    return b->text == NULL ? NULL : b->text[row];
}

/* A bucket has no such value: the cell is empty. */
static bool is_none(const struct rows *r, double value)
{
    return r->titles.are_buckets && isnan(value);
}

static enum err table_value(struct rows *r, double value, const char *text)
{
    if (text != NULL) {
        return table_cell(r->table, text);
    }
    return is_none(r, value) ? table_cell(r->table, "") : table_number(r->table, value);
}

static enum err table_row(struct rows *r, const struct hejnal_block *b, size_t row)
{
    const char *const *titles, *const *names = names_in(r, b);
    const unsigned count = names_of(r, &titles);
    for (unsigned i = 0; i < count; i++) {
        TRY(table_cell(r->table, names[i]));
    }
    TRY(table_time(r->table, b->times[row]));
    for (unsigned i = 0; i < r->titles.values; i++) {
        TRY(table_value(r, b->column[i][row], text_of(b, row)));
    }
    return OK;
}

static void csv_row(struct rows *r, const struct hejnal_block *b, size_t row)
{
    const char *const *titles, *const *names = names_in(r, b);
    const unsigned count = names_of(r, &titles);
    for (unsigned i = 0; i < count; i++) {
        out_csv(r->out, names[i]);
        out_put(r->out, ",", 1);
    }
    out_time(r->out, b->times[row]);
    for (unsigned i = 0; i < r->titles.values; i++) {
        out_put(r->out, ",", 1);
        if (!is_none(r, b->column[i][row])) {
            value_cell_put(r->out, b->column[i][row], text_of(b, row));
        }
    }
    out_put(r->out, "\n", 1);
}

static void json_value(struct out *out, double number, const char *text)
{
    if (text != NULL) {
        out_json(out, text);
    } else {
        out_json_number(out, number);
    }
}

static void json_row(struct rows *r, const struct hejnal_block *b, size_t row)
{
    const char *const *titles, *const *names = names_in(r, b);
    const unsigned count = names_of(r, &titles);
    if (r->format == ROWS_JSON) {
        out_text(r->out, r->any ? ",\n" : "\n");
    }
    out_text(r->out, "{");
    for (unsigned i = 0; i < count; i++) {
        out_json(r->out, titles[i]);
        out_text(r->out, ":");
        out_json(r->out, names[i]);
        out_text(r->out, ",");
    }
    out_text(r->out, "\"time\":");
    out_json_time(r->out, b->times[row]);
    for (unsigned i = 0; i < r->titles.values; i++) {
        out_text(r->out, ",\"");
        out_text(r->out, r->titles.value[i]);
        out_text(r->out, "\":");
        json_value(r->out, b->column[i][row], text_of(b, row));
    }
    out_text(r->out, r->format == ROWS_JSON ? "}" : "}\n");
    r->any = true;
}

enum err rows_block(struct rows *r, const struct hejnal_block *block)
{
    CHECK(block->columns == r->titles.values);
    for (size_t row = 0; row < block->rows; row++) {
        switch (r->format) {
        case ROWS_TABLE:
            TRY(table_row(r, block, row));
            break;
        case ROWS_CSV:
            csv_row(r, block, row);
            break;
        case ROWS_JSONL:
        case ROWS_JSON:
            json_row(r, block, row);
            break;
        }
    }
    return OK;
}

void rows_finish(struct rows *r)
{
    if (r == NULL) {
        return;
    }
    if (r->table != NULL) {
        table_finish(r->table);
    }
    out_text(r->out, r->format == ROWS_JSON ? "\n]\n" : "");
    free(r);
}
