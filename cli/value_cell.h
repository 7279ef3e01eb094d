/* A value in CSV, so that what was exported comes back as it was, whatever spreadsheet rewrote it.
 *
 * A number stands as it is. A text stands in quotes, and with an apostrophe before it where it
 * would else read as a number or starts with one: "OPEN", "'31.5". */

#ifndef CLI_VALUE_CELL_H
#define CLI_VALUE_CELL_H

#include "cli/out.h"
#include "clients/hejnal.h"

/* `text` NULL: the number. */
void value_cell_put(struct out *out, double number, const char *text);

/* Read a cell that is cut off; `out->text` borrows from it. `is_text_allowed`: it stood in quotes,
 * or the person said that what is no number is a text. E_MALFORMED: neither. */
MUST_USE enum err value_cell_read(const char *cell, bool is_text_allowed, struct hejnal_value *out);

#endif /* CLI_VALUE_CELL_H */
