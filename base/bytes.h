/* Borrowed bytes: a view to read from, and a fixed buffer to write to.
 *
 * `struct bytes` owns nothing. It is valid as long as the buffer it points into, so every function
 * that keeps it beyond its own return says so. MQTT's integers are big-endian (_u16, _u32), our own
 * formats' little-endian (_le16, _le32, _le64); varints are LEB128, zigzag for signed. */

#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"

struct bytes {
    const uint8_t *at; /* First byte; may be NULL when size is 0. */
    size_t size;       /* Bytes left. */
};

struct writer {
    uint8_t *at;  /* Start of the buffer. */
    size_t size;  /* Bytes written. */
    size_t limit; /* Bytes the buffer can hold. */
};

enum { VARINT_BYTES_MAX = 10 };

/* The bytes of a C string, without its 0. */
static inline struct bytes bytes_of(const char *text)
{
    return (struct bytes){(const uint8_t *)text, strlen(text)};
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.at, b.at, a.size) == 0);
}

/* Small magnitudes of either sign become small unsigned numbers: 0, -1, 1, -2 -> 0, 1, 2, 3. */
static inline uint64_t zigzag(int64_t value)
{
    return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
}

static inline int64_t unzigzag(uint64_t value)
{
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

/* Cut the next `size` bytes off `in`. E_MORE, and `in` untouched, when there are fewer. */
MUST_USE static inline enum err bytes_take(struct bytes *in, size_t size, struct bytes *out)
{
    if (in->size < size) {
        return E_MORE;
    }
    *out = (struct bytes){in->at, size};
    in->at += size;
    in->size -= size;
    return OK;
}

MUST_USE static inline enum err bytes_take_u8(struct bytes *in, uint8_t *value)
{
    struct bytes raw;
    TRY(bytes_take(in, 1, &raw));
    *value = raw.at[0];
    return OK;
}

MUST_USE static inline enum err bytes_take_u16(struct bytes *in, uint16_t *value)
{
    struct bytes raw;
    TRY(bytes_take(in, 2, &raw));
    *value = (uint16_t)(raw.at[0] << 8 | raw.at[1]);
    return OK;
}

MUST_USE static inline enum err bytes_take_u32(struct bytes *in, uint32_t *value)
{
    struct bytes raw;
    TRY(bytes_take(in, 4, &raw));
    *value = (uint32_t)raw.at[0] << 24 | (uint32_t)raw.at[1] << 16 | (uint32_t)raw.at[2] << 8 |
             raw.at[3];
    return OK;
}

/* Little-endian hosts only, as is every machine Debian still builds for here; checked in bytes. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the formats are read by memcpy");

MUST_USE static inline enum err bytes_take_le16(struct bytes *in, uint16_t *value)
{
    struct bytes raw;
    TRY(bytes_take(in, sizeof *value, &raw));
    memcpy(value, raw.at, sizeof *value);
    return OK;
}

MUST_USE static inline enum err bytes_take_le32(struct bytes *in, uint32_t *value)
{
    struct bytes raw;
    TRY(bytes_take(in, sizeof *value, &raw));
    memcpy(value, raw.at, sizeof *value);
    return OK;
}

MUST_USE static inline enum err bytes_take_le64(struct bytes *in, uint64_t *value)
{
    struct bytes raw;
    TRY(bytes_take(in, sizeof *value, &raw));
    memcpy(value, raw.at, sizeof *value);
    return OK;
}

/* E_MORE: ends early. E_MALFORMED: longer than 64 bits. `in` untouched on failure. */
MUST_USE static inline enum err bytes_take_varint(struct bytes *in, uint64_t *value)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < VARINT_BYTES_MAX; i++) {
        if (i == in->size) {
            return E_MORE;
        }
        uint64_t byte = in->at[i];
        if (i == VARINT_BYTES_MAX - 1 && byte > 1) {
            return E_MALFORMED;
        }
        sum |= (byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            in->at += i + 1;
            in->size -= i + 1;
            *value = sum;
            return OK;
        }
    }
    return E_MALFORMED;
}

/* Append; E_LIMIT, and nothing written, when it does not fit. */
MUST_USE static inline enum err writer_put(struct writer *w, const void *from, size_t size)
{
    if (w->limit - w->size < size) {
        return E_LIMIT;
    }
    if (size > 0) {
        memcpy(w->at + w->size, from, size);
    }
    w->size += size;
    return OK;
}

MUST_USE static inline enum err writer_put_u8(struct writer *w, uint8_t value)
{
    return writer_put(w, &value, 1);
}

MUST_USE static inline enum err writer_put_u16(struct writer *w, uint16_t value)
{
    const uint8_t raw[2] = {(uint8_t)(value >> 8), (uint8_t)value};
    return writer_put(w, raw, sizeof raw);
}

MUST_USE static inline enum err writer_put_u32(struct writer *w, uint32_t value)
{
    const uint8_t raw[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                            (uint8_t)value};
    return writer_put(w, raw, sizeof raw);
}

MUST_USE static inline enum err writer_put_le16(struct writer *w, uint16_t value)
{
    return writer_put(w, &value, sizeof value);
}

MUST_USE static inline enum err writer_put_le32(struct writer *w, uint32_t value)
{
    return writer_put(w, &value, sizeof value);
}

MUST_USE static inline enum err writer_put_le64(struct writer *w, uint64_t value)
{
    return writer_put(w, &value, sizeof value);
}

MUST_USE static inline enum err writer_put_varint(struct writer *w, uint64_t value)
{
    uint8_t raw[VARINT_BYTES_MAX];
    size_t size = 0;
    while (value >= 0x80) {
        raw[size++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    raw[size++] = (uint8_t)value;
    return writer_put(w, raw, size);
}

#endif /* BASE_BYTES_H */
