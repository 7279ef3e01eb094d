/* One row of a file to import: series, time, value; from CSV or from a line of JSON. */

#ifndef CLI_IMPORT_ROW_H
#define CLI_IMPORT_ROW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/text.h"
#include "clients/hejnal.h"

enum { IMPORT_PATH_BYTES_MAX = 1024 };

struct import_row {
    const char *series;        /* Borrowed from the record or from `path`. */
    struct hejnal_value value; /* Its text the same, or from `text`. */
    int64_t time_ns;
    char path[IMPORT_PATH_BYTES_MAX + 1], text[TEXT_BYTES_MAX + 1];
};

/* Each: NULL, or what is wrong, for people; `*column` says where: in which cell, or at which byte,
 * from 1. `bare_texts`: what is no number and not in quotes is a text all the same. */
const char *import_row_csv(char *record, bool bare_texts, struct import_row *row, unsigned *column);
const char *import_row_json(struct bytes line, struct import_row *row, unsigned *column);

#endif /* CLI_IMPORT_ROW_H */
