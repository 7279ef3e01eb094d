/* Rows of query answers in the form asked for: table, CSV, JSON lines or one JSON array. */

#ifndef CLI_ROWS_H
#define CLI_ROWS_H

#include "cli/out.h"
#include "clients/hejnal.h"

enum rows_format { ROWS_TABLE, ROWS_CSV, ROWS_JSONL, ROWS_JSON };
#define ROWS_FORMATS "table|csv|jsonl|json"

/* Titles: of the keys series are grouped by (none: there is one column `series`), of the columns
 * behind the time. In buckets NaN is a value that is not there. */
struct rows_titles {
    unsigned keys, values;
    const char *key[HEJNAL_KEYS_MAX];
    const char *value[HEJNAL_VALUES_MAX];
    bool are_buckets;
};

struct rows;

/* The titles are copied, their texts are not. */
MUST_USE enum err rows_create(struct out *out, enum rows_format format,
                              const struct rows_titles *titles, struct rows **rows);
MUST_USE enum err rows_block(struct rows *r, const struct hejnal_block *block);
/* Ends the table or array; NULL is fine. */
void rows_finish(struct rows *r);

#endif /* CLI_ROWS_H */
