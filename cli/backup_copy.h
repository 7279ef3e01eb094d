/* A snapshot of a store becomes a backup: a directory that is whole or not there.
 *
 * All is put together beside the place, sealed partitions linked where the file system can, from an
 * earlier backup before anything else, so that only what is new takes time and room. */

#ifndef CLI_BACKUP_COPY_H
#define CLI_BACKUP_COPY_H

#include <stdint.h>

#include "base/err.h"

enum { BACKUP_PATH_BYTES_MAX = 4096, BACKUP_COMPLAINT_BYTES_MAX = 2 * BACKUP_PATH_BYTES_MAX };

struct backup {
    const char *snapshot; /* What to take. */
    const char *target;   /* Where it goes; absent, or an earlier backup, which it replaces. */
    const char *earlier;  /* A backup to link from, or NULL: `target`, if there is one. */
    /* Filled in: */
    char unfinished[BACKUP_PATH_BYTES_MAX];
    uint64_t files, linked, copied_bytes;
    char complaint[BACKUP_COMPLAINT_BYTES_MAX]; /* After an error: what and where. */
};

/* Put it together at `unfinished`, on the disk. On failure what is there may be removed. */
MUST_USE enum err backup_copy(struct backup *b);

/* What is at `unfinished` takes the place of `target`. */
MUST_USE enum err backup_finish(struct backup *b);

/* What is at `unfinished` goes. */
void backup_remove(const struct backup *b);

#endif /* CLI_BACKUP_COPY_H */
