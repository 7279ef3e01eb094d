/* The command line of hejnald: every setting is an option too (mqtt_port: --mqtt-port N), and
 * options win over the config file. */

#ifndef BROKER_OPTIONS_H
#define BROKER_OPTIONS_H

#include "broker/config.h"

enum options_action { OPTIONS_RUN, OPTIONS_CHECK, OPTIONS_HELP, OPTIONS_VERSION };

struct options {
    enum options_action action;
    struct config config;    /* Defaults, then the file, then the options. */
    const char *config_path; /* NULL: none. Borrowed from argv. */
};

/* Read `argv` and the file it names. E_MALFORMED: bad usage; other errors: the file (or settings
 * that do not go together, E_LIMIT); `complaint` is the line to show. */
MUST_USE enum err options_read(int argc, char *const *argv, struct options *out,
                               char complaint[CONFIG_COMPLAINT_BYTES_MAX]);

void options_print_help(FILE *to);

#endif /* BROKER_OPTIONS_H */
