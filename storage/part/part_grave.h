/* Large files that were unlinked. The system takes back their space when the last one closes them,
 * and that takes long (a second for a gigabyte was seen): whoever lets go of a part, be it the
 * thread that acknowledges, leaves the closing to a worker. Any thread. */

#ifndef STORAGE_PART_PART_GRAVE_H
#define STORAGE_PART_PART_GRAVE_H

#include <stdbool.h>

/* Unlink the file. A large one keeps its space until part_grave_clear(), if there is a place left
 * among so many. */
enum { PART_GRAVES_MAX = 64, PART_GRAVE_BYTES_MIN = 16 << 20 };
void part_grave_unlink(const char *path);

bool part_grave_is_any(void);
/* A worker: takes as long as the files are large. */
void part_grave_clear(void);

#endif /* STORAGE_PART_PART_GRAVE_H */
