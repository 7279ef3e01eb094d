#include "cli/gzip_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zlib.h>

enum { BUFFER_BYTES = 1 << 18, LINE_BYTES_FIRST = 1 << 16, LINE_BYTES_MAX = 16 << 20 };

struct gzip_file {
    gzFile gz;
    char *line;        /* The line being gathered. */
    size_t room;       /* Of it. */
    size_t used;       /* With the CR before its end, if there is one. */
    unsigned at, size; /* Bytes of `chunk` not looked at: [at, size). */
    char chunk[BUFFER_BYTES];
};

static char error_text[160] = "";

const char *gzip_file_error(void)
{
    return error_text;
}

static enum err fail(enum err e, const char *why)
{
    (void)snprintf(error_text, sizeof error_text, "%s", why);
    return e;
}

enum err gzip_file_open(const char *path, struct gzip_file **out)
{
    int fd = strcmp(path, "-") == 0 ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
                                    : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return fail(errno == ENOENT ? E_NOT_FOUND : E_IO, strerrordesc_np(errno));
    }
    struct gzip_file *f = calloc(1, sizeof *f);
    char *line = malloc(LINE_BYTES_FIRST);
    gzFile gz = gzdopen(fd, "rb");
    if (f == NULL || line == NULL || gz == NULL) {
        free(f);
        free(line);
        (void)(gz != NULL ? gzclose(gz) : close(fd));
        return fail(E_NO_MEMORY, "out of memory");
    }
    f->gz = gz;
    f->line = line;
    f->room = LINE_BYTES_FIRST;
    (void)gzbuffer(gz, BUFFER_BYTES);
    *out = f;
    return OK;
}

void gzip_file_close(struct gzip_file *f)
{
    if (f != NULL) {
        (void)gzclose(f->gz);
        free(f->line);
        free(f);
    }
}

static enum err grow(struct gzip_file *f, size_t wanted)
{
    size_t room = f->room;
    while (room < wanted) {
        room *= 2;
    }
    if (room > LINE_BYTES_MAX) {
        return fail(E_LIMIT, "a line of more than 16 MiB; this is not a text file");
    }
    char *line = room == f->room ? f->line : realloc(f->line, room);
    if (line == NULL) {
        return fail(E_NO_MEMORY, "out of memory");
    }
    f->line = line;
    f->room = room;
    return OK;
}

/* More bytes to `chunk`. E_END, E_IO. */
static enum err fill(struct gzip_file *f)
{
    int code = Z_OK;
    int n = gzread(f->gz, f->chunk, BUFFER_BYTES);
    const char *why = gzerror(f->gz, &code); /* "<fd:3>: invalid distance" */
    const char *behind = strstr(why, ": ");
    if (n < 0 || (n == 0 && code != Z_OK && code != Z_STREAM_END)) {
        return fail(E_IO, code == Z_ERRNO       ? strerrordesc_np(errno)
                          : code == Z_BUF_ERROR ? "the compressed data is cut short"
                          : behind != NULL      ? behind + 2
                                                : why);
    }
    f->at = 0;
    f->size = (unsigned)n;
    return n == 0 ? E_END : OK;
}

/* Move what `chunk` has of the line; `*ended` when its end is among it. */
static enum err gather(struct gzip_file *f, bool *ended)
{
    const char *from = f->chunk + f->at;
    const char *end = memchr(from, '\n', f->size - f->at);
    size_t size = end != NULL ? (size_t)(end - from) : f->size - f->at;
    if (memchr(from, 0, size) != NULL) {
        return fail(E_MALFORMED, "a line with a 0 byte; this is not a text file");
    }
    TRY(grow(f, f->used + size + 1));
    memcpy(f->line + f->used, from, size);
    f->used += size;
    f->at += (unsigned)size + (end != NULL);
    *ended = end != NULL;
    return OK;
}

/* Add a line to what `line` has. */
static enum err add_line(struct gzip_file *f, size_t from)
{
    bool ended = false;
    while (!ended) {
        enum err e = f->at == f->size ? fill(f) : OK;
        if (e == E_END && f->used > from) {
            break; /* The last line has no end. */
        }
        TRY(e);
        TRY(gather(f, &ended));
    }
    return OK;
}

static void give(struct gzip_file *f, char **line, size_t *size)
{
    *line = f->line;
    *size = f->used - (f->used > 0 && f->line[f->used - 1] == '\r');
    f->line[*size] = 0;
}

enum err gzip_file_line(struct gzip_file *f, char **line, size_t *size)
{
    f->used = 0;
    TRY(add_line(f, 0));
    give(f, line, size);
    return OK;
}

enum err gzip_file_join(struct gzip_file *f, char **line, size_t *size)
{
    const size_t before = f->used;
    TRY(grow(f, before + 2));
    if (before > 0 && f->line[before - 1] == 0) {
        f->line[before - 1] = '\r'; /* It was of the line's end, and now is not. */
    }
    f->line[f->used++] = '\n';
    const enum err e = add_line(f, f->used);
    f->used = e == OK ? f->used : before;
    give(f, line, size);
    return e;
}
