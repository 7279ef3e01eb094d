/* How long ago something was, as people say it: 12s, 5m, 3h, 2d. */

#ifndef CLI_AGE_H
#define CLI_AGE_H

#include <stddef.h>
#include <stdint.h>

enum { AGE_BYTES_MAX = 32 };
void age_write(int64_t age_ns, char to[AGE_BYTES_MAX]);

/* Bytes with a unit: 1.5 MiB. */
void size_write(double bytes, char to[AGE_BYTES_MAX]);

#endif /* CLI_AGE_H */
