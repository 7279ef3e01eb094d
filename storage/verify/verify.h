/* Is this store sound? Everything in a directory read and compared with its checksums, with what
 * else says the same, and with what it decodes to; nothing is changed. For a store nobody has open.
 *
 * What is found: flipped bits in anything that is in use, files cut or mixed up, records out of
 * order, chunks in wrong places, statistics and rollups that do not fit their values, series
 * without a name, values whose text is not there, queues without their session or message. */

#ifndef STORAGE_VERIFY_VERIFY_H
#define STORAGE_VERIFY_VERIFY_H

#include <stdint.h>

#include "base/err.h"

/* One thing that is wrong. Borrowed for the call. */
struct verify_fault {
    const char *file;  /* Below the directory: "parts/20170102-604800.act.mdb". */
    const char *where; /* In the file: "flush 3 group 17 at 2017-01-05T10:00:00Z". */
    const char *what;
};
typedef void verify_report(void *context, const struct verify_fault *fault);

struct verify_totals {
    uint64_t files, bytes;
    uint64_t series, texts, states, last_values, deletes;
    uint64_t sessions, queued; /* Of the broker, and places in their queues. */
    uint64_t tagged;           /* Series with tags. */
    uint64_t records, rows;    /* In the journal. */
    uint64_t partitions, flushes, chunks, rollups;
    uint64_t points; /* In chunks. */
    uint64_t faults;
};

/* OK: sound. E_CORRUPT: faults were reported, all of them. E_NOT_FOUND: no store. E_BUSY: a process
 * has it open. E_VERSION: a newer build's (also reported). E_IO, E_NO_MEMORY. `totals` is filled in
 * any case. */
MUST_USE enum err verify_store(const char *directory, verify_report *report, void *context,
                               struct verify_totals *totals);

#endif /* STORAGE_VERIFY_VERIFY_H */
