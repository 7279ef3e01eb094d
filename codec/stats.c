#include "codec/stats.h"

#include <math.h>

#include "base/number.h"
#include "codec/doubles.h"

__extension__ typedef __int128 int128; /* Sums of up to 2^63 values never overflow it. */

enum err stats_write_exact(const int64_t *q, uint32_t count, struct writer *out)
{
    int64_t min = q[0], max = q[0];
    uint64_t above = 0;

    for (uint32_t i = 0; i < count; i++) {
        min = q[i] < min ? q[i] : min;
        max = q[i] > max ? q[i] : max;
    }
    for (uint32_t i = 0; i < count; i++) {
        above += (uint64_t)(q[i] - min);
    }
    TRY(writer_put_varint(out, zigzag(min)));
    TRY(writer_put_varint(out, (uint64_t)(max - min)));
    TRY(writer_put_varint(out, (uint64_t)(q[0] - min)));
    TRY(writer_put_varint(out, (uint64_t)(q[count - 1] - min)));
    return writer_put_varint(out, above);
}

enum err stats_read_exact(struct bytes *in, uint8_t scale, struct chunk_stats *stats,
                          int64_t *first_q)
{
    uint64_t lowest, range, first, last, above;
    const int64_t limit = (int64_t)1 << DOUBLES_Q_BITS;

    if (bytes_take_varint(in, &lowest) != OK || bytes_take_varint(in, &range) != OK ||
        bytes_take_varint(in, &first) != OK || bytes_take_varint(in, &last) != OK ||
        bytes_take_varint(in, &above) != OK) {
        return E_CORRUPT;
    }
    int64_t min = unzigzag(lowest);
    if (min <= -limit || min >= limit || range >= (uint64_t)(limit - min) || first > range ||
        last > range || above > range * stats->count) {
        return E_CORRUPT;
    }
    *first_q = min + (int64_t)first;
    int128 sum = (int128)min * stats->count + (int128)above;
    stats->min = doubles_value(min, scale);
    stats->max = doubles_value(min + (int64_t)range, scale);
    stats->first = doubles_value(min + (int64_t)first, scale);
    stats->last = doubles_value(min + (int64_t)last, scale);
    stats->sum = (double)sum / number_power(scale);
    return OK;
}

/* Kahan's sum, improved by Neumaier: what each addition rounds off is kept apart. */
struct kahan {
    double sum, lost;
};

static void kahan_add(struct kahan *k, double value)
{
    double sum = k->sum + value;
    k->lost += fabs(k->sum) >= fabs(value) ? (k->sum - sum) + value : (value - sum) + k->sum;
    k->sum = sum;
}

struct chunk_stats stats_of_doubles(const double *values, uint32_t count, uint32_t *first,
                                    uint32_t *last)
{
    struct chunk_stats stats = {.count = 0};
    struct kahan k = {0, 0};

    *first = 0;
    *last = count - 1;
    for (uint32_t i = 0; i < count; i++) {
        double value = values[i];
        if (isnan(value)) {
            stats.nan_count++;
            continue;
        }
        if (stats.count++ == 0) {
            stats.min = stats.max = stats.first = value;
            *first = i;
        }
        stats.min = value < stats.min ? value : stats.min;
        stats.max = value > stats.max ? value : stats.max;
        stats.last = value;
        *last = i;
        kahan_add(&k, value);
    }
    /* Infinities make the correction NaN; the plain sum is right then. */
    stats.sum = isfinite(k.sum) ? k.sum + k.lost : k.sum;
    return stats;
}

enum err stats_write_doubles(const struct chunk_stats *stats, struct writer *out)
{
    const double raw[] = {stats->min, stats->max, stats->sum, stats->first, stats->last};
    return stats->count == 0 ? OK : writer_put(out, raw, sizeof raw);
}

enum err stats_read_doubles(struct bytes *in, struct chunk_stats *stats)
{
    struct bytes raw;
    double value[5];

    if (stats->count == 0) {
        stats->min = stats->max = stats->first = stats->last = (double)NAN;
        stats->sum = 0;
        return OK;
    }
    if (bytes_take(in, sizeof value, &raw) != OK) {
        return E_CORRUPT;
    }
    memcpy(value, raw.at, sizeof value);
    stats->min = value[0];
    stats->max = value[1];
    stats->sum = value[2];
    stats->first = value[3];
    stats->last = value[4];
    return OK;
}
