#include "cli/backup_copy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEALED_SUFFIX ".seal.mdb"

enum { NAME_BYTES_MAX = 512 };

__attribute__((format(printf, 3, 4))) static enum err complain(struct backup *b, enum err e,
                                                               const char *format, ...)
{
    va_list list;
    va_start(list, format);
    (void)vsnprintf(b->complaint, sizeof b->complaint, format, list);
    va_end(list);
    return e;
}

static enum err complain_of(struct backup *b, const char *path)
{
    const enum err e = errno == ENOSPC || errno == EDQUOT ? E_NO_SPACE : E_IO;
    return complain(b, e, "%s: %s", path, strerrordesc_np(errno));
}

/* directory + "/" + name; name may be empty. */
static enum err join(struct backup *b, char to[BACKUP_PATH_BYTES_MAX], const char *directory,
                     const char *name)
{
    int size = snprintf(to, BACKUP_PATH_BYTES_MAX, "%s/%s", directory, name);
    return size > 0 && size < BACKUP_PATH_BYTES_MAX
               ? OK
               : complain(b, E_LIMIT, "%s: the path is too long", directory);
}

static enum err sync_path(struct backup *b, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return complain_of(b, path);
    }
    const bool synced = fsync(fd) == 0;
    enum err e = synced ? OK : complain_of(b, path);
    (void)close(fd);
    return e;
}

static enum err copy_bytes(struct backup *b, int from, int to, const char *path)
{
    ssize_t size;
    while ((size = copy_file_range(from, NULL, to, NULL, 1 << 30, 0)) > 0) {
        b->copied_bytes += (uint64_t)size;
    }
    return size == 0 && fsync(to) == 0 ? OK : complain_of(b, path);
}

static enum err copy_file(struct backup *b, const char *from, const char *to)
{
    int in = open(from, O_RDONLY | O_CLOEXEC);
    if (in < 0) {
        return complain_of(b, from);
    }
    int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    enum err e = out < 0 ? complain_of(b, to) : copy_bytes(b, in, out, to);
    if (out >= 0 && close(out) != 0 && e == OK) {
        e = complain_of(b, to);
    }
    (void)close(in);
    return e;
}

/* A sealed file never changes, so one of the same name and size is the same. */
static bool link_earlier(const struct backup *b, const char *name, const char *from, const char *to)
{
    char path[BACKUP_PATH_BYTES_MAX];
    struct stat want, have;
    int size = snprintf(path, sizeof path, "%s/%s", b->earlier, name);
    return size > 0 && (size_t)size < sizeof path && stat(from, &want) == 0 &&
           stat(path, &have) == 0 && want.st_size == have.st_size && link(path, to) == 0;
}

static bool is_sealed(const char *name)
{
    const size_t size = strlen(name), suffix = strlen(SEALED_SUFFIX);
    return size > suffix && strcmp(name + size - suffix, SEALED_SUFFIX) == 0;
}

/* `name` is below the snapshot: "journal.mdb", "parts/...". */
static enum err take_file(struct backup *b, const char *name)
{
    char from[BACKUP_PATH_BYTES_MAX], to[BACKUP_PATH_BYTES_MAX];
    TRY(join(b, from, b->snapshot, name));
    TRY(join(b, to, b->unfinished, name));
    b->files++;
    if (is_sealed(name) && (link_earlier(b, name, from, to) || link(from, to) == 0)) {
        b->linked++;
        return OK;
    }
    return copy_file(b, from, to);
}

/* All files of a directory of the snapshot; `prefix` is "" or "parts/". */
static enum err take_directory(struct backup *b, const char *prefix)
{
    char path[BACKUP_PATH_BYTES_MAX], name[NAME_BYTES_MAX];
    enum err e = OK;
    TRY(join(b, path, b->snapshot, prefix));
    DIR *directory = opendir(path);
    if (directory == NULL) {
        return complain_of(b, path);
    }
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): each thread its own DIR, as POSIX.1-2024 allows. */
    for (struct dirent *entry; e == OK && (entry = readdir(directory)) != NULL;) {
        const char *dot = strrchr(entry->d_name, '.');
        if (dot != NULL && strcmp(dot, ".mdb") == 0) {
            (void)snprintf(name, sizeof name, "%s%s", prefix, entry->d_name);
            e = take_file(b, name);
        }
    }
    (void)closedir(directory);
    TRY(e);
    TRY(join(b, path, b->unfinished, prefix));
    return sync_path(b, path);
}

/* A backup holds nothing but these. */
static void remove_files(const char *path)
{
    char file[BACKUP_PATH_BYTES_MAX + NAME_BYTES_MAX];
    DIR *directory = opendir(path);
    if (directory == NULL) {
        return;
    }
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): each thread its own DIR, as POSIX.1-2024 allows. */
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (strstr(entry->d_name, ".mdb") != NULL || strcmp(entry->d_name, "lock") == 0) {
            (void)snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
            (void)unlink(file);
        }
    }
    (void)closedir(directory);
    (void)rmdir(path); /* Stays where something else is in it. */
}

static void remove_backup(const char *path)
{
    char parts[BACKUP_PATH_BYTES_MAX + 8];
    (void)snprintf(parts, sizeof parts, "%s/parts", path);
    remove_files(parts);
    remove_files(path);
}

void backup_remove(const struct backup *b)
{
    remove_backup(b->unfinished);
}

/* Absent, empty, or a backup. */
static enum err look_at_target(struct backup *b)
{
    char path[BACKUP_PATH_BYTES_MAX];
    TRY(join(b, path, b->target, "catalog.mdb"));
    if (access(path, F_OK) == 0 || rmdir(b->target) == 0 || errno == ENOENT) {
        return OK;
    }
    return complain(b, E_DENIED, "%s: is there, and no backup; name another directory", b->target);
}

static enum err make_directory(struct backup *b, const char *path)
{
    return mkdir(path, 0750) == 0 ? OK : complain_of(b, path);
}

enum err backup_copy(struct backup *b)
{
    char parts[BACKUP_PATH_BYTES_MAX];
    int size = snprintf(b->unfinished, sizeof b->unfinished, "%s.unfinished", b->target);
    if (size < 0 || (size_t)size >= sizeof b->unfinished) {
        return complain(b, E_LIMIT, "%s: the path is too long", b->target);
    }
    b->earlier = b->earlier != NULL ? b->earlier : b->target;
    TRY(look_at_target(b));
    remove_backup(b->unfinished);
    TRY(make_directory(b, b->unfinished));
    TRY(join(b, parts, b->unfinished, "parts"));
    TRY(make_directory(b, parts));
    TRY(take_directory(b, "parts/"));
    return take_directory(b, "");
}

static enum err sync_parent(struct backup *b)
{
    char parent[BACKUP_PATH_BYTES_MAX];
    TRY(join(b, parent, b->target, ".."));
    return sync_path(b, parent);
}

enum err backup_finish(struct backup *b)
{
    if (rename(b->unfinished, b->target) == 0) {
        return sync_parent(b); /* There was none. */
    }
    if (renameat2(AT_FDCWD, b->unfinished, AT_FDCWD, b->target, RENAME_EXCHANGE) != 0) {
        return complain_of(b, b->target);
    }
    TRY(sync_parent(b));
    remove_backup(b->unfinished); /* The earlier one. */
    return OK;
}
