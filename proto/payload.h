/* Payloads to points: what a message says, before anyone knows where it is stored.
 *
 * Without any rule a payload that is a number, a boolean or JSON feeds series: every numeric or
 * boolean leaf below the topic, its path made of the object keys and array positions
 * ("wind/dir", "phase/0"); what a topic level cannot hold in a key (/ + # % and control characters)
 * is percent-encoded, each byte of its UTF-8. A top-level `time`, `timestamp`, `ts` or `t` (the
 * first of them that is a plausible time: RFC 3339, or a unix time that timestamp.h takes for one)
 * is the event time and no value. An object that besides the time has only `value` or `v` feeds the
 * topic's own series (name "").
 *
 * Where texts are wanted (text_bytes_max), every string leaf up to that length is a value as well,
 * and so is a payload that is no JSON and does not start like it; RFC 3339 times are not. One pass,
 * no allocation. */

#ifndef PROTO_PAYLOAD_H
#define PROTO_PAYLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/number.h"

enum { PAYLOAD_POINTS_MAX = 512, PAYLOAD_NAMES_BYTES_MAX = 32768, PAYLOAD_DEPTH_MAX = 32 };

struct payload_point {
    struct bytes name;    /* Below the topic; borrowed from the payload or from `struct payload`. */
    struct number number; /* Of scale PAYLOAD_TEXT: payload.texts[mantissa] is the value. */
};

enum { PAYLOAD_TEXT = 254 };

/* X(code, sentence for `hejnal rejects`) */
#define PAYLOAD_REASON_MAP(X)                                                                      \
    X(PAYLOAD_OK, "stored")                                                                        \
    X(PAYLOAD_EMPTY, "empty payload")                                                              \
    X(PAYLOAD_NOT_UTF8, "not UTF-8, so neither a number nor JSON")                                 \
    X(PAYLOAD_NOT_JSON, "neither a number nor valid JSON")                                         \
    X(PAYLOAD_NO_NUMBERS, "JSON without a number or boolean")                                      \
    X(PAYLOAD_TOO_DEEP, "JSON nested deeper than 32 levels")                                       \
    X(PAYLOAD_TOO_MANY, "more than 512 values in one message")                                     \
    X(PAYLOAD_NAMES_TOO_LONG, "names of the values are too long")                                  \
    X(PAYLOAD_NUMBER_RANGE, "a number beyond the range of a double")                               \
    X(PAYLOAD_TEXT_TOO_LONG, "no number, and texts longer than text_bytes_max")                    \
    X(PAYLOAD_TIME_INVALID, "the time is a text that is not RFC 3339")                             \
    X(PAYLOAD_TIME_RANGE, "the time is outside 1970 to 2200")
#define PAYLOAD_ENUM(code, sentence) code,
enum payload_reason { PAYLOAD_REASON_MAP(PAYLOAD_ENUM) PAYLOAD_REASONS };
#undef PAYLOAD_ENUM

const char *payload_reason_text(enum payload_reason reason);

/* The result, and the memory for its names; reused from message to message. */
struct payload {
    unsigned text_bytes_max; /* Set by the owner, once. 0: texts are no values. */
    bool has_time;
    int64_t time_ns;
    unsigned count;
    /* In order of appearance; a repeated name: last. One more for the time, until it is known. */
    struct payload_point points[PAYLOAD_POINTS_MAX + 1];
    unsigned text_count, texts_long;            /* Found; and too long, left out. */
    struct bytes texts[PAYLOAD_POINTS_MAX + 1]; /* Borrowed as names are. */
    struct writer names; /* Built names, and texts that had escapes, in `names_memory`. */
    uint8_t names_memory[PAYLOAD_NAMES_BYTES_MAX];
};

/* Decode; PAYLOAD_OK or the reason why nothing of it is stored. JSON by RFC 8259, strictly: what
 * JSONTestSuite calls invalid is refused (a UTF-8 byte order mark too). */
enum payload_reason payload_decode(struct bytes payload, struct payload *out);

#endif /* PROTO_PAYLOAD_H */
