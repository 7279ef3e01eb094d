#include "proto/block_write.h"

#include "base/check.h"

/* Tags: field << 3 | wire type (0 varint, 2 length-delimited). */
enum {
    TAG_BLOCK = 4 << 3 | 2, /* Of Response. */
    TAG_SERIES = 1 << 3,    /* Of SeriesBlock. */
    TAG_PATH = 2 << 3 | 2,
    TAG_TIMES = 3 << 3 | 2,
    TAG_COLUMN = 4 << 3 | 2,
    TAG_SERIES_DONE = 6 << 3,
    TAG_KEY = 7 << 3 | 2,
    TAG_VALUES = 1 << 3 | 2, /* Of Column. */
    TAG_RUNS = 2 << 3 | 2
};

/* A length of four groups of seven bits is below 256 MiB, more than a frame may have. */
enum { WIDTH = 4, HEAD_BYTES = 1 + WIDTH, RUN_BYTES_MAX = 5, SMALL_BYTES = 40, SLACK_BYTES = 8 };

size_t block_room(const struct block *b)
{
    size_t room = HEAD_BYTES + SMALL_BYTES + b->path.size + HEAD_BYTES +
                  b->rows * VARINT_BYTES_MAX + SLACK_BYTES;
    for (unsigned i = 0; i < b->keys; i++) {
        room += HEAD_BYTES + b->key[i].size;
    }
    for (unsigned i = 0; i < b->columns; i++) {
        room += (size_t)3 * HEAD_BYTES + b->column[i].numbers * sizeof(double) +
                b->column[i].runs * RUN_BYTES_MAX;
    }
    return room;
}

static uint8_t *put_varint(uint8_t *at, uint64_t value)
{
    while (value >= 0x80) {
        *at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *at++ = (uint8_t)value;
    return at;
}

/* A length-delimited field that begins at `at`: its content goes behind the head. */
static uint8_t *begin(uint8_t *at, uint8_t tag)
{
    *at = tag;
    return at + HEAD_BYTES;
}

/* It began at `start` and its content ends at `end`. */
static void finish(uint8_t *start, const uint8_t *end)
{
    uint64_t size = (uint64_t)(end - start) - HEAD_BYTES;
    CHECK(size >> (7 * WIDTH) == 0);
    for (unsigned i = 1; i <= WIDTH; i++) {
        start[i] = (uint8_t)((size & 0x7f) | (i < WIDTH ? 0x80 : 0));
        size >>= 7;
    }
}

static uint8_t *put_bytes(uint8_t *at, uint8_t tag, struct bytes text)
{
    uint8_t *to = begin(at, tag);
    if (text.size > 0) {
        memcpy(to, text.at, text.size);
    }
    finish(at, to + text.size);
    return to + text.size;
}

/* Most series tick regularly: a step like the one before is copied as it was written. */
static uint8_t *put_times(uint8_t *at, const int64_t *times, size_t count)
{
    uint8_t *to = begin(at, TAG_TIMES), raw[VARINT_BYTES_MAX];
    uint64_t before = 0, step = 0, word = 0;
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        const uint64_t now = (uint64_t)times[i];
        if (size == 0 || now - before != step) {
            step = now - before;
            size = (size_t)(put_varint(raw, zigzag((int64_t)step)) - raw);
            memcpy(&word, raw, sizeof word);
        }
        before = now;
        if (size <= sizeof word) {
            memcpy(to, &word, sizeof word); /* There is slack behind. */
        } else {
            memcpy(to, raw, VARINT_BYTES_MAX);
        }
        to += size;
    }
    finish(at, to);
    return to;
}

static uint8_t *put_column(uint8_t *at, const struct block_column *c)
{
    uint8_t *to = begin(at, TAG_COLUMN);
    if (c->numbers > 0) {
        to = put_bytes(to, TAG_VALUES,
                       (struct bytes){(const uint8_t *)c->number, c->numbers * sizeof(double)});
    }
    if (c->runs > 0) {
        uint8_t *start = to;
        to = begin(to, TAG_RUNS);
        for (size_t i = 0; i < c->runs; i++) {
            to = put_varint(to, c->run[i]);
        }
        finish(start, to);
    }
    finish(at, to);
    return to;
}

enum err block_write(struct writer *w, const struct block *b)
{
    uint8_t *start = w->at + w->size, *to = start;
    if (w->limit - w->size < block_room(b)) {
        return E_LIMIT;
    }
    to = begin(to, TAG_BLOCK);
    *to++ = TAG_SERIES;
    to = put_varint(to, b->series);
    if (b->path.size > 0) {
        to = put_bytes(to, TAG_PATH, b->path);
    }
    to = put_times(to, b->times, b->rows);
    for (unsigned i = 0; i < b->columns; i++) {
        to = put_column(to, &b->column[i]);
    }
    if (b->series_done > 0) {
        *to++ = TAG_SERIES_DONE;
        to = put_varint(to, b->series_done);
    }
    for (unsigned i = 0; i < b->keys; i++) {
        to = put_bytes(to, TAG_KEY, b->key[i]);
    }
    finish(start, to);
    w->size += (size_t)(to - start);
    return OK;
}
