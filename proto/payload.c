#include "proto/payload.h"

#include "base/hash.h"
#include "base/timestamp.h"
#include "base/topic.h"
#include "proto/json.h"

_Static_assert((int)PAYLOAD_DEPTH_MAX == (int)JSON_DEPTH_MAX, "the reason's sentence names it");

/* The keys of times, first choice first. Text under the first two has to be a time; a `t` may just
 * as well be a temperature. */
enum { TIME_KEYS = 4, STRICT_TIME_KEYS = 2 };
static const char *const time_keys[TIME_KEYS] = {"time", "timestamp", "ts", "t"};
static const uint8_t time_key_bytes[TIME_KEYS] = {4, 9, 2, 1};

/* Up to here repeated names are found by comparing, beyond by a hash table of four times as many
 * slots as points. */
enum { COMPARED_MAX = 32, SLOTS = 2048 };

enum verdict { NO_TIME, IS_TIME, OUT_OF_RANGE, NOT_RFC3339 };

struct level {
    struct bytes path; /* Name of what opened it. */
    unsigned position; /* Of the next item. */
    bool is_array;
};

struct walk {
    struct payload *out;
    struct level levels[JSON_DEPTH_MAX + 1]; /* [0] is outside of all. */
    unsigned depth;
    struct {
        enum verdict verdict;
        int64_t time_ns;
    } times[TIME_KEYS];
    unsigned times_seen; /* A bit a key. */
    bool has_others;     /* Members of the outermost object that are neither time nor `value`. */
    uint64_t sieve;      /* A name whose bit is not set is new. */
    bool has_slots;
    uint16_t slots[SLOTS]; /* 1 + index of a point; set up when COMPARED_MAX points are there. */
};

const char *payload_reason_text(enum payload_reason reason)
{
#define SENTENCE(code, sentence) [code] = (sentence),
    static const char *const sentences[] = {PAYLOAD_REASON_MAP(SENTENCE)};
#undef SENTENCE
    return (unsigned)reason < PAYLOAD_REASONS ? sentences[reason] : "unknown reason";
}

/* Put a key as a topic level. */
static enum err put_key(struct writer *w, const struct json_string *key)
{
    static const char hex[] = "0123456789ABCDEF";
    struct bytes raw = key->raw;
    uint32_t c;

    if (key->is_level) {
        return writer_put(w, raw.at, raw.size);
    }
    while (json_take_character(&raw, &c) == OK) {
        uint8_t utf8[4];
        size_t size = json_write_utf8(c, utf8);
        bool is_control = c < 0x20 || (c >= 0x7f && c < 0xa0);
        if (!is_control && c != '/' && c != '+' && c != '#' && c != '%') {
            TRY(writer_put(w, utf8, size));
            continue;
        }
        for (size_t i = 0; i < size; i++) {
            const char escape[] = {'%', hex[utf8[i] >> 4], hex[utf8[i] & 15]};
            TRY(writer_put(w, escape, sizeof escape));
        }
    }
    return OK;
}

static enum err put_position(struct writer *w, unsigned position)
{
    char digits[12];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + position % 10);
        position /= 10;
    } while (position > 0);
    return writer_put(w, digits + at, sizeof digits - at);
}

/* The path of an item below the topic: borrowed where it is a key as it stands, else built. */
static enum err name_item(struct walk *w, const struct json_item *item, struct bytes *name)
{
    const struct level *level = &w->levels[w->depth];
    struct writer *names = &w->out->names;
    size_t start = names->size;

    if (w->depth == 0) {
        *name = level->path;
        return OK;
    }
    if (w->depth == 1 && !level->is_array && item->key.is_level) {
        *name = item->key.raw;
        return name->size <= PAYLOAD_NAMES_BYTES_MAX ? OK : E_LIMIT;
    }
    if (w->depth > 1) {
        TRY(writer_put(names, level->path.at, level->path.size));
        TRY(writer_put_u8(names, '/'));
    }
    TRY(level->is_array ? put_position(names, level->position) : put_key(names, &item->key));
    *name = (struct bytes){names->at + start, names->size - start};
    return OK;
}

/* The slot of a name: its own or a free one. Seeded by an address, which nobody outside knows, so
 * nobody can make names that all want the same slot. */
static uint16_t *find_slot(struct walk *w, struct bytes name)
{
    uint64_t at = hash_seeded((uint64_t)(uintptr_t)w->out, name);
    for (;; at++) {
        uint16_t *slot = &w->slots[at % SLOTS];
        if (*slot == 0 || bytes_equal(w->out->points[*slot - 1].name, name)) {
            return slot;
        }
    }
}

/* Index of the point that has this name already, or the count of points. */
static unsigned find_point(struct walk *w, struct bytes name)
{
    struct payload *out = w->out;
    if (out->count == COMPARED_MAX && !w->has_slots) {
        w->has_slots = true;
        memset(w->slots, 0, sizeof w->slots);
        for (unsigned i = 0; i < out->count; i++) {
            *find_slot(w, out->points[i].name) = (uint16_t)(i + 1);
        }
    }
    if (out->count >= COMPARED_MAX) {
        uint16_t *slot = find_slot(w, name);
        unsigned index = *slot > 0 ? *slot - 1U : out->count;
        *slot = (uint16_t)(index + 1);
        return index;
    }
    unsigned ends = name.size > 0 ? name.at[0] * 5U + name.at[name.size - 1] : 0;
    uint64_t bit = UINT64_C(1) << ((ends + name.size * 11) & 63);
    unsigned i = (w->sieve & bit) != 0 ? 0 : out->count;
    w->sieve |= bit;
    while (i < out->count && !bytes_equal(out->points[i].name, name)) {
        i++;
    }
    return i;
}

static enum payload_reason put_point(struct walk *w, struct bytes name, struct number number)
{
    struct payload *out = w->out;
    unsigned index = find_point(w, name);
    if (index > PAYLOAD_POINTS_MAX) {
        return PAYLOAD_TOO_MANY;
    }
    out->points[index] = (struct payload_point){name, number};
    out->count += index == out->count;
    return PAYLOAD_OK;
}

/* Which of the time keys a name is, or TIME_KEYS. */
static unsigned time_key_of(struct bytes name)
{
    unsigned key = 0;
    if (name.size == 0 || name.at[0] != 't') {
        return TIME_KEYS;
    }
    while (key < TIME_KEYS &&
           (name.size != time_key_bytes[key] || memcmp(name.at, time_keys[key], name.size) != 0)) {
        key++;
    }
    return key;
}

static enum verdict judge(enum err error)
{
    return error == OK ? IS_TIME : error == E_LIMIT ? OUT_OF_RANGE : NO_TIME;
}

/* What a number says about time; its text is read again only where the number has lost digits. */
static enum verdict judge_number(const struct json_item *item, int64_t *time_ns)
{
    return judge(item->number.scale == NUMBER_RAW ? timestamp_read_unix(item->text, time_ns)
                                                  : timestamp_read_number(&item->number, time_ns));
}

/* What a string says about time: RFC 3339, or a unix time. */
static enum verdict judge_text(const struct json_string *string, bool is_strict, int64_t *time_ns)
{
    uint8_t resolved[2 * TIMESTAMP_TEXT_BYTES_MAX];
    struct bytes text = string->raw;

    if (string->has_escape) {
        struct bytes raw = string->raw;
        uint32_t c;
        size_t size = 0;
        while (size < sizeof resolved && json_take_character(&raw, &c) == OK) {
            resolved[size++] = c < 0x80 ? (uint8_t)c : '?';
        }
        text = (struct bytes){resolved, size};
    }
    enum err error = timestamp_read_rfc3339(text, time_ns);
    if (error == E_MALFORMED) {
        error = timestamp_read_unix(text, time_ns);
    }
    enum verdict verdict = judge(error);
    return verdict == NO_TIME && is_strict ? NOT_RFC3339 : verdict;
}

/* Take note of a member of the outermost object: is it a time, the value, or something else? */
static void note_member(struct walk *w, const struct json_item *item, struct bytes name,
                        bool is_text)
{
    unsigned key = time_key_of(name);
    if (key == TIME_KEYS) {
        bool is_value = item->kind == JSON_NUMBER || item->kind == JSON_TRUE ||
                        item->kind == JSON_FALSE || is_text;
        w->has_others = w->has_others || !is_value;
        return;
    }
    if (item->kind == JSON_NUMBER) {
        w->times_seen |= 1U << key;
        w->times[key].verdict = judge_number(item, &w->times[key].time_ns);
    } else if (item->kind == JSON_STRING) {
        w->times_seen |= 1U << key;
        w->times[key].verdict =
            judge_text(&item->string, key < STRICT_TIME_KEYS, &w->times[key].time_ns);
    }
}

static enum payload_reason open_level(struct walk *w, struct bytes path, bool is_array)
{
    w->levels[++w->depth] = (struct level){path, 0, is_array};
    return PAYLOAD_OK;
}

static bool is_time(struct bytes text)
{
    int64_t time_ns;
    return timestamp_read_rfc3339(text, &time_ns) != E_MALFORMED;
}

/* Whether a string is a value, and its text: borrowed, or built behind the names. */
static bool take_text(struct payload *out, const struct json_string *string, struct bytes *text)
{
    struct writer *names = &out->names;
    const size_t left = names->limit - names->size, max = out->text_bytes_max;
    size_t size;
    *text = string->raw;
    if (string->has_escape) {
        uint8_t *to = names->at + names->size;
        const enum err e = json_string_write(string, to, left < max ? left : max, &size);
        if (e != OK || memchr(to, 0, size) != NULL) {
            out->texts_long += e == E_LIMIT;
            return false;
        }
        names->size += size;
        *text = (struct bytes){to, size};
    }
    if (is_time(*text)) {
        return false;
    }
    out->texts_long += text->size > max;
    return text->size <= max;
}

static enum payload_reason put_text(struct walk *w, struct bytes name, struct bytes text)
{
    struct payload *out = w->out;
    if (out->text_count > PAYLOAD_POINTS_MAX) {
        return PAYLOAD_TOO_MANY;
    }
    const struct number number = {.mantissa = out->text_count, .scale = PAYLOAD_TEXT};
    out->texts[out->text_count++] = text;
    return put_point(w, name, number);
}

static enum payload_reason take_item(struct walk *w, const struct json_item *item)
{
    struct level *level = &w->levels[w->depth];
    bool is_text = item->kind == JSON_STRING && w->out->text_bytes_max > 0;
    bool is_nothing = item->kind == JSON_NULL || (item->kind == JSON_STRING && !is_text);
    bool is_member = w->depth == 1 && !level->is_array;
    size_t names_size = w->out->names.size;
    struct bytes name = level->path, text;

    if (item->kind == JSON_CLOSE) {
        w->depth--;
        return PAYLOAD_OK;
    }
    if ((!is_nothing || is_member) && name_item(w, item, &name) != OK && !is_nothing) {
        return PAYLOAD_NAMES_TOO_LONG;
    }
    level->position++;
    is_text = is_text && take_text(w->out, &item->string, &text);
    if (is_member) {
        note_member(w, item, name, is_text);
    }
    switch (item->kind) {
    case JSON_NUMBER:
        return put_point(w, name, item->number);
    case JSON_TRUE:
    case JSON_FALSE:
        return put_point(w, name, number_of(item->kind == JSON_TRUE));
    case JSON_OBJECT:
    case JSON_ARRAY:
        return open_level(w, name, item->kind == JSON_ARRAY);
    case JSON_STRING:
        if (is_text) {
            return put_text(w, name, text);
        }
        break;
    case JSON_NULL:
    case JSON_CLOSE:
        break;
    }
    w->out->names.size = names_size; /* No series has this name. */
    return PAYLOAD_OK;
}

static void remove_point(struct payload *out, struct bytes name)
{
    unsigned i = 0;
    while (i < out->count && !bytes_equal(out->points[i].name, name)) {
        i++;
    }
    if (i < out->count) {
        out->count--;
        memmove(&out->points[i], &out->points[i + 1], (out->count - i) * sizeof out->points[0]);
    }
}

/* Make the first plausible time the event time. */
static enum payload_reason choose_time(struct walk *w)
{
    for (unsigned key = 0; key < TIME_KEYS && w->times_seen != 0; key++) {
        if ((w->times_seen & 1U << key) == 0) {
            continue;
        }
        switch (w->times[key].verdict) {
        case NO_TIME:
            break;
        case OUT_OF_RANGE:
            return PAYLOAD_TIME_RANGE;
        case NOT_RFC3339:
            return PAYLOAD_TIME_INVALID;
        case IS_TIME:
            w->out->has_time = true;
            w->out->time_ns = w->times[key].time_ns;
            w->times_seen &= ~(1U << key);
            remove_point(w->out, bytes_of(time_keys[key]));
            return PAYLOAD_OK;
        }
    }
    return PAYLOAD_OK;
}

/* All items have been taken; what do they make? */
static enum payload_reason finish(struct walk *w)
{
    struct payload *out = w->out;
    enum payload_reason nothing = out->texts_long > 0 ? PAYLOAD_TEXT_TOO_LONG : PAYLOAD_NO_NUMBERS;
    enum payload_reason reason = out->count == 0 ? nothing : choose_time(w);

    if (reason != PAYLOAD_OK) {
        return reason;
    }
    if (out->count == 0 || out->count > PAYLOAD_POINTS_MAX) {
        return out->count == 0 ? nothing : PAYLOAD_TOO_MANY;
    }
    struct bytes *name = &out->points[0].name;
    bool is_alone = out->count == 1 && !w->has_others && w->times_seen == 0;
    if (is_alone && (bytes_equal(*name, bytes_of("value")) || bytes_equal(*name, bytes_of("v")))) {
        name->size = 0;
    }
    return PAYLOAD_OK;
}

static enum payload_reason decode_json(struct bytes payload, struct payload *out)
{
    struct walk w; /* Not cleared as a whole: it is larger than most messages. */
    struct json json;
    struct json_item item;
    enum err error;

    w.out = out;
    w.levels[0] = (struct level){{payload.at, 0}, 0, false};
    w.depth = 0;
    w.times_seen = 0;
    w.has_others = false;
    w.has_slots = false;
    w.sieve = 0;
    json_init(&json, payload);
    while ((error = json_next(&json, &item)) == OK) {
        enum payload_reason reason = take_item(&w, &item);
        if (reason != PAYLOAD_OK) {
            return reason;
        }
    }
    if (error == E_LIMIT) {
        return json.is_too_deep ? PAYLOAD_TOO_DEEP : PAYLOAD_NUMBER_RANGE;
    }
    return error == E_END ? finish(&w) : PAYLOAD_NOT_JSON;
}

static bool is_among(const char *bytes, uint8_t byte)
{
    return byte != 0 && strchr(bytes, byte) != NULL;
}

/* What is no JSON: a text, unless it starts as JSON does, which it then was meant to be. */
static enum payload_reason decode_bare(struct bytes payload, struct payload *out)
{
    size_t blank = 0;
    if (!topic_is_utf8(payload)) {
        return PAYLOAD_NOT_UTF8;
    }
    while (blank < payload.size && is_among(" \t\r\n", payload.at[blank])) {
        blank++;
    }
    if (out->text_bytes_max == 0 || blank == payload.size || is_among("{[\"", payload.at[blank]) ||
        is_time(payload)) {
        return PAYLOAD_NOT_JSON;
    }
    if (payload.size > out->text_bytes_max) {
        out->texts_long = 1;
        return PAYLOAD_TEXT_TOO_LONG;
    }
    out->has_time = false;
    out->count = out->text_count = 1;
    out->texts[0] = payload;
    out->points[0] =
        (struct payload_point){{payload.at, 0}, {.mantissa = 0, .scale = PAYLOAD_TEXT}};
    return PAYLOAD_OK;
}

enum payload_reason payload_decode(struct bytes payload, struct payload *out)
{
    out->has_time = false;
    out->count = 0;
    out->text_count = 0;
    out->texts_long = 0;
    out->names = (struct writer){out->names_memory, 0, sizeof out->names_memory};
    if (payload.size == 0) {
        return PAYLOAD_EMPTY;
    }
    /* Most messages are a bare number. */
    if (number_read(payload, &out->points[0].number) == OK) {
        out->points[0].name = (struct bytes){payload.at, 0};
        out->count = 1;
        return PAYLOAD_OK;
    }
    enum payload_reason reason = decode_json(payload, out);
    return reason == PAYLOAD_NOT_JSON ? decode_bare(payload, out) : reason;
}
