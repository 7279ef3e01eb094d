/* The tree of a kv file checked page by page, without LMDB.
 *
 * LMDB 0.9 keeps no checksums and believes what it maps, so a flipped bit in a tree page could make
 * it read where nothing is. An offline check looks here first. Layout: LMDB 0.9 mdb.c, "Page
 * format"; the same for every build on 64-bit little-endian machines. Only what the house uses: no
 * duplicate keys. */

#ifndef STORAGE_VERIFY_KV_CHECK_H
#define STORAGE_VERIFY_KV_CHECK_H

#include <stdint.h>

#include "base/bytes.h"

/* One fault: `page` is its number in the file. */
typedef void kv_check_report(void *context, uint64_t page, const char *what);

/* OK: LMDB may open the file and read all of it. E_CORRUPT: faults were reported. E_NOT_FOUND: no
 * file. E_IO, E_DENIED, E_NO_MEMORY. Nobody may write to the file meanwhile. */
MUST_USE enum err kv_check(const char *path, kv_check_report *report, void *context);

/* The same without looking at the pages of values: few pages are read. */
MUST_USE enum err kv_check_tree(const char *path, kv_check_report *report, void *context);

/* The first for a file's bytes. Safe on any. */
MUST_USE enum err kv_check_bytes(struct bytes file, kv_check_report *report, void *context);

#endif /* STORAGE_VERIFY_KV_CHECK_H */
