#include "codec/column.h"

#include "base/check.h"
#include "codec/bits.h"
#include "codec/ints.h"
#include "codec/present.h"
#include "codec/stage.h"
#include "codec/stats.h"

/* First byte of a directory entry. */
enum { ID_MASK = 0x3f, PARTIAL_FLAG = 0x40, DOUBLES_FLAG = 0x80 };

/* A reference must look an eighth better on samples before it is tried in full. */
enum { SAMPLE_WINDOWS = 4, SAMPLE_ROWS = 32, GAIN_OF = 8 };

/* More exceptions than this part of the values: perhaps their bits are the better form. */
enum { EXCEPTIONS_SHARE = 8 };

/* The column at work. */
struct work {
    const double *values; /* Gaps closed. */
    uint32_t count;
    uint32_t first, last; /* Places, among the values, of the first and last that is not NaN. */
    bool is_partial;      /* Incomplete, or with NaN. */
    size_t present_size, stream_size;
    struct doubles_form form;
    struct chunk_stats stats; /* Unless they are exact. */
};

static bool is_exact(const struct doubles_form *form)
{
    return form->mode == DOUBLES_SCALED && form->exceptions == 0;
}

/* The map of `input`, also in s->present, and its values without gaps in s->values. */
static uint32_t gather(const struct column_writer *w, const struct chunk_input_column *input,
                       const double **values)
{
    struct chunk_scratch *s = w->scratch;
    uint32_t count = present_copy(input->present, w->in->rows, s->present);

    *values = input->values;
    if (count < w->in->rows) {
        present_gather(s->present, w->in->rows, input->values, s->values);
        *values = s->values;
    }
    return count;
}

/* The presence map, by reference where an earlier column has the same. */
static enum err write_present(struct column_writer *w, const struct chunk_input_column *input)
{
    for (unsigned i = 0; i < w->count; i++) {
        if (present_equal(w->done[i].input->present, input->present, w->in->rows)) {
            TRY(writer_put_u8(w->body, PRESENT_SAME));
            return writer_put_u8(w->body, (uint8_t)i);
        }
    }
    return present_write(w->scratch->present, w->in->rows, w->scratch, w->body);
}

/* Row of the value at `place`, from the map in s->present. */
static uint32_t row_of(const struct chunk_scratch *s, uint32_t place)
{
    uint32_t i = 0;
    uint64_t word = s->present[0];
    uint32_t inside = (uint32_t)__builtin_popcountll(word);

    while (place >= inside) {
        place -= inside;
        word = s->present[++i];
        inside = (uint32_t)__builtin_popcountll(word);
    }
    while (place-- > 0) {
        word &= word - 1;
    }
    return i * 64 + (uint32_t)__builtin_ctzll(word);
}

static enum err write_partial(const struct column_writer *w, const struct work *k)
{
    const int64_t *times = w->in->times;
    uint64_t first = (uint64_t)times[row_of(w->scratch, k->first)] - (uint64_t)times[0];
    uint64_t last = (uint64_t)times[w->in->rows - 1] - (uint64_t)times[row_of(w->scratch, k->last)];

    TRY(writer_put_varint(w->directory, k->present_size));
    TRY(writer_put_varint(w->directory, k->count));
    TRY(writer_put_varint(w->directory, k->stats.nan_count));
    TRY(writer_put_varint(w->directory, first / w->unit_ns));
    return writer_put_varint(w->directory, last / w->unit_ns);
}

/* Bits of `q - other` in a few windows, about, by differences or by size. other may be NULL. */
static uint64_t sample_cost(const int64_t *q, const int64_t *other, uint32_t count)
{
    uint64_t by_delta = 0, by_size = 0;

    for (uint32_t window = 0; window < SAMPLE_WINDOWS; window++) {
        uint32_t start = (uint32_t)((uint64_t)count * window / SAMPLE_WINDOWS);
        uint64_t before = (uint64_t)q[start] - (other == NULL ? 0 : (uint64_t)other[start]);
        for (uint32_t i = start + 1; i < count && i < start + SAMPLE_ROWS; i++) {
            uint64_t now = (uint64_t)q[i] - (other == NULL ? 0 : (uint64_t)other[i]);
            by_delta += bits_length(zigzag((int64_t)(now - before)));
            by_size += bits_length(zigzag((int64_t)now));
            before = now;
        }
    }
    return other != NULL && by_size < by_delta ? by_size : by_delta;
}

/* The integers of the earlier column `index` to s->other. */
static void integers_of(struct column_writer *w, unsigned index)
{
    const struct column_done *done = &w->done[index];
    const double *values;
    uint32_t count = gather(w, done->input, &values);
    doubles_integers(values, count, done->form.scale, w->scratch->other);
}

/* The earlier column that column `k` likely follows best, or -1. */
static int find_reference(struct column_writer *w, const struct chunk_input_column *input,
                          const struct work *k)
{
    uint64_t best = sample_cost(w->scratch->q, NULL, k->count) * (GAIN_OF - 1) / GAIN_OF;
    int found = -1;

    for (unsigned i = 0; i < w->count; i++) {
        const struct column_done *done = &w->done[i];
        if (!is_exact(&done->form) || done->form.scale != k->form.scale ||
            !present_equal(done->input->present, input->present, w->in->rows)) {
            continue;
        }
        integers_of(w, i);
        uint64_t cost = sample_cost(w->scratch->q, w->scratch->other, k->count);
        if (cost < best) {
            best = cost;
            found = (int)i;
        }
    }
    return found;
}

/* Try the integers as differences to an earlier column; keep what `w->body` got since `start` when
 * that is not shorter. */
static enum err try_reference(struct column_writer *w, const struct chunk_input_column *input,
                              const struct work *k, size_t start)
{
    struct chunk_scratch *s = w->scratch;
    size_t plain_end = w->body->size, plain_size = plain_end - start;
    int reference = find_reference(w, input, k);

    if (reference < 0) {
        return OK;
    }
    integers_of(w, (unsigned)reference);
    for (uint32_t i = 0; i < k->count; i++) {
        s->other[i] = (int64_t)((uint64_t)s->q[i] - (uint64_t)s->other[i]);
    }
    const uint8_t head[] = {STAGE_XREF, (uint8_t)reference};
    enum err e = writer_put(w->body, head, sizeof head);
    e = e == OK ? ints_write(s->other, k->count, s, w->body) : e;
    size_t size = w->body->size - plain_end;
    w->body->size = plain_end;
    if (e == OK && size < plain_size) {
        memmove(w->body->at + start, w->body->at + plain_end, size);
        w->body->size = start + size;
    }
    return e == E_LIMIT ? OK : e; /* No room to try: the plain stream stays. */
}

/* What goes into the plain stream: in a brief chunk, what is above the first value, as the
 * statistics tell that. Uses s->other. */
static const int64_t *plain_integers(const struct doubles_form *form, uint32_t count,
                                     struct chunk_scratch *s)
{
    if (!s->is_brief || !is_exact(form)) {
        return s->q;
    }
    for (uint32_t i = 0; i < count; i++) {
        s->other[i] = s->q[i] - s->q[0];
    }
    return s->other;
}

static bool are_zeros(const int64_t *q, uint32_t count)
{
    uint64_t any = 0;
    for (uint32_t i = 0; i < count; i++) {
        any |= (uint64_t)q[i];
    }
    return any == 0;
}

/* The values in the form they have, their integers in s->q. */
static enum err write_form(struct column_writer *w, struct doubles_form *form, const struct work *k)
{
    TRY(doubles_write_exceptions(form, k->values, k->count, w->scratch, w->body));
    TRY(doubles_write_dictionary(form, k->count, w->scratch, w->body));
    const int64_t *q = plain_integers(form, k->count, w->scratch);
    if (q != w->scratch->q && are_zeros(q, k->count)) {
        return OK;
    }
    return ints_write(q, k->count, w->scratch, w->body);
}

/* Try a column as bits, or a table of them; keep what `w->body` got since `start` when that is not
 * shorter by more than `price`. */
static enum err try_bits(struct column_writer *w, struct work *k, size_t start, size_t price)
{
    const size_t plain_end = w->body->size, plain_size = plain_end - start;
    struct doubles_form bits = doubles_find_bits(k->values, k->count, w->scratch);
    const enum err e = write_form(w, &bits, k);
    const size_t size = w->body->size - plain_end + price;

    w->body->size = plain_end;
    if (e == OK && size < plain_size) {
        memmove(w->body->at + start, w->body->at + plain_end, size - price);
        w->body->size = start + size - price;
        k->form = bits;
    }
    return e == E_LIMIT ? OK : e; /* No room to try: the plain stream stays. */
}

static enum err write_stream(struct column_writer *w, const struct chunk_input_column *input,
                             struct work *k)
{
    const size_t start = w->body->size;
    TRY(write_form(w, &k->form, k));
    if (k->form.exceptions > k->count / EXCEPTIONS_SHARE) {
        TRY(try_bits(w, k, start, 0));
    }
    w->has_packed |= k->form.is_packed;
    if (!is_exact(&k->form)) {
        return OK;
    }
    const bool are_few = w->scratch->is_dense && doubles_are_few(k->count, w->scratch);
    TRY(w->count > 0 ? try_reference(w, input, k, start) : OK);
    return are_few ? try_bits(w, k, start, STATS_DOUBLES_BYTES) : OK;
}

static enum err write_entry(const struct column_writer *w, uint8_t id, const struct work *k,
                            const struct writer *stats)
{
    unsigned flags = (k->is_partial ? PARTIAL_FLAG : 0U) | (is_exact(&k->form) ? 0U : DOUBLES_FLAG);

    TRY(writer_put_u8(w->directory, (uint8_t)(id | flags)));
    TRY(writer_put_u8(w->directory, doubles_form_byte(&k->form)));
    TRY(writer_put_varint(w->directory, k->stream_size));
    TRY(k->is_partial ? write_partial(w, k) : OK);
    return writer_put(w->directory, stats->at, stats->size);
}

/* Statistics as doubles. */
static enum err count_doubles(struct work *k, struct writer *stats)
{
    stats->size = 0;
    k->stats = stats_of_doubles(k->values, k->count, &k->first, &k->last);
    k->is_partial |= k->stats.nan_count > 0;
    return stats_write_doubles(&k->stats, stats);
}

/* Form, integers (to s->q) and statistics. The latter go to `stats`, as the stream's size stands
 * before them but a dictionary changes the integers. */
static enum err examine(struct work *k, struct chunk_scratch *s, struct writer *stats)
{
    k->form = doubles_find(k->values, k->count, s);
    k->last = k->count - 1;
    if (is_exact(&k->form)) {
        return stats_write_exact(s->q, k->count, stats);
    }
    return count_doubles(k, stats);
}

enum err column_write(struct column_writer *w, const struct chunk_input_column *input)
{
    struct chunk_scratch *s = w->scratch;
    struct work k = {.count = gather(w, input, &k.values)};
    size_t start = w->body->size;
    uint8_t raw[STATS_BYTES_MAX];
    struct writer stats = {raw, 0, sizeof raw};

    CHECK(w->count < CHUNK_COLUMNS_MAX && input->id <= ID_MASK);
    if (k.count == 0) {
        return OK;
    }
    if (k.count < w->in->rows) {
        k.is_partial = true;
        TRY(write_present(w, input));
        k.present_size = w->body->size - start;
    }
    TRY(examine(&k, s, &stats));
    const bool was_exact = is_exact(&k.form);
    TRY(write_stream(w, input, &k));
    TRY(was_exact && !is_exact(&k.form) ? count_doubles(&k, &stats) : OK);
    k.stream_size = w->body->size - start - k.present_size;
    present_copy(input->present, w->in->rows, s->present);
    TRY(write_entry(w, input->id, &k, &stats));
    w->done[w->count++] = (struct column_done){input, k.form};
    return OK;
}

/* An offset of the directory as a time between first_ns and last_ns. */
static enum err read_offset(struct bytes *in, const struct chunk *c, uint64_t *offset_ns)
{
    uint64_t offset, span = (uint64_t)c->last_ns - (uint64_t)c->first_ns;

    if (bytes_take_varint(in, &offset) != OK || offset > span / c->unit_ns) {
        return E_CORRUPT;
    }
    *offset_ns = offset * c->unit_ns;
    return OK;
}

static enum err read_partial(struct bytes *in, const struct chunk *c, struct chunk_column *column)
{
    uint64_t present_size, count, nan_count, first, last;

    if (bytes_take_varint(in, &present_size) != OK || bytes_take_varint(in, &count) != OK ||
        bytes_take_varint(in, &nan_count) != OK) {
        return E_CORRUPT;
    }
    TRY(read_offset(in, c, &first));
    TRY(read_offset(in, c, &last));
    if (count < 1 || count > c->rows || nan_count > count ||
        (present_size == 0 && count != c->rows)) {
        return E_CORRUPT;
    }
    column->present.size = present_size;
    column->stats.count = (uint32_t)(count - nan_count);
    column->stats.nan_count = (uint32_t)nan_count;
    column->stats.first_ns = (int64_t)((uint64_t)c->first_ns + first);
    column->stats.last_ns = (int64_t)((uint64_t)c->last_ns - last);
    return column->stats.first_ns <= column->stats.last_ns ? OK : E_CORRUPT;
}

enum err column_read_entry(struct bytes *directory, struct chunk *c)
{
    uint8_t head, form_byte;
    uint64_t stream_size;

    if (bytes_take_u8(directory, &head) != OK || bytes_take_u8(directory, &form_byte) != OK ||
        bytes_take_varint(directory, &stream_size) != OK) {
        return E_CORRUPT;
    }
    return column_read_rest(directory, head, form_byte, stream_size, c);
}

enum err column_read_rest(struct bytes *directory, uint8_t head, uint8_t form_byte,
                          uint64_t stream_size, struct chunk *c)
{
    struct chunk_column *column = &c->column[c->columns];
    struct doubles_form form;
    int64_t first = 0;
    *column = (struct chunk_column){
        .id = head & ID_MASK,
        .form = form_byte,
        .stats = {.count = c->rows, .first_ns = c->first_ns, .last_ns = c->last_ns},
        .stream.size = stream_size};
    TRY(doubles_form_of(form_byte, &form));
    if ((head & PARTIAL_FLAG) != 0) {
        TRY(read_partial(directory, c, column));
    }
    bool is_first = c->columns == 0;
    bool has_exact = (head & DOUBLES_FLAG) == 0;
    if ((!is_first && column[-1].id >= column->id) || has_exact != is_exact(&form) ||
        (has_exact && column->stats.nan_count > 0)) {
        return E_CORRUPT;
    }
    TRY(has_exact ? stats_read_exact(directory, form.scale, &column->stats, &first)
                  : stats_read_doubles(directory, &column->stats));
    column->base = c->is_brief ? first : 0;
    c->columns++;
    return OK;
}

enum err column_read_body(struct bytes *body, struct chunk *c, unsigned index)
{
    struct chunk_column *column = &c->column[index];
    struct bytes *present = &column->present;

    if (bytes_take(body, present->size, present) != OK ||
        bytes_take(body, column->stream.size, &column->stream) != OK) {
        return E_CORRUPT;
    }
    if (present->size > 0 && present->at[0] == PRESENT_SAME) {
        if (present->size != 2 || present->at[1] >= index ||
            c->column[present->at[1]].present.size == 0) {
            return E_CORRUPT;
        }
        *present = c->column[present->at[1]].present;
    }
    return OK;
}

static uint32_t values_count(const struct chunk_column *column)
{
    return column->stats.count + column->stats.nan_count;
}

/* Whether column `a` may be differences to the earlier column `b`: same rows, same decimals. */
static bool may_refer(const struct chunk_column *a, const struct chunk_column *b)
{
    struct doubles_form form;
    return doubles_form_of(b->form, &form) == OK && is_exact(&form) && a->form == b->form &&
           a->present.size == b->present.size &&
           (a->present.size == 0 || a->present.at == b->present.at) &&
           values_count(a) == values_count(b);
}

/* The integers of a column whose stream is not differences. */
static enum err read_plain(const struct chunk *c, const struct chunk_column *column,
                           struct bytes in, struct chunk_scratch *s, int64_t *q)
{
    const uint64_t base = (uint64_t)column->base;
    const uint32_t count = values_count(column);
    if (in.size == 0 && c->is_brief) {
        memset(q, 0, count * sizeof q[0]);
    } else {
        TRY(ints_read(&in, count, s, q));
    }
    for (uint32_t i = 0; base != 0 && i < count; i++) {
        q[i] = (int64_t)((uint64_t)q[i] + base);
    }
    return in.size == 0 ? OK : E_CORRUPT;
}

/* Add s->other, one link of a chain of references, to s->q. */
static void add_link(uint32_t count, struct chunk_scratch *s)
{
    for (uint32_t i = 0; i < count; i++) {
        s->q[i] = (int64_t)((uint64_t)s->q[i] + (uint64_t)s->other[i]);
    }
}

/* The integers of column `index`, whose stream (behind its prefix) is `in`, to s->q. */
static enum err read_integers(const struct chunk *c, unsigned index, struct bytes in,
                              struct chunk_scratch *s)
{
    const struct chunk_column *column = &c->column[index];
    uint32_t count = values_count(column);

    if (in.size == 0 || in.at[0] != STAGE_XREF) {
        return read_plain(c, column, in, s, s->q);
    }
    memset(s->q, 0, count * sizeof s->q[0]);
    while (in.size >= 2 && in.at[0] == STAGE_XREF) {
        unsigned reference = in.at[1];
        if (reference >= index || !may_refer(column, &c->column[reference])) {
            return E_CORRUPT;
        }
        in = (struct bytes){in.at + 2, in.size - 2};
        TRY(ints_read(&in, count, s, s->other));
        if (in.size > 0) {
            return E_CORRUPT;
        }
        add_link(count, s);
        index = reference;
        in = c->column[reference].stream;
    }
    TRY(read_plain(c, &c->column[index], in, s, s->other));
    add_link(count, s);
    return OK;
}

enum err column_values(const struct chunk *c, unsigned index, struct chunk_scratch *s,
                       double *values)
{
    const struct chunk_column *column = &c->column[index];
    struct bytes in = column->stream;
    struct doubles_form form;
    struct doubles_prefix prefix;
    uint32_t count = values_count(column);

    TRY(doubles_form_of(column->form, &form));
    TRY(doubles_read_prefix(&form, &in, count, s, &prefix));
    TRY(read_integers(c, index, in, s));
    return doubles_restore(&form, &prefix, count, s, values);
}
