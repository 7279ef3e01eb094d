/* Prediction stages: integers <-> small residuals, and the choice of the best one.
 *
 *   FOR    value[i] = first + z[i]
 *   TREND  value[i] = first + step * i + z[i]                       jitter around a regular beat
 *   DELTA  value[i] = value[i-1] + unzigzag(z[i-1])                 value[0] = first
 *   CENTRE value[i] = first + unzigzag(z[i])                       scatter around a middle
 *   DRIFT  value[i] = value[i-1] + step + unzigzag(z[i-1])          value[0] = first
 *   DOD    delta[i] = delta[i-1] + unzigzag(z[i-2])                 delta[1] = step, value[0] =
 * first
 *
 * All sums wrap modulo 2^64, so every stage is exact for every input. The choice compares costs
 * from histograms; nothing is encoded twice. */

#ifndef CODEC_STAGE_H
#define CODEC_STAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "codec/scratch.h"

/* Numbers stand in files: never change or reuse one. The first three kinds have no residuals. */
enum stage_kind {
    STAGE_CONST = 0,
    STAGE_LINEAR = 1,
    STAGE_FOR = 2,
    STAGE_DELTA = 3,
    STAGE_DOD = 4,
    STAGE_RLE = 5,
    STAGE_XREF = 6,
    STAGE_TREND = 7,
    STAGE_DRIFT = 8,
    STAGE_CENTRE = 9 /* In brief chunks only, as is PACK_RICE. */
};

enum stage_pack { PACK_PATCH = 0, PACK_TANS = 1, PACK_RICE = 2 };

struct stage {
    enum stage_kind kind;
    int64_t first, step;
    uint64_t divisor, base; /* Joining only: the result is base + divisor * value. */
    enum stage_pack pack;
    unsigned width; /* Of patched packing; the k of Rice codes. */
    uint64_t cost;  /* Bits of the whole stream, about. */
};

/* Values that stand in `first` and `step` and have no residual of their own: 0, 1 or 2. */
uint32_t stage_skips(enum stage_kind kind);

/* Whether `kind` has a `step`. */
bool stage_has_step(enum stage_kind kind);

/* The cheapest of the stages above for `count` >= 3 values that are neither constant nor linear;
 * with s->is_dense also of the packings, with s->is_brief of all there are. Uses s->z. */
struct stage stage_choose(const int64_t *values, uint32_t count, struct chunk_scratch *s);

/* Residuals of `values`; there are count - stage_skips() of them. */
void stage_split(const struct stage *stage, const int64_t *values, uint32_t count, uint64_t *z);

/* The way back: base + divisor * (what the stage predicts and z corrects). count >= skips. */
void stage_join(const struct stage *stage, const uint64_t *z, uint32_t count, int64_t *values);

#endif /* CODEC_STAGE_H */
