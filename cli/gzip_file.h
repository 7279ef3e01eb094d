/* Lines of a text file, gzip-compressed or plain, or of stdin ("-"). The door to zlib. */

#ifndef CLI_GZIP_FILE_H
#define CLI_GZIP_FILE_H

#include <stddef.h>

#include "base/err.h"

struct gzip_file;

/* E_NOT_FOUND, E_IO. */
MUST_USE enum err gzip_file_open(const char *path, struct gzip_file **out);
void gzip_file_close(struct gzip_file *f); /* NULL is fine. */

/* The next line, without its end (LF or CRLF), 0-terminated; borrowed until the next call, may be
 * written to. E_END. E_IO: damaged or cut short. E_LIMIT: longer than 16 MiB. E_MALFORMED: has a
 * 0 byte, so it is no text. */
MUST_USE enum err gzip_file_line(struct gzip_file *f, char **line, size_t *size);

/* The line before and the next one as one text, joined by the line end between them. As above; on
 * E_END the line before stays. */
MUST_USE enum err gzip_file_join(struct gzip_file *f, char **line, size_t *size);

/* What went wrong last, for people; static. */
const char *gzip_file_error(void);

#endif /* CLI_GZIP_FILE_H */
