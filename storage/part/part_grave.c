#include "storage/part/part_grave.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/thread.h"

static struct {
    struct lock lock;
    unsigned count;
    int files[PART_GRAVES_MAX];
} graves = {.lock = {PTHREAD_MUTEX_INITIALIZER}};

/* Open, so that unlinking does not end it. -1: it is small, or cannot be kept. */
static int hold(const char *path)
{
    struct stat file;
    return stat(path, &file) == 0 && file.st_size >= PART_GRAVE_BYTES_MIN
               ? open(path, O_RDONLY | O_CLOEXEC)
               : -1;
}

void part_grave_unlink(const char *path)
{
    int file = hold(path);
    (void)unlink(path); /* A file that stays is found and dropped again after the next start. */
    if (file < 0) {
        return;
    }
    lock_take(&graves.lock);
    if (graves.count < PART_GRAVES_MAX) {
        graves.files[graves.count++] = file;
        file = -1;
    }
    lock_drop(&graves.lock);
    if (file >= 0) {
        (void)close(file);
    }
}

bool part_grave_is_any(void)
{
    lock_take(&graves.lock);
    const bool any = graves.count > 0;
    lock_drop(&graves.lock);
    return any;
}

static int take(void)
{
    lock_take(&graves.lock);
    const int file = graves.count > 0 ? graves.files[--graves.count] : -1;
    lock_drop(&graves.lock);
    return file;
}

void part_grave_clear(void)
{
    for (int file; (file = take()) >= 0;) {
        (void)close(file);
    }
}
