/* Values of a file as they lie in memory: fetched ahead, and touched before they are believed. */

#include <sys/mman.h>
#include <unistd.h>

#include "storage/kv.h"
#include "storage/kv_guard.h"

void kv_will_need(struct bytes value)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t from = (uintptr_t)value.at / page * page;
    union { /* madvise() takes an address for whatever is to be done with it. */
        uintptr_t number;
        void *at;
    } start = {.number = from};
    (void)madvise(start.at, (uintptr_t)value.at + value.size - from, MADV_WILLNEED);
}

enum err kv_touch(struct bytes value)
{
    struct kv_guard guard;
    if (sigsetjmp(guard.back, 0) != 0) {
        return E_CORRUPT;
    }
    kv_guard_set(&guard);
    kv_guard_touch(value);
    kv_guard_set(NULL);
    return OK;
}
