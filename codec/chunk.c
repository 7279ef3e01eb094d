#include "codec/chunk.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/hash.h"
#include "codec/arrivals.h"
#include "codec/bits.h"
#include "codec/column.h"
#include "codec/ints.h"
#include "codec/offsets.h"
#include "codec/present.h"

enum {
    MAGIC_0 = 'H',
    MAGIC_1 = 'c',
    VERSION = 1,
    ARRIVALS_FLAG = 1,
    PACKED_FLAG = 2, /* A column has packed exceptions. */
    HEAD_BYTES = 4,  /* Magic, version, flags. */
    CHECKSUM_BYTES = 8,
    DIRECTORY_BYTES_MAX = 48 + CHUNK_COLUMNS_MAX * 100
};

/* The checksum ends the chunk, so that it is also the slack behind the last stream. */
_Static_assert((int)CHECKSUM_BYTES >= (int)BITS_SLACK_BYTES, "decoders stay inside the chunk");

enum err chunk_scratch_create(struct chunk_scratch **out)
{
    struct chunk_scratch *s = malloc(sizeof *s); /* Nothing is read before it is written. */
    if (s == NULL) {
        return E_NO_MEMORY;
    }
    s->is_dense = s->is_brief = false;
    *out = s;
    return OK;
}

void chunk_scratch_destroy(struct chunk_scratch *s)
{
    free(s);
}

static enum err write_times(const struct chunk_input *in, uint8_t unit, struct writer *directory,
                            struct writer *body, struct chunk_scratch *s)
{
    offsets_of(in->times, in->rows, unit, s->q);
    TRY(ints_write(s->q, in->rows, s, body));
    TRY(writer_put_varint(directory, in->rows));
    TRY(writer_put_u8(directory, unit));
    TRY(writer_put_varint(directory, zigzag(in->times[0] / (int64_t)offsets_unit_ns[unit])));
    TRY(writer_put_varint(directory, (uint64_t)s->q[in->rows - 1]));
    return writer_put_varint(directory, body->size);
}

static uint64_t checksum_of(struct bytes key, const uint8_t *at, size_t size)
{
    return hash_seeded(hash_bytes(key), (struct bytes){at, size});
}

/* Put head, directory and the body, which stands where the chunk will, in their order. */
static enum err assemble(uint8_t flags, const struct writer *directory, const struct writer *body,
                         struct bytes key, struct writer *out)
{
    const uint8_t head[HEAD_BYTES] = {MAGIC_0, MAGIC_1, VERSION, flags};
    size_t before = sizeof head + directory->size, start = out->size;

    if (out->limit - out->size < before + body->size + CHECKSUM_BYTES) {
        return E_LIMIT;
    }
    memmove(out->at + start + before, body->at, body->size);
    TRY(writer_put(out, head, sizeof head));
    TRY(writer_put(out, directory->at, directory->size));
    out->size += body->size;
    return writer_put_le64(out, checksum_of(key, out->at + start, out->size - start));
}

static enum err write_columns(struct column_writer *w)
{
    for (unsigned i = 0; i < w->in->columns; i++) {
        CHECK(i == 0 || w->in->column[i - 1].id < w->in->column[i].id);
        TRY(column_write(w, &w->in->column[i]));
    }
    return OK;
}

enum err chunk_write(const struct chunk_input *in, struct bytes key, struct chunk_scratch *scratch,
                     struct writer *out)
{
    uint8_t head[48], entries[DIRECTORY_BYTES_MAX];
    struct writer directory = {head, 0, sizeof head}, rest = {entries, 0, sizeof entries};
    struct writer body = {out->at + out->size, 0, out->limit - out->size};
    uint8_t unit = offsets_find_unit(in->times, in->rows);

    CHECK(in->rows >= 1 && in->rows <= CHUNK_ROWS_MAX && in->columns <= CHUNK_COLUMNS_MAX);
    scratch->is_dense = in->dense;
    TRY(write_times(in, unit, &directory, &body, scratch));
    struct column_writer w = {.in = in,
                              .unit_ns = offsets_unit_ns[unit],
                              .directory = &rest,
                              .body = &body,
                              .scratch = scratch};
    TRY(write_columns(&w));
    const bool has_arrivals = in->arrivals != NULL || in->revision_count > 0;
    if (has_arrivals) {
        TRY(arrivals_write(in, 0, scratch, &body));
    }
    struct writer all = {entries, 0, sizeof entries};
    memmove(entries + directory.size + 1, entries, rest.size);
    TRY(writer_put(&all, directory.at, directory.size));
    TRY(writer_put_u8(&all, (uint8_t)w.count));
    all.size += rest.size;
    const unsigned flags = (has_arrivals ? ARRIVALS_FLAG : 0U) | (w.has_packed ? PACKED_FLAG : 0U);
    return assemble((uint8_t)flags, &all, &body, key, out);
}

static enum err read_frame(struct bytes key, struct bytes value, struct bytes *inside)
{
    uint64_t stored;

    if (value.size < HEAD_BYTES + CHECKSUM_BYTES || value.at[0] != MAGIC_0 ||
        value.at[1] != MAGIC_1) {
        return E_CORRUPT;
    }
    if (value.at[2] != VERSION) {
        return E_VERSION;
    }
    size_t size = value.size - CHECKSUM_BYTES;
    memcpy(&stored, value.at + size, sizeof stored);
    if (stored != checksum_of(key, value.at, size)) {
        return E_CORRUPT;
    }
    if ((value.at[3] & ~(ARRIVALS_FLAG | PACKED_FLAG)) != 0) {
        return E_VERSION; /* A flag of a later build. */
    }
    *inside = (struct bytes){value.at + HEAD_BYTES, size - HEAD_BYTES};
    return OK;
}

/* Rows, unit, span and the size of the times. */
static enum err read_times(struct bytes *in, struct chunk *c)
{
    uint64_t rows, first, span, size, span_ns;
    uint8_t unit;

    if (bytes_take_varint(in, &rows) != OK || bytes_take_u8(in, &unit) != OK ||
        bytes_take_varint(in, &first) != OK || bytes_take_varint(in, &span) != OK ||
        bytes_take_varint(in, &size) != OK) {
        return E_CORRUPT;
    }
    if (rows < 1 || rows > CHUNK_ROWS_MAX || unit >= OFFSETS_UNITS || span < rows - 1 ||
        (rows == 1 && span > 0) ||
        __builtin_mul_overflow(unzigzag(first), (int64_t)offsets_unit_ns[unit], &c->first_ns) ||
        __builtin_mul_overflow(span, offsets_unit_ns[unit], &span_ns) ||
        __builtin_add_overflow(c->first_ns, span_ns, &c->last_ns)) {
        return E_CORRUPT;
    }
    c->rows = (uint32_t)rows;
    c->unit_ns = offsets_unit_ns[unit];
    c->times.size = size;
    return OK;
}

enum err chunk_read(struct bytes key, struct bytes value, struct chunk *out)
{
    struct bytes in;
    uint8_t columns;

    TRY(read_frame(key, value, &in));
    out->is_brief = false;
    out->step = 0;
    out->arrival_base_s = 0;
    TRY(read_times(&in, out));
    if (bytes_take_u8(&in, &columns) != OK || columns > CHUNK_COLUMNS_MAX) {
        return E_CORRUPT;
    }
    for (out->columns = 0; out->columns < columns;) {
        TRY(column_read_entry(&in, out));
    }
    if (bytes_take(&in, out->times.size, &out->times) != OK) {
        return E_CORRUPT;
    }
    for (unsigned i = 0; i < columns; i++) {
        TRY(column_read_body(&in, out, i));
    }
    out->arrivals = in;
    const bool has_arrivals = (value.at[3] & ARRIVALS_FLAG) != 0;
    return has_arrivals == (in.size > 0) ? OK : E_CORRUPT;
}

int chunk_column_find(const struct chunk *c, uint8_t id)
{
    for (unsigned i = 0; i < c->columns && c->column[i].id <= id; i++) {
        if (c->column[i].id == id) {
            return (int)i;
        }
    }
    return -1;
}

/* Times since the first one, in units, less what `step` says of each row. */
static enum err read_offsets(const struct chunk *c, struct chunk_scratch *scratch, int64_t *offsets)
{
    struct bytes in = c->times;
    if (in.size == 0 && c->is_brief) {
        memset(offsets, 0, c->rows * sizeof offsets[0]);
    } else {
        TRY(ints_read(&in, c->rows, scratch, offsets));
    }
    return in.size == 0 ? OK : E_CORRUPT;
}

static bool do_rise(const struct chunk *c, const int64_t *times)
{
    bool is_rising = true;
    for (uint32_t i = 1; i < c->rows; i++) {
        is_rising &= times[i - 1] < times[i];
    }
    return is_rising;
}

/* Offsets into times, in place. Whether they begin at 0, end at the last one and rise. */
static bool set_times(const struct chunk *c, int64_t *times)
{
    const uint64_t first_ns = (uint64_t)c->first_ns, unit_ns = c->unit_ns, step = c->step;
    uint64_t before = 0, line = 0;
    uint64_t deltas = 0, less = 0; /* All deltas, and all deltas less one, or-ed. */
    if (times[0] != 0) {
        return false;
    }
    times[0] = c->first_ns;
    for (uint32_t i = 1; i < c->rows; i++) {
        line += step;
        const uint64_t offset = (uint64_t)times[i] + line, delta = offset - before;
        before = offset;
        deltas |= delta;
        less |= delta - 1;
        times[i] = (int64_t)(first_ns + offset * unit_ns);
    }
    if (times[c->rows - 1] != c->last_ns) {
        return false;
    }
    /* Short deltas can't have wrapped, so that none is 0 says it all. */
    const bool are_short = bits_length(deltas) + bits_length(unit_ns) + bits_length(c->rows) < 63;
    return are_short ? less >> 63 == 0 : do_rise(c, times);
}

/* Times that are all alike far apart need no look at each. E_NOT_FOUND: they are not. */
static enum err set_even_times(const struct chunk *c, int64_t *times)
{
    struct bytes in = c->times;
    uint64_t time_ns = (uint64_t)c->first_ns;
    int64_t first, step, span_ns;
    if (c->step != 0 || c->rows < 2 || ints_read_line(&in, &first, &step) != OK || in.size > 0) {
        return E_NOT_FOUND;
    }
    const uint64_t step_ns = (uint64_t)step * c->unit_ns;
    if (first != 0 || step <= 0 || __builtin_mul_overflow(step, c->rows - 1, &span_ns) ||
        __builtin_mul_overflow(span_ns, (int64_t)c->unit_ns, &span_ns) ||
        (uint64_t)c->last_ns - time_ns != (uint64_t)span_ns) {
        return E_NOT_FOUND; /* Wrong, or beyond what we reckon with: the long way tells. */
    }
    for (uint32_t i = 0; i < c->rows; i++) {
        times[i] = (int64_t)time_ns;
        time_ns += step_ns;
    }
    return OK;
}

enum err chunk_times(const struct chunk *c, struct chunk_scratch *scratch, int64_t *times)
{
    if (set_even_times(c, times) == OK) {
        return OK;
    }
    TRY(read_offsets(c, scratch, times));
    return set_times(c, times) ? OK : E_CORRUPT;
}

/* NOLINTNEXTLINE(readability-function-size): points are two arrays and a count. */
enum err chunk_points(const struct chunk *c, unsigned index, const int64_t *all_times,
                      struct chunk_scratch *scratch, int64_t *times, double *values,
                      uint32_t *count)
{
    CHECK(index < c->columns);
    const struct chunk_column *column = &c->column[index];
    uint32_t present = column->stats.count + column->stats.nan_count;

    if (column->present.size > 0) {
        TRY(present_read(column->present, c->rows, present, scratch));
        TRY(column_values(c, index, scratch, values));
        present_gather(scratch->present, c->rows, all_times, times);
    } else {
        TRY(column_values(c, index, scratch, values));
        if (times != all_times) {
            memcpy(times, all_times, c->rows * sizeof *times);
        }
    }
    *count = present;
    return OK;
}
