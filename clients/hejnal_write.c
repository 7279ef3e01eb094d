/* Writing: batches cut into requests of a good size, several of them under way. */

#include <stdlib.h>

#include "base/check.h"
#include "base/text.h"
#include "clients/hejnal_batch.h"
#include "clients/hejnal_connection.h"

/* A request holds at most so many values (absent ones too) and bytes of names: a quarter MiB or so,
 * some milliseconds of work for the server. */
enum { VALUES_MAX = 32768, SECTIONS_MAX = 2048, COLUMNS_MAX = 8192, NAME_BYTES_MAX = 512 << 10 };
/* And of texts. */
enum { WORDS_MAX = 32768, WORD_BYTES_MAX = 512 << 10 };

/* A series of a few rows goes as points under its number where the server knows that: of more rows,
 * a section has fewer bytes. NUMBERS_AHEAD: given but not known yet; a server that keeps no more is
 * offered no more. */
enum { POINT_ROWS_MAX = 16, NUMBERS_AHEAD = 1 << 17 };

/* One request being built. Arrays of sections that need no change are lent as they are. */
struct hejnal_packer {
    size_t sections, columns, values, name_bytes;
    size_t deltas, packed, runs, word_runs, points;
    Hejnal__V1__WriteRows rows[SECTIONS_MAX], *row_list[SECTIONS_MAX];
    Hejnal__V1__WriteColumn column[COLUMNS_MAX], *column_list[COLUMNS_MAX];
    int64_t delta[VALUES_MAX];
    double value[VALUES_MAX]; /* Of columns with gaps or texts. */
    uint32_t run[2 * (VALUES_MAX + COLUMNS_MAX)];
    uint32_t word_run[2 * VALUES_MAX];
    struct hejnal_told told;
    uint32_t point_number[VALUES_MAX];
    int64_t point_delta[VALUES_MAX];
    double point_value[VALUES_MAX];
    int64_t point_ns; /* Of the point before. */
};

static void empty(struct hejnal_packer *p)
{
    p->sections = p->columns = p->values = p->name_bytes = 0;
    p->deltas = p->packed = p->runs = p->word_runs = p->points = 0;
    p->point_ns = 0;
    hejnal_words_restart(&p->told);
}

void hejnal_write_free_packer(struct hejnal_packer *p)
{
    if (p != NULL) {
        hejnal_words_end(&p->told);
        free(p);
    }
}

bool hejnal_write_take(struct hejnal *h, const frame_response *r)
{
    for (unsigned i = 0; i < h->write_count; i++) {
        if (h->writes[i] != r->id) {
            continue;
        }
        if (r->error != NULL && h->write_fault.result == HEJNAL_OK) {
            hejnal_answer_fault(r->error, &h->write_fault);
        }
        if (r->end != NULL) {
            h->acked += r->end->rows;
            h->refused += r->end->refused;
            h->numbers_known = r->end->numbers;
        }
        if (r->end != NULL || r->error != NULL) {
            h->writes[i] = h->writes[--h->write_count];
        }
        return true;
    }
    return false;
}

static enum hejnal_result wait_writes(struct hejnal *h, unsigned left)
{
    while (h->write_count > left) {
        enum hejnal_result result = hejnal_connection_receive(h);
        if (result != HEJNAL_OK) {
            return result;
        }
    }
    return HEJNAL_OK;
}

enum hejnal_result hejnal_write_wait(struct hejnal *h, unsigned left)
{
    enum hejnal_result result = wait_writes(h, left);
    if (result != HEJNAL_OK) {
        return result;
    }
    if (h->fd < 0) {
        return hejnal_connection_tell(h, &h->lost);
    }
    if (h->write_fault.result != HEJNAL_OK) {
        result = hejnal_connection_tell(h, &h->write_fault);
        if (left == 0) {
            h->write_fault = (struct hejnal_fault){0};
        }
    }
    return result;
}

/* Send what was packed. */
static enum hejnal_result ship(struct hejnal *h)
{
    struct hejnal_packer *p = h->packer;
    Hejnal__V1__Write write = HEJNAL__V1__WRITE__INIT;
    Hejnal__V1__WritePoints points = HEJNAL__V1__WRITE_POINTS__INIT;
    frame_request r = HEJNAL__V1__REQUEST__INIT;

    if (p->sections == 0 && p->points == 0) {
        return HEJNAL_OK;
    }
    enum hejnal_result result = wait_writes(h, HEJNAL_WRITES_MAX - 1);
    if (result != HEJNAL_OK) {
        return result;
    }
    write.n_rows = p->sections;
    write.rows = p->row_list;
    write.n_words = p->told.count;
    write.words = p->told.list;
    if (p->points > 0) {
        points.n_number = points.n_time_delta = points.n_value = p->points;
        points.number = p->point_number;
        points.time_delta = p->point_delta;
        points.value = p->point_value;
        write.points = &points;
    }
    r.id = hejnal_connection_id(h);
    r.body_case = HEJNAL__V1__REQUEST__BODY_WRITE;
    r.write = &write;
    empty(p);
    result = hejnal_connection_send(h, &r);
    if (result == HEJNAL_OK) {
        h->writes[h->write_count++] = r.id;
    }
    return result;
}

/* The next value that is there: a number, or one more row of a word's run. */
static void pack_value(struct hejnal_packer *p, const Hejnal__V1__WriteColumn *column, double value)
{
    uint32_t *runs = &p->word_run[p->word_runs];
    const bool is_text = text_is_value(value);
    const uint32_t word = is_text ? p->told.place[text_id(value)] : 0;
    if (!is_text) {
        p->value[p->packed++] = value;
    }
    if (column->word_runs == NULL) {
        return;
    }
    if (runs > column->word_runs && runs[-2] == word) {
        runs[-1]++;
        return;
    }
    runs[0] = word;
    runs[1] = 1;
    p->word_runs += 2;
}

static void pack_texts(struct hejnal_packer *p, const struct hejnal_section *s, unsigned index,
                       size_t from, size_t rows)
{
    Hejnal__V1__WriteColumn *column = &p->column[p->columns];
    const double *values = hejnal_section_values(s, index);
    column->value = &p->value[p->packed];
    column->word_runs = &p->word_run[p->word_runs];
    for (size_t i = from; i < from + rows; i++) {
        pack_value(p, column, values[i]);
    }
    column->n_value = (size_t)(&p->value[p->packed] - column->value);
    column->n_word_runs = (size_t)(&p->word_run[p->word_runs] - column->word_runs);
}

/* The values of a column that are there, and the runs that tell where. */
static void pack_gaps(struct hejnal_packer *p, const struct hejnal_section *s, unsigned index,
                      size_t from, size_t rows)
{
    Hejnal__V1__WriteColumn *column = &p->column[p->columns];
    const uint64_t bit = UINT64_C(1) << index, *present = hejnal_section_present(s);
    const double *values = hejnal_section_values(s, index);
    bool is_present = true; /* Runs start with present ones. */
    uint32_t length = 0;

    column->value = &p->value[p->packed];
    column->present_runs = &p->run[p->runs];
    column->word_runs = (s->texts & bit) != 0 ? &p->word_run[p->word_runs] : NULL;
    for (size_t i = from; i < from + rows; i++) {
        if (((present[i] & bit) != 0) != is_present) {
            p->run[p->runs++] = length;
            is_present = !is_present;
            length = 0;
        }
        length++;
        if (is_present) {
            pack_value(p, column, values[i]);
        }
    }
    p->run[p->runs++] = length;
    column->n_value = (size_t)(&p->value[p->packed] - column->value);
    column->n_present_runs = (size_t)(&p->run[p->runs] - column->present_runs);
    if (column->word_runs != NULL) {
        column->n_word_runs = (size_t)(&p->word_run[p->word_runs] - column->word_runs);
    }
}

static void pack_columns(struct hejnal_packer *p, const struct hejnal_section *s, size_t from,
                         size_t rows)
{
    for (unsigned i = 0; i < hejnal_section_width(s); i++) {
        Hejnal__V1__WriteColumn *column = &p->column[p->columns];
        hejnal__v1__write_column__init(column);
        if ((s->gaps >> i & 1) != 0) {
            pack_gaps(p, s, i, from, rows);
        } else if ((s->texts >> i & 1) != 0) {
            pack_texts(p, s, i, from, rows);
        } else {
            column->n_value = rows;
            column->value = hejnal_section_values(s, i) + from;
        }
        p->column_list[p->columns++] = column;
    }
}

/* Rows [from, from + rows) of a section; they fit. */
static void pack_rows(struct hejnal_packer *p, const struct hejnal_section *s, size_t from,
                      size_t rows)
{
    Hejnal__V1__WriteRows *out = &p->rows[p->sections];
    hejnal__v1__write_rows__init(out);
    memcpy(&out->path, &s->path, sizeof out->path); /* Lent; only read. */
    out->n_columns = s->columns;
    memcpy(&out->columns, &(const char *const *){s->name}, sizeof out->columns);
    out->n_time_delta = rows;
    out->time_delta = &p->delta[p->deltas];
    for (size_t i = from; i < from + rows; i++) {
        p->delta[p->deltas++] =
            (int64_t)((uint64_t)s->times[i] - (i == from ? 0 : (uint64_t)s->times[i - 1]));
    }
    out->n_values = hejnal_section_width(s);
    out->values = &p->column_list[p->columns];
    pack_columns(p, s, from, rows);
    out->number = s->number;
    p->values += rows * out->n_values;
    p->name_bytes += s->key_bytes;
    p->row_list[p->sections++] = out;
}

/* Whether the row's words are told, or could be: it fits, or it is the request's first. */
static bool tell_row(struct hejnal_packer *p, const struct hejnal_batch *b,
                     const struct hejnal_section *s, size_t row, enum hejnal_result *result)
{
    for (uint64_t left = s->texts & hejnal_section_present(s)[row]; left != 0; left &= left - 1) {
        const double value = hejnal_section_values(s, (unsigned)__builtin_ctzll(left))[row];
        if (!text_is_value(value)) {
            continue;
        }
        if (!hejnal_words_tell(&p->told, &b->words, text_id(value))) {
            *result = HEJNAL_NO_MEMORY;
            return false;
        }
    }
    return p->told.count <= WORDS_MAX && p->told.bytes <= WORD_BYTES_MAX;
}

/* How many of the next rows the request has room for the words of. */
static enum hejnal_result tell_rows(struct hejnal *h, const struct hejnal_batch *b,
                                    const struct hejnal_section *s, size_t from, size_t *rows)
{
    struct hejnal_packer *p = h->packer;
    enum hejnal_result result = HEJNAL_OK;
    size_t told = 0;
    if (s->texts == 0) {
        return HEJNAL_OK;
    }
    if (!hejnal_words_expect(&p->told, &b->words)) {
        return hejnal_connection_fail(h, HEJNAL_NO_MEMORY, "out of memory");
    }
    while (told < *rows && tell_row(p, b, s, from + told, &result)) {
        told++;
    }
    *rows = told;
    return result == HEJNAL_OK ? HEJNAL_OK : hejnal_connection_fail(h, result, "out of memory");
}

/* The number the server knows a section's only series by; 0: none. A section written for the second
 * time is given one: a batch used once would waste it. */
static uint32_t number_section(struct hejnal *h, struct hejnal_section *s)
{
    if (s->serial != h->serial) {
        s->serial = h->serial;
        s->number = 0;
    } else if (s->number == 0 && hejnal_section_width(s) == 1 &&
               h->numbers_given - h->numbers_known < NUMBERS_AHEAD) {
        s->number = ++h->numbers_given;
    }
    return s->number <= h->numbers_known ? s->number : 0;
}

static enum hejnal_result pack_points(struct hejnal *h, const struct hejnal_section *s)
{
    struct hejnal_packer *p = h->packer;
    if (p->values + s->rows > VALUES_MAX) {
        enum hejnal_result result = ship(h);
        if (result != HEJNAL_OK) {
            return result;
        }
    }
    for (size_t i = 0; i < s->rows; i++) {
        p->point_number[p->points] = s->number;
        p->point_delta[p->points] = (int64_t)((uint64_t)s->times[i] - (uint64_t)p->point_ns);
        p->point_value[p->points++] = hejnal_section_values(s, 0)[i];
        p->point_ns = s->times[i];
    }
    p->values += s->rows;
    return HEJNAL_OK;
}

/* How many rows of the section from `from` on the request at hand takes; 0: it is full. */
static enum hejnal_result fit_rows(struct hejnal *h, const struct hejnal_batch *b,
                                   const struct hejnal_section *s, size_t from, size_t *rows)
{
    const struct hejnal_packer *p = h->packer;
    const size_t width = hejnal_section_width(s), left = s->rows - from;
    *rows = (VALUES_MAX - p->values) / width;
    if (p->sections == SECTIONS_MAX || p->columns + width > COLUMNS_MAX ||
        (p->name_bytes + s->key_bytes > NAME_BYTES_MAX && p->sections > 0)) {
        *rows = 0;
    }
    *rows = *rows < left ? *rows : left;
    return tell_rows(h, b, s, from, rows);
}

static enum hejnal_result pack_section(struct hejnal *h, const struct hejnal_batch *b,
                                       struct hejnal_section *s)
{
    if (number_section(h, s) != 0 && s->rows <= POINT_ROWS_MAX && (s->gaps | s->texts) == 0) {
        return pack_points(h, s);
    }
    for (size_t from = 0; from < s->rows;) {
        size_t rows;
        enum hejnal_result result = fit_rows(h, b, s, from, &rows);
        result = result == HEJNAL_OK && rows == 0 ? ship(h) : result;
        if (result != HEJNAL_OK) {
            return result;
        }
        if (rows > 0) {
            pack_rows(h->packer, s, from, rows);
        }
        from += rows;
    }
    return HEJNAL_OK;
}

static enum hejnal_result post_all(struct hejnal *h, const struct hejnal_batch *b)
{
    if (h->packer == NULL) {
        h->packer = malloc(sizeof *h->packer);
        if (h->packer == NULL) {
            return hejnal_connection_fail(h, HEJNAL_NO_MEMORY, "out of memory");
        }
        h->packer->told = (struct hejnal_told){0};
    }
    empty(h->packer);
    for (size_t i = 0; i < b->used_count; i++) {
        enum hejnal_result result = pack_section(h, b, b->used[i]);
        if (result != HEJNAL_OK) {
            return result;
        }
    }
    return ship(h);
}

enum hejnal_result hejnal_write_post(struct hejnal *h, const struct hejnal_batch *b)
{
    enum hejnal_result result = post_all(h, b);
    if (result == HEJNAL_OK && h->write_fault.result != HEJNAL_OK) {
        result = hejnal_connection_tell(h, &h->write_fault);
    }
    return result;
}

enum hejnal_result hejnal_write(struct hejnal *h, const struct hejnal_batch *b)
{
    enum hejnal_result result = post_all(h, b);
    return result == HEJNAL_OK ? hejnal_write_wait(h, 0) : result;
}

uint64_t hejnal_write_acked(const struct hejnal *h)
{
    return h->acked;
}

uint64_t hejnal_write_refused(const struct hejnal *h)
{
    return h->refused;
}
