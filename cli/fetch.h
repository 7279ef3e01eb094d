/* Run a query and pour its answer into rows: what `query` and `export` share. */

#ifndef CLI_FETCH_H
#define CLI_FETCH_H

#include "cli/rows.h"

struct fetch {
    const char *command, *address;
    const char *path; /* Output file; NULL: stdout. */
    struct hejnal_query query;
    struct rows_titles titles;
    const struct zone *zone; /* Times are written by its clock; NULL: UTC. */
    enum rows_format format;
    enum timestamp_format times;
};

/* Returns the exit code. Progress on stderr when that is a terminal and `path` is set or stdout is
 * not one. */
int fetch_run(const struct fetch *f);

#endif /* CLI_FETCH_H */
