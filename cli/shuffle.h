/* The lines of a file in a random order that a seed decides. Holds the whole file. */

#ifndef CLI_SHUFFLE_H
#define CLI_SHUFFLE_H

#include <stdint.h>

#include "cli/gzip_file.h"

struct shuffle;

/* Read all remaining lines. Errors of gzip_file_line() but E_END; E_NO_MEMORY. */
MUST_USE enum err shuffle_read(struct gzip_file *file, uint64_t seed, struct shuffle **out);
void shuffle_destroy(struct shuffle *s);

/* The next line, and its number (from 1 for the first that was read). E_END. */
MUST_USE enum err shuffle_next(struct shuffle *s, char **line, uint64_t *number);

#endif /* CLI_SHUFFLE_H */
