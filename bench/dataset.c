#include "bench/dataset.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(sizeof(struct dataset_point) == 20, "as it is in the file");

__attribute__((noreturn)) static void give_up(const char *path)
{
    (void)fprintf(stderr, "%s: %s\n", path, strerror(errno));
    exit(1);
}

/* The whole file, readable and, for us alone, writable. */
static char *map_file(const char *path, size_t *size)
{
    struct stat about;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &about) != 0) {
        give_up(path);
    }
    *size = (size_t)about.st_size;
    char *at = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (at == MAP_FAILED) {
        give_up(path);
    }
    (void)close(fd);
    return at;
}

static void cut_lines(char *text, size_t size, struct dataset *out)
{
    size_t room = 0;
    for (char *end, *at = text; at < text + size; at = end + 1) {
        end = memchr(at, '\n', size - (size_t)(at - text));
        if (end == NULL) {
            errno = EINVAL;
            give_up("a path without an end of line");
        }
        if (out->series == room) {
            room = room == 0 ? 1024 : room * 2;
            char **paths = realloc(out->paths, room * sizeof *paths);
            if (paths == NULL) {
                give_up("paths");
            }
            out->paths = paths;
        }
        *end = 0;
        out->paths[out->series++] = at;
    }
}

void dataset_open(const char *prefix, struct dataset *out)
{
    char path[1024];
    size_t size;
    *out = (struct dataset){.points = NULL};
    (void)snprintf(path, sizeof path, "%s.bin", prefix);
    out->points = (const struct dataset_point *)(const void *)map_file(path, &size);
    out->count = size / sizeof *out->points;
    (void)snprintf(path, sizeof path, "%s.series", prefix);
    char *text = map_file(path, &size);
    cut_lines(text, size, out);
}
