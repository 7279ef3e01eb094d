#include "codec/ints.h"

#include "base/check.h"
#include "codec/patch.h"
#include "codec/rice.h"
#include "codec/stage.h"
#include "codec/tans.h"

enum {
    RUNS_SHARE = 4,      /* Runs are looked at when there are fewer than a quarter of the values. */
    RUNS_HEAD_BITS = 48, /* What the two inner streams cost before their first bit. */
    RANGE_BITS_MAX = 62  /* Wider values keep their divisor: differences must not wrap. */
};

/* What one look at the values tells. */
struct look {
    int64_t min, max, step;
    uint32_t runs;
    bool is_linear;
};

static struct look look_at(const int64_t *values, uint32_t count)
{
    struct look l = {.min = values[0], .max = values[0], .runs = 1, .is_linear = true};

    if (count > 1) {
        l.step = (int64_t)((uint64_t)values[1] - (uint64_t)values[0]);
    }
    for (uint32_t i = 1; i < count; i++) {
        uint64_t delta = (uint64_t)values[i] - (uint64_t)values[i - 1];
        l.min = values[i] < l.min ? values[i] : l.min;
        l.max = values[i] > l.max ? values[i] : l.max;
        l.is_linear &= delta == (uint64_t)l.step;
        l.runs += delta != 0;
    }
    return l;
}

static uint64_t divide(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* The greatest common divisor of all differences; 1 when there is none worth taking out. */
static uint64_t common_divisor(const int64_t *values, uint32_t count, const struct look *l)
{
    uint64_t divisor = 0;

    if (bits_length((uint64_t)l->max - (uint64_t)l->min) > RANGE_BITS_MAX) {
        return 1;
    }
    for (uint32_t i = 1; i < count && divisor != 1; i++) {
        int64_t delta = values[i] - values[i - 1];
        divisor = divide(divisor, (uint64_t)(delta < 0 ? -delta : delta));
    }
    CHECK(divisor > 0); /* Equal values were linear. */
    return divisor;
}

static enum err put_zigzag(struct writer *out, int64_t value)
{
    return writer_put_varint(out, zigzag(value));
}

static enum err put_tag(struct writer *out, enum stage_kind kind, enum stage_pack pack,
                        bool has_divisor)
{
    return writer_put_u8(out, (uint8_t)((unsigned)kind | (unsigned)pack << INTS_PACK_SHIFT |
                                        (has_divisor ? INTS_DIVISOR_FLAG : 0)));
}

static enum err write_linear(const struct look *l, int64_t first, struct writer *out)
{
    if (l->min == l->max) {
        TRY(put_tag(out, STAGE_CONST, PACK_PATCH, false));
        return put_zigzag(out, first);
    }
    TRY(put_tag(out, STAGE_LINEAR, PACK_PATCH, false));
    TRY(put_zigzag(out, first));
    return put_zigzag(out, l->step);
}

static enum err write_residuals(const struct stage *stage, const int64_t *values, uint32_t count,
                                struct chunk_scratch *s, struct writer *out)
{
    TRY(put_zigzag(out, stage->first));
    if (stage_has_step(stage->kind)) {
        TRY(put_zigzag(out, stage->step));
    }
    stage_split(stage, values, count, s->z);
    uint32_t residuals = count - stage_skips(stage->kind);
    switch (stage->pack) {
    case PACK_TANS:
        return tans_write(residuals, s, out);
    case PACK_RICE:
        return rice_write(s->z, residuals, stage->width, out);
    case PACK_PATCH:
    default:
        return patch_write(s->z, residuals, stage->width, out);
    }
}

/* A stream without divisor and runs: what a run stream is made of. */
static enum err write_plain(const int64_t *values, uint32_t count, struct chunk_scratch *s,
                            struct writer *out)
{
    struct look l = look_at(values, count);

    if (l.is_linear) {
        return write_linear(&l, values[0], out);
    }
    struct stage stage = stage_choose(values, count, s);
    TRY(put_tag(out, stage.kind, stage.pack, false));
    return write_residuals(&stage, values, count, s, out);
}

static enum err write_runs(const int64_t *values, uint32_t count, struct chunk_scratch *s,
                           struct writer *out)
{
    uint32_t runs = 0;

    for (uint32_t i = 0, start = 0; i < count; i++) {
        if (i + 1 == count || values[i + 1] != values[i]) {
            s->run_value[runs] = values[i];
            s->run_length[runs++] = i + 1 - start;
            start = i + 1;
        }
    }
    TRY(writer_put_varint(out, runs));
    TRY(write_plain(s->run_value, runs, s, out));
    return write_plain(s->run_length, runs, s, out);
}

/* Whether `l->runs` runs of `count` values are likely shorter than `cost` bits. */
static bool are_runs_better(const struct look *l, uint64_t divisor, uint32_t count, uint64_t cost)
{
    uint64_t range = ((uint64_t)l->max - (uint64_t)l->min) / divisor;
    uint64_t run_bits = bits_length(range) + bits_length((uint64_t)count / l->runs * 3);
    return l->runs < count / RUNS_SHARE && l->runs * run_bits + RUNS_HEAD_BITS < cost;
}

enum err ints_write(const int64_t *values, uint32_t count, struct chunk_scratch *s,
                    struct writer *out)
{
    struct look l = look_at(values, count);

    CHECK(count >= 1 && count <= CHUNK_ROWS_MAX);
    if (l.is_linear) {
        return write_linear(&l, values[0], out);
    }
    uint64_t divisor = common_divisor(values, count, &l);
    const int64_t *small = values;
    if (divisor > 1) {
        for (uint32_t i = 0; i < count; i++) {
            s->reduced[i] = (int64_t)(((uint64_t)values[i] - (uint64_t)l.min) / divisor);
        }
        small = s->reduced;
    }
    struct stage stage = stage_choose(small, count, s);
    bool has_runs = are_runs_better(&l, divisor, count, stage.cost);
    TRY(put_tag(out, has_runs ? STAGE_RLE : stage.kind, has_runs ? PACK_PATCH : stage.pack,
                divisor > 1));
    if (divisor > 1) {
        TRY(writer_put_varint(out, divisor));
        TRY(put_zigzag(out, l.min));
    }
    return has_runs ? write_runs(small, count, s, out)
                    : write_residuals(&stage, small, count, s, out);
}

/* The tag of a stream, and what value = base + divisor * small needs. */
struct head {
    enum stage_kind kind;
    enum stage_pack pack;
    uint64_t divisor, base;
};

static enum err take_zigzag(struct bytes *in, int64_t *value)
{
    uint64_t raw;
    if (bytes_take_varint(in, &raw) != OK) {
        return E_CORRUPT;
    }
    *value = unzigzag(raw);
    return OK;
}

static enum err read_head(struct bytes *in, struct head *head)
{
    uint8_t tag;
    int64_t base;

    if (bytes_take_u8(in, &tag) != OK || tag >= 2 * INTS_DIVISOR_FLAG) {
        return E_CORRUPT;
    }
    *head = (struct head){.kind = tag & INTS_STAGE_MASK,
                          .pack = tag >> INTS_PACK_SHIFT & INTS_PACK_MASK,
                          .divisor = 1};
    bool is_plain = head->kind == STAGE_CONST || head->kind == STAGE_LINEAR;
    if ((is_plain && tag != head->kind) || (head->kind == STAGE_RLE && head->pack != PACK_PATCH)) {
        return E_CORRUPT;
    }
    if ((tag & INTS_DIVISOR_FLAG) != 0) {
        if (bytes_take_varint(in, &head->divisor) != OK) {
            return E_CORRUPT;
        }
        TRY(take_zigzag(in, &base));
        head->base = (uint64_t)base;
    }
    return OK;
}

/* What is behind the tag of a constant or linear stream. */
static enum err take_line(struct bytes *in, enum stage_kind kind, int64_t *first, int64_t *step)
{
    *step = 0;
    TRY(take_zigzag(in, first));
    return kind == STAGE_LINEAR ? take_zigzag(in, step) : OK;
}

static enum err read_linear(struct bytes *in, enum stage_kind kind, uint32_t count, int64_t *values)
{
    int64_t first, step;

    TRY(take_line(in, kind, &first, &step));
    for (uint32_t i = 0; i < count; i++) {
        values[i] = (int64_t)((uint64_t)first + (uint64_t)step * i);
    }
    return OK;
}

enum err ints_read_line(struct bytes *in, int64_t *first, int64_t *step)
{
    struct bytes rest = *in;
    struct head head;

    if (read_head(&rest, &head) != OK ||
        (head.kind != STAGE_CONST && head.kind != STAGE_LINEAR) ||
        take_line(&rest, head.kind, first, step) != OK) {
        return E_NOT_FOUND;
    }
    *in = rest;
    return OK;
}

static enum err read_packed(struct bytes *in, enum stage_pack pack, uint32_t count,
                            struct chunk_scratch *s)
{
    switch (pack) {
    case PACK_PATCH:
        return patch_read(in, count, s->z);
    case PACK_TANS:
        return tans_read(in, count, s);
    case PACK_RICE:
        return rice_read(in, count, s->z);
    default:
        return E_CORRUPT;
    }
}

static enum err read_residuals(struct bytes *in, const struct head *head, uint32_t count,
                               struct chunk_scratch *s, int64_t *values)
{
    struct stage stage = {.kind = head->kind, .divisor = head->divisor, .base = head->base};
    uint32_t skips = stage_skips(head->kind);

    TRY(take_zigzag(in, &stage.first));
    if (stage_has_step(stage.kind)) {
        TRY(take_zigzag(in, &stage.step));
    }
    if (count < skips) {
        return E_CORRUPT;
    }
    TRY(read_packed(in, head->pack, count - skips, s));
    if (count > 0) {
        stage_join(&stage, s->z, count, values);
    }
    return OK;
}

/* Everything but runs and references. */
static enum err read_stage(struct bytes *in, const struct head *head, uint32_t count,
                           struct chunk_scratch *s, int64_t *values)
{
    switch (head->kind) {
    case STAGE_CONST:
    case STAGE_LINEAR:
        return read_linear(in, head->kind, count, values);
    case STAGE_FOR:
    case STAGE_DELTA:
    case STAGE_DOD:
    case STAGE_TREND:
    case STAGE_DRIFT:
    case STAGE_CENTRE:
        return read_residuals(in, head, count, s, values);
    case STAGE_RLE:
    case STAGE_XREF:
    default:
        return E_CORRUPT;
    }
}

static enum err read_plain(struct bytes *in, uint32_t count, struct chunk_scratch *s,
                           int64_t *values)
{
    struct head head;
    TRY(read_head(in, &head));
    return read_stage(in, &head, count, s, values);
}

static enum err read_runs(struct bytes *in, const struct head *head, uint32_t count,
                          struct chunk_scratch *s, int64_t *values)
{
    uint64_t runs;
    uint32_t filled = 0;

    if (bytes_take_varint(in, &runs) != OK || runs > count / 2) {
        return E_CORRUPT;
    }
    TRY(read_plain(in, (uint32_t)runs, s, s->run_value));
    TRY(read_plain(in, (uint32_t)runs, s, s->run_length));
    for (uint32_t run = 0; run < runs; run++) {
        int64_t value = (int64_t)(head->base + head->divisor * (uint64_t)s->run_value[run]);
        uint64_t length = (uint64_t)s->run_length[run];
        if (length > count - filled) {
            return E_CORRUPT;
        }
        for (uint32_t end = filled + (uint32_t)length; filled < end; filled++) {
            values[filled] = value;
        }
    }
    return filled == count ? OK : E_CORRUPT;
}

enum err ints_read(struct bytes *in, uint32_t count, struct chunk_scratch *s, int64_t *values)
{
    struct head head;

    CHECK(count <= CHUNK_ROWS_MAX);
    TRY(read_head(in, &head));
    if (head.kind == STAGE_RLE) {
        return read_runs(in, &head, count, s, values);
    }
    return read_stage(in, &head, count, s, values);
}
