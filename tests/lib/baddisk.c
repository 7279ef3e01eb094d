#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/lib/powercut.h"

static struct baddisk_rule *rules;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void map_rules(void)
{
    const char *path = getenv("BADDISK");
    int fd = path == NULL ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
    if (fd >= 0) {
        void *at =
            mmap(NULL, BADDISK_RULES * sizeof *rules, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        rules = at == MAP_FAILED ? NULL : at;
        (void)syscall(SYS_close, fd);
    }
}

static bool applies(struct baddisk_rule *r, enum baddisk_kind kind, const char *path)
{
    if ((r->kinds & (uint32_t)kind) == 0 || r->left == 0 || strstr(path, r->path) == NULL) {
        return false;
    }
    if (r->skip > 0) {
        r->skip--;
        return false;
    }
    r->left -= r->left != UINT32_MAX;
    r->hits++;
    return true;
}

int baddisk_fail(enum baddisk_kind kind, const char *path, bool *carry_out)
{
    int error = 0;
    *carry_out = false;
    (void)pthread_once(&once, map_rules);
    if (rules == NULL) {
        return 0;
    }
    (void)pthread_mutex_lock(&lock);
    for (int i = 0; error == 0 && i < BADDISK_RULES; i++) {
        if (applies(&rules[i], kind, path)) {
            error = rules[i].error;
            *carry_out = (rules[i].kinds & BADDISK_DONE) != 0;
        }
    }
    (void)pthread_mutex_unlock(&lock);
    return error;
}
