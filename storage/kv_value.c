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

/* Where the file is mapped, from a place in one of its pages; NULL: this is no such place. LMDB
 * does not tell; but each page begins with its number, and the first says what it is. */
static uint8_t *find_map(struct bytes inside)
{
    enum { PAGE_BYTES = 4096, MAGIC_AT = 16 };
    const uint32_t magic = UINT32_C(0xbeefc0de);
    struct kv_guard guard;
    uint64_t number;
    union { /* madvise() takes an address for whatever is to be done with it. */
        uintptr_t number;
        uint8_t *at;
    } map = {.number = (uintptr_t)inside.at / PAGE_BYTES * PAGE_BYTES};
    if (sigsetjmp(guard.back, 0) != 0) {
        return NULL;
    }
    kv_guard_set(&guard);
    memcpy(&number, map.at, sizeof number);
    map.number -= number * PAGE_BYTES;
    const bool is_map = memcmp(map.at + MAGIC_AT, &magic, sizeof magic) == 0;
    kv_guard_set(NULL);
    return is_map ? map.at : NULL;
}

/* A transaction that reads never sees pages that are not the file's. */
void kv_let_go(struct kv *kv)
{
    struct kv_table main;
    struct kv_txn *txn;
    struct kv_cursor *cursor;
    struct bytes key, value;
    if (kv_table_share(kv, " ", &main) != OK || kv_read_begin(kv, &txn) != OK) {
        return;
    }
    main.shared = NULL;
    if (kv_cursor_open(txn, main, &cursor) == OK) {
        uint8_t *map = kv_cursor_seek(cursor, (struct bytes){NULL, 0}, &key, &value) == OK
                           ? find_map(key)
                           : NULL;
        if (map != NULL) {
            (void)madvise(map, kv_file_bytes(kv), MADV_DONTNEED);
        }
        kv_cursor_close(cursor);
    }
    kv_abort(txn);
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
