#include "codec/arrivals.h"

#include "base/check.h"
#include "base/clock.h"
#include "codec/ints.h"
#include "codec/present.h"

enum { COLUMN_MASK = 0x3f, CURRENT_FLAG = 0x40, ON_TIME_FLAG = 0x80 };

static int64_t floor_s(int64_t time_ns)
{
    return time_ns / NS_PER_S - (time_ns % NS_PER_S < 0);
}

/* The map of late rows to s->present; returns how many there are. */
static uint32_t map_late(const struct chunk_input *in, struct chunk_scratch *s)
{
    uint32_t late = 0;
    memset(s->present, 0, sizeof s->present);
    for (uint32_t i = 0; in->arrivals != NULL && i < in->rows; i++) {
        uint64_t is_late = in->arrivals[i] != 0;
        s->present[i / 64] |= is_late << (i % 64);
        late += (uint32_t)is_late;
    }
    return late;
}

static enum err write_map(const struct chunk_input *in, struct chunk_scratch *s, struct writer *out)
{
    uint8_t raw[CHUNK_ROWS_MAX / 8 + VARINT_BYTES_MAX + 1];
    struct writer map = {raw, 0, sizeof raw};
    TRY(present_write(s->present, in->rows, s, &map));
    TRY(writer_put_varint(out, map.size));
    return writer_put(out, raw, map.size);
}

static enum err write_rows(const struct chunk_input *in, uint32_t base_s, struct chunk_scratch *s,
                           struct writer *out)
{
    const uint32_t late = map_late(in, s);
    TRY(writer_put_varint(out, late));
    if (late == 0) {
        return OK;
    }
    if (late < in->rows) {
        TRY(write_map(in, s, out));
    }
    uint32_t count = 0;
    for (uint32_t i = 0; i < in->rows; i++) {
        s->q[count] = (int64_t)in->arrivals[i] - base_s;
        count += in->arrivals[i] != 0;
    }
    return ints_write(s->q, late, s, out);
}

static enum err write_revision(const struct chunk_input *in, const struct chunk_revision *r,
                               uint32_t row_before, struct writer *out)
{
    const unsigned flags =
        (r->is_current ? CURRENT_FLAG : 0U) | (r->arrival_s == 0 ? ON_TIME_FLAG : 0U);
    uint64_t bits;
    CHECK(r->row < in->rows && r->row >= row_before && r->column <= COLUMN_MASK);
    TRY(writer_put_varint(out, r->row - row_before));
    TRY(writer_put_u8(out, (uint8_t)(r->column | flags)));
    if (r->arrival_s != 0) {
        TRY(writer_put_varint(out, zigzag((int64_t)r->arrival_s - floor_s(in->times[r->row]))));
    }
    if (r->is_current) {
        return OK;
    }
    memcpy(&bits, &r->value, sizeof bits);
    return writer_put_le64(out, bits);
}

enum err arrivals_write(const struct chunk_input *in, uint32_t base_s, struct chunk_scratch *s,
                        struct writer *out)
{
    uint32_t row = 0;
    if (in->revision_count > CHUNK_REVISIONS_MAX) {
        return E_LIMIT;
    }
    TRY(write_rows(in, base_s, s, out));
    TRY(writer_put_varint(out, in->revision_count));
    for (uint32_t i = 0; i < in->revision_count; i++) {
        TRY(write_revision(in, &in->revisions[i], row, out));
        row = in->revisions[i].row;
    }
    return OK;
}

/* Late rows of a complete map. */
static uint32_t set_all(uint32_t rows, struct chunk_scratch *s)
{
    return present_copy(NULL, rows, s->present);
}

static enum err read_rows(struct bytes *in, const struct chunk *c, struct chunk_scratch *s,
                          uint32_t *arrivals)
{
    const uint32_t rows = c->rows;
    uint64_t late, size;
    struct bytes map;
    memset(arrivals, 0, rows * sizeof arrivals[0]);
    if (bytes_take_varint(in, &late) != OK || late > rows) {
        return E_CORRUPT;
    }
    if (late == 0) {
        return OK;
    }
    if (late == rows) {
        (void)set_all(rows, s);
    } else if (bytes_take_varint(in, &size) != OK || bytes_take(in, size, &map) != OK ||
               size == 0 || map.at[0] == PRESENT_SAME) {
        return E_CORRUPT;
    } else {
        TRY(present_read(map, rows, (uint32_t)late, s));
    }
    TRY(ints_read(in, (uint32_t)late, s, s->other));
    uint32_t count = 0;
    for (uint32_t i = 0; i < rows; i++) {
        if ((s->present[i / 64] >> (i % 64) & 1) != 0) {
            int64_t arrival = (int64_t)((uint64_t)s->other[count++] + (uint64_t)c->arrival_base_s);
            if (arrival < 1 || arrival > UINT32_MAX) {
                return E_CORRUPT;
            }
            arrivals[i] = (uint32_t)arrival;
        }
    }
    return OK;
}

static enum err read_arrival(struct bytes *in, int64_t time_ns, uint32_t *arrival_s)
{
    uint64_t after;
    int64_t sum;
    if (bytes_take_varint(in, &after) != OK ||
        __builtin_add_overflow(unzigzag(after), floor_s(time_ns), &sum) || sum < 1 ||
        sum > UINT32_MAX) {
        return E_CORRUPT;
    }
    *arrival_s = (uint32_t)sum;
    return OK;
}

/* Revisions ascend by row and column; a current one comes last and has its place only behind older
 * ones or alone. */
static bool follows(const struct chunk_revision *before, const struct chunk_revision *r)
{
    if (r->row != before->row) {
        return r->row > before->row;
    }
    return r->column > before->column || (r->column == before->column && !before->is_current);
}

static enum err read_revision(struct bytes *in, const struct chunk *c, const int64_t *times,
                              uint32_t row_before, struct chunk_revision *r)
{
    uint64_t rows, bits;
    uint8_t head;
    if (bytes_take_varint(in, &rows) != OK || rows >= c->rows || rows + row_before >= c->rows ||
        bytes_take_u8(in, &head) != OK) {
        return E_CORRUPT;
    }
    *r = (struct chunk_revision){.row = row_before + (uint32_t)rows,
                                 .column = head & COLUMN_MASK,
                                 .is_current = (head & CURRENT_FLAG) != 0};
    if ((head & ON_TIME_FLAG) == 0) {
        TRY(read_arrival(in, times[r->row], &r->arrival_s));
    }
    if (!r->is_current) {
        if (bytes_take_le64(in, &bits) != OK) {
            return E_CORRUPT;
        }
        memcpy(&r->value, &bits, sizeof bits);
    }
    return chunk_column_find(c, r->column) >= 0 ? OK : E_CORRUPT;
}

static enum err read_revisions(struct bytes *in, const struct chunk *c, const int64_t *times,
                               struct chunk_arrivals *out)
{
    uint64_t count;
    uint32_t row = 0;
    if (bytes_take_varint(in, &count) != OK || count > CHUNK_REVISIONS_MAX) {
        return E_CORRUPT;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct chunk_revision *r = &out->revisions[i];
        TRY(read_revision(in, c, times, row, r));
        if (i > 0 && !follows(r - 1, r)) {
            return E_CORRUPT;
        }
        row = r->row;
    }
    out->revision_count = (uint32_t)count;
    return OK;
}

enum err chunk_arrivals(const struct chunk *c, const int64_t *times, struct chunk_scratch *s,
                        struct chunk_arrivals *out)
{
    struct bytes in = c->arrivals;
    out->revision_count = 0;
    if (in.size == 0) {
        memset(out->arrivals, 0, c->rows * sizeof out->arrivals[0]);
        return OK;
    }
    TRY(read_rows(&in, c, s, out->arrivals));
    TRY(read_revisions(&in, c, times, out));
    return in.size == 0 ? OK : E_CORRUPT;
}
