/* Rows of query answers in the form asked for: table, CSV, JSON lines or one JSON array. */

#ifndef CLI_ROWS_H
#define CLI_ROWS_H

#include "cli/out.h"
#include "clients/hejnal.h"

enum rows_format { ROWS_TABLE, ROWS_CSV, ROWS_JSONL, ROWS_JSON };
#define ROWS_FORMATS "table|csv|jsonl|json"

struct rows;

/* `titles`: of the columns behind series and time; `count` of them, static. */
MUST_USE enum err rows_create(struct out *out, enum rows_format format, const char *const *titles,
                              unsigned count, struct rows **rows);
MUST_USE enum err rows_block(struct rows *r, const struct hejnal_block *block);
/* Ends the table or array; NULL is fine. */
void rows_finish(struct rows *r);

#endif /* CLI_ROWS_H */
