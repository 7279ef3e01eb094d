/* Cells of one CSV record (RFC 4180). */

#ifndef CLI_CSV_H
#define CLI_CSV_H

#include <stdbool.h>

#include "base/err.h"

/* Whether the record ends inside a quoted cell: it goes on in the next line. */
bool csv_is_open(const char *record);

/* Cut the next cell off `*rest`, in place; `*rest` becomes NULL behind the last. E_END: none left.
 * E_MALFORMED: a quote that does not close, or text behind it. */
MUST_USE enum err csv_cell(char **rest, char **cell);

#endif /* CLI_CSV_H */
