#include "codec/stage.h"

#include "base/bytes.h"
#include "base/check.h"
#include "codec/patch.h"
#include "codec/rice.h"
#include "codec/tans.h"

enum {
    STEP_MIN = 8, /* Below it a trend saves less than it costs to look for. */
    TREND_ROWS_MIN = 16,
    STAGES_MAX = 6
};

uint32_t stage_skips(enum stage_kind kind)
{
    return kind == STAGE_DOD ? 2 : kind == STAGE_DELTA || kind == STAGE_DRIFT ? 1 : 0;
}

bool stage_has_step(enum stage_kind kind)
{
    return kind == STAGE_DOD || kind == STAGE_TREND || kind == STAGE_DRIFT;
}

/* a - b, wrapping. */
static int64_t minus(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a - (uint64_t)b);
}

/* What a parameter costs as a varint. */
static uint64_t parameter_cost(int64_t value)
{
    uint64_t bits = bits_length(zigzag(value));
    return bits == 0 ? 8 : (bits + 6) / 7 * 8;
}

/* Stages that may be chosen, each with its best width. */
struct choice {
    struct stage stage[STAGES_MAX];
    unsigned count, best;
};

static void consider(struct choice *c, struct stage candidate,
                     const struct patch_histogram *lengths, uint32_t residuals)
{
    CHECK(c->count < STAGES_MAX);
    candidate.cost = patch_cost(lengths, residuals, &candidate.width) +
                     parameter_cost(candidate.first) +
                     (stage_has_step(candidate.kind) ? parameter_cost(candidate.step) : 0);
    if (candidate.cost < c->stage[c->best].cost) {
        c->best = c->count;
    }
    c->stage[c->count++] = candidate;
}

static int64_t least(const int64_t *values, uint32_t count, int64_t step)
{
    int64_t min = values[0];
    for (uint32_t i = 1; i < count; i++) {
        int64_t value = minus(values[i], (int64_t)((uint64_t)step * i));
        min = value < min ? value : min;
    }
    return min;
}

static void consider_flat(struct choice *c, const int64_t *values, uint32_t count)
{
    struct patch_histogram range = {{0}}, delta = {{0}}, dod = {{0}};
    int64_t min = least(values, count, 0), before = minus(values[1], values[0]);

    patch_histogram_add(&range, (uint64_t)minus(values[0], min));
    patch_histogram_add(&range, (uint64_t)minus(values[1], min));
    patch_histogram_add(&delta, zigzag(before));
    for (uint32_t i = 2; i < count; i++) {
        int64_t now = minus(values[i], values[i - 1]);
        patch_histogram_add(&range, (uint64_t)minus(values[i], min));
        patch_histogram_add(&delta, zigzag(now));
        patch_histogram_add(&dod, zigzag(minus(now, before)));
        before = now;
    }
    consider(c, (struct stage){.kind = STAGE_FOR, .first = min}, &range, count);
    consider(c, (struct stage){.kind = STAGE_DELTA, .first = values[0]}, &delta, count - 1);
    consider(
        c,
        (struct stage){.kind = STAGE_DOD, .first = values[0], .step = minus(values[1], values[0])},
        &dod, count - 2);
}

/* Rounded to nearest: a step one off would spread the residuals over as much as there are values.
 */
static int64_t mean_step(const int64_t *values, uint32_t count)
{
    int64_t rise = minus(values[count - 1], values[0]), steps = count - 1;
    int64_t rest = rise % steps;
    return rise / steps + (2 * rest >= steps) - (2 * rest <= -steps);
}

static void consider_steps(struct choice *c, const int64_t *values, uint32_t count)
{
    struct patch_histogram trend = {{0}}, drift = {{0}};
    int64_t step = mean_step(values, count);

    if (count < TREND_ROWS_MIN || (step < STEP_MIN && step > -STEP_MIN)) {
        return;
    }
    int64_t min = least(values, count, step);
    patch_histogram_add(&trend, (uint64_t)minus(values[0], min));
    for (uint32_t i = 1; i < count; i++) {
        int64_t line = (int64_t)((uint64_t)min + (uint64_t)step * i);
        patch_histogram_add(&trend, (uint64_t)minus(values[i], line));
        patch_histogram_add(&drift, zigzag(minus(minus(values[i], values[i - 1]), step)));
    }
    consider(c, (struct stage){.kind = STAGE_TREND, .first = min, .step = step}, &trend, count);
    consider(c, (struct stage){.kind = STAGE_DRIFT, .first = values[0], .step = step}, &drift,
             count - 1);
}

/* Around the mean. Only worth a thought where residuals are few: so many bits more than their
 * entropy, and they'd better have a table. */
static void consider_centre(struct choice *c, const int64_t *values, uint32_t count)
{
    struct patch_histogram around = {{0}};
    const int64_t base = values[0];
    int64_t sum = 0;
    for (uint32_t i = 1; i < count; i++) {
        int64_t next;
        if (__builtin_add_overflow(sum, minus(values[i], base), &next)) {
            return;
        }
        sum = next;
    }
    const int64_t centre = (int64_t)((uint64_t)base + (uint64_t)(sum / (int64_t)count));
    for (uint32_t i = 0; i < count; i++) {
        patch_histogram_add(&around, zigzag(minus(values[i], centre)));
    }
    consider(c, (struct stage){.kind = STAGE_CENTRE, .first = centre}, &around, count);
}

static uint64_t parameters_cost(const struct stage *stage)
{
    return parameter_cost(stage->first) +
           (stage_has_step(stage->kind) ? parameter_cost(stage->step) : 0);
}

/* Whether tANS, or Rice codes, make one of the stages cheaper than the best patched one. */
static struct stage choose_dense(const struct choice *c, const int64_t *values, uint32_t count,
                                 struct chunk_scratch *s)
{
    struct stage best = c->stage[c->best];
    uint64_t hopeless = best.cost * 3 / 2;

    for (unsigned i = 0; i < c->count; i++) {
        struct stage stage = c->stage[i];
        uint32_t residuals = count - stage_skips(stage.kind);
        if (stage.cost > hopeless || residuals < TANS_COUNT_MIN) {
            continue;
        }
        stage_split(&stage, values, count, s->z);
        const uint64_t parameters = parameters_cost(&stage);
        stage.pack = PACK_TANS;
        stage.cost = tans_cost(s->z, residuals) + parameters;
        best = stage.cost < best.cost ? stage : best;
        if (s->is_brief) {
            stage.pack = PACK_RICE;
            stage.cost = rice_cost(s->z, residuals, &stage.width) + parameters;
            best = stage.cost < best.cost ? stage : best;
        }
    }
    return best;
}

struct stage stage_choose(const int64_t *values, uint32_t count, struct chunk_scratch *s)
{
    struct choice c = {.count = 0};

    CHECK(count >= 3);
    c.stage[0].cost = UINT64_MAX;
    consider_flat(&c, values, count);
    consider_steps(&c, values, count);
    if (s->is_brief) {
        consider_centre(&c, values, count);
    }
    return s->is_dense ? choose_dense(&c, values, count, s) : c.stage[c.best];
}

void stage_split(const struct stage *stage, const int64_t *values, uint32_t count, uint64_t *z)
{
    uint64_t step = (uint64_t)stage->step, line = (uint64_t)stage->first;

    if (stage->kind == STAGE_FOR || stage->kind == STAGE_TREND) {
        for (uint32_t i = 0; i < count; i++) {
            z[i] = (uint64_t)values[i] - line;
            line += step;
        }
    } else if (stage->kind == STAGE_DELTA || stage->kind == STAGE_DRIFT) {
        for (uint32_t i = 1; i < count; i++) {
            z[i - 1] = zigzag(minus(minus(values[i], values[i - 1]), stage->step));
        }
    } else if (stage->kind == STAGE_CENTRE) {
        for (uint32_t i = 0; i < count; i++) {
            z[i] = zigzag(minus(values[i], stage->first));
        }
    } else {
        CHECK(stage->kind == STAGE_DOD);
        int64_t before = stage->step;
        for (uint32_t i = 2; i < count; i++) {
            int64_t now = minus(values[i], values[i - 1]);
            z[i - 2] = zigzag(minus(now, before));
            before = now;
        }
    }
}

static void join_line(const struct stage *stage, const uint64_t *z, uint32_t count, int64_t *values)
{
    uint64_t divisor = stage->divisor;
    uint64_t first = stage->base + divisor * (uint64_t)stage->first;
    uint64_t step = divisor * (uint64_t)stage->step;

    if (divisor == 1 && step == 0) {
        for (uint32_t i = 0; i < count; i++) {
            values[i] = (int64_t)(first + z[i]);
        }
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        values[i] = (int64_t)(first + divisor * z[i]);
        first += step;
    }
}

static void join_centre(const struct stage *stage, const uint64_t *z, uint32_t count,
                        int64_t *values)
{
    const uint64_t divisor = stage->divisor;
    const uint64_t first = stage->base + divisor * (uint64_t)stage->first;
    for (uint32_t i = 0; i < count; i++) {
        values[i] = (int64_t)(first + divisor * (uint64_t)unzigzag(z[i]));
    }
}

static void join_delta(const struct stage *stage, const uint64_t *z, uint32_t count,
                       int64_t *values)
{
    uint64_t divisor = stage->divisor;
    uint64_t value = stage->base + divisor * (uint64_t)stage->first;
    uint64_t step = divisor * (uint64_t)stage->step;

    values[0] = (int64_t)value;
    for (uint32_t i = 1; i < count; i++) {
        value += step + divisor * (uint64_t)unzigzag(z[i - 1]);
        values[i] = (int64_t)value;
    }
}

static void join_dod(const struct stage *stage, const uint64_t *z, uint32_t count, int64_t *values)
{
    uint64_t divisor = stage->divisor;
    uint64_t value = stage->base + divisor * (uint64_t)stage->first;
    uint64_t delta = divisor * (uint64_t)stage->step;

    values[0] = (int64_t)value;
    value += delta;
    values[1] = (int64_t)value;
    for (uint32_t i = 2; i < count; i++) {
        delta += divisor * (uint64_t)unzigzag(z[i - 2]);
        value += delta;
        values[i] = (int64_t)value;
    }
}

void stage_join(const struct stage *stage, const uint64_t *z, uint32_t count, int64_t *values)
{
    CHECK(count >= stage_skips(stage->kind));
    if (stage->kind == STAGE_FOR || stage->kind == STAGE_TREND) {
        join_line(stage, z, count, values);
    } else if (stage->kind == STAGE_DOD) {
        join_dod(stage, z, count, values);
    } else if (stage->kind == STAGE_CENTRE) {
        join_centre(stage, z, count, values);
    } else {
        join_delta(stage, z, count, values);
    }
}
