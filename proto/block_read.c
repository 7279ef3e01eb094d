#include "proto/block_read.h"

/* Fields of SeriesBlock and Column; wire types. */
enum { SERIES = 1, PATH = 2, TIMES = 3, COLUMNS = 4, DROPPED = 5, SERIES_DONE = 6, KEYS = 7 };
enum { VALUES = 1, RUNS = 2 };
enum { WIRE_VARINT = 0, WIRE_BYTES = 2 };
enum { COLUMNS_MAX = 64, KEYS_MAX = 16 };

struct reader {
    void *(*alloc)(void *context, size_t size);
    void *context;
};

struct field {
    unsigned number;
    uint64_t value;     /* Of a varint. */
    struct bytes bytes; /* Of what has a length. */
};

/* E_NOT_FOUND: of a wire type that is not read here, or cut. */
static enum err take_field(struct bytes *in, struct field *f)
{
    uint64_t tag, size;
    if (bytes_take_varint(in, &tag) != OK || tag >> 3 > KEYS) {
        return E_NOT_FOUND;
    }
    f->number = (unsigned)(tag >> 3);
    if ((tag & 7) == WIRE_VARINT) {
        f->bytes = (struct bytes){NULL, 0};
        return bytes_take_varint(in, &f->value) == OK ? OK : E_NOT_FOUND;
    }
    if ((tag & 7) != WIRE_BYTES || bytes_take_varint(in, &size) != OK ||
        bytes_take(in, size, &f->bytes) != OK || f->bytes.at == NULL) {
        return E_NOT_FOUND;
    }
    return OK;
}

/* How many varints a run of bytes holds. */
static size_t count_varints(struct bytes in)
{
    size_t count = 0;
    for (size_t i = 0; i < in.size; i++) {
        count += in.at[i] < 0x80;
    }
    return count;
}

/* One varint; a step like the one before is known by its bytes. */
struct steps {
    uint64_t word, mask; /* Its bytes as they stand, and which they are. */
    size_t size;         /* 0: none yet. */
    int64_t value;
};

static bool take_step(struct bytes *in, struct steps *s)
{
    uint64_t word = 0, value;
    if (in->size >= sizeof word) {
        memcpy(&word, in->at, sizeof word);
        if (s->size > 0 && (word & s->mask) == s->word) {
            in->at += s->size;
            in->size -= s->size;
            return true;
        }
    }
    const uint8_t *start = in->at;
    if (bytes_take_varint(in, &value) != OK) {
        return false;
    }
    const size_t size = (size_t)(in->at - start);
    s->value = unzigzag(value);
    s->size = size <= sizeof word && word != 0 ? size : 0;
    s->mask = size < sizeof word ? (UINT64_C(1) << (8 * size)) - 1 : UINT64_MAX;
    s->word = word & s->mask;
    return true;
}

static enum err read_times(const struct reader *r, struct bytes in, Hejnal__V1__SeriesBlock *b)
{
    const size_t count = count_varints(in);
    struct steps steps = {.size = 0};
    int64_t *times = r->alloc(r->context, count * sizeof *times);
    if (times == NULL) {
        return E_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        if (!take_step(&in, &steps)) {
            return E_NOT_FOUND;
        }
        times[i] = steps.value;
    }
    b->time_delta = times;
    b->n_time_delta = count;
    return in.size == 0 ? OK : E_NOT_FOUND;
}

static enum err read_values(const struct reader *r, struct bytes in, Hejnal__V1__Column *c)
{
    c->n_value = in.size / sizeof *c->value;
    if (in.size % sizeof *c->value != 0 || in.size == 0) {
        return E_NOT_FOUND;
    }
    c->value = r->alloc(r->context, in.size);
    if (c->value == NULL) {
        return E_NO_MEMORY;
    }
    memcpy(c->value, in.at, in.size);
    return OK;
}

static enum err read_runs(const struct reader *r, struct bytes in, Hejnal__V1__Column *c)
{
    const size_t count = count_varints(in);
    uint64_t value;
    c->word_runs = r->alloc(r->context, count * sizeof *c->word_runs);
    if (c->word_runs == NULL) {
        return E_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        if (bytes_take_varint(&in, &value) != OK) {
            return E_NOT_FOUND;
        }
        c->word_runs[i] = (uint32_t)value;
    }
    c->n_word_runs = count;
    return in.size == 0 ? OK : E_NOT_FOUND;
}

static enum err read_column(const struct reader *r, struct bytes in, Hejnal__V1__Column **out)
{
    struct field f;
    Hejnal__V1__Column *c = r->alloc(r->context, sizeof *c);
    if (c == NULL) {
        return E_NO_MEMORY;
    }
    hejnal__v1__column__init(c);
    while (in.size > 0) {
        TRY(take_field(&in, &f));
        if (f.number == VALUES && f.bytes.at != NULL && c->value == NULL) {
            TRY(read_values(r, f.bytes, c));
        } else if (f.number == RUNS && f.bytes.at != NULL && c->word_runs == NULL) {
            TRY(read_runs(r, f.bytes, c));
        } else {
            return E_NOT_FOUND;
        }
    }
    *out = c;
    return OK;
}

static enum err read_text(const struct reader *r, struct bytes in, char **out)
{
    char *text = r->alloc(r->context, in.size + 1);
    if (text == NULL) {
        return E_NO_MEMORY;
    }
    memcpy(text, in.at, in.size);
    text[in.size] = 0;
    *out = text;
    return OK;
}

/* Parts that may come several times, until it is known how many. */
struct parts {
    Hejnal__V1__Column *column[COLUMNS_MAX];
    char *key[KEYS_MAX];
    bool has_path;
};

static enum err read_bytes_field(const struct reader *r, const struct field *f,
                                 Hejnal__V1__SeriesBlock *b, struct parts *p)
{
    if (f->number == PATH && !p->has_path) {
        p->has_path = true;
        return read_text(r, f->bytes, &b->path);
    }
    if (f->number == TIMES && b->time_delta == NULL) {
        return read_times(r, f->bytes, b);
    }
    if (f->number == COLUMNS && b->n_columns < COLUMNS_MAX) {
        return read_column(r, f->bytes, &p->column[b->n_columns++]);
    }
    if (f->number == KEYS && b->n_keys < KEYS_MAX) {
        return read_text(r, f->bytes, &p->key[b->n_keys++]);
    }
    return E_NOT_FOUND;
}

static enum err read_field(const struct reader *r, const struct field *f,
                           Hejnal__V1__SeriesBlock *b, struct parts *p)
{
    if (f->bytes.at != NULL) {
        return read_bytes_field(r, f, b, p);
    }
    if (f->number == SERIES) {
        b->series = (uint32_t)f->value;
    } else if (f->number == DROPPED) {
        b->dropped = f->value;
    } else if (f->number == SERIES_DONE) {
        b->series_done = f->value;
    } else {
        return E_NOT_FOUND;
    }
    return OK;
}

static enum err keep_parts(const struct reader *r, Hejnal__V1__SeriesBlock *b,
                           const struct parts *p)
{
    if (b->n_columns > 0) {
        b->columns = r->alloc(r->context, b->n_columns * sizeof(void *));
        if (b->columns == NULL) {
            return E_NO_MEMORY;
        }
        memcpy((void *)b->columns, (const void *)p->column, b->n_columns * sizeof(void *));
    }
    if (b->n_keys > 0) {
        b->keys = r->alloc(r->context, b->n_keys * sizeof(void *));
        if (b->keys == NULL) {
            return E_NO_MEMORY;
        }
        memcpy((void *)b->keys, (const void *)p->key, b->n_keys * sizeof(void *));
    }
    return OK;
}

enum err block_read(struct bytes in, void *(*alloc)(void *context, size_t size), void *context,
                    Hejnal__V1__SeriesBlock **out)
{
    const struct reader r = {alloc, context};
    struct parts parts = {.has_path = false};
    struct field f;
    Hejnal__V1__SeriesBlock *b = alloc(context, sizeof *b);
    if (b == NULL) {
        return E_NO_MEMORY;
    }
    hejnal__v1__series_block__init(b);
    while (in.size > 0) {
        TRY(take_field(&in, &f));
        TRY(read_field(&r, &f, b, &parts));
    }
    TRY(keep_parts(&r, b, &parts));
    *out = b;
    return OK;
}
