#include "storage/kv_guard.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/thread.h"
#include "storage/verify/kv_check.h"

enum { PAGE_BYTES = 4096, LOCK_HEAD_BYTES = 128, READER_BYTES = 64, SIGNALS = 2 };

static const int numbers[SIGNALS] = {SIGBUS, SIGSEGV};
static struct sigaction before[SIGNALS]; /* What to do without a guard. */
static struct lock lock = {PTHREAD_MUTEX_INITIALIZER};
static _Thread_local struct kv_guard *current;

void kv_guard_set(struct kv_guard *guard)
{
    current = guard;
}

void kv_guard_fail(void)
{
    struct kv_guard *guard = current;
    if (guard != NULL) {
        current = NULL;
        siglongjmp(guard->back, 1);
    }
}

/* Without a guard the instruction runs once more, and what was there before gets the signal. */
static void on_fault(int number, siginfo_t *info, void *context)
{
    (void)info;
    (void)context;
    kv_guard_fail();
    (void)sigaction(number, &before[number == SIGBUS ? 0 : 1], NULL);
}

void kv_guard_install(void)
{
    struct sigaction ours = {.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK}, now;
    ours.sa_sigaction = on_fault;
    (void)sigemptyset(&ours.sa_mask);
    lock_take(&lock);
    for (int i = 0; i < SIGNALS; i++) {
        if (sigaction(numbers[i], NULL, &now) == 0 && now.sa_sigaction != on_fault) {
            before[i] = now;
            (void)sigaction(numbers[i], &ours, NULL);
        }
    }
    lock_drop(&lock);
}

void kv_guard_touch(struct bytes value)
{
    volatile uint8_t seen;
    for (size_t i = 0; i < value.size; i += PAGE_BYTES) {
        seen = value.at[i];
    }
    if (value.size > 0) {
        seen = value.at[value.size - 1];
    }
    (void)seen;
}

/* Of LMDB's 0.9: a record of 64 bytes for each reader behind a head of two. */
static enum err reserve(const char *lock_path, unsigned readers)
{
    int fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) {
        return errno == ENOSPC || errno == EDQUOT   ? E_NO_SPACE
               : errno == EACCES || errno == EPERM  ? E_DENIED
               : errno == EMFILE || errno == ENFILE ? E_BUSY
                                                    : E_IO;
    }
    int failed = posix_fallocate(fd, 0, LOCK_HEAD_BYTES + (off_t)readers * READER_BYTES);
    (void)close(fd);
    return failed == 0                            ? OK
           : failed == ENOSPC || failed == EDQUOT ? E_NO_SPACE
           : failed == EFBIG                      ? E_NO_SPACE
                                                  : E_IO;
}

enum err kv_guard_lock_file(const char *path, unsigned readers)
{
    char *lock_path;
    if (asprintf(&lock_path, "%s-lock", path) < 0) {
        return E_NO_MEMORY;
    }
    enum err e = reserve(lock_path, readers);
    free(lock_path);
    return e;
}

static void on_page_fault(void *context, uint64_t page, const char *what)
{
    (void)context;
    (void)page;
    (void)what;
}

/* Offline checks tell what is wrong. What a failing read leaves open here stays open. */
enum err kv_guard_check(const char *path, bool whole)
{
    struct kv_guard guard;
    if (sigsetjmp(guard.back, 0) != 0) {
        return E_CORRUPT;
    }
    kv_guard_set(&guard);
    enum err e =
        whole ? kv_check(path, on_page_fault, NULL) : kv_check_tree(path, on_page_fault, NULL);
    kv_guard_set(NULL);
    return e;
}
