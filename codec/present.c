#include "codec/present.h"

#include "base/check.h"
#include "codec/ints.h"

static uint32_t words_of(uint32_t rows)
{
    return (rows + 63) / 64;
}

/* Word `i` of a map, unused bits cleared. */
static uint64_t word_of(const uint64_t *map, uint32_t i, uint32_t rows)
{
    uint64_t word = map == NULL ? ~UINT64_C(0) : map[i];
    uint32_t used = rows - i * 64;
    return used >= 64 ? word : word & ((UINT64_C(1) << used) - 1);
}

uint32_t present_copy(const uint64_t *from, uint32_t rows, uint64_t *to)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < words_of(rows); i++) {
        to[i] = word_of(from, i, rows);
        count += (uint32_t)__builtin_popcountll(to[i]);
    }
    return count;
}

bool present_equal(const uint64_t *a, const uint64_t *b, uint32_t rows)
{
    for (uint32_t i = 0; a != b && i < words_of(rows); i++) {
        if (word_of(a, i, rows) != word_of(b, i, rows)) {
            return false;
        }
    }
    return true;
}

uint32_t present_gather(const uint64_t *map, uint32_t rows, const void *from, void *to)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < words_of(rows); i++) {
        const uint8_t *at = (const uint8_t *)from + (size_t)i * 64 * sizeof(uint64_t);
        for (uint64_t word = map[i]; word != 0; word &= word - 1, count++) {
            uint64_t element;
            memcpy(&element, at + (size_t)__builtin_ctzll(word) * sizeof element, sizeof element);
            memcpy((uint8_t *)to + (size_t)count * sizeof element, &element, sizeof element);
        }
    }
    return count;
}

uint32_t present_first(const uint64_t *map)
{
    uint32_t i = 0;
    while (map[i] == 0) {
        i++;
    }
    return i * 64 + (uint32_t)__builtin_ctzll(map[i]);
}

uint32_t present_last(const uint64_t *map, uint32_t rows)
{
    uint32_t i = words_of(rows) - 1;
    while (map[i] == 0) {
        CHECK(i > 0);
        i--;
    }
    return i * 64 + 63 - (uint32_t)__builtin_clzll(map[i]);
}

static bool is_present(const uint64_t *map, uint32_t row)
{
    return (map[row / 64] >> row % 64 & 1) != 0;
}

/* Lengths of the runs to s->q; 0 when there are too many for it to pay. */
static uint32_t find_runs(const uint64_t *map, uint32_t rows, struct chunk_scratch *s)
{
    uint32_t runs = 0, start = 0;
    bool wanted = true;

    for (uint32_t row = 0; row <= rows; row++) {
        if (row == rows || is_present(map, row) != wanted) {
            if (runs >= rows / 2) {
                return 0;
            }
            s->q[runs++] = row - start;
            start = row;
            wanted = !wanted;
        }
    }
    return runs;
}

enum err present_write(const uint64_t *map, uint32_t rows, struct chunk_scratch *s,
                       struct writer *out)
{
    size_t start = out->size, bitmap_size = (rows + 7) / 8;
    uint32_t runs = find_runs(map, rows, s);

    if (runs > 0) {
        TRY(writer_put_u8(out, PRESENT_RUNS));
        TRY(writer_put_varint(out, runs));
        TRY(ints_write(s->q, runs, s, out));
        if (out->size - start <= 1 + bitmap_size) {
            return OK;
        }
        out->size = start;
    }
    TRY(writer_put_u8(out, PRESENT_BITMAP));
    return writer_put(out, map, bitmap_size);
}

static void set_bits(uint64_t *map, uint32_t from, uint32_t to)
{
    while (from < to) {
        uint32_t end = from / 64 * 64 + 64 < to ? from / 64 * 64 + 64 : to;
        map[from / 64] |= ~UINT64_C(0) >> (64 - (end - from)) << from % 64;
        from = end;
    }
}

static enum err read_runs(struct bytes in, uint32_t rows, struct chunk_scratch *s)
{
    uint64_t runs;
    uint32_t filled = 0;

    if (bytes_take_varint(&in, &runs) != OK || runs > rows) {
        return E_CORRUPT;
    }
    TRY(ints_read(&in, (uint32_t)runs, s, s->q));
    memset(s->present, 0, sizeof s->present);
    for (uint32_t run = 0; run < runs; run++) {
        uint64_t length = (uint64_t)s->q[run];
        if (length > rows - filled) {
            return E_CORRUPT;
        }
        if (run % 2 == 0) {
            set_bits(s->present, filled, filled + (uint32_t)length);
        }
        filled += (uint32_t)length;
    }
    return in.size == 0 && filled == rows ? OK : E_CORRUPT;
}

enum err present_read(struct bytes in, uint32_t rows, uint32_t count, struct chunk_scratch *s)
{
    uint8_t kind;

    if (bytes_take_u8(&in, &kind) != OK) {
        return E_CORRUPT;
    }
    if (kind == PRESENT_RUNS) {
        TRY(read_runs(in, rows, s));
    } else if (kind == PRESENT_BITMAP && in.size == (rows + 7) / 8) {
        s->present[words_of(rows) - 1] = 0;
        memcpy(s->present, in.at, in.size);
        /* Bits beyond the last row are not ours to believe. */
        if (word_of(s->present, words_of(rows) - 1, rows) != s->present[words_of(rows) - 1]) {
            return E_CORRUPT;
        }
    } else {
        return E_CORRUPT;
    }
    return present_copy(s->present, rows, s->present) == count ? OK : E_CORRUPT;
}
