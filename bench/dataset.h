/* Points in a file, as data_gen and real_data.py write them: PREFIX.bin has the points in the order
 * of their arrival, PREFIX.series a path a line. Mapped, so that reading costs the load nothing. */

#ifndef BENCH_DATASET_H
#define BENCH_DATASET_H

#include <stddef.h>
#include <stdint.h>

/* Little-endian, packed: 20 bytes in the file. */
struct dataset_point {
    uint32_t series; /* Line of its path, from 0. */
    int64_t time_ms;
    double value;
} __attribute__((packed));

struct dataset {
    const struct dataset_point *points;
    size_t count;
    char **paths;
    size_t series;
};

/* Exits with a line on stderr when it cannot. */
void dataset_open(const char *prefix, struct dataset *out);

#endif /* BENCH_DATASET_H */
