/* The config file: a YAML mapping of setting names to values, and the section "retention".
 *
 * Strict: an unknown name, a name said twice, a wrong kind or a value out of bounds is refused with
 * one line that says where, what, and what would be right. */

#ifndef BROKER_CONFIG_FILE_H
#define BROKER_CONFIG_FILE_H

#include "base/bytes.h"
#include "broker/config.h"

enum { CONFIG_FILE_BYTES_MAX = 1 << 20 };

/* Set in `c` what the file at `path` says. E_NOT_FOUND: no such file, E_IO, E_MALFORMED:
 * `complaint` is the line to show; `c` may hold a part of the file then. */
MUST_USE enum err config_file_read(struct config *c, const char *path,
                                   char complaint[CONFIG_COMPLAINT_BYTES_MAX]);

/* The same for text in memory; `path` is for complaints. E_MALFORMED, E_NO_MEMORY.
 */
MUST_USE enum err config_file_parse(struct config *c, const char *path, struct bytes text,
                                    char complaint[CONFIG_COMPLAINT_BYTES_MAX]);

#endif /* BROKER_CONFIG_FILE_H */
