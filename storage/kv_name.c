/* Names of files, made durable. */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "storage/kv.h"

/* A new file is only there after a power cut when its directory says so. */
enum err kv_sync_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t length = slash == NULL ? 0 : (size_t)(slash - path);
    char *parent = slash == NULL ? strdup(".") : strndup(path, length == 0 ? 1 : length);
    if (parent == NULL) {
        return E_NO_MEMORY;
    }
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(parent);
    if (fd < 0) {
        return E_IO;
    }
    enum err e = fsync(fd) == 0 ? OK : E_IO;
    return close(fd) == 0 ? e : E_IO;
}
