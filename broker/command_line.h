/* The command line of hejnald: every setting is an option too (mqtt_port: --mqtt-port N), and
 * options win over the config file. */

#ifndef BROKER_COMMAND_LINE_H
#define BROKER_COMMAND_LINE_H

#include "broker/config.h"

enum command_line_action {
    COMMAND_LINE_RUN,
    COMMAND_LINE_CHECK,
    COMMAND_LINE_HELP,
    COMMAND_LINE_VERSION
};

struct command_line {
    enum command_line_action action;
    struct config config;    /* Defaults, then the file, then the options. */
    const char *config_path; /* NULL: none. Borrowed from argv. */
};

/* Read `argv` and the file it names. E_MALFORMED: bad usage; other errors: the file (or settings
 * that do not go together, E_LIMIT); `complaint` is the line to show. */
MUST_USE enum err command_line_read(int argc, char *const *argv, struct command_line *out,
                                    char complaint[CONFIG_COMPLAINT_BYTES_MAX]);

void command_line_print_help(FILE *to);

#endif /* BROKER_COMMAND_LINE_H */
