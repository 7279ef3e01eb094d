#include "proto/json.h"

#include "base/topic.h"

/* What a byte means within a string: closes it, starts an escape, must not stand there, is of a
 * longer UTF-8 sequence, or cannot stand in a topic level. */
enum { CLOSES = 1, ESCAPES = 2, FORBIDDEN = 4, HIGH = 8, NO_LEVEL = 16 };

#define FOUR(class)    class, class, class, class
#define SIXTEEN(class) FOUR(class), FOUR(class), FOUR(class), FOUR(class)

/* clang-format off */
static const uint8_t classes[256] = {
    SIXTEEN(FORBIDDEN), SIXTEEN(FORBIDDEN),
    /*  !"#   */ 0, 0, CLOSES, NO_LEVEL,
    /* $%&'   */ 0, NO_LEVEL, 0, 0,
    /* ()*+   */ 0, 0, 0, NO_LEVEL,
    /* ,-./   */ 0, 0, 0, NO_LEVEL,
    /* 0-9:   */ SIXTEEN(0),
    /* @A-O   */ SIXTEEN(0),
    /* P-[    */ FOUR(0), FOUR(0), FOUR(0),
    /* \]^_   */ ESCAPES, 0, 0, 0,
    /* `a-o   */ SIXTEEN(0),
    /* p-{    */ FOUR(0), FOUR(0), FOUR(0),
    /* |}~DEL */ 0, 0, 0, NO_LEVEL,
    SIXTEEN(HIGH), SIXTEEN(HIGH), SIXTEEN(HIGH), SIXTEEN(HIGH),
    SIXTEEN(HIGH), SIXTEEN(HIGH), SIXTEEN(HIGH), SIXTEEN(HIGH),
};
/* clang-format on */

void json_init(struct json *j, struct bytes text)
{
    static const uint8_t nothing[1];
    const uint8_t *at = text.size > 0 ? text.at : nothing;
    *j = (struct json){.at = at, .end = at + text.size, .is_fresh = true};
}

/* The value of four hexadecimal digits, or -1. */
static int32_t hex_of(const uint8_t *at)
{
    int32_t value = 0;
    for (size_t i = 0; i < 4; i++) {
        uint8_t digit = (uint8_t)(at[i] - '0');
        uint8_t letter = (uint8_t)((at[i] | 0x20) - 'a');
        if (digit > 9 && letter > 5) {
            return -1;
        }
        value = value * 16 + (digit <= 9 ? digit : letter + 10);
    }
    return value;
}

/* Bytes of the escape at `at`, or 0. */
static size_t escape_size(const uint8_t *at, const uint8_t *end)
{
    if (end - at < 2) {
        return 0;
    }
    switch (at[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return 2;
    case 'u':
        return end - at >= 6 && hex_of(at + 2) >= 0 ? 6 : 0;
    default:
        return 0;
    }
}

/* A string; its opening quote comes next. */
static bool take_string(struct json *j, struct json_string *out)
{
    const uint8_t *start = ++j->at, *at = start;
    unsigned seen = 0;

    for (;; at++) {
        unsigned class = 0;
        while (at < j->end && ((class = classes[*at]) & (CLOSES | ESCAPES | FORBIDDEN)) == 0) {
            seen |= class;
            at++;
        }
        if (at == j->end || class == FORBIDDEN) {
            return false;
        }
        if (class == CLOSES) {
            break;
        }
        size_t size = escape_size(at, j->end);
        if (size == 0) {
            return false;
        }
        seen |= ESCAPES;
        at += size - 1;
    }
    out->raw = (struct bytes){start, (size_t)(at - start)};
    out->has_escape = (seen & ESCAPES) != 0;
    out->is_level = seen == 0;
    j->at = at + 1;
    return (seen & HIGH) == 0 || topic_is_utf8(out->raw);
}

static inline void skip_space(struct json *j)
{
    while (j->at < j->end &&
           (*j->at == ' ' || *j->at == '\n' || *j->at == '\t' || *j->at == '\r')) {
        j->at++;
    }
}

static enum err take_word(struct json *j, const char *word, enum json_kind kind,
                          struct json_item *item)
{
    size_t size = strlen(word);
    if ((size_t)(j->end - j->at) < size || memcmp(j->at, word, size) != 0) {
        return E_MALFORMED;
    }
    j->at += size;
    item->kind = kind;
    return OK;
}

static enum err take_number(struct json *j, struct json_item *item)
{
    struct bytes rest = {j->at, (size_t)(j->end - j->at)};
    TRY(number_take(&rest, &item->number));
    item->text = (struct bytes){j->at, (size_t)(rest.at - j->at)};
    item->kind = JSON_NUMBER;
    j->at = rest.at;
    return OK;
}

static enum err open_level(struct json *j, bool is_object, struct json_item *item)
{
    if (j->depth == JSON_DEPTH_MAX) {
        j->is_too_deep = true;
        return E_LIMIT;
    }
    j->depth++;
    j->objects = j->objects << 1 | is_object;
    j->is_fresh = true;
    j->at++;
    item->kind = is_object ? JSON_OBJECT : JSON_ARRAY;
    return OK;
}

static enum err take_value(struct json *j, struct json_item *item)
{
    if (j->at == j->end) {
        return E_MALFORMED;
    }
    switch (*j->at) {
    case '{':
        return open_level(j, true, item);
    case '[':
        return open_level(j, false, item);
    case '"':
        item->kind = JSON_STRING;
        return take_string(j, &item->string) ? OK : E_MALFORMED;
    case 't':
        return take_word(j, "true", JSON_TRUE, item);
    case 'f':
        return take_word(j, "false", JSON_FALSE, item);
    case 'n':
        return take_word(j, "null", JSON_NULL, item);
    default:
        return take_number(j, item);
    }
}

/* Whether the escapes make characters, so without half a surrogate pair. */
static bool has_whole_characters(struct bytes raw)
{
    uint32_t character;
    enum err error;
    do {
        error = json_take_character(&raw, &character);
    } while (error == OK);
    return error == E_END;
}

/* `"key":` and the blanks around it. */
static bool take_key(struct json *j, struct json_string *key)
{
    if (j->at == j->end || *j->at != '"' || !take_string(j, key)) {
        return false;
    }
    if (key->has_escape && !has_whole_characters(key->raw)) {
        return false;
    }
    skip_space(j);
    if (j->at == j->end || *j->at != ':') {
        return false;
    }
    j->at++;
    skip_space(j);
    return true;
}

/* Outside of all levels there is one value and nothing else. */
static enum err take_outermost(struct json *j, struct json_item *item)
{
    if (!j->is_fresh) {
        return j->at == j->end ? E_END : E_MALFORMED;
    }
    j->is_fresh = false;
    return take_value(j, item);
}

enum err json_next(struct json *j, struct json_item *item)
{
    skip_space(j);
    if (j->depth == 0) {
        return take_outermost(j, item);
    }
    bool is_object = j->objects & 1;
    if (j->at < j->end && *j->at == (is_object ? '}' : ']')) {
        j->at++;
        j->depth--;
        j->objects >>= 1;
        j->is_fresh = false;
        item->kind = JSON_CLOSE;
        return OK;
    }
    if (!j->is_fresh) {
        if (j->at == j->end || *j->at != ',') {
            return E_MALFORMED;
        }
        j->at++;
        skip_space(j);
    }
    j->is_fresh = false;
    if (is_object && !take_key(j, &item->key)) {
        return E_MALFORMED;
    }
    return take_value(j, item);
}

/* What an escape of two bytes stands for. */
static uint32_t short_escape(uint8_t letter)
{
    switch (letter) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return letter;
    }
}

/* The character of a \uXXXX escape, and of the one after it when that is its other half. */
static enum err take_unicode(struct bytes *raw, uint32_t *character)
{
    const uint8_t *end = raw->at + raw->size, *at = raw->at;
    uint32_t unit = (uint32_t)hex_of(at + 2);
    size_t size = 6;

    if (unit >= 0xd800 && unit <= 0xdfff) {
        bool is_pair = at + 6 < end && at[6] == '\\' && escape_size(at + 6, end) == 6;
        uint32_t low = is_pair ? (uint32_t)hex_of(at + 8) : 0;
        if (unit > 0xdbff || low < 0xdc00 || low > 0xdfff) {
            return E_MALFORMED;
        }
        unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
        size = 12;
    }
    *character = unit;
    raw->at += size;
    raw->size -= size;
    return OK;
}

static enum err take_escape(struct bytes *raw, uint32_t *character)
{
    size_t size = escape_size(raw->at, raw->at + raw->size);
    if (size == 0) {
        return E_MALFORMED;
    }
    if (size == 6) {
        return take_unicode(raw, character);
    }
    *character = short_escape(raw->at[1]);
    raw->at += size;
    raw->size -= size;
    return OK;
}

enum err json_take_character(struct bytes *raw, uint32_t *character)
{
    if (raw->size == 0) {
        return E_END;
    }
    uint8_t lead = raw->at[0];
    if (lead == '\\') {
        return take_escape(raw, character);
    }
    size_t size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    uint32_t value = size == 1 ? lead : lead & (0x7fU >> size);
    if (size > raw->size) {
        return E_MALFORMED;
    }
    for (size_t i = 1; i < size; i++) {
        value = value << 6 | (raw->at[i] & 0x3f);
    }
    *character = value;
    raw->at += size;
    raw->size -= size;
    return OK;
}

size_t json_write_utf8(uint32_t character, uint8_t to[4])
{
    if (character < 0x80) {
        to[0] = (uint8_t)character;
        return 1;
    }
    size_t size = character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
    for (size_t i = size - 1; i > 0; i--) {
        to[i] = (uint8_t)(0x80 | (character & 0x3f));
        character >>= 6;
    }
    to[0] = (uint8_t)(0xf00U >> size | character);
    return size;
}

enum err json_string_write(const struct json_string *string, uint8_t *to, size_t max, size_t *size)
{
    struct bytes raw = string->raw;
    size_t written = 0;
    uint32_t character;
    enum err e = OK;
    if (!string->has_escape) {
        if (raw.size > max) {
            return E_LIMIT;
        }
        memcpy(to, raw.at, raw.size);
        *size = raw.size;
        return OK;
    }
    while ((e = json_take_character(&raw, &character)) == OK) {
        uint8_t utf8[4];
        const size_t bytes = json_write_utf8(character, utf8);
        if (bytes > max - written) {
            return E_LIMIT;
        }
        memcpy(to + written, utf8, bytes);
        written += bytes;
    }
    TRY(e == E_END ? OK : e);
    *size = written;
    return OK;
}
