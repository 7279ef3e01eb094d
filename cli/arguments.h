/* Options of a command from a table: `--name value`, `--name=value`, flags, anywhere among the
 * positional arguments. `--` ends options. A wrong one gets one line that says what would be right.
 */

#ifndef CLI_ARGUMENTS_H
#define CLI_ARGUMENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum { ARGUMENTS_POSITIONAL_MAX = 64 };

enum option_kind {
    OPTION_FLAG,   /* bool * */
    OPTION_TEXT,   /* const char ** */
    OPTION_NUMBER, /* int64_t *, least..most */
    OPTION_TIME,   /* int64_t *, nanoseconds; see timestamp_read_human() */
    OPTION_LENGTH, /* int64_t *, nanoseconds > 0: 5m, 1h, 90s */
    OPTION_CHOICE  /* int *, index into `choices` (words parted by |) */
};

struct option_row {
    const char *name; /* "--every", or "-o" */
    enum option_kind kind;
    void *into; /* Holds the default when parsing starts. */
    int64_t least, most;
    const char *choices;
    const char *value;    /* What stands behind the option in the help: "LENGTH" */
    const char *sentence; /* Help. */
};

struct arguments {
    const char *command;   /* "query" */
    const char *arguments; /* "FILTER" */
    const char *sentence;
    const char *example; /* One or more lines, each "hejnal ...". */
    const struct option_row *rows;
    unsigned row_count;
    unsigned positional_least, positional_most;
    /* Filled by arguments_read(). */
    unsigned positional_count;
    const char *positional[ARGUMENTS_POSITIONAL_MAX];
};

/* Parse argv[1..]. OK; E_END: --help was asked for and printed; E_MALFORMED: told on stderr. */
MUST_USE enum err arguments_read(struct arguments *o, int argc, char **argv);

#endif /* CLI_ARGUMENTS_H */
