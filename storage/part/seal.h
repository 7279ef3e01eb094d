/* Sealing: what several parts hold of a run of periods becomes one file that never changes.
 *
 * Group by group the chunks of all parts are merged by time, duplicates are resolved, and the rows
 * are cut into chunks that fill their pages, by the codec's strongest settings; on their way they
 * are rolled up by hours and days (rollup_build.h). The file is
 * complete and durable under its name before anybody sees it; the parts it was made from are
 * dropped after. DESIGN of sizes: docs/decisions/0011-sealing.md. */

#ifndef STORAGE_PART_SEAL_H
#define STORAGE_PART_SEAL_H

#include <stdatomic.h>

#include "storage/erase/erasure.h"
#include "storage/part/part.h"

enum { SEAL_SOURCES_MAX = 64 };

struct seal {
    const char *directory;
    struct part_name name;         /* Of the file to make; its period holds those of all parts. */
    struct part *const *parts;     /* The last wins; they do not change meanwhile. */
    size_t part_count;             /* At most SEAL_SOURCES_MAX. */
    uint32_t group_end;            /* Groups are below this. */
    const struct erasure *erasure; /* What to leave out of the parts. */
    const atomic_bool *stop;       /* Set: leave it, nothing stays. */
};

struct seal_result {
    uint64_t rows, chunks, chunk_bytes, rollup_bytes;
    uint64_t duplicates,
        overwritten;  /* Values that came again equal, different, in a later part. */
    uint64_t damaged; /* Chunks that could not be read, kept aside. */
    uint64_t lost;    /* Bit i: not all that part i has could be found. The new file has what could
                       * be, and does not name it among its sources: it is to be kept. */
};

/* Any one thread; memory for the chunks that overlap. E_BUSY: `stop`. E_NO_SPACE, E_NO_MEMORY,
 * errors of merge.h and part.h: nothing stays. The new part has one reference. */
MUST_USE enum err seal_write(const struct seal *s, struct seal_result *result, struct part **out);

#endif /* STORAGE_PART_SEAL_H */
