/* The calls that change files, taken before libc gets them. Everything real goes through syscall(),
 * so nothing here calls itself. Parameters are named as in
 * libc's headers. */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/lib/powercut.h"

enum { FILES_MAX = 4096 };

/* By descriptor; a path of NULL: not watched. */
static struct {
    char *path;
    uint64_t file;
    bool syncs_each_write, is_directory;
} files[FILES_MAX];

static bool is_watched(int fd)
{
    return fd >= 0 && fd < FILES_MAX && files[fd].path != NULL;
}

static int fails(int error)
{
    errno = error;
    return -1;
}

static uint64_t log_name(enum powercut_kind kind, const char *path, size_t bytes)
{
    const struct powercut_record r = {.kind = kind, .path_bytes = (uint32_t)bytes};
    return powercut_log(&r, path, NULL);
}

static void remember(int fd, const char *path, int flags)
{
    struct stat file;
    if (fd < FILES_MAX && fstat(fd, &file) == 0) {
        free(files[fd].path);
        files[fd].path = strdup(path);
        files[fd].file = file.st_ino;
        files[fd].syncs_each_write = (flags & O_DSYNC) != 0;
        files[fd].is_directory = S_ISDIR(file.st_mode);
    }
}

/* The directory above the watched one counts, too: it holds its name. */
static bool is_parent(const char *path)
{
    const char *watched = getenv("POWERCUT_DIRECTORY");
    const char *slash = watched == NULL ? NULL : strrchr(watched, '/');
    size_t size = slash == NULL ? 0 : (size_t)(slash - watched);
    return size > 0 && strlen(path) == size && strncmp(path, watched, size) == 0;
}

static int open_file(const char *path, int flags, mode_t mode)
{
    char whole[PATH_MAX];
    if ((flags & O_DIRECTORY) != 0 && realpath(path, whole) != NULL) {
        path = whole;
    }
    bool carry_out, watched = powercut_watches(path);
    if (!watched && !is_parent(path)) {
        return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    }
    const int error = baddisk_fail(BADDISK_OPEN, path, &carry_out);
    if (error != 0) {
        return fails(error);
    }
    const bool makes = (flags & O_CREAT) != 0 && access(path, F_OK) != 0;
    if (makes) {
        powercut_count(false);
        (void)log_name(POWERCUT_MAKE, path, strlen(path));
    }
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    if (fd >= 0) {
        remember(fd, path, flags);
    }
    if (makes) {
        powercut_count(true);
    }
    return fd;
}

int open(const char *file, int oflag, ...)
{
    va_list more;
    va_start(more, oflag);
    mode_t mode = (oflag & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
    va_end(more);
    return open_file(file, oflag, mode);
}

int open64(const char *file, int oflag, ...)
{
    va_list more;
    va_start(more, oflag);
    mode_t mode = (oflag & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
    va_end(more);
    return open_file(file, oflag, mode);
}

int close(int fd)
{
    if (is_watched(fd)) {
        free(files[fd].path);
        files[fd].path = NULL;
    }
    return (int)syscall(SYS_close, fd);
}

int mkdir(const char *path, mode_t mode)
{
    const bool makes = powercut_watches(path) && access(path, F_OK) != 0;
    if (makes) {
        powercut_count(false);
        (void)log_name(POWERCUT_MAKE, path, strlen(path));
    }
    return (int)syscall(SYS_mkdir, path, mode);
}

/* What loses its name to another stays beside the log, under the place of the record. */
static void keep_replaced(const char *path, uint64_t position)
{
    char kept[PATH_MAX];
    const char *log = getenv("POWERCUT_LOG");
    if (log != NULL && access(path, F_OK) == 0) {
        (void)snprintf(kept, sizeof kept, "%s.%llu", log, (unsigned long long)position);
        if (link(path, kept) != 0) {
            abort();
        }
    }
}

int rename(const char *old, const char *new)
{
    char both[2 * PATH_MAX];
    if (powercut_watches(old)) {
        size_t size = strlen(old) + 1;
        memcpy(both, old, size);
        memcpy(both + size, new, strlen(new) + 1);
        powercut_count(false);
        keep_replaced(new, log_name(POWERCUT_RENAME, both, size + strlen(new)));
    }
    int result = (int)syscall(SYS_rename, old, new);
    if (powercut_watches(old)) {
        powercut_count(true);
    }
    return result;
}

/* What stands where `new_bytes` go to; returns where the record lies. */
static uint64_t log_write(int fd, uint64_t offset, size_t new_bytes)
{
    struct stat file;
    struct powercut_record r = {.kind = POWERCUT_WRITE,
                                .path_bytes = (uint32_t)strlen(files[fd].path),
                                .file = files[fd].file,
                                .offset = offset,
                                .new_bytes = new_bytes};
    if (getenv("POWERCUT_LOG") == NULL) {
        return 0; /* Nobody asks. */
    }
    char *old = malloc(new_bytes + 1);
    /* LMDB opens some descriptors for writing only: read through one of our own. */
    int own = (int)syscall(SYS_openat, AT_FDCWD, files[fd].path, O_RDONLY | O_CLOEXEC, 0);
    if (old == NULL || own < 0 || fstat(fd, &file) != 0) {
        abort();
    }
    r.size = (uint64_t)file.st_size;
    long got = syscall(SYS_pread64, own, old, new_bytes, offset);
    r.old_bytes = got > 0 ? (uint64_t)got : 0;
    uint64_t position = powercut_log(&r, files[fd].path, old);
    (void)syscall(SYS_close, own);
    free(old);
    return position;
}

static bool begin_write(int fd, uint64_t offset, size_t bytes, int *error, uint64_t *position)
{
    bool carry_out;
    const bool meta = files[fd].syncs_each_write;
    *error = baddisk_fail(meta ? BADDISK_META : BADDISK_WRITE, files[fd].path, &carry_out);
    if (*error != 0 && !carry_out) {
        return false;
    }
    powercut_count(false);
    *position = log_write(fd, offset, bytes);
    return true;
}

static ssize_t end_write(int fd, ssize_t result, int error, uint64_t position)
{
    int kept = errno;
    powercut_count(true);
    if (error != 0) {
        return fails(error);
    }
    if (result > 0 && files[fd].syncs_each_write) {
        const struct powercut_record r = {
            .kind = POWERCUT_DONE, .file = files[fd].file, .upto = position};
        (void)powercut_log(&r, "", NULL);
    }
    errno = kept;
    return result;
}

ssize_t pwrite(int fd, const void *buf, size_t n, off_t offset)
{
    uint64_t position;
    int error;
    if (!is_watched(fd)) {
        return syscall(SYS_pwrite64, fd, buf, n, offset);
    }
    if (!begin_write(fd, (uint64_t)offset, n, &error, &position)) {
        return fails(error);
    }
    return end_write(fd, syscall(SYS_pwrite64, fd, buf, n, offset), error, position);
}

static uint64_t place_of(int fd)
{
    return (uint64_t)syscall(SYS_lseek, fd, 0, SEEK_CUR);
}

ssize_t write(int fd, const void *buf, size_t n)
{
    uint64_t position;
    int error;
    if (!is_watched(fd)) {
        return syscall(SYS_write, fd, buf, n);
    }
    if (!begin_write(fd, place_of(fd), n, &error, &position)) {
        return fails(error);
    }
    return end_write(fd, syscall(SYS_write, fd, buf, n), error, position);
}

ssize_t writev(int fd, const struct iovec *iovec, int count)
{
    uint64_t position;
    size_t bytes = 0;
    int error;
    if (!is_watched(fd)) {
        return syscall(SYS_writev, fd, iovec, count);
    }
    for (int i = 0; i < count; i++) {
        bytes += iovec[i].iov_len;
    }
    if (!begin_write(fd, place_of(fd), bytes, &error, &position)) {
        return fails(error);
    }
    return end_write(fd, syscall(SYS_writev, fd, iovec, count), error, position);
}

int ftruncate(int fd, off_t length)
{
    uint64_t position;
    struct stat file;
    int error;
    if (!is_watched(fd) || fstat(fd, &file) != 0 || length < file.st_size) {
        return (int)syscall(SYS_ftruncate, fd, length);
    }
    if (!begin_write(fd, (uint64_t)length, 0, &error, &position)) {
        return fails(error);
    }
    return (int)syscall(SYS_ftruncate, fd, length);
}

static int sync_file(int fd, long call)
{
    bool carry_out;
    if (!is_watched(fd)) {
        return (int)syscall(call, fd);
    }
    struct powercut_record r = {.kind = files[fd].is_directory ? POWERCUT_DIRSYNC : POWERCUT_SYNC,
                                .path_bytes = (uint32_t)strlen(files[fd].path),
                                .file = files[fd].file,
                                .upto = powercut_position()};
    const int error = baddisk_fail(BADDISK_SYNC, files[fd].path, &carry_out);
    if (error != 0) {
        return fails(error);
    }
    powercut_count(false);
    int result = (int)syscall(call, fd);
    powercut_count(true);
    if (result == 0) {
        (void)powercut_log(&r, files[fd].path, NULL);
    }
    return result;
}

int fsync(int fd)
{
    return sync_file(fd, SYS_fsync);
}

int fdatasync(int fildes)
{
    return sync_file(fildes, SYS_fdatasync);
}

ssize_t pread(int fd, void *buf, size_t nbytes, off_t offset)
{
    bool carry_out;
    const int error = is_watched(fd) ? baddisk_fail(BADDISK_READ, files[fd].path, &carry_out) : 0;
    return error != 0 ? fails(error) : syscall(SYS_pread64, fd, buf, nbytes, offset);
}
