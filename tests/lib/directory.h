/* A directory for one test, empty at the start and removed at the end. */

#ifndef TESTS_LIB_DIRECTORY_H
#define TESTS_LIB_DIRECTORY_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"

struct directory {
    char path[64];
};

static inline void directory_make(struct directory *d)
{
    const char *base = getenv("TMPDIR");
    snprintf(d->path, sizeof d->path, "%s/hejnal-test-XXXXXX", base != NULL ? base : "/tmp");
    CHECK(mkdtemp(d->path) != NULL);
}

/* `name` below the directory, in one of a few buffers used in turn. */
static inline const char *directory_file(const struct directory *d, const char *name)
{
    static char paths[4][384];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", d->path, name);
    return path;
}

/* Remove all files of one directory, and itself. */
static inline void directory_empty(const char *path)
{
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        char file[1024];
        snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.') {
            (void)unlink(file);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    (void)rmdir(path);
}

/* A store has one level of directories below it. */
static inline void directory_remove_store(const char *path)
{
    char below[512];
    snprintf(below, sizeof below, "%s/parts", path);
    directory_empty(below);
    snprintf(below, sizeof below, "%s/snapshots", path);
    directory_empty(below);
    directory_empty(path);
}

static inline void directory_remove(const struct directory *d)
{
    directory_remove_store(d->path);
}

#endif /* TESTS_LIB_DIRECTORY_H */
