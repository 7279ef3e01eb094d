/* What the files in parts/ are called, and the periods of event time they stand for.
 *
 *   20170102-604800.3.act.mdb      active: written by checkpoints; one period
 *   20170102-31449600.17.seal.mdb  sealed: never changed; one period or several in a row
 *
 * Start in UTC, length in seconds, number. A number is given once in a store, so a file that is
 * still read while another takes its place never stands in the way of its name. Number 0 is left
 * out. Pure. */

#ifndef STORAGE_PART_PART_NAME_H
#define STORAGE_PART_PART_NAME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct part_period {
    int64_t start_ns, end_ns; /* start <= t < end */
};

enum part_kind { PART_ACTIVE, PART_SEALED };

struct part_name {
    struct part_period period;
    enum part_kind kind;
    uint32_t number;
};

/* The period that holds `time_ns` (0 or later), for periods of `length_s` seconds, weeks on Monday.
 */
struct part_period part_period_of(int64_t time_ns, int64_t length_s);

/* Whether `p` is made of whole periods of `length_s` seconds. */
bool part_period_is_whole(struct part_period p, int64_t length_s);

/* The name of a file, with a 0 byte. */
enum { PART_NAME_BYTES_MAX = 64 };
void part_name_write(struct part_name name, char to[PART_NAME_BYTES_MAX]);

/* E_MALFORMED: not a partition's name. */
MUST_USE enum err part_name_read(const char *text, struct part_name *out);

#endif /* STORAGE_PART_PART_NAME_H */
