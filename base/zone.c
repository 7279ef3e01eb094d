#include "base/zone.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/civil.h"
#include "base/zone_rule.h"

#define ZONE_DIRECTORY "/usr/share/zoneinfo/"

enum {
    HEADER_BYTES = 44,
    TYPE_BYTES = 6,
    TYPES_MAX = 256,
    TRANSITIONS_MAX = 4096, /* Of a file; the longest has some 250. */
    YEAR_FIRST = 1900,      /* The rule holds for no earlier one, */
    YEAR_END = 2202,        /* and is written out to before this one. */
    AHEAD_MAX_S = 26 * 3600
};

struct transition {
    int64_t time_s;
    int32_t ahead_s; /* From then on. */
};

struct zone {
    int32_t first_s; /* Before the first transition. */
    size_t count, limit;
    struct transition transitions[]; /* Ascending. */
};

/* -- Reading ---------------------------------------------------------------------------------- */

struct header {
    uint8_t version;
    uint32_t utc_count, standard_count, leap_count, time_count, type_count, char_count;
};

static enum err take_header(struct bytes *in, struct header *h)
{
    struct bytes magic, reserved;
    if (bytes_take(in, 4, &magic) != OK || !bytes_equal(magic, bytes_of("TZif")) ||
        bytes_take_u8(in, &h->version) != OK || bytes_take(in, 15, &reserved) != OK ||
        bytes_take_u32(in, &h->utc_count) != OK || bytes_take_u32(in, &h->standard_count) != OK ||
        bytes_take_u32(in, &h->leap_count) != OK || bytes_take_u32(in, &h->time_count) != OK ||
        bytes_take_u32(in, &h->type_count) != OK || bytes_take_u32(in, &h->char_count) != OK) {
        return E_MALFORMED;
    }
    const bool is_sound = h->time_count <= TRANSITIONS_MAX && h->type_count <= TYPES_MAX &&
                          h->leap_count <= TRANSITIONS_MAX && h->char_count <= TRANSITIONS_MAX &&
                          h->utc_count <= TYPES_MAX && h->standard_count <= TYPES_MAX;
    return is_sound ? OK : E_MALFORMED;
}

/* The first block is for readers of 32-bit times. */
static enum err skip_old_block(struct bytes *in)
{
    struct header h;
    struct bytes skipped;
    TRY(take_header(in, &h));
    if (h.version < '2') {
        return E_MALFORMED;
    }
    const size_t size = (size_t)h.time_count * 5 + (size_t)h.type_count * TYPE_BYTES +
                        h.char_count + (size_t)h.leap_count * 8 + h.standard_count + h.utc_count;
    return bytes_take(in, size, &skipped) == OK ? OK : E_MALFORMED;
}

struct block {
    struct header header;
    struct bytes times, indices, types, footer;
};

static enum err take_block(struct bytes *in, struct block *b)
{
    struct bytes skipped;
    TRY(take_header(in, &b->header));
    const struct header *h = &b->header;
    if (h->leap_count > 0 || h->type_count == 0) {
        return E_MALFORMED;
    }
    const size_t rest = (size_t)h->char_count + h->standard_count + h->utc_count;
    if (bytes_take(in, (size_t)h->time_count * 8, &b->times) != OK ||
        bytes_take(in, h->time_count, &b->indices) != OK ||
        bytes_take(in, (size_t)h->type_count * TYPE_BYTES, &b->types) != OK ||
        bytes_take(in, rest, &skipped) != OK || in->size < 2 || in->at[0] != '\n' ||
        in->at[in->size - 1] != '\n') {
        return E_MALFORMED;
    }
    b->footer = (struct bytes){in->at + 1, in->size - 2};
    return OK;
}

static enum err read_ahead(const struct block *b, size_t type, int32_t *ahead_s)
{
    struct bytes in = {b->types.at + type * TYPE_BYTES, TYPE_BYTES};
    uint32_t raw;
    TRY(bytes_take_u32(&in, &raw));
    const int32_t value = (int32_t)raw;
    if (value <= -AHEAD_MAX_S || value >= AHEAD_MAX_S) {
        return E_MALFORMED;
    }
    *ahead_s = value;
    return OK;
}

/* Times must ascend; the same time again replaces what was said of it. */
static enum err add(struct zone *z, int64_t time_s, int32_t ahead_s)
{
    if (z->count > 0 && time_s <= z->transitions[z->count - 1].time_s) {
        if (time_s < z->transitions[z->count - 1].time_s) {
            return E_MALFORMED;
        }
        z->count--;
    }
    if (z->count == z->limit) {
        return E_MALFORMED;
    }
    z->transitions[z->count++] = (struct transition){time_s, ahead_s};
    return OK;
}

static enum err add_block(struct zone *z, const struct block *b)
{
    struct bytes times = b->times;
    TRY(read_ahead(b, 0, &z->first_s));
    for (size_t i = 0; i < b->header.time_count; i++) {
        uint32_t high, low;
        int32_t ahead_s;
        TRY(bytes_take_u32(&times, &high));
        TRY(bytes_take_u32(&times, &low));
        if (b->indices.at[i] >= b->header.type_count) {
            return E_MALFORMED;
        }
        TRY(read_ahead(b, b->indices.at[i], &ahead_s));
        TRY(add(z, (int64_t)((uint64_t)high << 32 | low), ahead_s));
    }
    return OK;
}

/* Both changes of a year, in order, those behind `after_s`. */
static enum err add_year(struct zone *z, const struct zone_rule *r, int64_t year, int64_t after_s)
{
    struct transition pair[2] = {
        {zone_day_time(&r->to_summer, year, r->standard_s), r->summer_s},
        {zone_day_time(&r->to_standard, year, r->summer_s), r->standard_s}};
    const bool is_south = pair[1].time_s < pair[0].time_s;
    for (unsigned i = 0; i < 2; i++) {
        const struct transition *t = &pair[is_south ? 1 - i : i];
        if (t->time_s > after_s) {
            TRY(add(z, t->time_s, t->ahead_s));
        }
    }
    return OK;
}

/* What the rule says of the years behind the last transition. */
static enum err add_rule(struct zone *z, struct bytes footer)
{
    struct zone_rule r;
    int64_t after_s = INT64_MIN, year = YEAR_FIRST;
    if (footer.size == 0) {
        return OK;
    }
    TRY(zone_rule_read(footer, &r));
    if (z->count > 0) {
        after_s = z->transitions[z->count - 1].time_s;
        const int64_t last = civil_of(civil_floor(after_s, DAY_S)).year - 1;
        year = last > year ? last : year;
    } else {
        z->first_s = r.standard_s;
    }
    for (; r.has_summer && year < YEAR_END; year++) {
        TRY(add_year(z, &r, year, after_s));
    }
    return OK;
}

enum err zone_read(struct bytes file, struct zone **out)
{
    struct block b;
    TRY(skip_old_block(&file));
    TRY(take_block(&file, &b));
    const size_t limit = (size_t)b.header.time_count + 2 * (YEAR_END - YEAR_FIRST);
    struct zone *z = malloc(sizeof *z + limit * sizeof z->transitions[0]);
    if (z == NULL) {
        return E_NO_MEMORY;
    }
    *z = (struct zone){.limit = limit};
    enum err e = add_block(z, &b);
    e = e == OK ? add_rule(z, b.footer) : e;
    if (e != OK) {
        free(z);
        return e;
    }
    *out = z;
    return OK;
}

/* -- Files ------------------------------------------------------------------------------------ */

/* No file outside the directory has such a name, and no `.tab` inside it. */
static bool is_name(struct bytes name)
{
    for (size_t i = 0; i < name.size; i++) {
        const uint8_t c = name.at[i];
        const bool is_letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        const bool is_slash = c == '/' && i > 0 && i + 1 < name.size && name.at[i - 1] != '/';
        if (!is_letter && !is_slash && !(c >= '0' && c <= '9') && c != '_' && c != '+' &&
            c != '-') {
            return false;
        }
    }
    return name.size > 0 && name.size <= ZONE_NAME_BYTES_MAX;
}

static enum err read_file(FILE *file, struct zone **out)
{
    uint8_t *raw = malloc(ZONE_FILE_BYTES_MAX + 1);
    if (raw == NULL) {
        return E_NO_MEMORY;
    }
    const size_t size = fread(raw, 1, ZONE_FILE_BYTES_MAX + 1, file);
    enum err e = E_NOT_FOUND; /* A directory, such as Europe. */
    if (ferror(file) == 0) {
        e = size > ZONE_FILE_BYTES_MAX ? E_MALFORMED : zone_read((struct bytes){raw, size}, out);
    } else if (errno != EISDIR) {
        e = E_IO;
    }
    free(raw);
    return e;
}

enum err zone_open(struct bytes name, struct zone **out)
{
    char path[sizeof ZONE_DIRECTORY + ZONE_NAME_BYTES_MAX];
    if (!is_name(name)) {
        return E_NOT_FOUND;
    }
    if (bytes_equal(name, bytes_of("UTC"))) {
        *out = calloc(1, sizeof **out);
        return *out != NULL ? OK : E_NO_MEMORY;
    }
    (void)snprintf(path, sizeof path, "%s%.*s", ZONE_DIRECTORY, (int)name.size,
                   (const char *)name.at);
    FILE *file = fopen(path, "rbe");
    if (file == NULL) {
        return errno == ENOENT || errno == ENOTDIR ? E_NOT_FOUND : E_IO;
    }
    enum err e = read_file(file, out);
    (void)fclose(file);
    return e;
}

void zone_close(struct zone *z)
{
    free(z);
}

/* -- Asking ----------------------------------------------------------------------------------- */

/* How many transitions are at or before `time_s`. */
static size_t find(const struct zone *z, int64_t time_s)
{
    size_t low = 0, high = z->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (z->transitions[middle].time_s <= time_s) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static int32_t ahead_after(const struct zone *z, size_t passed)
{
    return passed == 0 ? z->first_s : z->transitions[passed - 1].ahead_s;
}

int32_t zone_ahead(const struct zone *z, int64_t time_s)
{
    return ahead_after(z, find(z, time_s));
}

int64_t zone_first(const struct zone *z, int64_t local_s)
{
    size_t passed = find(z, local_s - AHEAD_MAX_S); /* No clock shows it earlier. */
    int64_t found_s = local_s - ahead_after(z, passed);
    while (passed < z->count && found_s >= z->transitions[passed].time_s) {
        const struct transition *t = &z->transitions[passed++];
        found_s = local_s - t->ahead_s;
        found_s = found_s < t->time_s ? t->time_s : found_s;
    }
    return found_s;
}
