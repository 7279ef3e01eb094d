#include "codec/offsets.h"

#include <stdbool.h>

#include "base/clock.h"

const uint64_t offsets_unit_ns[OFFSETS_UNITS] = {1, NS_PER_US, NS_PER_MS, NS_PER_S};

static inline __attribute__((always_inline)) bool are_multiples(const int64_t *times, uint32_t rows,
                                                                int64_t unit)
{
    for (uint32_t i = 0; i < rows; i++) {
        if (times[i] % unit != 0) {
            return false;
        }
    }
    return true;
}

uint8_t offsets_find_unit(const int64_t *times, uint32_t rows)
{
    return are_multiples(times, rows, NS_PER_S)    ? 3
           : are_multiples(times, rows, NS_PER_MS) ? 2
           : are_multiples(times, rows, NS_PER_US) ? 1
                                                   : 0;
}

static inline __attribute__((always_inline)) void divide(const int64_t *times, uint32_t rows,
                                                         uint64_t unit, int64_t *offsets)
{
    for (uint32_t i = 0; i < rows; i++) {
        offsets[i] = (int64_t)(((uint64_t)times[i] - (uint64_t)times[0]) / unit);
    }
}

/* Constants let the compiler multiply instead. */
void offsets_of(const int64_t *times, uint32_t rows, uint8_t unit, int64_t *offsets)
{
    switch (unit) {
    case 0:
        divide(times, rows, 1, offsets);
        break;
    case 1:
        divide(times, rows, NS_PER_US, offsets);
        break;
    case 2:
        divide(times, rows, NS_PER_MS, offsets);
        break;
    default:
        divide(times, rows, NS_PER_S, offsets);
    }
}
