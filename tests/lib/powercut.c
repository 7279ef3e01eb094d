#include "tests/lib/powercut.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static struct {
    const char *directory;
    size_t directory_bytes;
    int log;
    uint64_t end;
    unsigned long kill_at;
} cut = {.log = -1};

static atomic_ulong calls;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void open_log(void)
{
    const char *path = getenv("POWERCUT_LOG"), *at = getenv("POWERCUT_AT");
    struct stat file;
    cut.directory = getenv("POWERCUT_DIRECTORY");
    cut.directory_bytes = cut.directory == NULL ? 0 : strlen(cut.directory);
    cut.kill_at = at == NULL ? 0 : strtoul(at, NULL, 10);
    if (path != NULL && cut.directory != NULL) {
        const int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC;
        cut.log = (int)syscall(SYS_openat, AT_FDCWD, path, flags, 0600);
        if (cut.log < 0 || fstat(cut.log, &file) != 0) {
            abort(); /* Better no test than one that proves nothing. */
        }
        cut.end = (uint64_t)file.st_size;
    }
}

/* LMDB's lock files are made anew at each start, and written through a mapping. */
static bool is_lock(const char *path)
{
    size_t size = strlen(path);
    return size >= 5 && strcmp(path + size - 5, "-lock") == 0;
}

bool powercut_watches(const char *path)
{
    (void)pthread_once(&once, open_log);
    if (cut.directory == NULL || is_lock(path) ||
        strncmp(path, cut.directory, cut.directory_bytes) != 0) {
        return false;
    }
    const char behind = path[cut.directory_bytes];
    return behind == 0 || behind == '/';
}

uint64_t powercut_position(void)
{
    (void)pthread_once(&once, open_log);
    (void)pthread_mutex_lock(&lock);
    uint64_t end = cut.end;
    (void)pthread_mutex_unlock(&lock);
    return end;
}

uint64_t powercut_log(const struct powercut_record *r, const char *path, const void *old)
{
    union { /* writev() only reads. */
        const void *given;
        void *at;
    } record = {.given = r}, name = {.given = path}, bytes = {.given = old};
    const struct iovec parts[] = {
        {record.at, sizeof *r}, {name.at, r->path_bytes}, {bytes.at, r->old_bytes}};
    (void)pthread_once(&once, open_log);
    if (cut.log < 0) {
        return 0;
    }
    (void)pthread_mutex_lock(&lock);
    uint64_t position = cut.end;
    long done = syscall(SYS_writev, cut.log, parts, 3);
    if (done != (long)(sizeof *r + r->path_bytes + r->old_bytes)) {
        abort();
    }
    cut.end += (uint64_t)done;
    (void)pthread_mutex_unlock(&lock);
    return position;
}

/* The last call is killed before it on odd numbers, after it on even ones. */
void powercut_count(bool after)
{
    (void)pthread_once(&once, open_log);
    unsigned long now = after ? atomic_load(&calls) : atomic_fetch_add(&calls, 1) + 1;
    if (cut.kill_at != 0 && now >= cut.kill_at && after == (cut.kill_at % 2 == 0)) {
        (void)kill(getpid(), SIGKILL);
    }
}
