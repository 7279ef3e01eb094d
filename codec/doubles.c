#include "codec/doubles.h"

#include <math.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/number.h"
#include "codec/bits.h"
#include "codec/ints.h"

enum {
    SAMPLE_MAX = 64,
    EXCEPTION_BYTES_MIN = 9, /* A gap of one byte, and the double. */
    EXCEPTION_BITS = 80,     /* What an exception costs: 8 bytes and its place. */
    SAMPLE_MISSES_SHARE = 8, /* More misses in a sample: look at floats. */
    MISSES_SHARE = 3,        /* More misses in a column: give decimals up. */
    RETRY_SHARE = 64,        /* More misses in a column: look for a larger scale. */
    PACKED_MIN = 8,          /* Fewer exceptions are not worth two streams. */
    DICTIONARY_ROWS_MIN = 32,
    DICTIONARY_VALUE_BITS = 48, /* A table must do better than this a value. */
    FEW_ROWS_MIN = 128,
    FEW_SHARE = 16,       /* Few words: at most this part of the values, */
    FEW_SPARSE = 16,      /* with so many integers between the least and the greatest for each. */
    SINGLE_SCALE_MAX = 9, /* A float has no more digits. */
    MODE_SHIFT = 5,
    MODE_MASK = 3,
    SCALE_MASK = 31,
    EXCEPTIONS_FLAG = 0x80
};

/* Adding it rounds a double below 2^51 to a whole number, which then stands in the low bits. */
static const double rounder = 6755399441055744.0; /* 2^52 + 2^51 */
static const uint64_t rounder_bits = 0x4338000000000000;
static const double q_limit = 1125899906842624.0; /* 2^DOUBLES_Q_BITS */

static inline uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline double of_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Doubles' bits as integers of the same order; its own inverse. */
static inline int64_t ordered(int64_t bits)
{
    return bits ^ (int64_t)((uint64_t)(bits >> 63) >> 1);
}

/* A whole number between -2^51 and 2^51 as a double; any other gives some double. */
static inline double whole(int64_t q)
{
    return of_bits((uint64_t)q + rounder_bits) - rounder;
}

uint8_t doubles_form_byte(const struct doubles_form *form)
{
    if (form->is_packed) {
        return (uint8_t)((form->mode == DOUBLES_SINGLE ? EXCEPTIONS_FLAG : 0) |
                         (unsigned)DOUBLES_DICTIONARY << MODE_SHIFT | (form->scale + 1u));
    }
    return (uint8_t)((form->exceptions > 0 ? EXCEPTIONS_FLAG : 0) |
                     (unsigned)form->mode << MODE_SHIFT | form->scale);
}

enum err doubles_form_of(uint8_t byte, struct doubles_form *form)
{
    struct doubles_form f = {.mode = byte >> MODE_SHIFT & MODE_MASK,
                             .scale = byte & SCALE_MASK,
                             .exceptions = byte / EXCEPTIONS_FLAG};
    if (f.mode == DOUBLES_DICTIONARY && f.scale > 0) {
        f = (struct doubles_form){.mode = f.exceptions > 0 ? DOUBLES_SINGLE : DOUBLES_SCALED,
                                  .scale = (uint8_t)(f.scale - 1),
                                  .exceptions = 1,
                                  .is_packed = true};
    }
    bool is_decimal = f.mode == DOUBLES_SCALED || f.mode == DOUBLES_SINGLE;
    if (f.scale > DOUBLES_SCALE_MAX || (!is_decimal && (f.scale > 0 || f.exceptions > 0))) {
        return E_CORRUPT;
    }
    *form = f;
    return OK;
}

double doubles_value(int64_t q, uint8_t scale)
{
    return whole(q) / number_power(scale);
}

/* The integer of `value`, and whether it gives the same bits back. */
static inline bool is_exact(double value, double power, bool is_single, int64_t *q)
{
    double scaled = value * power, rounded = scaled + rounder;
    double back = (rounded - rounder) / power;

    back = is_single ? (double)(float)back : back;
    *q = (int64_t)(bits_of(rounded) - rounder_bits);
    return (bits_of(back) == bits_of(value)) & (scaled < q_limit) & (scaled > -q_limit);
}

static inline __attribute__((always_inline)) uint32_t
misses_of(const double *values, uint32_t count, double power, bool is_single, int64_t *q)
{
    uint64_t exact = 0;
    for (uint32_t i = 0; i < count; i++) {
        exact += is_exact(values[i], power, is_single, &q[i]);
    }
    return count - (uint32_t)exact;
}

/* Fill q, count the misses. Two loops, so that each is a simple one. */
static uint32_t try_form(const double *values, uint32_t count, const struct doubles_form *form,
                         int64_t *q)
{
    if (form->mode == DOUBLES_SINGLE) {
        return misses_of(values, count, number_power(form->scale), true, q);
    }
    return misses_of(values, count, number_power(form->scale), false, q);
}

void doubles_integers(const double *values, uint32_t count, uint8_t scale, int64_t *q)
{
    double power = number_power(scale);
    for (uint32_t i = 0; i < count; i++) {
        q[i] = (int64_t)(bits_of(values[i] * power + rounder) - rounder_bits);
    }
}

/* Bits of a packed column of this form: range times count, and the misses. */
static uint64_t form_cost(const double *values, uint32_t count, const struct doubles_form *form)
{
    double power = number_power(form->scale);
    int64_t min = INT64_MAX, max = INT64_MIN, q;
    uint32_t misses = 0;

    for (uint32_t i = 0; i < count; i++) {
        if (is_exact(values[i], power, form->mode == DOUBLES_SINGLE, &q)) {
            min = q < min ? q : min;
            max = q > max ? q : max;
        } else {
            misses++;
        }
    }
    uint64_t width = min > max ? 0 : bits_length((uint64_t)max - (uint64_t)min);
    return (count - misses) * width + (uint64_t)misses * EXCEPTION_BITS;
}

/* The scale that suits a sample best; `form->exceptions` are its misses there. */
static struct doubles_form sample_form(const double *sample, uint32_t count, enum doubles_mode mode)
{
    struct doubles_form best = {.mode = mode, .exceptions = count};
    uint64_t best_cost = (uint64_t)count * EXCEPTION_BITS;
    int64_t q[SAMPLE_MAX];
    uint8_t last = mode == DOUBLES_SINGLE ? SINGLE_SCALE_MAX : DOUBLES_SCALE_MAX;

    for (uint8_t scale = 0; scale <= last && best.exceptions > 0; scale++) {
        struct doubles_form form = {.mode = mode, .scale = scale};
        form.exceptions = try_form(sample, count, &form, q);
        if (form.exceptions == count) {
            continue;
        }
        uint64_t cost = form_cost(sample, count, &form);
        if (cost < best_cost || form.exceptions == 0) {
            best_cost = cost;
            best = form;
        }
    }
    return best;
}

static bool are_single(const double *values, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (bits_of((double)(float)values[i]) != bits_of(values[i]) && !isnan(values[i])) {
            return false;
        }
    }
    return true;
}

/* When many values miss: perhaps the sample saw none of the longer decimals. */
static struct doubles_form retry(const double *values, uint32_t count, struct doubles_form form,
                                 int64_t *q)
{
    double missed[SAMPLE_MAX], power = number_power(form.scale);
    uint32_t found = 0;
    int64_t ignored;

    for (uint32_t i = 0; i < count && found < SAMPLE_MAX; i++) {
        if (!is_exact(values[i], power, false, &ignored) && !isnan(values[i])) {
            missed[found++] = values[i];
        }
    }
    struct doubles_form longer = sample_form(missed, found, DOUBLES_SCALED);
    if (longer.exceptions < found && longer.scale > form.scale &&
        form_cost(values, count, &longer) < form_cost(values, count, &form)) {
        longer.exceptions = try_form(values, count, &longer, q);
        return longer;
    }
    return form;
}

/* Where a value misses, its predecessor's integer (or the first good one) stands in. */
static void cover_misses(const double *values, uint32_t count, const struct doubles_form *form,
                         int64_t *q)
{
    double power = number_power(form->scale);
    int64_t before = 0, ignored;
    bool is_single = form->mode == DOUBLES_SINGLE;
    uint32_t first = 0;

    while (first < count && !is_exact(values[first], power, is_single, &before)) {
        first++;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (is_exact(values[i], power, is_single, &ignored)) {
            before = q[i];
        } else {
            q[i] = before;
        }
    }
}

struct doubles_form doubles_find_bits(const double *values, uint32_t count, struct chunk_scratch *s)
{
    for (uint32_t i = 0; i < count; i++) {
        s->q[i] = ordered((int64_t)bits_of(values[i]));
    }
    return (struct doubles_form){.mode = DOUBLES_BITS};
}

static uint32_t count_nan(const double *values, uint32_t count)
{
    uint32_t nan = 0;
    for (uint32_t i = 0; i < count; i++) {
        nan += isnan(values[i]) != 0;
    }
    return nan;
}

/* Some of the values, evenly; NaN (and so texts) never fit and say nothing of the others. */
static uint32_t take_sample(const double *values, uint32_t count, uint32_t numbers, double *sample)
{
    const uint32_t stride = numbers < SAMPLE_MAX ? 1 : numbers / SAMPLE_MAX;
    uint32_t taken = 0, left = 0;
    if (numbers == count) {
        for (uint32_t i = 0; i < count && taken < SAMPLE_MAX; i += stride) {
            sample[taken++] = values[i];
        }
        return taken;
    }
    for (uint32_t i = 0; i < count && taken < SAMPLE_MAX; i++) {
        if (!isnan(values[i]) && left-- == 0) {
            sample[taken++] = values[i];
            left = stride - 1;
        }
    }
    return taken;
}

struct doubles_form doubles_find(const double *values, uint32_t count, struct chunk_scratch *s)
{
    double sample[SAMPLE_MAX] = {0};
    const uint32_t nan = count_nan(values, count), numbers = count - nan;
    const uint32_t taken = take_sample(values, count, numbers, sample);

    if (numbers == 0) {
        return doubles_find_bits(values, count, s);
    }
    struct doubles_form form = sample_form(sample, taken, DOUBLES_SCALED);
    if (form.exceptions > taken / SAMPLE_MISSES_SHARE && are_single(values, count)) {
        struct doubles_form single = sample_form(sample, taken, DOUBLES_SINGLE);
        form = single.exceptions < form.exceptions ? single : form;
    }
    if (form.exceptions > taken / MISSES_SHARE) {
        return doubles_find_bits(values, count, s);
    }
    form.exceptions = try_form(values, count, &form, s->q);
    if (form.exceptions - nan > numbers / RETRY_SHARE && form.mode == DOUBLES_SCALED) {
        form = retry(values, count, form, s->q);
    }
    if (form.exceptions - nan > numbers / MISSES_SHARE) {
        return doubles_find_bits(values, count, s);
    }
    if (form.exceptions > 0) {
        cover_misses(values, count, &form, s->q);
    }
    return form;
}

/* Places (since the one before) or bits of the exceptions, to `to`. */
static void list_exceptions(const struct doubles_form *form, const double *values, uint32_t count,
                            bool are_places, int64_t *to)
{
    double power = number_power(form->scale);
    uint32_t next = 0;
    int64_t ignored;

    for (uint32_t i = 0; i < count; i++) {
        if (!is_exact(values[i], power, form->mode == DOUBLES_SINGLE, &ignored)) {
            *to++ = are_places ? i - next : ordered((int64_t)bits_of(values[i]));
            next = i + 1;
        }
    }
}

static enum err write_packed(const struct doubles_form *form, const double *values, uint32_t count,
                             struct chunk_scratch *s, struct writer *out)
{
    TRY(writer_put_varint(out, form->exceptions));
    list_exceptions(form, values, count, true, s->other);
    TRY(ints_write(s->other, form->exceptions, s, out));
    list_exceptions(form, values, count, false, s->other);
    return ints_write(s->other, form->exceptions, s, out);
}

static enum err write_plain(const struct doubles_form *form, const double *values, uint32_t count,
                            struct writer *out)
{
    double power = number_power(form->scale);
    uint32_t next = 0;
    int64_t ignored;

    TRY(writer_put_varint(out, form->exceptions));
    for (uint32_t i = 0; i < count; i++) {
        if (!is_exact(values[i], power, form->mode == DOUBLES_SINGLE, &ignored)) {
            TRY(writer_put_varint(out, i - next));
            TRY(writer_put(out, &values[i], sizeof values[i]));
            next = i + 1;
        }
    }
    return OK;
}

enum err doubles_write_exceptions(struct doubles_form *form, const double *values, uint32_t count,
                                  struct chunk_scratch *s, struct writer *out)
{
    const size_t start = out->size;

    if (form->exceptions == 0) {
        return OK;
    }
    if (form->exceptions >= PACKED_MIN) {
        const enum err e = write_packed(form, values, count, s, out);
        form->is_packed =
            e == OK && out->size - start < (size_t)form->exceptions * EXCEPTION_BYTES_MIN;
        if (form->is_packed) {
            return OK;
        }
        out->size = start;
    }
    return write_plain(form, values, count, out);
}

static int compare(const void *left, const void *right)
{
    const int64_t *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

/* Collect the distinct values of s->q in s->run_value, by first sight, and turn s->q into places
 * there. 0, and s->q as it was, when more than half are distinct. */
static uint32_t collect(uint32_t count, struct chunk_scratch *s)
{
    uint32_t slots = 2, words = 0;

    while (slots < 2 * count) {
        slots *= 2;
    }
    memset(s->slot, 0, slots * sizeof s->slot[0]);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = (uint32_t)((uint64_t)s->q[i] * 0x9e3779b97f4a7c15 >> 40) & (slots - 1);
        while (s->slot[at] != 0 && s->run_value[s->slot[at] - 1] != s->q[i]) {
            at = (at + 1) & (slots - 1);
        }
        if (s->slot[at] == 0) {
            if (words == count / 2) {
                return 0;
            }
            s->run_value[words++] = s->q[i];
            s->slot[at] = (uint16_t)words;
        }
        s->reduced[i] = s->slot[at] - 1;
    }
    memcpy(s->q, s->reduced, count * sizeof s->q[0]);
    return words;
}

/* Whether there are at most `most` distinct values in s->q. */
static bool has_few_words(uint32_t count, uint32_t most, struct chunk_scratch *s)
{
    uint32_t slots = 2, words = 0;

    while (slots < 4 * most) {
        slots *= 2;
    }
    memset(s->slot, 0, slots * sizeof s->slot[0]);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = (uint32_t)((uint64_t)s->q[i] * 0x9e3779b97f4a7c15 >> 40) & (slots - 1);
        while (s->slot[at] != 0 && s->q[s->slot[at] - 1] != s->q[i]) {
            at = (at + 1) & (slots - 1);
        }
        if (s->slot[at] == 0) {
            if (words++ == most) {
                return false;
            }
            s->slot[at] = (uint16_t)(i + 1);
        }
    }
    return true;
}

bool doubles_are_few(uint32_t count, struct chunk_scratch *s)
{
    int64_t min = s->q[0], max = s->q[0];

    for (uint32_t i = 1; i < count; i++) {
        min = s->q[i] < min ? s->q[i] : min;
        max = s->q[i] > max ? s->q[i] : max;
    }
    const uint64_t most = ((uint64_t)max - (uint64_t)min) / FEW_SPARSE;
    const uint32_t share = count / FEW_SHARE;
    return count >= FEW_ROWS_MIN && most > 0 &&
           has_few_words(count, most < share ? (uint32_t)most : share, s);
}

enum err doubles_write_dictionary(struct doubles_form *form, uint32_t count,
                                  struct chunk_scratch *s, struct writer *out)
{
    if (form->mode != DOUBLES_BITS || count < DICTIONARY_ROWS_MIN) {
        return OK;
    }
    uint32_t words = collect(count, s);
    if (words == 0) {
        return OK;
    }
    memcpy(s->dictionary, s->run_value, words * sizeof s->dictionary[0]);
    qsort(s->dictionary, words, sizeof s->dictionary[0], compare);
    if (words * 64 + count * bits_length(words) > count * DICTIONARY_VALUE_BITS) {
        for (uint32_t i = 0; i < count; i++) {
            s->q[i] = s->run_value[s->q[i]];
        }
        return OK;
    }
    for (uint32_t i = 0; i < words; i++) {
        const int64_t *place =
            bsearch(&s->run_value[i], s->dictionary, words, sizeof s->dictionary[0], compare);
        s->run_length[i] = place - s->dictionary;
    }
    for (uint32_t i = 0; i < count; i++) {
        s->q[i] = s->run_length[s->q[i]];
    }
    form->mode = DOUBLES_DICTIONARY;
    TRY(writer_put_varint(out, words));
    return ints_write(s->dictionary, words, s, out);
}

static enum err read_exceptions(struct bytes *in, uint32_t count, struct bytes *exceptions)
{
    uint64_t number, gap, next = 0;
    struct bytes raw;

    if (bytes_take_varint(in, &number) != OK || number > count) {
        return E_CORRUPT;
    }
    const uint8_t *start = in->at;
    for (uint64_t i = 0; i < number; i++) {
        if (bytes_take_varint(in, &gap) != OK || gap >= count - next ||
            bytes_take(in, sizeof(double), &raw) != OK) {
            return E_CORRUPT;
        }
        next += gap + 1;
    }
    *exceptions = (struct bytes){start, (size_t)(in->at - start)};
    return OK;
}

/* Places to s->slot, ascending and below `count`, bits to s->other. */
static enum err read_packed(struct bytes *in, uint32_t count, struct chunk_scratch *s,
                            uint32_t *packed)
{
    uint64_t number, next = 0;

    if (bytes_take_varint(in, &number) != OK || number == 0 || number > count) {
        return E_CORRUPT;
    }
    TRY(ints_read(in, (uint32_t)number, s, s->other));
    for (uint64_t i = 0; i < number; i++) {
        const uint64_t gap = (uint64_t)s->other[i];
        if (gap >= count - next) {
            return E_CORRUPT;
        }
        s->slot[i] = (uint16_t)(next + gap);
        next += gap + 1;
    }
    TRY(ints_read(in, (uint32_t)number, s, s->other));
    *packed = (uint32_t)number;
    return OK;
}

enum err doubles_read_prefix(const struct doubles_form *form, struct bytes *in, uint32_t count,
                             struct chunk_scratch *s, struct doubles_prefix *prefix)
{
    uint64_t words;

    *prefix = (struct doubles_prefix){.words = 0};
    if (form->is_packed) {
        TRY(read_packed(in, count, s, &prefix->packed));
    } else if (form->exceptions > 0) {
        TRY(read_exceptions(in, count, &prefix->exceptions));
    }
    if (form->mode == DOUBLES_DICTIONARY) {
        if (bytes_take_varint(in, &words) != OK || words > count / 2) {
            return E_CORRUPT;
        }
        prefix->words = (uint32_t)words;
        TRY(ints_read(in, prefix->words, s, s->dictionary));
    }
    return OK;
}

static void restore_exceptions(struct bytes exceptions, double *values)
{
    uint64_t gap = 0, next = 0;
    struct bytes raw = {NULL, 0};

    while (bytes_take_varint(&exceptions, &gap) == OK &&
           bytes_take(&exceptions, sizeof *values, &raw) == OK) {
        next += gap;
        memcpy(&values[next++], raw.at, sizeof *values);
    }
}

static enum err restore_words(const struct chunk_scratch *s, uint32_t words, uint32_t count,
                              double *values)
{
    for (uint32_t i = 0; i < count; i++) {
        uint64_t place = (uint64_t)s->q[i];
        if (place >= words) {
            return E_CORRUPT;
        }
        values[i] = of_bits((uint64_t)ordered(s->dictionary[place]));
    }
    return OK;
}

enum err doubles_restore(const struct doubles_form *form, const struct doubles_prefix *prefix,
                         uint32_t count, const struct chunk_scratch *s, double *values)
{
    double power = number_power(form->scale);

    switch (form->mode) {
    case DOUBLES_SCALED:
        for (uint32_t i = 0; i < count; i++) {
            values[i] = whole(s->q[i]) / power;
        }
        break;
    case DOUBLES_SINGLE:
        for (uint32_t i = 0; i < count; i++) {
            values[i] = (double)(float)(whole(s->q[i]) / power);
        }
        break;
    case DOUBLES_BITS:
        for (uint32_t i = 0; i < count; i++) {
            values[i] = of_bits((uint64_t)ordered(s->q[i]));
        }
        break;
    case DOUBLES_DICTIONARY:
        return restore_words(s, prefix->words, count, values);
    }
    restore_exceptions(prefix->exceptions, values);
    for (uint32_t i = 0; i < prefix->packed; i++) {
        values[s->slot[i]] = of_bits((uint64_t)ordered(s->other[i]));
    }
    return OK;
}
