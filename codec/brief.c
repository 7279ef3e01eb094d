#include "codec/brief.h"

#include "base/check.h"
#include "base/clock.h"
#include "codec/arrivals.h"
#include "codec/bits.h"
#include "codec/column.h"
#include "codec/ints.h"
#include "codec/offsets.h"

enum {
    UNIT_MASK = 3,
    PLAIN_FLAG = 4,        /* One column: id 0, exact statistics, every row has a value. */
    ARRIVALS_FLAG = 8,     /* An arrivals piece ends it. */
    COARSE_STEP_FLAG = 16, /* The step is given in thousands. */
    SHAPES_END = 32,
    COARSE = 1000,
    HEAD_BYTES_MAX = 64,
    ENTRIES_BYTES_MAX = CHUNK_COLUMNS_MAX * 100
};

/* The step of more than half of the rows, if there is one (Boyer and Moore's vote finds it). */
static bool find_common_step(const int64_t *offsets, uint32_t rows, int64_t *step)
{
    uint32_t votes = 0, count = 0;
    for (uint32_t i = 1; i < rows; i++) {
        const int64_t delta = offsets[i] - offsets[i - 1];
        if (votes == 0) {
            *step = delta;
        }
        votes = votes == 0 || delta == *step ? votes + 1 : votes - 1;
    }
    for (uint32_t i = 1; i < rows; i++) {
        count += offsets[i] - offsets[i - 1] == *step;
    }
    return 2 * count >= rows;
}

/* The beat behind the times; where they jitter, the slope of the line that fits best. */
static int64_t find_step(const int64_t *offsets, uint32_t rows)
{
    int64_t step = 0;
    if (rows < 2 || find_common_step(offsets, rows, &step)) {
        return step;
    }
    const double middle = (double)(rows - 1) / 2;
    double above = 0, below = 0;
    for (uint32_t i = 0; i < rows; i++) {
        const double from_middle = (double)i - middle;
        above += from_middle * (double)offsets[i];
        below += from_middle * from_middle;
    }
    return (int64_t)(above / below + 0.5); /* Times rise, so it is not negative. */
}

/* Whether times may be added and subtracted without a look at the ends of int64; a store's can. */
static bool are_near(const struct chunk_input *in, int64_t base_s)
{
    const int64_t limit = INT64_C(1) << 62;
    const int64_t first = in->times[0], last = in->times[in->rows - 1];
    return first > -limit && first < limit && last < limit && last - first < limit &&
           base_s > -limit / NS_PER_S && base_s < limit / NS_PER_S;
}

/* Head of times to `head`, their stream, where there is one, to `body`. */
static enum err write_times(const struct chunk_input *in, int64_t base_s, uint8_t unit,
                            unsigned *shape, struct writer *head, struct writer *body,
                            struct chunk_scratch *s)
{
    const uint64_t unit_ns = offsets_unit_ns[unit];
    const uint32_t last = in->rows - 1;
    offsets_of(in->times, in->rows, unit, s->q);
    const int64_t step = find_step(s->q, in->rows);
    uint64_t any = 0;
    for (uint32_t i = 0; i < in->rows; i++) {
        s->q[i] = (int64_t)((uint64_t)s->q[i] - (uint64_t)step * i);
        any |= (uint64_t)s->q[i];
    }
    const int64_t rest = s->q[last];
    if (any != 0) {
        TRY(ints_write(s->q, in->rows, s, body));
    }
    const bool is_coarse = step != 0 && step % COARSE == 0;
    *shape |= unit | (is_coarse ? (unsigned)COARSE_STEP_FLAG : 0U);
    const int64_t since = in->times[0] - base_s * NS_PER_S;
    TRY(writer_put_varint(head, in->rows));
    TRY(writer_put_varint(head, zigzag(since / (int64_t)unit_ns)));
    TRY(writer_put_varint(head, (uint64_t)(is_coarse ? step / COARSE : step)));
    TRY(writer_put_varint(head, zigzag(rest)));
    return writer_put_varint(head, body->size);
}

/* The directory's entries as they stand: all of them behind their number; or, of a plain column,
 * the form, the size only if something follows the stream, and the statistics. */
static enum err put_entries(struct bytes entries, unsigned columns, unsigned *shape,
                            struct writer *to)
{
    if (columns != 1 || entries.at[0] != 0) {
        TRY(writer_put_u8(to, (uint8_t)columns));
        return writer_put(to, entries.at, entries.size);
    }
    uint8_t id, form;
    uint64_t size;
    CHECK(bytes_take_u8(&entries, &id) == OK && bytes_take_u8(&entries, &form) == OK &&
          bytes_take_varint(&entries, &size) == OK);
    *shape |= PLAIN_FLAG;
    TRY(writer_put_u8(to, form));
    if ((*shape & ARRIVALS_FLAG) != 0) {
        TRY(writer_put_varint(to, size));
    }
    return writer_put(to, entries.at, entries.size);
}

/* Columns, and what follows them: streams to `body`, the rest behind `head`. */
static enum err write_columns(const struct chunk_input *in, const struct brief_base *base,
                              uint8_t unit, unsigned *shape, struct writer *head,
                              struct writer *body, struct chunk_scratch *s)
{
    uint8_t raw[ENTRIES_BYTES_MAX];
    struct writer entries = {raw, 0, sizeof raw};
    struct column_writer w = {.in = in,
                              .unit_ns = offsets_unit_ns[unit],
                              .directory = &entries,
                              .body = body,
                              .scratch = s};
    for (unsigned i = 0; i < in->columns; i++) {
        CHECK(i == 0 || in->column[i - 1].id < in->column[i].id);
        TRY(column_write(&w, &in->column[i]));
    }
    if (in->arrivals != NULL || in->revision_count > 0) {
        *shape |= ARRIVALS_FLAG;
        TRY(arrivals_write(in, base->arrival_s, s, body));
    }
    return put_entries((struct bytes){raw, entries.size}, w.count, shape, head);
}

enum err brief_write(const struct chunk_input *in, const struct brief_base *base,
                     struct chunk_scratch *scratch, struct writer *out)
{
    uint8_t raw[HEAD_BYTES_MAX + ENTRIES_BYTES_MAX];
    struct writer head = {raw, 0, sizeof raw};
    struct writer body = {out->at + out->size, 0, out->limit - out->size};
    const uint8_t unit = offsets_find_unit(in->times, in->rows);
    unsigned shape = 0;

    CHECK(in->rows >= 1 && in->rows <= CHUNK_ROWS_MAX && in->columns <= CHUNK_COLUMNS_MAX);
    if (!are_near(in, base->time_s)) {
        return E_LIMIT;
    }
    scratch->is_dense = scratch->is_brief = true;
    enum err e = write_times(in, base->time_s, unit, &shape, &head, &body, scratch);
    e = e == OK ? write_columns(in, base, unit, &shape, &head, &body, scratch) : e;
    scratch->is_brief = false;
    if (e != OK) {
        return e;
    }
    if (out->limit - out->size < 1 + head.size + body.size) {
        return E_LIMIT;
    }
    memmove(out->at + out->size + 1 + head.size, out->at + out->size, body.size);
    TRY(writer_put_u8(out, (uint8_t)shape));
    TRY(writer_put(out, raw, head.size));
    out->size += body.size;
    return OK;
}

/* First and last time; everything is checked against what fits. */
static enum err place_times(struct chunk *c, int64_t base_s, int64_t first, uint64_t step,
                            int64_t rest)
{
    int64_t base_ns, first_ns, span, span_ns;
    if (__builtin_mul_overflow(base_s, NS_PER_S, &base_ns) ||
        __builtin_mul_overflow(first, (int64_t)c->unit_ns, &first_ns) ||
        __builtin_add_overflow(base_ns, first_ns, &c->first_ns) ||
        __builtin_mul_overflow(step, c->rows - 1, &span) ||
        __builtin_add_overflow(span, rest, &span) || span < (int64_t)c->rows - 1 ||
        (c->rows == 1 && span > 0) || __builtin_mul_overflow(span, (int64_t)c->unit_ns, &span_ns) ||
        __builtin_add_overflow(c->first_ns, span_ns, &c->last_ns)) {
        return E_CORRUPT;
    }
    return OK;
}

static enum err read_times(struct bytes *in, unsigned shape, int64_t base_s, struct chunk *c)
{
    uint64_t rows, first, step, rest, size;
    if (bytes_take_varint(in, &rows) != OK || bytes_take_varint(in, &first) != OK ||
        bytes_take_varint(in, &step) != OK || bytes_take_varint(in, &rest) != OK ||
        bytes_take_varint(in, &size) != OK || rows < 1 || rows > CHUNK_ROWS_MAX) {
        return E_CORRUPT;
    }
    if ((shape & COARSE_STEP_FLAG) != 0 && __builtin_mul_overflow(step, (uint64_t)COARSE, &step)) {
        return E_CORRUPT;
    }
    c->rows = (uint32_t)rows;
    c->unit_ns = offsets_unit_ns[shape & UNIT_MASK];
    c->step = step;
    c->times.size = size;
    return place_times(c, base_s, unzigzag(first), step, unzigzag(rest));
}

/* The entry of a plain column. `*size`: of its stream, if that is said. */
static enum err read_plain(struct bytes *in, bool has_size, struct chunk *c)
{
    uint64_t size = 0;
    uint8_t form;
    if (bytes_take_u8(in, &form) != OK || (has_size && bytes_take_varint(in, &size) != OK)) {
        return E_CORRUPT;
    }
    return column_read_rest(in, 0, form, size, c);
}

static enum err read_directory(struct bytes *in, unsigned shape, struct chunk *c)
{
    uint8_t columns;
    if ((shape & PLAIN_FLAG) != 0) {
        return read_plain(in, (shape & ARRIVALS_FLAG) != 0, c);
    }
    if (bytes_take_u8(in, &columns) != OK || columns > CHUNK_COLUMNS_MAX) {
        return E_CORRUPT;
    }
    while (c->columns < columns) {
        TRY(column_read_entry(in, c));
    }
    return OK;
}

enum err brief_read(struct bytes in, const struct brief_base *base, struct chunk *out)
{
    uint8_t shape;
    if (bytes_take_u8(&in, &shape) != OK || shape >= SHAPES_END) {
        return E_CORRUPT;
    }
    out->is_brief = true;
    out->arrival_base_s = base->arrival_s;
    out->columns = 0;
    TRY(read_times(&in, shape, base->time_s, out));
    TRY(read_directory(&in, shape, out));
    if (bytes_take(&in, out->times.size, &out->times) != OK) {
        return E_CORRUPT;
    }
    const bool has_arrivals = (shape & ARRIVALS_FLAG) != 0;
    if ((shape & PLAIN_FLAG) != 0 && !has_arrivals) {
        out->column[0].stream.size = in.size;
    }
    for (unsigned i = 0; i < out->columns; i++) {
        TRY(column_read_body(&in, out, i));
    }
    out->arrivals = in;
    return has_arrivals == (in.size > 0) ? OK : E_CORRUPT;
}
