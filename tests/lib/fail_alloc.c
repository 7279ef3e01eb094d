#include "tests/lib/fail_alloc.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

/* glibc's own, under the names it keeps for such as us. */
/* NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming) */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *at, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
/* NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming) */

static _Atomic uint64_t skipped, failing, failed;

void fail_alloc_arm(uint64_t skip, uint64_t left)
{
    atomic_store(&failed, 0);
    atomic_store(&skipped, skip);
    atomic_store(&failing, left);
}

uint64_t fail_alloc_disarm(void)
{
    atomic_store(&failing, 0);
    return atomic_load(&failed);
}

/* One off, unless it is 0 already. */
static bool take(_Atomic uint64_t *counter)
{
    uint64_t now = atomic_load(counter);
    while (now > 0 && !atomic_compare_exchange_weak(counter, &now, now - 1)) {
    }
    return now > 0;
}

static bool fails(void)
{
    if (atomic_load(&failing) == 0 || take(&skipped) || !take(&failing)) {
        return false;
    }
    atomic_fetch_add(&failed, 1);
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t nmemb, size_t size)
{
    return fails() ? NULL : __libc_calloc(nmemb, size);
}

void *realloc(void *ptr, size_t size)
{
    return fails() ? NULL : __libc_realloc(ptr, size);
}

int posix_memalign(void **memptr, size_t alignment, size_t size)
{
    void *at = fails() ? NULL : __libc_memalign(alignment, size);
    if (at == NULL) {
        return ENOMEM;
    }
    *memptr = at;
    return 0;
}
