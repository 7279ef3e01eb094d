/* Times of a chunk as offsets: since the first one, in the coarsest unit that all of them allow. */

#ifndef CODEC_OFFSETS_H
#define CODEC_OFFSETS_H

#include <stdint.h>

/* Nanoseconds of each unit; a unit stands in files as its index. */
enum { OFFSETS_UNITS = 4 };
extern const uint64_t offsets_unit_ns[OFFSETS_UNITS];

/* The coarsest unit that all times are multiples of. */
uint8_t offsets_find_unit(const int64_t *times, uint32_t rows);

/* Times since the first one, in units. */
void offsets_of(const int64_t *times, uint32_t rows, uint8_t unit, int64_t *offsets);

#endif /* CODEC_OFFSETS_H */
