/* Random columns and integer streams of every kind a city (or a liar) may send; for codec tests. */

#ifndef TESTS_LIB_STREAMS_H
#define TESTS_LIB_STREAMS_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/text.h"
#include "tests/lib/rng.h"

enum {
    STREAMS_INT_KINDS = 14,
    STREAMS_NUMBER_KINDS = 14,
    STREAMS_DOUBLE_KINDS = 18,
    STREAMS_TIME_KINDS = 6
};

static inline int64_t streams_shifted(struct rng *r, unsigned shift)
{
    return (int64_t)(rng_next(r) >> shift);
}

/* One of STREAMS_INT_KINDS sorts of integers. */
static inline void streams_ints(struct rng *r, uint32_t kind, int64_t *to, uint32_t count)
{
    unsigned shift = rng_below(r, 64);
    uint64_t x = rng_next(r) >> rng_below(r, 64), step = rng_next(r) >> rng_below(r, 64);

    for (uint32_t i = 0; i < count; i++) {
        switch (kind) {
        case 0:
            x = rng_next(r);
            break;
        case 1:
            break;
        case 2:
            x += step;
            break;
        case 3:
            x += rng_next(r) >> shift;
            break;
        case 4:
            x = rng_below(r, 5) * 1000;
            break;
        case 5:
            x = rng_below(r, 20) == 0 ? rng_below(r, 100) : x;
            break;
        case 6:
            x += 60000 + (rng_below(r, 50) == 0 ? rng_below(r, 100000) : 0);
            break;
        case 7:
            x = (rng_next(r) & 1) != 0 ? (uint64_t)INT64_MIN : (uint64_t)INT64_MAX;
            break;
        case 8:
            x = rng_next(r) >> rng_below(r, 64);
            break;
        case 9:
            x = 0 - (rng_next(r) >> rng_below(r, 64));
            break;
        case 10:
            x += (uint64_t)rng_below(r, 3) * 600000;
            break;
        case 11:
            x = step + 60000 * (uint64_t)i + rng_below(r, 11);
            break;
        case 12:
            x = rng_below(r, 30) == 0 ? rng_next(r) : rng_below(r, 16);
            break;
        default:
            x += 1000 + rng_below(r, 7);
            break;
        }
        to[i] = (int64_t)x;
    }
}

static inline double streams_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Values no decimal can hold, and those that almost can. */
static inline double streams_odd(struct rng *r)
{
    static const uint64_t odd[] = {0x8000000000000000, 0x7ff8000000000000, 0x7ff0000000000002,
                                   0xfff8dead0000beef, 0x7ff0000000000000, 0xfff0000000000000,
                                   0x0000000000000001, 0x000fffffffffffff, 0x7fefffffffffffff,
                                   0x4310000000000000, 0xc310000000000000, 0x4340000000000001};
    return streams_bits(odd[rng_below(r, sizeof odd / sizeof odd[0])]);
}

/* Texts; amid decimals; in runs amid floats with other exceptions; any amid any doubles. */
static inline void streams_texts(struct rng *r, uint32_t kind, double *to, uint32_t count)
{
    const uint32_t words = 1 + rng_below(r, 40), share = 1 + rng_below(r, 60);
    double level = rng_below(r, 100000);
    bool is_text = false;

    for (uint32_t i = 0; i < count; i++) {
        level += (double)rng_below(r, 5) - 2;
        switch (kind) {
        case 0:
            to[i] = text_value(rng_below(r, words) * words);
            break;
        case 1:
            is_text = rng_below(r, 60) < share;
            to[i] = is_text ? text_value(rng_below(r, 1 + words / 20)) : level / 10;
            break;
        case 2:
            is_text = is_text != (rng_below(r, share) == 0);
            to[i] = is_text ? text_value(words) : (double)(float)(level / 10);
            to[i] = rng_below(r, 50) == 0 ? streams_odd(r) : to[i];
            break;
        default:
            is_text = rng_below(r, 2) == 0;
            to[i] = is_text ? text_value((uint32_t)rng_next(r)) : sin(i) * level;
            break;
        }
    }
}

/* One of STREAMS_DOUBLE_KINDS sorts of doubles. */
static inline void streams_doubles(struct rng *r, uint32_t kind, double *to, uint32_t count)
{
    double power = pow(10, rng_below(r, 16)), level = rng_below(r, 100000);

    if (kind >= STREAMS_NUMBER_KINDS) {
        streams_texts(r, kind - STREAMS_NUMBER_KINDS, to, count);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        switch (kind) {
        case 0:
            to[i] = streams_bits(rng_next(r));
            break;
        case 1:
            to[i] = ((double)rng_below(r, 2000000) - 1000000) / power;
            break;
        case 2:
            to[i] = (level += (double)rng_below(r, 21) - 10) / power;
            break;
        case 3:
            to[i] = (double)(float)((double)rng_below(r, 100000) / 1000);
            break;
        case 4:
            to[i] = rng_below(r, 5) == 0 ? streams_odd(r) : rng_below(r, 100) / 10.0;
            break;
        case 5:
            to[i] = sin(i * 0.01) * 1e300;
            break;
        case 6:
            to[i] = rng_below(r, 3) > 0 ? 5e-324 * rng_below(r, 100) : 1e308;
            break;
        case 7:
            to[i] = (double)(int64_t)rng_next(r);
            break;
        case 8:
            to[i] = (double)(rng_next(r) & 1);
            break;
        case 9:
            to[i] = level;
            break;
        case 10:
            to[i] = streams_odd(r);
            break;
        case 11:
            to[i] = rng_below(r, 100) == 0 ? streams_odd(r) : rng_below(r, 9000) / 100.0;
            break;
        case 12: /* An analogue input: few steps, which are no decimals. */
            to[i] = (rng_below(r, 10) * 327927.0 - 273216) / 1e6;
            break;
        default:
            to[i] = (rng_below(r, 12) + 1) * M_PI;
            break;
        }
    }
}

/* One of STREAMS_TIME_KINDS sorts of strictly increasing times, nanoseconds. */
static inline void streams_times(struct rng *r, uint32_t kind, int64_t *to, uint32_t count)
{
    int64_t time = 1700000000LL * 1000000000 + streams_shifted(r, 40);

    for (uint32_t i = 0; i < count; i++) {
        switch (kind) {
        case 0:
            time = time / 1000000000 * 1000000000 + 60000000000;
            break;
        case 1:
            time = time / 1000000 * 1000000 + 60000000000 + rng_below(r, 11) * 1000000LL;
            break;
        case 2:
            time = time / 1000 * 1000 + 1000 + rng_below(r, 1000000) * 1000LL;
            break;
        case 3:
            time += 1 + streams_shifted(r, 30 + rng_below(r, 33));
            break;
        case 4:
            time = i == 0 ? -time : time + 900000000000;
            break;
        default:
            time += rng_below(r, 40) == 0 ? 86400000000000 : 1000000000;
            break;
        }
        to[i] = time;
    }
}

#endif /* TESTS_LIB_STREAMS_H */
