#include "storage/memory/last_pack.h"

#include <math.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/number.h"
#include "base/text.h"
#include "storage/catalogue/pack.h"

/* The first byte of an entry. RAW: the 8 bytes of the double follow, TEXT: the id of a text. UNIT:
 * no entry, but the unit of the times from here on. */
enum { SCALE_TEXT = 29, SCALE_UNIT = 30, SCALE_RAW = 31, SCALE_MASK = 31 };
enum { HAS_TIME = 32, PLACE_SHIFT = 6 };
enum { UNIT_SHIFT = 5, UNITS = 4 };

/* Beyond this a decimal is no shorter than the double. */
#define MANTISSA_END 281474976710656.0 /* 2^48 */

static const int64_t unit_ns[UNITS] = {1, NS_PER_US, NS_PER_MS, NS_PER_S};

/* The least scale at which the double is a decimal; SCALE_RAW: none. */
static unsigned find_scale(double value, uint64_t bits, int64_t *mantissa)
{
    if (text_is_bits(bits)) {
        return SCALE_TEXT;
    }
    if (!isfinite(value)) {
        return SCALE_RAW;
    }
    for (unsigned scale = 0; scale <= NUMBER_SCALE_MAX; scale++) {
        const double power = number_power((uint8_t)scale), scaled = nearbyint(value * power);
        if (fabs(scaled) >= MANTISSA_END) {
            break;
        }
        const double back = (double)(int64_t)scaled / power; /* Zero has lost its sign here. */
        uint64_t back_bits;
        memcpy(&back_bits, &back, sizeof back_bits);
        if (back_bits == bits) {
            *mantissa = (int64_t)scaled;
            return scale;
        }
    }
    return SCALE_RAW;
}

/* Appends into room that was asked for. */
static void put_u8(struct writer *w, unsigned value)
{
    CHECK(writer_put_u8(w, (uint8_t)value) == OK);
}

static void put_varint(struct writer *w, uint64_t value)
{
    CHECK(writer_put_varint(w, value) == OK);
}

/* The coarsest unit for all times so far and this one. */
static unsigned unit_for(const struct last_pack_state *s, int64_t time_ns)
{
    unsigned unit = s->has_entries ? s->unit : UNITS - 1;
    while (time_ns % unit_ns[unit] != 0) {
        unit--;
    }
    return unit;
}

static void put_value(struct writer *w, unsigned scale, int64_t mantissa, uint64_t bits)
{
    if (scale == SCALE_RAW) {
        CHECK(writer_put_le64(w, bits) == OK);
    } else if (scale == SCALE_TEXT) {
        put_varint(w, (uint32_t)bits);
    } else {
        put_varint(w, zigzag(mantissa));
    }
}

void last_pack_put(struct last_pack_state *s, struct writer *w, const struct last_entry *entry)
{
    const enum pack_place place = pack_place_of(s->has_entries, s->ref, entry->ref);
    const unsigned unit = unit_for(s, entry->time_ns);
    const bool has_time = entry->time_ns != s->time_ns;
    int64_t mantissa = 0;
    double value;
    memcpy(&value, &entry->bits, sizeof value);
    const unsigned scale = find_scale(value, entry->bits, &mantissa);
    if (unit != s->unit) {
        put_u8(w, SCALE_UNIT | unit << UNIT_SHIFT);
    }
    put_u8(w, scale | (has_time ? HAS_TIME : 0) | (unsigned)place << PLACE_SHIFT);
    if (place == PACK_ANY) {
        CHECK(pack_put_step(w, s->ref, entry->ref) == OK);
    }
    if (has_time) {
        put_varint(w, zigzag(entry->time_ns / unit_ns[unit] - s->time_ns / unit_ns[unit]));
    }
    put_value(w, scale, mantissa, entry->bits);
    *s = (struct last_pack_state){true, unit, entry->ref, entry->time_ns};
}

static enum err take_time(struct bytes *in, unsigned unit, int64_t *time_ns)
{
    uint64_t raw;
    int64_t time;
    if (bytes_take_varint(in, &raw) != OK ||
        __builtin_add_overflow(*time_ns / unit_ns[unit], unzigzag(raw), &time) ||
        __builtin_mul_overflow(time, unit_ns[unit], &time)) {
        return E_CORRUPT;
    }
    *time_ns = time;
    return OK;
}

static enum err take_value(struct bytes *in, unsigned scale, uint64_t *bits)
{
    uint64_t raw;
    if (scale == SCALE_RAW) {
        return bytes_take_le64(in, bits) == OK ? OK : E_CORRUPT;
    }
    if (bytes_take_varint(in, &raw) != OK) {
        return E_CORRUPT;
    }
    if (scale == SCALE_TEXT && raw <= UINT32_MAX) {
        const double text = text_value((uint32_t)raw);
        memcpy(bits, &text, sizeof *bits);
        return OK;
    }
    if (scale > NUMBER_SCALE_MAX) {
        return E_CORRUPT;
    }
    const double value = (double)unzigzag(raw) / number_power((uint8_t)scale);
    memcpy(bits, &value, sizeof *bits);
    return OK;
}

/* Heads that only tell the unit, up to one of an entry. E_END. */
static enum err take_head(struct last_pack_state *s, struct bytes *in, unsigned *head)
{
    uint8_t byte;
    while (bytes_take_u8(in, &byte) == OK) {
        if ((byte & SCALE_MASK) != SCALE_UNIT) {
            *head = byte;
            return OK;
        }
        s->unit = byte >> UNIT_SHIFT;
        if (s->unit >= UNITS || in->size == 0) {
            return E_CORRUPT;
        }
    }
    return E_END;
}

enum err last_pack_take(struct last_pack_state *s, struct bytes *in, struct last_entry *entry)
{
    struct last_pack_state next = *s;
    unsigned head;
    TRY(take_head(&next, in, &head));
    TRY(pack_take_place(in, head >> PLACE_SHIFT, s->has_entries, &next.ref));
    if ((head & HAS_TIME) != 0) {
        TRY(take_time(in, next.unit, &next.time_ns));
    }
    TRY(take_value(in, head & SCALE_MASK, &entry->bits));
    entry->ref = next.ref;
    entry->time_ns = next.time_ns;
    next.has_entries = true;
    *s = next;
    return OK;
}
