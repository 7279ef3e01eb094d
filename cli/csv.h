/* Cells of one CSV line (RFC 4180; a cell may be quoted, but not hold a line break). */

#ifndef CLI_CSV_H
#define CLI_CSV_H

#include "base/err.h"

/* Cut the next cell off `*rest`, in place; `*rest` becomes NULL behind the last. E_END: none left.
 * E_MALFORMED: a quote that does not close, or text behind it. */
MUST_USE enum err csv_cell(char **rest, char **cell);

#endif /* CLI_CSV_H */
