/* Data on its way to stdout or a file, through one large buffer: millions of rows a second.
 *
 * A file is written as FILE.part, synced and renamed when it is whole; what is not whole never
 * bears its name. Errors are remembered and told by out_close(). */

#ifndef CLI_OUT_H
#define CLI_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/timestamp.h"

struct out;

/* `path` NULL: stdout. E_IO: cannot be made; errno tells why. What is there
 * and no regular file, such as /dev/null or a pipe, is written to as it is. */
MUST_USE enum err out_open(const char *path, enum timestamp_format times, struct out **out);

/* Write RFC 3339 times by the clock of a zone, with its offset. The zone is the caller's. */
struct zone;
void out_set_zone(struct out *o, const struct zone *zone);

/* Finish. `whole` false: a file is removed again. E_IO: not all was written; errno tells why. */
MUST_USE enum err out_close(struct out *o, bool whole);

/* Whether writing still works; a closed pipe ends a long export early. */
bool out_is_good(const struct out *o);
uint64_t out_bytes(const struct out *o);

void out_put(struct out *o, const char *text, size_t size);
void out_text(struct out *o, const char *text);
void out_number(struct out *o, double value);
void out_time(struct out *o, int64_t time_ns);
/* The same as a text; returns its length, no 0 byte is added. */
size_t out_time_text(const struct out *o, enum timestamp_format format, int64_t time_ns,
                     char to[TIMESTAMP_TEXT_BYTES_MAX]);
void out_csv(struct out *o, const char *text);        /* Quoted where RFC 4180 wants it. */
void out_csv_inside(struct out *o, const char *text); /* What stands between the quotes. */
void out_json(struct out *o, const char *text);       /* As a JSON string. */
void out_json_number(struct out *o, double value);    /* null for what JSON cannot say. */
void out_json_time(struct out *o, int64_t time_ns);   /* Quoted when it is a text. */

#endif /* CLI_OUT_H */
