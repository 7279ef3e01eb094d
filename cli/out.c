#include "cli/out.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/number.h"
#include "base/zone.h"

enum { BUFFER_BYTES = 1 << 20, SECOND_BYTES = 19 /* 2026-11-23T05:16:51 */ };

struct out {
    int fd;
    char *path, *part; /* NULL for stdout, and what is no file. */
    int failed;        /* errno of what failed first. */
    enum timestamp_format times;
    const struct zone *zone; /* NULL: UTC. */
    int64_t second;          /* Whose text is in `second_text`. */
    char second_text[TIMESTAMP_TEXT_BYTES_MAX];
    uint64_t bytes;
    size_t used;
    char buffer[BUFFER_BYTES];
};

static void out_free(struct out *o)
{
    free(o->path);
    free(o->part);
    free(o);
}

/* Opens FILE.part, or what is there and no file. E_NO_MEMORY; E_IO. */
static enum err open_file(struct out *o, const char *path)
{
    struct stat there;
    if (stat(path, &there) == 0 && !S_ISREG(there.st_mode)) {
        o->fd = open(path, O_WRONLY | O_CLOEXEC); /* EISDIR for a directory. */
        return o->fd < 0 ? E_IO : OK;
    }
    o->path = strdup(path);
    if (o->path == NULL || asprintf(&o->part, "%s.part", path) < 0) {
        o->part = NULL;
        return E_NO_MEMORY;
    }
    o->fd = open(o->part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    return o->fd < 0 ? E_IO : OK;
}

enum err out_open(const char *path, enum timestamp_format times, struct out **out)
{
    struct out *o = calloc(1, sizeof *o);
    if (o == NULL) {
        return E_NO_MEMORY;
    }
    o->fd = STDOUT_FILENO;
    o->times = times;
    o->second = INT64_MIN;
    enum err e = path != NULL ? open_file(o, path) : OK;
    if (e != OK) {
        int number = errno;
        out_free(o);
        errno = number;
        return e;
    }
    *out = o;
    return OK;
}

static void flush(struct out *o)
{
    for (size_t at = 0; at < o->used && o->failed == 0;) {
        ssize_t n = write(o->fd, o->buffer + at, o->used - at);
        if (n < 0 && errno != EINTR) {
            o->failed = errno;
        }
        at += n > 0 ? (size_t)n : 0;
    }
    o->used = 0;
}

/* Remembers why a call that returned `result` failed, if nothing failed before. */
static void note(struct out *o, int result)
{
    if (result != 0 && o->failed == 0) {
        o->failed = errno;
    }
}

enum err out_close(struct out *o, bool whole)
{
    flush(o);
    if (o->path != NULL && whole) {
        note(o, fsync(o->fd));
    }
    if (o->fd != STDOUT_FILENO) {
        note(o, close(o->fd));
    }
    if (o->path != NULL && whole && o->failed == 0) {
        note(o, rename(o->part, o->path));
    }
    if (o->path != NULL && (!whole || o->failed != 0)) {
        (void)unlink(o->part);
    }
    int failed = o->failed;
    out_free(o);
    errno = failed;
    return failed != 0 ? E_IO : OK;
}

bool out_is_good(const struct out *o)
{
    return o->failed == 0;
}

uint64_t out_bytes(const struct out *o)
{
    return o->bytes;
}

/* Room for `size` more bytes in one piece; size is at most the buffer's. */
static char *room(struct out *o, size_t size)
{
    if (BUFFER_BYTES - o->used < size) {
        flush(o);
    }
    return o->buffer + o->used;
}

static void took(struct out *o, size_t size)
{
    o->used += size;
    o->bytes += size;
}

void out_put(struct out *o, const char *text, size_t size)
{
    while (size > 0) {
        size_t piece = size < BUFFER_BYTES ? size : BUFFER_BYTES;
        memcpy(room(o, piece), text, piece);
        took(o, piece);
        text += piece;
        size -= piece;
    }
}

void out_text(struct out *o, const char *text)
{
    out_put(o, text, strlen(text));
}

void out_number(struct out *o, double value)
{
    took(o, number_write(value, room(o, NUMBER_TEXT_BYTES_MAX)));
}

/* The fraction in as few of 3, 6 or 9 digits as tell it, and the Z. */
static size_t write_fraction(char *to, int64_t rest_ns)
{
    if (rest_ns == 0) {
        to[0] = 'Z';
        return 1;
    }
    int digits = rest_ns % NS_PER_MS == 0 ? 3 : rest_ns % NS_PER_US == 0 ? 6 : 9;
    int64_t value = digits == 3 ? rest_ns / NS_PER_MS : digits == 6 ? rest_ns / NS_PER_US : rest_ns;
    to[0] = '.';
    for (int i = digits; i > 0; i--) {
        to[i] = (char)('0' + value % 10);
        value /= 10;
    }
    to[digits + 1] = 'Z';
    return (size_t)digits + 2;
}

void out_set_zone(struct out *o, const struct zone *zone)
{
    o->zone = zone;
}

size_t out_time_text(const struct out *o, enum timestamp_format format, int64_t time_ns,
                     char to[TIMESTAMP_TEXT_BYTES_MAX])
{
    if (o->zone != NULL && format == TIMESTAMP_RFC3339) {
        const int64_t second = time_ns / NS_PER_S - (time_ns % NS_PER_S < 0);
        return timestamp_write_ahead(time_ns, zone_ahead(o->zone, second), to);
    }
    return timestamp_write(time_ns, format, to);
}

void out_time(struct out *o, int64_t time_ns)
{
    char *to = room(o, TIMESTAMP_TEXT_BYTES_MAX);
    if (o->times != TIMESTAMP_RFC3339 || time_ns < 0 || o->zone != NULL) {
        took(o, out_time_text(o, o->times, time_ns, to));
        return;
    }
    int64_t second = time_ns / NS_PER_S;
    if (second != o->second) { /* Neighbours share it more often than not. */
        (void)timestamp_write(second * NS_PER_S, TIMESTAMP_RFC3339, o->second_text);
        o->second = second;
    }
    memcpy(to, o->second_text, SECOND_BYTES);
    took(o, SECOND_BYTES + write_fraction(to + SECOND_BYTES, time_ns % NS_PER_S));
}

void out_csv_inside(struct out *o, const char *text)
{
    for (const char *at = text; *at != 0; at++) {
        out_put(o, "\"\"", *at == '"' ? 2 : 0);
        out_put(o, at, *at == '"' ? 0 : 1);
    }
}

void out_csv(struct out *o, const char *text)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        out_text(o, text);
        return;
    }
    out_put(o, "\"", 1);
    out_csv_inside(o, text);
    out_put(o, "\"", 1);
}

void out_json(struct out *o, const char *text)
{
    char escaped[8];
    out_put(o, "\"", 1);
    for (const char *at = text; *at != 0; at++) {
        if (*at == '"' || *at == '\\') {
            out_put(o, "\\", 1);
            out_put(o, at, 1);
        } else if ((unsigned char)*at < 0x20) {
            out_put(o, escaped,
                    (size_t)snprintf(escaped, sizeof escaped, "\\u%04x", (unsigned)*at));
        } else {
            out_put(o, at, 1);
        }
    }
    out_put(o, "\"", 1);
}

void out_json_number(struct out *o, double value)
{
    if (isfinite(value)) {
        out_number(o, value);
    } else {
        out_text(o, "null");
    }
}

void out_json_time(struct out *o, int64_t time_ns)
{
    const char *quote = o->times == TIMESTAMP_RFC3339 ? "\"" : "";
    out_text(o, quote);
    out_time(o, time_ns);
    out_text(o, quote);
}
