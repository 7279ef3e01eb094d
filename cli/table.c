#include "cli/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/timestamp.h"
#include "cli/visible.h"

enum { GAP = 2 };

struct table {
    struct out *out;
    unsigned columns;
    const char *titles[TABLE_COLUMNS_MAX];
    bool right[TABLE_COLUMNS_MAX];
    size_t width[TABLE_COLUMNS_MAX];
    bool headed;
    size_t cells;
    char **cell; /* TABLE_ROWS_KEPT rows. */
};

/* Columns on the screen: characters, not bytes. */
static size_t text_width(const char *text)
{
    size_t width = 0;
    for (; *text != 0; text++) {
        width += ((unsigned char)*text & 0xc0) != 0x80;
    }
    return width;
}

enum err table_create(struct out *out, const char *const *titles, unsigned columns,
                      struct table **table)
{
    CHECK(columns > 0 && columns <= TABLE_COLUMNS_MAX);
    struct table *t = calloc(1, sizeof *t);
    char **cell = calloc((size_t)TABLE_ROWS_KEPT * columns, sizeof *cell);
    if (t == NULL || cell == NULL) {
        free(t);
        free(cell);
        return E_NO_MEMORY;
    }
    t->out = out;
    t->columns = columns;
    t->cell = cell;
    for (unsigned i = 0; i < columns; i++) {
        t->right[i] = titles[i][0] == '>';
        t->titles[i] = titles[i] + t->right[i];
        t->width[i] = text_width(t->titles[i]);
    }
    *table = t;
    return OK;
}

static void print_blank(struct table *t, size_t count)
{
    for (; count > 0; count--) {
        out_put(t->out, " ", 1);
    }
}

static void print_cell(struct table *t, unsigned column, const char *text)
{
    size_t width = text_width(text);
    size_t blank = width < t->width[column] ? t->width[column] - width : 0;
    bool is_last = column + 1 == t->columns;
    print_blank(t, t->right[column] ? blank : 0);
    out_text(t->out, text);
    print_blank(t, t->right[column] || is_last ? 0 : blank);
    if (is_last) {
        out_put(t->out, "\n", 1);
    } else {
        print_blank(t, GAP);
    }
}

static void flush(struct table *t)
{
    if (!t->headed) {
        for (unsigned i = 0; i < t->columns; i++) {
            print_cell(t, i, t->titles[i]);
        }
        t->headed = true;
    }
    for (size_t i = 0; i < t->cells; i++) {
        print_cell(t, (unsigned)(i % t->columns), t->cell[i]);
        free(t->cell[i]);
    }
    t->cells = 0;
}

void table_finish(struct table *t)
{
    CHECK(t->cells % t->columns == 0);
    flush(t);
    free(t->cell);
    free(t);
}

enum err table_cell(struct table *t, const char *text)
{
    if (t->cells == (size_t)TABLE_ROWS_KEPT * t->columns) {
        flush(t);
    }
    char *copy = visible_text(bytes_of(text));
    if (copy == NULL) {
        return E_NO_MEMORY;
    }
    size_t *width = &t->width[t->cells % t->columns];
    size_t wanted = text_width(copy);
    *width = wanted > *width ? wanted : *width;
    t->cell[t->cells++] = copy;
    return OK;
}

enum err table_number(struct table *t, double value)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%.10g",
                   value); /* For eyes: 2.9149, not 2.9149000000000003. */
    return table_cell(t, text);
}

enum err table_time(struct table *t, int64_t time_ns)
{
    char text[TIMESTAMP_TEXT_BYTES_MAX + 1];
    text[out_time_text(t->out, TIMESTAMP_RFC3339, time_ns, text)] = 0;
    return table_cell(t, text);
}
