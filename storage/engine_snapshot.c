/* A snapshot: DIR/snapshots/NAME, a store of its own that is what this one was at one moment.
 *
 * Sealed files never change, so they are linked; the others are copied. While it is made no
 * checkpoint runs: partitions and catalogue stand still, nothing is trimmed, and the journal,
 * copied first, has all they lack. The directory gets its name when all of it is on the disk. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "storage/engine_inside.h"
#include "storage/part/part_grave.h"

#define UNFINISHED ".unfinished"

static enum err err_of(int code)
{
    return code == ENOSPC || code == EDQUOT ? E_NO_SPACE : code == EEXIST ? E_BUSY : E_IO;
}

static enum err make_path(char to[ENGINE_PATH_BYTES_MAX], const char *directory, const char *name)
{
    int size = snprintf(to, ENGINE_PATH_BYTES_MAX, "%s/%s", directory, name);
    return size > 0 && size < ENGINE_PATH_BYTES_MAX ? OK : E_LIMIT;
}

static enum err make_unfinished_path(char to[ENGINE_PATH_BYTES_MAX], const char *parent,
                                     const char *name)
{
    int size = snprintf(to, ENGINE_PATH_BYTES_MAX, "%s/.%s" UNFINISHED, parent, name);
    return size > 0 && size < ENGINE_PATH_BYTES_MAX ? OK : E_LIMIT;
}

static enum err make_directory(const char *path)
{
    return mkdir(path, 0750) == 0 ? OK : err_of(errno);
}

static enum err sync_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return E_IO;
    }
    enum err e = fsync(fd) == 0 ? OK : E_IO;
    (void)close(fd);
    return e;
}

bool engine_snapshot_name_is_good(struct bytes name)
{
    for (size_t i = 0; i < name.size; i++) {
        const uint8_t c = name.at[i];
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                        (c >= '0' && c <= '9') || c == '-' || c == '_' || (c == '.' && i > 0);
        if (!is_plain) {
            return false;
        }
    }
    return name.size >= 1 && name.size <= ENGINE_SNAPSHOT_NAME_MAX;
}

/* Remove what is in a directory of files, and it. */
static enum err remove_files(const char *path)
{
    char file[ENGINE_PATH_BYTES_MAX];
    DIR *directory = opendir(path);
    if (directory == NULL) {
        return errno == ENOENT ? E_NOT_FOUND : E_IO;
    }
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): each thread its own DIR, as POSIX.1-2024 allows. */
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (make_path(file, path, entry->d_name) == OK) {
            part_grave_unlink(file); /* Not directories. */
        }
    }
    (void)closedir(directory);
    return rmdir(path) == 0 ? OK : E_IO;
}

static enum err remove_snapshot(const char *path)
{
    char parts[ENGINE_PATH_BYTES_MAX];
    TRY(make_path(parts, path, "parts"));
    enum err e = remove_files(parts);
    return e == OK || e == E_NOT_FOUND ? remove_files(path) : e;
}

static enum err make_directories(struct engine *e, const char *name)
{
    struct engine_snapshot *s = &e->snapshot;
    char parent[ENGINE_PATH_BYTES_MAX], parts[ENGINE_PATH_BYTES_MAX];
    TRY(make_path(parent, e->options.directory, "snapshots"));
    TRY(make_path(s->path, parent, name));
    TRY(make_unfinished_path(s->unfinished, parent, name));
    if (access(s->path, F_OK) == 0) {
        return E_DENIED;
    }
    enum err made = make_directory(parent);
    TRY(made == E_BUSY ? OK : made);
    (void)!remove_snapshot(s->unfinished); /* Of a process that was killed. */
    TRY(make_directory(s->unfinished));
    TRY(make_path(parts, s->unfinished, "parts"));
    return make_directory(parts);
}

static enum err begin(struct engine *e, const char *name)
{
    char path[ENGINE_PATH_BYTES_MAX];
    TRY(engine_mend(e));
    TRY(make_directories(e, name));
    TRY(make_path(path, e->snapshot.unfinished, "journal.mdb"));
    return e->journal->calls->copy(e->journal, path);
}

enum err engine_snapshot_begin(struct engine *e, const char *name)
{
    struct engine_snapshot *s = &e->snapshot;
    CHECK(engine_snapshot_name_is_good(bytes_of(name)));
    if (s->running || e->checkpoint.running || engine_frozen_head(e) != NULL) {
        return E_BUSY;
    }
    enum err result = begin(e, name);
    if (result != OK) {
        (void)!remove_snapshot(s->unfinished);
        return result;
    }
    s->view = view_hold(e);
    s->running = true;
    return OK;
}

static enum err copy_layer(const struct engine *e, const struct view_parts *l)
{
    char path[ENGINE_PATH_BYTES_MAX], parts[ENGINE_PATH_BYTES_MAX];
    char name[PART_NAME_BYTES_MAX];
    TRY(make_path(parts, e->snapshot.unfinished, "parts"));
    for (size_t i = 0; i < l->count; i++) {
        part_name_write(part_name(l->at[i]), name);
        TRY(make_path(path, parts, name));
        TRY(part_copy(l->at[i], path));
    }
    return sync_directory(parts);
}

static enum err copy_all(struct engine *e)
{
    const struct engine_snapshot *s = &e->snapshot;
    char path[ENGINE_PATH_BYTES_MAX], parent[ENGINE_PATH_BYTES_MAX];
    TRY(make_path(path, s->unfinished, "catalog.mdb"));
    TRY(engine_copy_catalog(e, path));
    for (int i = 0; i < VIEW_LAYERS; i++) {
        TRY(copy_layer(e, &s->view->layer[i]));
    }
    TRY(sync_directory(s->unfinished));
    if (rename(s->unfinished, s->path) != 0) {
        return err_of(errno);
    }
    TRY(make_path(parent, e->options.directory, "snapshots"));
    TRY(sync_directory(parent));
    return sync_directory(e->options.directory); /* It may be new. */
}

enum err engine_snapshot_run(struct engine *e)
{
    CHECK(e->snapshot.running);
    return copy_all(e);
}

enum err engine_snapshot_end(struct engine *e, enum err run)
{
    struct engine_snapshot *s = &e->snapshot;
    CHECK(s->running);
    s->running = false;
    view_drop(e, s->view);
    s->view = NULL;
    if (run != OK) {
        (void)!remove_snapshot(s->unfinished);
        return run;
    }
    log_line(LOG_INFO, "storage", "snapshot path=%s", s->path);
    return OK;
}

enum err engine_snapshot_path(const struct engine *e, const char *name, char *to, size_t size)
{
    char *directory = realpath(e->options.directory, NULL);
    if (directory == NULL) {
        return E_IO;
    }
    int length = snprintf(to, size, "%s/snapshots/%s", directory, name);
    free(directory);
    return length > 0 && (size_t)length < size ? OK : E_LIMIT;
}

enum err engine_snapshot_remove(struct engine *e, const char *name)
{
    char parent[ENGINE_PATH_BYTES_MAX], path[ENGINE_PATH_BYTES_MAX];
    char unfinished[ENGINE_PATH_BYTES_MAX];
    CHECK(engine_snapshot_name_is_good(bytes_of(name)));
    TRY(make_path(parent, e->options.directory, "snapshots"));
    TRY(make_path(path, parent, name));
    TRY(make_unfinished_path(unfinished, parent, name));
    if (access(path, F_OK) != 0) {
        return E_NOT_FOUND;
    }
    (void)!remove_snapshot(unfinished);
    if (rename(path, unfinished) != 0) { /* A kill must not leave half of it under its name. */
        return err_of(errno);
    }
    return remove_snapshot(unfinished);
}

static bool is_unfinished(const char *name)
{
    const size_t size = strlen(name), end = strlen(UNFINISHED);
    return name[0] == '.' && size > end && strcmp(name + size - end, UNFINISHED) == 0;
}

void engine_snapshot_clean(const struct engine *e)
{
    char parent[ENGINE_PATH_BYTES_MAX], path[ENGINE_PATH_BYTES_MAX];
    if (make_path(parent, e->options.directory, "snapshots") != OK) {
        return;
    }
    DIR *directory = opendir(parent);
    if (directory == NULL) {
        return; /* There never was one. */
    }
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): each thread its own DIR, as POSIX.1-2024 allows. */
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (is_unfinished(entry->d_name) && make_path(path, parent, entry->d_name) == OK) {
            (void)!remove_snapshot(path); /* What stays is found again at the next start. */
        }
    }
    (void)closedir(directory);
}
