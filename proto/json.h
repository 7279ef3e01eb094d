/* A walk over JSON text (RFC 8259, strictly): one item a step, no allocation, no recursion.
 *
 * Made for the ingest path: keys and strings come as they stand in the text, numbers with their
 * decimal form. It is a tokenizer with a memory of what is open, not a document. After an error the
 * walk is over. */

#ifndef PROTO_JSON_H
#define PROTO_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/number.h"

enum { JSON_DEPTH_MAX = 32 };

enum json_kind {
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_OBJECT, /* Opens; its members follow until JSON_CLOSE. */
    JSON_ARRAY,
    JSON_CLOSE
};

/* Between the quotes, as it stands in the text: valid UTF-8, escapes well-formed, not resolved. */
struct json_string {
    struct bytes raw;
    bool has_escape;
    bool is_level; /* ASCII only and none of \ / + # % DEL: a topic level can hold it as it is. */
};

struct json_item {
    enum json_kind kind;
    struct json_string key;    /* In an object, of all but JSON_CLOSE. */
    struct json_string string; /* JSON_STRING. */
    struct bytes text;         /* JSON_NUMBER: its text. */
    struct number number;      /* JSON_NUMBER. */
};

struct json {
    const uint8_t *at, *end; /* What is left. */
    uint64_t objects;        /* A bit a level, the innermost lowest: 1 is an object. */
    unsigned depth;          /* Levels open. */
    bool is_fresh;           /* Nothing has been seen in the innermost level. */
    bool is_too_deep;        /* Tells the two reasons of E_LIMIT apart. */
};

void json_init(struct json *j, struct bytes text);

/* The next item; what it borrows is borrowed from the text. E_END: the text is whole and over.
 * E_MALFORMED: it is not JSON, or not UTF-8. E_LIMIT: deeper than JSON_DEPTH_MAX, or a number
 * beyond the range of a double. */
MUST_USE enum err json_next(struct json *j, struct json_item *item);

/* Cut the first character, escapes resolved, off a string's raw bytes. E_END: there is none left.
 * E_MALFORMED: an escaped surrogate without its other half. */
MUST_USE enum err json_take_character(struct bytes *raw, uint32_t *character);

/* Write a character as UTF-8; returns its bytes. */
size_t json_write_utf8(uint32_t character, uint8_t to[4]);

/* Write a string's characters, escapes resolved; no 0 byte is added. E_LIMIT: more than `max`
 * bytes. E_MALFORMED: half a surrogate pair. */
MUST_USE enum err json_string_write(const struct json_string *string, uint8_t *to, size_t max,
                                    size_t *size);

#endif /* PROTO_JSON_H */
