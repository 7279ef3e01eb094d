/* A table as people like to read it: columns aligned, numbers to the right.
 *
 * Rows are kept until TABLE_ROWS_KEPT are there, then printed with the widths found so far, so that
 * a long table streams. */

#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stdbool.h>

#include "base/err.h"
#include "cli/out.h"

enum { TABLE_COLUMNS_MAX = 32, TABLE_ROWS_KEPT = 10000, TABLE_CELL_BYTES_MAX = 1100 };

struct table;

/* `titles`: `columns` of them, static; a title that starts with `>` makes a right-aligned column.
 */
MUST_USE enum err table_create(struct out *out, const char *const *titles, unsigned columns,
                               struct table **table);
/* Prints what is left. */
void table_finish(struct table *t);

/* Cells of a row, from left to right; the text is copied. E_NO_MEMORY. */
MUST_USE enum err table_cell(struct table *t, const char *text);
MUST_USE enum err table_number(struct table *t, double value);
MUST_USE enum err table_time(struct table *t, int64_t time_ns);

#endif /* CLI_TABLE_H */
