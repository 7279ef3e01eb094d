#include "cli/rows.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "cli/table.h"
#include "cli/value_cell.h"

enum { TITLE_BYTES_MAX = 16 };

struct rows {
    struct out *out;
    enum rows_format format;
    unsigned count;
    const char *titles[HEJNAL_AGGREGATES_MAX];
    char table_titles[HEJNAL_AGGREGATES_MAX][TITLE_BYTES_MAX];
    struct table *table;
    bool any;
};

static enum err table_start(struct rows *r)
{
    const char *titles[2 + HEJNAL_AGGREGATES_MAX] = {"series", "time"};
    for (unsigned i = 0; i < r->count; i++) {
        (void)snprintf(r->table_titles[i], TITLE_BYTES_MAX, ">%s", r->titles[i]);
        titles[2 + i] = r->table_titles[i];
    }
    return table_create(r->out, titles, 2 + r->count, &r->table);
}

enum err rows_create(struct out *out, enum rows_format format, const char *const *titles,
                     unsigned count, struct rows **rows)
{
    CHECK(count <= HEJNAL_AGGREGATES_MAX);
    struct rows *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return E_NO_MEMORY;
    }
    *r = (struct rows){.out = out, .format = format, .count = count};
    for (unsigned i = 0; i < count; i++) {
        r->titles[i] = titles[i];
    }
    if (format == ROWS_TABLE && table_start(r) != OK) {
        free(r);
        return E_NO_MEMORY;
    }
    if (format == ROWS_CSV) {
        out_text(out, "series,time");
        for (unsigned i = 0; i < count; i++) {
            out_text(out, ",");
            out_text(out, titles[i]);
        }
        out_text(out, "\n");
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

static enum err table_row(struct rows *r, const struct hejnal_block *b, size_t row)
{
    TRY(table_cell(r->table, b->path));
    TRY(table_time(r->table, b->times[row]));
    for (unsigned i = 0; i < r->count; i++) {
        const char *text = text_of(b, row);
        TRY(text != NULL ? table_cell(r->table, text) : table_number(r->table, b->column[i][row]));
    }
    return OK;
}

static void csv_row(struct rows *r, const struct hejnal_block *b, size_t row)
{
    out_csv(r->out, b->path);
    out_put(r->out, ",", 1);
    out_time(r->out, b->times[row]);
    for (unsigned i = 0; i < r->count; i++) {
        out_put(r->out, ",", 1);
        value_cell_put(r->out, b->column[i][row], text_of(b, row));
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
    if (r->format == ROWS_JSON) {
        out_text(r->out, r->any ? ",\n" : "\n");
    }
    out_text(r->out, "{\"series\":");
    out_json(r->out, b->path);
    out_text(r->out, ",\"time\":");
    out_json_time(r->out, b->times[row]);
    for (unsigned i = 0; i < r->count; i++) {
        out_text(r->out, ",\"");
        out_text(r->out, r->titles[i]);
        out_text(r->out, "\":");
        json_value(r->out, b->column[i][row], text_of(b, row));
    }
    out_text(r->out, r->format == ROWS_JSON ? "}" : "}\n");
    r->any = true;
}

enum err rows_block(struct rows *r, const struct hejnal_block *block)
{
    CHECK(block->columns == r->count);
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
