#include "cli/gzip_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zlib.h>

enum { BUFFER_BYTES = 1 << 18, LINE_BYTES_FIRST = 1 << 16, LINE_BYTES_MAX = 16 << 20 };

struct gzip_file {
    gzFile gz;
    char *line;
    size_t room;
};

enum err gzip_file_open(const char *path, struct gzip_file **out)
{
    struct gzip_file *f = calloc(1, sizeof *f);
    if (f == NULL) {
        return E_NO_MEMORY;
    }
    errno = 0;
    f->gz = strcmp(path, "-") == 0 ? gzdopen(fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0), "rb")
                                   : gzopen(path, "rbe");
    f->line = malloc(LINE_BYTES_FIRST);
    f->room = LINE_BYTES_FIRST;
    if (f->gz == NULL || f->line == NULL) {
        enum err e = errno == ENOENT ? E_NOT_FOUND : E_IO;
        gzip_file_close(f);
        return e;
    }
    (void)gzbuffer(f->gz, BUFFER_BYTES);
    *out = f;
    return OK;
}

void gzip_file_close(struct gzip_file *f)
{
    if (f != NULL) {
        if (f->gz != NULL) {
            (void)gzclose(f->gz);
        }
        free(f->line);
        free(f);
    }
}

static enum err grow(struct gzip_file *f)
{
    if (f->room >= LINE_BYTES_MAX) {
        return E_LIMIT;
    }
    char *line = realloc(f->line, f->room * 2);
    if (line == NULL) {
        return E_NO_MEMORY;
    }
    f->line = line;
    f->room *= 2;
    return OK;
}

/* More of the line, behind `*used` bytes. E_END: the file ended before any. */
static enum err read_more(struct gzip_file *f, size_t *used)
{
    if (gzgets(f->gz, f->line + *used, (int)(f->room - *used)) == NULL) {
        int code = Z_OK;
        (void)gzerror(f->gz, &code);
        return code != Z_OK && code != Z_STREAM_END ? E_IO : E_END;
    }
    *used += strlen(f->line + *used);
    return *used + 1 == f->room ? grow(f) : OK;
}

enum err gzip_file_line(struct gzip_file *f, char **line, size_t *size)
{
    size_t used = 0;
    enum err e = OK;
    while (e == OK && (used == 0 || f->line[used - 1] != '\n')) {
        e = read_more(f, &used);
    }
    if (e != OK && !(e == E_END && used > 0)) { /* The last line may lack its end. */
        return e;
    }
    used -= used > 0 && f->line[used - 1] == '\n';
    used -= used > 0 && f->line[used - 1] == '\r';
    f->line[used] = 0;
    *line = f->line;
    *size = used;
    return OK;
}
