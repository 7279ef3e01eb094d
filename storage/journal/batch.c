#include "storage/journal/batch.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/text.h"
#include "base/timestamp.h"
#include "base/topic.h"
#include "storage/catalogue/catalogue_tag.h"

/* The first byte of an entry: kind, and for rows and receipts the unit of the time, for rows the
 * form in which the columns follow. */
enum { KIND_MASK = 7, UNIT_SHIFT = 3, UNIT_MASK = 3, FORM_SHIFT = 5, FORM_MASK = 3, SPARE = 0x80 };
enum form { FORM_FIRST, FORM_DENSE, FORM_BITMAP }; /* Column 0; columns 0..n-1; any. */

enum {
    VALUE_TEXT = 254, /* In place of a scale: the number of a text follows. */
    VALUE_BYTES_MAX = 1 + VARINT_BYTES_MAX,
    ROW_BYTES_MAX = 1 + 3 * VARINT_BYTES_MAX, /* Without the values. */
    RECEIPT_BYTES_MAX = 1 + 8 + 8 + 2 * VARINT_BYTES_MAX,
    SERIES_BYTES_MAX = 2 + 3 * VARINT_BYTES_MAX,     /* Without topic and name. */
    TEXT_ENTRY_BYTES_MAX = 1 + 2 * VARINT_BYTES_MAX, /* Without the text. */
    DELETE_BYTES_MAX = 1 + 3 * VARINT_BYTES_MAX,     /* Without the filter. */
    STATE_BYTES_MAX = 1 + 3 * VARINT_BYTES_MAX,      /* Without key and value. */
    STATE_KEPT_BYTES = 1 << 18,                      /* More is given back at the turn's end. */
    STATE_KEY_BYTES_MAX = 65535
};

static const int64_t unit_ns[] = {1, NS_PER_US, NS_PER_MS, NS_PER_S};

enum err batch_create(struct batch **out)
{
    struct batch *b = calloc(1, sizeof *b);
    if (b == NULL) {
        return E_NO_MEMORY;
    }
    b->record = malloc(BATCH_RECORD_BYTES_MAX);
    if (b->record == NULL) {
        free(b);
        return E_NO_MEMORY;
    }
    memset(b->record, 0, BATCH_HEADER_BYTES);
    batch_reset(b);
    *out = b;
    return OK;
}

void batch_destroy(struct batch *b)
{
    if (b != NULL) {
        free(b->record);
        free(b->state.at);
        free(b);
    }
}

void batch_reset(struct batch *b)
{
    b->record_bytes = BATCH_HEADER_BYTES;
    b->rows = 0;
    b->points = 0;
    b->last_ns = 0;
    b->state.size = 0;
    b->result = OK;
    if (b->state.limit > STATE_KEPT_BYTES) {
        free(b->state.at);
        b->state = (struct writer){NULL, 0, 0};
    }
}

/* Writing. Room for the longest form is asked for first, so that nothing below is checked and an
 * entry is there whole or not at all. */

static bool has_room(const struct batch *b, size_t bytes)
{
    return BATCH_RECORD_BYTES_MAX - b->record_bytes >= bytes;
}

static uint8_t *put_varint(uint8_t *to, uint64_t value)
{
    while (value >= 0x80) {
        *to++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *to++ = (uint8_t)value;
    return to;
}

static uint8_t *put_le64(uint8_t *to, uint64_t value)
{
    memcpy(to, &value, sizeof value);
    return to + sizeof value;
}

static uint8_t *put_text(uint8_t *to, struct bytes text)
{
    to = put_varint(to, text.size);
    if (text.size > 0) {
        memcpy(to, text.at, text.size);
    }
    return to + text.size;
}

/* The coarsest unit the time is a whole number of. */
static unsigned unit_of(int64_t time_ns)
{
    unsigned unit = 0;
    while (unit < UNIT_MASK && time_ns % unit_ns[unit + 1] == 0) {
        unit++;
    }
    return unit;
}

static uint8_t *put_time(struct batch *b, uint8_t *to, unsigned unit, int64_t time_ns)
{
    int64_t delta = time_ns / unit_ns[unit] - b->last_ns / unit_ns[unit];
    b->last_ns = time_ns;
    return put_varint(to, zigzag(delta));
}

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static uint8_t *put_raw(uint8_t *to, double value)
{
    if (text_is_value(value)) {
        *to++ = VALUE_TEXT;
        return put_varint(to, text_id(value));
    }
    *to++ = NUMBER_RAW;
    memcpy(to, &value, sizeof value);
    return to + sizeof value;
}

/* A decimal that does not give the same bits back is kept as the double itself. */
static uint8_t *put_value(uint8_t *to, const struct number *n)
{
    if (n->scale <= NUMBER_SCALE_MAX) {
        double back = (double)n->mantissa / number_power(n->scale);
        if (bits_of(back) == bits_of(n->value)) {
            *to++ = n->scale;
            return put_varint(to, zigzag(n->mantissa));
        }
    }
    return put_raw(to, n->value);
}

static uint64_t columns_of(const struct batch_value *values, unsigned count)
{
    uint64_t columns = 0;
    for (unsigned i = 0; i < count; i++) {
        uint64_t bit = UINT64_C(1) << values[i].column;
        CHECK(values[i].column < BATCH_COLUMNS_MAX && columns < bit);
        columns |= bit;
    }
    return columns;
}

static enum form form_of(uint64_t columns)
{
    if (columns == 1) {
        return FORM_FIRST;
    }
    return (columns & (columns + 1)) == 0 ? FORM_DENSE : FORM_BITMAP;
}

enum err batch_put_row(struct batch *b, uint32_t group, int64_t time_ns,
                       const struct batch_value *values, unsigned count)
{
    CHECK(count >= 1 && count <= BATCH_COLUMNS_MAX);
    if (time_ns < TIMESTAMP_MIN_NS || time_ns >= TIMESTAMP_MAX_NS) {
        return E_MALFORMED;
    }
    if (!has_room(b, ROW_BYTES_MAX + (size_t)count * VALUE_BYTES_MAX)) {
        return E_LIMIT;
    }
    uint64_t columns = columns_of(values, count);
    enum form form = form_of(columns);
    unsigned unit = unit_of(time_ns);
    uint8_t *to = b->record + b->record_bytes;
    *to++ = (uint8_t)(BATCH_ROW | unit << UNIT_SHIFT | (unsigned)form << FORM_SHIFT);
    to = put_varint(to, group);
    if (form != FORM_FIRST) {
        to = put_varint(to, form == FORM_DENSE ? count : columns);
    }
    to = put_time(b, to, unit, time_ns);
    for (unsigned i = 0; i < count; i++) {
        to = put_value(to, &values[i].number);
    }
    b->record_bytes = (uint32_t)(to - b->record);
    b->rows++;
    b->points += count;
    return OK;
}

enum err batch_put_receipt(struct batch *b, const struct receipt *receipt)
{
    if (receipt->time_ns < TIMESTAMP_MIN_NS || receipt->time_ns >= TIMESTAMP_MAX_NS) {
        return E_MALFORMED;
    }
    if (!has_room(b, RECEIPT_BYTES_MAX)) {
        return E_LIMIT;
    }
    unsigned unit = unit_of(receipt->time_ns);
    uint8_t *to = b->record + b->record_bytes;
    *to++ = (uint8_t)(BATCH_RECEIPT | unit << UNIT_SHIFT);
    to = put_le64(to, receipt->client_hash);
    to = put_le64(to, receipt->content_hash);
    to = put_varint(to, receipt->packet_id);
    to = put_time(b, to, unit, receipt->time_ns);
    b->record_bytes = (uint32_t)(to - b->record);
    return OK;
}

enum err batch_put_series(struct batch *b, uint32_t group, uint8_t column, struct bytes topic,
                          struct bytes name)
{
    CHECK(column < BATCH_COLUMNS_MAX);
    if (!has_room(b, SERIES_BYTES_MAX + topic.size + name.size)) {
        return E_LIMIT;
    }
    uint8_t *to = b->record + b->record_bytes;
    *to++ = BATCH_SERIES;
    to = put_varint(to, group);
    *to++ = column;
    to = put_text(to, topic);
    to = put_text(to, name);
    b->record_bytes = (uint32_t)(to - b->record);
    return OK;
}

enum err batch_put_text(struct batch *b, uint32_t id, struct bytes text)
{
    CHECK(text.size <= TEXT_BYTES_MAX);
    if (!has_room(b, TEXT_ENTRY_BYTES_MAX + text.size)) {
        return E_LIMIT;
    }
    uint8_t *to = b->record + b->record_bytes;
    *to++ = BATCH_TEXT;
    to = put_varint(to, id);
    to = put_text(to, text);
    b->record_bytes = (uint32_t)(to - b->record);
    return OK;
}

enum err batch_put_tag(struct batch *b, uint32_t group, uint8_t column, struct bytes key,
                       struct bytes value)
{
    CHECK(column < BATCH_COLUMNS_MAX && catalogue_tag_fault(key, value) == NULL);
    if (!has_room(b, SERIES_BYTES_MAX + key.size + value.size)) {
        return E_LIMIT;
    }
    uint8_t *to = b->record + b->record_bytes;
    *to++ = BATCH_TAG;
    to = put_varint(to, group);
    *to++ = column;
    to = put_text(to, key);
    to = put_text(to, value);
    b->record_bytes = (uint32_t)(to - b->record);
    return OK;
}

enum err batch_put_delete(struct batch *b, const struct batch_delete *d)
{
    CHECK(d->from_ns < d->to_ns && d->filter.size <= BATCH_FILTER_BYTES_MAX);
    if (!has_room(b, DELETE_BYTES_MAX + d->filter.size)) {
        return E_LIMIT;
    }
    uint8_t *to = b->record + b->record_bytes;
    *to++ = BATCH_DELETE;
    to = put_varint(to, zigzag(d->from_ns));
    to = put_varint(to, zigzag(d->to_ns));
    to = put_text(to, d->filter);
    b->record_bytes = (uint32_t)(to - b->record);
    return OK;
}

static enum err state_reserve(struct writer *w, size_t bytes)
{
    if (w->limit - w->size >= bytes) {
        return OK;
    }
    size_t limit = 2 * w->limit + bytes;
    uint8_t *at = realloc(w->at, limit);
    if (at == NULL) {
        return E_NO_MEMORY;
    }
    w->at = at;
    w->limit = limit;
    return OK;
}

enum err batch_put_state(struct batch *b, uint8_t space, uint64_t stamp, struct bytes key,
                         struct bytes value)
{
    CHECK(key.size >= 1 && key.size <= STATE_KEY_BYTES_MAX);
    TRY(state_reserve(&b->state, STATE_BYTES_MAX + key.size + value.size));
    uint8_t *to = b->state.at + b->state.size;
    *to++ = space;
    to = put_varint(to, stamp);
    to = put_text(to, key);
    to = put_text(to, value);
    b->state.size = (size_t)(to - b->state.at);
    return OK;
}

/* Reading. Every length is checked; what does not parse is E_CORRUPT. */

void batch_reader_init(struct batch_reader *r, struct bytes entries)
{
    r->in = entries;
    r->last_ns = 0;
}

static enum err take_time(struct batch_reader *r, unsigned unit, int64_t *time_ns)
{
    uint64_t raw;
    int64_t time;
    TRY(bytes_take_varint(&r->in, &raw));
    if (__builtin_add_overflow(r->last_ns / unit_ns[unit], unzigzag(raw), &time) ||
        __builtin_mul_overflow(time, unit_ns[unit], &time) || time < TIMESTAMP_MIN_NS ||
        time >= TIMESTAMP_MAX_NS) {
        return E_CORRUPT;
    }
    r->last_ns = time;
    *time_ns = time;
    return OK;
}

static enum err take_columns(struct bytes *in, unsigned form, uint64_t *columns)
{
    uint64_t raw;
    if (form == FORM_FIRST) {
        *columns = 1;
        return OK;
    }
    TRY(bytes_take_varint(in, &raw));
    if (form == FORM_BITMAP) {
        *columns = raw;
        return raw != 0 ? OK : E_CORRUPT;
    }
    if (form != FORM_DENSE || raw == 0 || raw > BATCH_COLUMNS_MAX) {
        return E_CORRUPT;
    }
    *columns = UINT64_MAX >> (BATCH_COLUMNS_MAX - raw);
    return OK;
}

static enum err take_id(struct bytes *in, uint32_t *id)
{
    uint64_t raw;
    TRY(bytes_take_varint(in, &raw));
    if (raw > UINT32_MAX) {
        return E_CORRUPT;
    }
    *id = (uint32_t)raw;
    return OK;
}

static enum err take_text_value(struct bytes *in, double *value)
{
    uint32_t id;
    TRY(take_id(in, &id));
    *value = text_value(id);
    return OK;
}

static enum err take_value(struct bytes *in, double *value)
{
    uint8_t scale;
    uint64_t raw;
    TRY(bytes_take_u8(in, &scale));
    if (scale == NUMBER_RAW) {
        TRY(bytes_take_le64(in, &raw));
        memcpy(value, &raw, sizeof raw);
        return OK;
    }
    if (scale > NUMBER_SCALE_MAX) {
        return scale == VALUE_TEXT ? take_text_value(in, value) : E_CORRUPT;
    }
    TRY(bytes_take_varint(in, &raw));
    *value = (double)unzigzag(raw) / number_power(scale);
    return OK;
}

static enum err take_row(struct batch_reader *r, unsigned head, struct batch_entry *out)
{
    TRY(take_id(&r->in, &out->row.group));
    TRY(take_columns(&r->in, head >> FORM_SHIFT & FORM_MASK, &out->row.columns));
    TRY(take_time(r, head >> UNIT_SHIFT & UNIT_MASK, &out->row.time_ns));
    out->row.count = (unsigned)__builtin_popcountll(out->row.columns);
    for (unsigned i = 0; i < out->row.count; i++) {
        TRY(take_value(&r->in, &out->row.values[i]));
    }
    return OK;
}

static enum err take_receipt(struct batch_reader *r, unsigned head, struct receipt *out)
{
    uint64_t packet_id;
    TRY(bytes_take_le64(&r->in, &out->client_hash));
    TRY(bytes_take_le64(&r->in, &out->content_hash));
    TRY(bytes_take_varint(&r->in, &packet_id));
    if (packet_id > UINT16_MAX) {
        return E_CORRUPT;
    }
    out->packet_id = (uint16_t)packet_id;
    return take_time(r, head >> UNIT_SHIFT & UNIT_MASK, &out->time_ns);
}

static enum err take_text(struct bytes *in, struct bytes *out)
{
    uint64_t size;
    TRY(bytes_take_varint(in, &size));
    return bytes_take(in, size, out);
}

static enum err take_series(struct bytes *in, struct batch_entry *out)
{
    TRY(take_id(in, &out->series.group));
    TRY(bytes_take_u8(in, &out->series.column));
    TRY(take_text(in, &out->series.topic));
    TRY(take_text(in, &out->series.name));
    return out->series.column < BATCH_COLUMNS_MAX ? OK : E_CORRUPT;
}

static enum err take_text_entry(struct bytes *in, struct batch_entry *out)
{
    TRY(take_id(in, &out->text.id));
    TRY(take_text(in, &out->text.at));
    return out->text.at.size <= TEXT_BYTES_MAX ? OK : E_CORRUPT;
}

static enum err take_tag(struct bytes *in, struct batch_entry *out)
{
    TRY(take_id(in, &out->tag.group));
    TRY(bytes_take_u8(in, &out->tag.column));
    TRY(take_text(in, &out->tag.key));
    TRY(take_text(in, &out->tag.value));
    return out->tag.column < BATCH_COLUMNS_MAX &&
                   catalogue_tag_fault(out->tag.key, out->tag.value) == NULL
               ? OK
               : E_CORRUPT;
}

static enum err take_delete(struct bytes *in, struct batch_delete *out)
{
    uint64_t from, to;
    TRY(bytes_take_varint(in, &from));
    TRY(bytes_take_varint(in, &to));
    TRY(take_text(in, &out->filter));
    out->from_ns = unzigzag(from);
    out->to_ns = unzigzag(to);
    return out->from_ns < out->to_ns && out->filter.size <= BATCH_FILTER_BYTES_MAX &&
                   topic_is_filter(out->filter)
               ? OK
               : E_CORRUPT;
}

static enum err take_entry(struct batch_reader *r, struct batch_entry *out)
{
    uint8_t head;
    TRY(bytes_take_u8(&r->in, &head));
    unsigned kind = head & KIND_MASK, rest = head & ~(unsigned)KIND_MASK;
    if (kind == BATCH_ROW && (rest & SPARE) == 0) {
        out->kind = BATCH_ROW;
        return take_row(r, head, out);
    }
    if (kind == BATCH_RECEIPT && rest >> FORM_SHIFT == 0) {
        out->kind = BATCH_RECEIPT;
        return take_receipt(r, head, &out->receipt);
    }
    if (kind == BATCH_SERIES && rest == 0) {
        out->kind = BATCH_SERIES;
        return take_series(&r->in, out);
    }
    if (kind == BATCH_TAG && rest == 0) {
        out->kind = BATCH_TAG;
        return take_tag(&r->in, out);
    }
    if (kind == BATCH_TEXT && rest == 0) {
        out->kind = BATCH_TEXT;
        return take_text_entry(&r->in, out);
    }
    if (kind == BATCH_DELETE && rest == 0) {
        out->kind = BATCH_DELETE;
        return take_delete(&r->in, &out->erased);
    }
    return E_CORRUPT;
}

enum err batch_reader_next(struct batch_reader *r, struct batch_entry *out)
{
    if (r->in.size == 0) {
        return E_END;
    }
    return take_entry(r, out) == OK ? OK : E_CORRUPT;
}

static enum err take_state(struct bytes *in, struct batch_state *out)
{
    TRY(bytes_take_u8(in, &out->space));
    TRY(bytes_take_varint(in, &out->stamp));
    TRY(take_text(in, &out->key));
    TRY(take_text(in, &out->value));
    return out->key.size >= 1 && out->key.size <= STATE_KEY_BYTES_MAX ? OK : E_CORRUPT;
}

enum err batch_state_next(struct bytes *in, struct batch_state *out)
{
    if (in->size == 0) {
        return E_END;
    }
    return take_state(in, out) == OK ? OK : E_CORRUPT;
}
