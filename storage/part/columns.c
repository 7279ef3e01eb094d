#include "storage/part/columns.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

enum { WORD_BITS = 64 };

enum err columns_create(struct columns **out)
{
    struct columns *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return E_NO_MEMORY;
    }
    *out = c;
    return OK;
}

void columns_destroy(struct columns *c)
{
    if (c == NULL) {
        return;
    }
    for (unsigned i = 0; i < CHUNK_COLUMNS_MAX; i++) {
        free(c->values[i]);
    }
    free(c);
}

static enum err use_column(struct columns *c, unsigned id)
{
    if (c->values[id] == NULL) {
        c->values[id] = calloc(CHUNK_ROWS_MAX, sizeof *c->values[id]);
        if (c->values[id] == NULL) {
            return E_NO_MEMORY;
        }
    }
    memset(c->present[id], 0, sizeof c->present[id]);
    c->used |= UINT64_C(1) << id;
    return OK;
}

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* Lay `row` over what row `at` holds already. */
static enum err put_row(struct columns *c, uint32_t at, const struct head_row *row)
{
    const double *value = row->values;
    const uint64_t bit = UINT64_C(1) << (at % WORD_BITS);
    for (uint64_t left = row->columns; left != 0; left &= left - 1, value++) {
        unsigned id = (unsigned)__builtin_ctzll(left);
        if ((c->used >> id & 1) == 0) {
            TRY(use_column(c, id));
        }
        uint64_t *word = &c->present[id][at / WORD_BITS];
        if ((*word & bit) != 0) {
            bool equal = bits_of(c->values[id][at]) == bits_of(*value);
            (equal ? c->duplicates : c->overwritten)[at]++;
        }
        *word |= bit;
        c->values[id][at] = *value;
    }
    return OK;
}

enum err columns_fill(struct columns *c, const struct row_set *rows, size_t from, uint32_t rows_max)
{
    CHECK(rows_max >= 1 && rows_max <= CHUNK_ROWS_MAX && from < rows->count);
    c->rows = 0;
    c->used = 0;
    for (size_t i = from; i < rows->count; i++) {
        const struct head_row *row = row_set_row(rows, i);
        if (c->rows == 0 || c->times[c->rows - 1] != row->time_ns) {
            if (c->rows == rows_max) {
                break;
            }
            uint32_t n = c->rows++;
            c->times[n] = row->time_ns;
            c->duplicates[n] = n > 0 ? c->duplicates[n - 1] : 0;
            c->overwritten[n] = n > 0 ? c->overwritten[n - 1] : 0;
        }
        TRY(put_row(c, c->rows - 1, row));
        c->next[c->rows - 1] = i + 1;
    }
    return OK;
}

/* Presence in the first `rows` rows: 0 none, 1 some, 2 all. */
static int presence(const uint64_t *present, uint32_t rows)
{
    uint32_t set = 0;
    for (uint32_t i = 0; i * WORD_BITS < rows; i++) {
        set += (uint32_t)__builtin_popcountll(present[i]);
    }
    return set == 0 ? 0 : set < rows ? 1 : 2;
}

void columns_describe(struct columns *c, uint32_t rows, struct chunk_input_column *list,
                      struct chunk_input *out, struct columns_mask *mask)
{
    const uint32_t tail = rows % WORD_BITS;
    const uint64_t keep = tail == 0 ? UINT64_MAX : (UINT64_C(1) << tail) - 1;
    CHECK(rows >= 1 && rows <= c->rows);
    *out = (struct chunk_input){.rows = rows, .times = c->times, .column = list};
    mask->word = (rows - 1) / WORD_BITS;
    for (uint64_t left = c->used; left != 0; left &= left - 1) {
        unsigned id = (unsigned)__builtin_ctzll(left);
        mask->saved[id] = c->present[id][mask->word];
        c->present[id][mask->word] &= keep;
        int has = presence(c->present[id], rows);
        if (has > 0) {
            list[out->columns++] = (struct chunk_input_column){(uint8_t)id, c->values[id],
                                                               has == 2 ? NULL : c->present[id]};
        }
    }
}

void columns_unmask(struct columns *c, const struct columns_mask *mask)
{
    for (uint64_t left = c->used; left != 0; left &= left - 1) {
        unsigned id = (unsigned)__builtin_ctzll(left);
        c->present[id][mask->word] = mask->saved[id];
    }
}
